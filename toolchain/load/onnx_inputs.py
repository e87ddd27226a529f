"""What goes into an .onnx model: its inputs' shapes bound, their types those of a Graph."""

from collections.abc import Collection, Mapping

import numpy as np

from toolchain.errors import BadInput, BadModel, Unsupported
from toolchain.ir.graph import Shape

PLAIN = {"FLOAT": "float32", "INT32": "int32", "INT64": "int64", "BOOL": "bool"}
BYTES = ("UINT8", "INT8")
SUGGESTED = 224
"""Size that the error suggests where a symbolic axis needs one."""


Bound = Mapping[str, tuple[Shape, str]]


def bind(proto, name: str, shapes: Mapping[str, Shape],
         codes: Collection[str]) -> tuple[Bound, tuple[str, ...]]:
    """Write a fixed shape into each input, in place: (name -> (shape, dtype), notes on what was bound).

    shapes: those that were asked for, by input
    codes:  inputs whose bytes are codes of a quantized model; bytes elsewhere are taken as float32
    Raises BadInput for a shape that fits no input, BadModel listing every input that needs one, Unsupported
    for an input type without a row.
    """
    made = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in made]
    _require_known(name, shapes, [value.name for value in inputs])
    bound, notes, problems = {}, [], []
    for value in inputs:
        dtype, said = _dtype(value, name, codes)
        shape, told, wrong = _shape(value, shapes.get(value.name), name)
        bound[value.name] = shape, dtype
        notes += said + told
        problems += wrong
    if problems:
        raise BadModel(f"{name}: {'; '.join(problems)}. Give the sizes: "
                       + " ".join(_option(value) for value in inputs))
    for value in inputs:
        _write(value, *bound[value.name])
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    return bound, tuple(notes)


def _require_known(name: str, shapes: Mapping[str, Shape], inputs: list[str]) -> None:
    if unknown := sorted(set(shapes) - set(inputs)):
        raise BadInput(f"{name}: a shape is given for {', '.join(unknown)}, which is no input; it has "
                       f"{', '.join(inputs)}")


def _dtype(value, name: str, codes: Collection[str]) -> tuple[str, list[str]]:
    from onnx import TensorProto

    element = value.type.tensor_type.elem_type
    kind = TensorProto.DataType.Name(element) if element in TensorProto.DataType.values() else "UNDEFINED"
    if kind in PLAIN:
        return PLAIN[kind], []
    if kind not in BYTES:
        what = "no tensor" if kind == "UNDEFINED" else kind.lower()
        raise Unsupported(f"{name}: input '{value.name}' is {what}; only float32, float16, float64, int32, "
                          f"int64, bool, uint8 and int8 inputs are read")
    if value.name in codes:
        return kind.lower(), []
    return "float32", [f"input '{value.name}' is {kind.lower()} in the source and float32 here"]


def _shape(value, given: Shape | None, name: str) -> tuple[Shape, list[str], list[str]]:
    """(shape, notes, problems). A single number becomes a vector of one."""
    dims = list(value.type.tensor_type.shape.dim)
    if given is not None:
        return _given(value, dims, tuple(given), name)
    if not dims:
        return (1,), [f"input '{value.name}' is a single number, with shape (1,) here"], []
    notes, problems, shape = [], [], [1]
    batch, *rest = dims
    if not batch.HasField("dim_value"):
        notes.append(f"batch bound to 1 (input '{value.name}' has {_called(batch)})")
    elif batch.dim_value != 1:
        problems.append(f"input '{value.name}' takes {batch.dim_value} samples at once")
    for axis, dim in enumerate(rest, 1):
        shape.append(dim.dim_value)
        if not dim.HasField("dim_value"):
            problems.append(f"input '{value.name}' has {_called(dim)} at axis {axis}")
        elif not 1 <= dim.dim_value < 1 << 31:
            raise BadModel(f"{name}: input '{value.name}' has size {dim.dim_value} at axis {axis}; export it "
                           f"again")
    return tuple(shape), notes, problems


def _given(value, dims: list, given: Shape, name: str) -> tuple[Shape, list[str], list[str]]:
    fits = len(given) == max(len(dims), 1) and given[0] == 1 and all(1 <= n < 1 << 31 for n in given)
    fixed = fits and all(dim.dim_value == n for dim, n in list(zip(dims, given))[1:]
                         if dim.HasField("dim_value"))
    if not fixed:
        raise BadInput(f"{name}: shape {given} does not fit input '{value.name}', which is "
                       f"({', '.join(map(_called, dims))}); the first axis is the batch and must be 1")
    changed = [f"{_called(dim)} = {n}" for dim, n in zip(dims, given)
               if not dim.HasField("dim_value") or dim.dim_value != n]
    return given, [f"input '{value.name}' bound to {given}: {', '.join(changed)}"] if changed else [], []


def _called(dim) -> str:
    if dim.HasField("dim_value"):
        return str(dim.dim_value)
    return repr(dim.dim_param) if dim.dim_param else "no size"


def _option(value) -> str:
    """`--shape NAME=1,3,224,224` for an input, with a size of our own where it has none."""
    sizes = [dim.dim_value if dim.HasField("dim_value") else SUGGESTED
             for dim in value.type.tensor_type.shape.dim]
    return f"--shape {value.name}={','.join(map(str, [1, *sizes[1:]]))}"


def _write(value, shape: Shape, dtype: str) -> None:
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value.CopyFrom(helper.make_tensor_value_info(value.name, element, shape))
