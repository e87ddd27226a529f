"""The ONNX door: an .onnx file, node by node, literally."""

from collections.abc import Collection, Mapping
import math

import numpy as np

from toolchain.errors import BadGraph, BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Source
from toolchain.load.onnx_call import Call, Value
from toolchain.load.onnx_file import Node, OnnxFile, inferred_shapes, parse, read_onnx
from toolchain.load.onnx_fold import FOLD, fold
from toolchain.load.onnx_names import rename
from toolchain.load.onnx_ops import RULES

MALFORMED = (BadGraph, ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError)
"""What rules raise where shapes and attributes do not go together."""
LIMIT = 1 << 31
"""Most values of an activation: a few bytes of a damaged file must not ask for more."""

HINTS: Mapping[str, str] = {
    "Gelu": "use ReLU, SiLU or LeakyReLU",
    "Erf": "GELU has no row yet; use ReLU, SiLU or LeakyReLU",
    "HardSwish": "use ReLU6 or SiLU",
    "HardSigmoid": "use Sigmoid",
    "Elu": "use ReLU or LeakyReLU",
    "PRelu": "use LeakyReLU",
    "LogSoftmax": "return the logits or the softmax",
    "LayerNormalization": "use BatchNorm",
    "InstanceNormalization": "use BatchNorm",
    "Resize": "resizing has no row yet",
    "Upsample": "resizing has no row yet",
    "ConvTranspose": "transposed convolution has no row yet",
    **dict.fromkeys(("Slice", "Split", "Gather"), "slicing has no row yet; use separate layers"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent layers have no row yet"),
}


def load_onnx(model: bytes, name: str) -> Graph:
    """The float graph of a model, in the source's layout: channel ops stand between explicit transposes.

    Raises BadModel for bytes that are no valid model or a shape that is not fixed, Unsupported listing every
    node that has no row, and for models that are quantized or keep data in other files.
    """
    return _Door(read_onnx(model, name), model).graph()


NEWEST_IR = 13
"""Of ONNX Runtime 1.31; `onnx.helper.make_model` of the same day writes 14."""


def with_outputs(model: bytes, keep: Collection[str]) -> bytes:
    """The model as ONNX Runtime takes it, with extra outputs: the values in `keep` that its nodes make, under
    readable names. A newer IR version than it knows is lowered: no op's meaning depends on it."""
    proto = parse(model, "model")
    proto.ir_version = min(proto.ir_version, NEWEST_IR)
    rename(proto)
    have = {output.name for output in proto.graph.output}
    made = [value for node in proto.graph.node for value in node.output]
    for name in dict.fromkeys(value for value in made if value in keep and value not in have):
        proto.graph.output.add().name = name
    return proto.SerializeToString()


class _Door:
    """Walks the nodes once; what has no row is collected and raised at the end."""

    def __init__(self, file: OnnxFile, model: bytes):
        self.file, self.model = file, model
        self.build = Builder(file.name)
        self.values: dict[str, Value] = dict(file.constants)
        self.shared: dict[tuple[str, str], str] = {}
        self.problems: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] | None = None
        self.unknown: set[str] = set()
        self.used = {value for node in file.nodes for value in node.inputs} | set(file.outputs)
        for name, shape in file.inputs.items():
            self.values[name] = self.build.input(name, shape)

    def graph(self) -> Graph:
        with np.errstate(all="ignore"):  # `ir.check` names a constant that becomes NaN or Inf
            for node in self.file.nodes:
                self.visit(node)
        outputs = [self.output(name) for name in self.file.outputs]
        if self.problems:
            raise Unsupported.listing(self.file.name, self.problems)
        return self.build.graph(*outputs, source=Source("onnx", notes=self.file.notes))

    def visit(self, node: Node) -> None:
        if node.op in RULES and self.unknown.intersection(node.inputs):
            return self.stand_in(node)
        try:
            self.values[node.outputs[0]] = self.convert(node)
        except Unsupported as error:
            hint = f" ({HINTS[node.op]})" if node.op in HINTS else ""
            self.problems.append(f"{node.op} at {node.outputs[0]}: {error}{hint}")
            self.stand_in(node)
        except MALFORMED as error:
            if self.problems:  # what stands in for an unsupported node may not fit
                return self.stand_in(node)
            raise BadModel(f"{self.file.name}: {node.op} at {node.outputs[0]}: {error}; the model breaks the "
                           f"ONNX specification or is damaged: export it again") from error

    def convert(self, node: Node) -> Value:
        inputs = tuple(self.values[name] if name else None for name in node.inputs)
        require(not node.domain, f"is of the domain {node.domain}; only ONNX's own operators have rows")
        require(not self.used.intersection(filter(None, node.outputs[1:])),
                "more than its first output is used, which has no row")
        if node.op in FOLD and not any(isinstance(value, str) for value in inputs):
            return fold(node.op, list(inputs), node.attrs)
        require(node.op in RULES, "no row in the op table")
        return self.apply(node, inputs)

    def apply(self, node: Node, inputs: tuple[Value | None, ...]) -> Value:
        call = Call(node.op, node.outputs[0], inputs, node.inputs, node.attrs, self.file.opset, self.build,
                    self.shared)
        result = RULES[node.op](call)
        if isinstance(result, str):
            shape = call.shape(result)
            require(shape[:1] == (1,), f"gives {shape}; the first axis must stay the batch")
            if math.prod(shape) > LIMIT:
                raise ValueError(f"{shape} is beyond {LIMIT:,} values")
        return result

    def stand_in(self, node: Node) -> None:
        """Tensors for what an unsupported node gives, so that the walk can go on; unknown if the shape is."""
        if self.shapes is None:
            self.shapes = inferred_shapes(self.model)
        self.unknown |= set(node.outputs) - set(self.shapes)
        for name in node.outputs:
            self.values[name] = self.build.tensor(name, self.shapes.get(name, (1,)))

    def output(self, name: str) -> str:
        """The tensor of an output under its own name; where it has another, a reshape to the same shape."""
        value = self.values[name]
        if not isinstance(value, str):
            self.problems.append(f"output {name}: does not depend on the input")
        elif value != name:
            return self.build.op("reshape", [value], name, shape=self.build.tensors[value].shape)
        return name


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Unsupported(why)
