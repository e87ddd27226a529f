"""Half, bfloat16 and double precision in a model become float32: the one real type of a Graph.

Double precision stays where only constants have it: shapes and weights that are computed come out as exact as
the exporter meant them.
"""

from collections.abc import Iterator

import numpy as np

from toolchain.errors import BadModel

TYPED = ("to", "dtype", "output_dtype")
"""Attributes that hold an element type."""


def in_float32(proto, name: str) -> tuple[str, ...]:
    """Change the model in place; returns a note where there was something to change. Raises BadModel for a
    tensor whose data do not fit it."""
    from onnx import TensorProto, helper

    others = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    if any(value.type.tensor_type.elem_type == TensorProto.DOUBLE
           for value in (*proto.graph.input, *proto.graph.output)):
        others.add(TensorProto.DOUBLE)
    found = set()
    for tensor in _tensors(proto.graph):
        if tensor.data_type in others:
            found.add(tensor.data_type)
            _widen(tensor, name)
    for holder, field in _types(proto.graph):
        if getattr(holder, field) in others:
            found.add(getattr(holder, field))
            setattr(holder, field, TensorProto.FLOAT)
    names = sorted(helper.tensor_dtype_to_string(dtype).removeprefix("TensorProto.").lower()
                   for dtype in found)
    return (f"{' and '.join(names)} computed in float32",) if names else ()


def _tensors(graph) -> Iterator:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _types(graph) -> Iterator[tuple[object, str]]:
    """Where an element type stands: (message, field)."""
    for value in (*graph.input, *graph.output):
        yield value.type.tensor_type, "elem_type"
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in TYPED and attribute.HasField("i"):
                yield attribute, "i"


def _widen(tensor, name: str) -> None:
    """float16's largest number, which exporters write for "no bound", becomes float32's."""
    from onnx import numpy_helper

    array = array_of(tensor, f"{name}: tensor {tensor.name}")
    with np.errstate(over="ignore"):
        reals = array.astype(np.float32)
    if array.dtype == np.float16:
        reals = np.where(np.abs(reals) == HALF, np.copysign(np.finfo(np.float32).max, reals), reals)
    tensor.CopyFrom(numpy_helper.from_array(reals.astype(np.float32), tensor.name))


HALF = np.float32(np.finfo(np.float16).max)


def array_of(tensor, where: str) -> np.ndarray:
    """The tensor's data. Raises BadModel where they do not fit its shape and type."""
    from onnx import numpy_helper

    try:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind in "cOSU":
            raise TypeError(f"{array.dtype} is no real number")
        return array
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadModel(f"{where}: its data do not fit its shape {tuple(tensor.dims)} and element type "
                       f"{tensor.data_type} ({error}); export it again") from None
