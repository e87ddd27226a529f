"""What an .onnx file holds, as plain Python values: checked, with readable names. Nothing in it is run."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain.errors import BadModel
from toolchain.ir.graph import Shape
from toolchain.load.onnx_floats import array_of
from toolchain.load.onnx_inputs import bind
from toolchain.load.onnx_names import rename
from toolchain.load.onnx_parse import ONNX_DOMAINS, opset_of, parse

NEWEST_IR = 13
"""Of ONNX Runtime 1.31; `onnx.helper.make_model` of the same day writes 14."""
READS_CODES = frozenset({"DequantizeLinear", "QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul",
                         "QGemm", "QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearConcat"})
"""Operators whose inputs of bytes are codes."""
MOVES = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Gather"})
"""Operators that hand on what comes in first: codes, where what they give is read as such."""
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Node:
    """inputs: value names, "" where an optional one is left out;  attrs: numbers, texts, lists, arrays"""

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, object]

    @property
    def name(self) -> str:
        """Its first output that is not left out."""
        return next(filter(None, self.outputs), "")


@dataclass(frozen=True)
class OnnxFile:
    """The main graph.

    proto:     the model with what is said here: one file, shapes bound, readable names, reals in float32
    inputs:    name -> (shape, dtype)
    constants: initializers by name
    notes:     what was bound or changed
    told:      shapes that the file tells of inner values
    """

    name: str
    proto: object
    opset: int
    inputs: Mapping[str, tuple[Shape, str]]
    outputs: tuple[str, ...]
    constants: Arrays
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    told: Mapping[str, Shape]

    def with_outputs(self, keep: Collection[str]) -> bytes:
        """The model as ONNX Runtime takes it, with extra outputs: the values in `keep` that its nodes make. A
        newer IR version than it knows is lowered: no op's meaning depends on it."""
        graph = self.proto.graph
        have = {output.name for output in graph.output}
        made = dict.fromkeys(value for node in graph.node for value in node.output
                             if value in keep and value not in have)
        self.proto.ir_version = min(self.proto.ir_version, NEWEST_IR)
        for value in made:
            graph.output.add().name = value
        try:
            return self.proto.SerializeToString()
        finally:
            del graph.output[len(have):]


def read_onnx(model: bytes, name: str, folder: Path | None = None,
              shapes: Mapping[str, Shape] | None = None) -> OnnxFile:
    """folder: of the model, where its external data lie;  shapes: of inputs whose sizes it leaves open

    Raises BadModel for bytes that are no valid ONNX model or an input without fixed sizes, BadInput for a
    shape that fits no input, Unsupported for an opset or an input type that is not read.
    """
    proto, notes = parse(model, name, folder)
    rename(proto)
    told = _told_shapes(proto)
    inputs, bound = bind(proto, name, shapes or {}, _read_as_codes(proto))
    constants = {t.name: array_of(t, f"{name}: initializer {t.name}") for t in proto.graph.initializer}
    nodes = tuple(_node(node, name) for node in proto.graph.node if node.output)
    outputs = tuple(output.name for output in proto.graph.output)
    made = {value for node in nodes for value in node.outputs}
    _require_outputs(name, outputs, {*inputs, *constants, *made})
    return OnnxFile(name, proto, opset_of(proto), inputs, outputs, constants, nodes, (*notes, *bound), told)


def _read_as_codes(proto) -> set[str]:
    """Values that operators on codes read, straight or moved."""
    codes: set[str] = set()
    for node in reversed(proto.graph.node):
        if node.op_type in READS_CODES:
            codes.update(node.input)
        elif node.op_type in MOVES and codes.intersection(node.output):
            codes.add(node.input[0])
    return codes


def _require_outputs(name: str, outputs: tuple[str, ...], made: Container[str]) -> None:
    if not outputs:
        raise BadModel(f"{name}: has no outputs; export it again")
    if missing := [output for output in outputs if output not in made]:
        raise BadModel(f"{name}: nothing makes output '{missing[0]}'; export it again")


def _told_shapes(proto) -> dict[str, Shape]:
    """Shapes that the file itself tells of inner values, the batch bound to 1. ONNX's own shape inference
    (1.23) would tell more, but a damaged file makes it abort the process."""
    shapes = {}
    for value in proto.graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if dims and all(0 < d.dim_value < 1 << 31 for d in dims[1:]):
            shapes[value.name] = (1, *(d.dim_value for d in dims[1:]))
    del proto.graph.value_info[:]  # their types and sizes may not hold any more
    return shapes


def _node(node, name: str) -> Node:
    from onnx import TensorProto, helper

    attrs = {}
    for attribute in node.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError as error:
            raise BadModel(f"{name}: node '{node.name}' ({node.op_type}): {error}; export it again") from None
        if isinstance(value, TensorProto):
            value = array_of(value, f"{name}: node '{node.name}' ({node.op_type})")
        attrs[attribute.name] = list(map(_text, value)) if isinstance(value, list) else _text(value)
    domain = "" if node.domain in ONNX_DOMAINS else node.domain
    return Node(node.op_type, domain, tuple(node.input), tuple(node.output), attrs)


def _text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else value
