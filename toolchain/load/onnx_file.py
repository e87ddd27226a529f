"""What an .onnx file holds, as plain Python values: checked, with readable names. Nothing in it is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.errors import BadModel, Unsupported
from toolchain.ir.ops import Shape
from toolchain.load.onnx_names import rename

OLDEST_OPSET = 9
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
             "QLinearConv", "QLinearMatMul")
ONNX_DOMAINS = ("", "ai.onnx")
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Node:
    """inputs: value names, "" where an optional one is left out;  attrs: numbers, texts, lists, arrays"""

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, object]


@dataclass(frozen=True)
class OnnxFile:
    """The main graph.

    inputs:    name -> shape, the batch bound to 1
    constants: initializers by name
    notes:     what was bound
    """

    name: str
    opset: int
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    constants: Arrays
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]


def read_onnx(model: bytes, name: str) -> OnnxFile:
    """Raises BadModel for bytes that are no valid ONNX model or a shape that is not fixed, Unsupported for a
    model that is quantized, keeps data in other files or is older than opset 9."""
    proto = parse(model, name)
    opset = _opset(proto, name)
    _refuse_external(proto, name)
    _refuse_quantized(proto, name)
    _check(proto, name)
    rename(proto)
    constants = {t.name: _array(t, f"{name}: initializer {t.name}") for t in proto.graph.initializer}
    inputs, notes = _inputs(proto, constants, name)
    nodes = tuple(_node(node, name) for node in proto.graph.node)
    return OnnxFile(name, opset, inputs, tuple(o.name for o in proto.graph.output), constants, nodes, notes)


def parse(model: bytes, name: str):
    """The ModelProto. Raises BadModel."""
    from google.protobuf.message import DecodeError
    import onnx

    try:
        proto = onnx.load_from_string(model)
    except DecodeError as error:
        raise BadModel(f"{name}: {len(model):,} bytes that are no ONNX model: truncated, or another format "
                       f"({error}); export it again") from None
    if not proto.graph.node:
        raise BadModel(f"{name}: {len(model):,} bytes hold no ONNX graph; export it again")
    if (text := next((text for text in _texts(proto) if isinstance(text, bytes)), None)) is not None:
        raise BadModel(f"{name}: the name {text[:40]} is not UTF-8; the model is damaged: export it again")
    return proto


def _texts(message) -> Iterator[str | bytes]:
    """Every text in a protobuf message; protobuf gives one that is not UTF-8 as bytes."""
    for field, value in message.ListFields():
        parts = value if field.is_repeated else [value]
        if field.type == field.TYPE_STRING:
            yield from parts
        elif field.type == field.TYPE_MESSAGE:
            for part in parts:
                yield from _texts(part)


def inferred_shapes(model: bytes) -> dict[str, Shape]:
    """Shapes of values that ONNX's shape inference knows, the batch bound to 1."""
    import onnx

    proto = onnx.load_from_string(model)
    rename(proto)
    try:
        proto = onnx.shape_inference.infer_shapes(proto)
    except Exception:  # its classes share no base; without shapes fewer problems are found at once, no more
        return {}
    shapes = {}
    for value in proto.graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if dims and all(d.dim_value > 0 for d in dims[1:]):
            shapes[value.name] = (1, *(d.dim_value for d in dims[1:]))
    return shapes


def _opset(proto, name: str) -> int:
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS), None)
    if opset is None:
        raise BadModel(f"{name}: names no ONNX opset; export it again")
    if opset < OLDEST_OPSET:
        raise Unsupported(f"{name}: opset {opset}; export it with opset {OLDEST_OPSET} or later")
    return opset


def _refuse_external(proto, name: str) -> None:
    """Before anything reads a tensor: a file names no other file that gets opened."""
    from onnx import TensorProto

    tensors = [*proto.graph.initializer, *(a.t for node in proto.graph.node for a in node.attribute)]
    outside = [tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        raise Unsupported(f"{name}: {len(outside)} tensors keep their data in other files, the first is "
                          f"'{outside[0].name}'; save it as one file: onnx.save_model(onnx.load(path), path)")
    if proto.graph.sparse_initializer:
        raise Unsupported(f"{name}: has sparse initializers; store them densely")


def _refuse_quantized(proto, name: str) -> None:
    quantized = [node for node in proto.graph.node if node.op_type in QUANTIZED]
    if quantized:
        raise Unsupported(f"{name}: is quantized already ({len(quantized)} nodes such as "
                          f"{quantized[0].op_type} '{quantized[0].name}'), and INT8 is not read from .onnx "
                          f"yet; give the float model, to be quantized here, or an INT8 .tflite")


def _check(proto, name: str) -> None:
    """ONNX's own checker: fields, order of nodes, attributes by the operator's schema."""
    from onnx import checker

    for output in proto.graph.output:
        output.type.tensor_type.shape.SetInParent()  # the checker wants it, runtimes and this door do not
    try:
        checker.check_model(proto)
    except (checker.ValidationError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        if "No Op registered for" not in message:  # those are listed with all else that has no row
            raise BadModel(f"{name}: ONNX's checker: {message[:300]}; export it again") from None


def _array(tensor, where: str) -> np.ndarray:
    from onnx import numpy_helper

    try:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind in "cOSU":
            raise TypeError(f"{array.dtype} is no real number")
        return array
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadModel(f"{where}: its data do not fit its shape {tuple(tensor.dims)} and element type "
                       f"{tensor.data_type} ({error}); export it again") from None


def _node(node, name: str) -> Node:
    from onnx import TensorProto, helper

    attrs = {}
    for attribute in node.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError as error:
            raise BadModel(f"{name}: node '{node.name}' ({node.op_type}): {error}; export it again") from None
        if isinstance(value, TensorProto):
            value = _array(value, f"{name}: node '{node.name}' ({node.op_type})")
        attrs[attribute.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    domain = "" if node.domain in ONNX_DOMAINS else node.domain
    return Node(node.op_type, domain, tuple(node.input), tuple(node.output), attrs)


def _inputs(proto, constants: Arrays, name: str) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """Shapes, and notes on what was bound."""
    from onnx import TensorProto, helper

    shapes, notes, problems = {}, [], []
    for value in proto.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        if tensor.elem_type != TensorProto.FLOAT:
            dtype = helper.tensor_dtype_to_string(tensor.elem_type) if tensor.elem_type else "no tensor"
            raise Unsupported(f"{name}: input '{value.name}' is {dtype}; only float32 inputs are read")
        batch, rest = _symbolic(tensor.shape)
        problems += [f"input '{value.name}' {problem}" for problem in (*_not_one(tensor.shape), *rest)]
        notes += [f"batch bound to 1 (input '{value.name}' has {batch})"] if batch else []
        shapes[value.name] = (1, *(dim.dim_value for dim in tensor.shape.dim[1:]))
    if problems:
        raise BadModel(f"{name}: {'; '.join(problems)}. Export it with fixed sizes and a batch of 1, or a "
                       f"symbolic batch")
    return shapes, tuple(notes)


def _symbolic(shape) -> tuple[str, list[str]]:
    """(what the batch is called if it is symbolic, else ""; the other axes that have no fixed size)."""
    unfixed = {axis: repr(dim.dim_param) if dim.dim_param else "no size"
               for axis, dim in enumerate(shape.dim) if not dim.HasField("dim_value")}
    batch = unfixed.pop(0, "")
    return batch, [f"has {what} at axis {axis}" for axis, what in unfixed.items()]


def _not_one(shape) -> Iterator[str]:
    if not shape.dim:
        yield "has no batch axis"
    elif shape.dim[0].HasField("dim_value") and shape.dim[0].dim_value != 1:
        yield f"takes {shape.dim[0].dim_value} samples at once"
    for axis, dim in enumerate(shape.dim[1:], 1):
        if dim.HasField("dim_value") and not 1 <= dim.dim_value < 1 << 31:
            yield f"has size {dim.dim_value} at axis {axis}"
