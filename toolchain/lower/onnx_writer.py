"""An .onnx file in the making: nodes, initializers, and the values that stand for each tensor of the graph.

Names: value T holds the real numbers of the graph's tensor T. What holds ':' exists in the file only: T:codes
the quantized codes, T:unclamped those before a fused activation, T:exact what an op gives before it is
rounded, T:given the real numbers of an input that comes in other codes, T:rounded a float input after it,
T:linear what an op gives before its fused activation.
"""

from collections.abc import Mapping
from itertools import cycle

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.ops import APART, OPS
from toolchain.ir.quant import ACTIVATION_RANGE, RANGE, QuantParams, clamp_range, quantize
from toolchain.lower.nibbles import in_nibbles

OPSET, OPSET_4_BITS = 17, 21
IR_VERSION = {OPSET: 8, OPSET_4_BITS: 10}
CODE_OFFSET = {"uint8": 128, "int8": 0}
"""dtype of the file's activation codes -> what is added to the Graph's int8 codes and zero points."""


class OnnxWriter:
    """graph: channels first, from `ir.channels_first`;  activations: a key of CODE_OFFSET
    input_io: dtype of quantized inputs: "float32", or a key of CODE_OFFSET
    opset:    that the nodes are of: OPSET, or OPSET_4_BITS where constants have 4 bits
    """

    def __init__(self, graph: Graph, activations: str, input_io: str = "float32"):
        self.graph = graph
        grids = {t.quant.dtype for t in graph.constants if t.quant is not None}
        self.opset = OPSET_4_BITS if "int4" in grids else OPSET
        self.dtype, self.offset = np.dtype(activations), CODE_OFFSET[activations]
        self.nodes: list = []
        self.initializers: list = []
        self.values: set[str] = set(graph.inputs)
        self.taken: set[str] = set()
        for tensor in (graph.tensors[name] for name in graph.inputs):
            if tensor.quant is not None and input_io == self.dtype:
                self.taken.add(tensor.name)
            elif tensor.quant is not None:
                self.quantize(self.given(tensor, input_io), tensor)

    def node(self, op_type: str, inputs: list[str], output: str, **attrs) -> str:
        """Append a node; returns its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attrs))
        self.values.add(output)
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        """An initializer, made once."""
        from onnx import numpy_helper

        if name not in self.values:
            self.values.add(name)
            self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def raw(self, name: str) -> str:
        """The value that stores an activation or operand: codes where it is quantized, else real numbers."""
        tensor = self.graph.tensors[name]
        stored = name if tensor.quant is None or name in self.taken else f"{name}:codes"
        return self.constant(stored, self.recoded(tensor)) if tensor.is_constant else stored

    def given(self, tensor: Tensor, input_io: str) -> str:
        """Real numbers of a quantized input; those of codes in another dtype than the activations'."""
        if input_io == "float32":
            return tensor.name
        zero_point = (tensor.quant.zero_point + CODE_OFFSET[input_io]).astype(input_io)
        grid = [self.constant(f"{tensor.name}:scale", tensor.quant.scale),
                self.constant(f"{tensor.name}:given_zero_point", zero_point)]
        return self.node("DequantizeLinear", [tensor.name, *grid], f"{tensor.name}:given")

    def recoded(self, tensor: Tensor) -> np.ndarray:
        """A constant operand's numbers, or its codes as the file's activations have them."""
        if tensor.quant is None:
            return tensor.data
        return (tensor.data + np.int16(self.offset)).astype(self.dtype)

    def real(self, name: str) -> str:
        """The value that holds an activation's or operand's real numbers."""
        tensor = self.graph.tensors[name]
        if tensor.quant is None:
            return self.raw(name)
        real = f"{name}:rounded" if name in self.graph.inputs else name
        if real not in self.values:
            self.node("DequantizeLinear", [self.raw(name), *self.grid(tensor)], real)
        return real

    def grid(self, tensor: Tensor) -> list[str]:
        """Scale and zero point of an activation or operand, per tensor."""
        zero_point = (tensor.quant.zero_point + self.offset).astype(self.dtype)
        return [self.constant(f"{tensor.name}:scale", tensor.quant.scale),
                self.constant(f"{tensor.name}:zero_point", zero_point)]

    def weight(self, name: str, data: np.ndarray, axis: int = 0) -> str:
        """Real numbers of a weight or bias; integer codes stay integer in the file.

        data: the tensor's data in ONNX's order, the output channels along `axis`
        """
        quant = self.graph.tensors[name].quant
        if quant is None or (data.dtype == np.float32 and quant.dtype not in ("int8", "int4")):
            return self.constant(name, data)
        if name not in self.values:
            if data.dtype == np.float32:  # on a grid
                sliced = None if quant.axis is None else axis
                data = quantize(data, QuantParams(quant.scale, quant.zero_point, sliced, quant.dtype))
            inputs = [self.codes(f"{name}:codes", data, quant), self.constant(f"{name}:scale", quant.scale),
                      self.codes(f"{name}:zero_point", quant.zero_point.astype(data.dtype), quant)]
            self.node("DequantizeLinear", inputs, name, **({} if quant.axis is None else {"axis": axis}))
        return name

    def codes(self, name: str, array: np.ndarray, quant: QuantParams) -> str:
        """A constant of integer codes; 4-bit ones are stored as such, which needs OPSET_4_BITS."""
        if quant.dtype != "int4":
            return self.constant(name, array)
        if name not in self.values:
            from onnx import TensorProto, helper

            self.values.add(name)
            self.initializers.append(helper.make_tensor(name, TensorProto.INT4, array.shape,
                                                        in_nibbles(array), raw=True))
        return name

    def axes(self, op: Op) -> tuple[tuple[str, ...], dict[str, object]]:
        """A reduction's axes: an input from opset 18 on, an attribute before."""
        if self.opset < 18:
            return (), {"axes": op.attrs["axes"]}
        return (self.constant(f"{op.name}:axes", np.array(op.attrs["axes"], np.int64)),), {}

    def quantize(self, real: str, out: Tensor, activation: str | None = None) -> None:
        """Store real numbers as the codes of `out`."""
        codes = self.node("QuantizeLinear", [real, *self.grid(out)], self.unclamped(out, activation))
        self.clamp(codes, out, activation)

    def unclamped(self, out: Tensor, activation: str | None) -> str:
        """Name of the codes before `clamp`."""
        clamps = clamp_range(activation, out.quant) != RANGE[out.dtype]
        return f"{out.name}:unclamped" if clamps else self.raw(out.name)

    def clamp(self, codes: str, out: Tensor, activation: str | None) -> None:
        """Clip codes that are not T:codes yet.

        A fused activation is the codes' saturation where their range says the same, as it does when it was
        calibrated behind the activation. A Clip in front of QuantizeLinear would keep onnxruntime from making
        one integer kernel of the unit.
        """
        if codes != self.raw(out.name):
            bounds = [self.constant(f"{out.name}:{side}", np.array(bound + self.offset, self.dtype))
                      for side, bound in zip(("low", "high"), clamp_range(activation, out.quant))]
            self.node("Clip", [codes, *bounds], self.raw(out.name))

    def compute(self, op: Op, op_type: str, inputs: list[str], **attrs) -> None:
        """A node on real numbers, with the op's fused activation and rounding behind it."""
        out, activation = self.graph.tensors[op.name], op.attrs.get("activation")
        if out.quant is not None:
            self.quantize(self.node(op_type, inputs, f"{out.name}:exact", **attrs), out, activation)
        elif activation is None:
            self.node(op_type, inputs, out.name, **attrs)
        else:
            self.activate(activation, self.node(op_type, inputs, f"{out.name}:linear", **attrs), out.name)

    def move(self, op: Op, op_type: str, parameters: tuple[str, ...] = (), **attrs) -> None:
        """A node that hands values through: on codes where they mean the same before and after, else on real
        numbers. parameters: its inputs behind the op's own"""
        out, activation = self.graph.tensors[op.name], op.attrs.get("activation")
        if out.quant is None or not self.keeps_codes(op):
            return self.compute(op, op_type, [*map(self.real, op.inputs), *parameters], **attrs)
        codes = [*map(self.raw, op.inputs), *parameters]
        self.clamp(self.node(op_type, codes, self.unclamped(out, activation), **attrs), out, activation)

    def keeps_codes(self, op: Op) -> bool:
        """Whether the codes that the op hands through mean what the output's do."""
        quant, roles = self.graph.tensors[op.name].quant, OPS[op.kind].inputs
        return all(tensor.quant is not None and tensor.quant.same_as(quant)
                   for role, tensor in zip(cycle(roles), self.graph.of(op)) if role not in APART)

    def pick(self, op: Op, picks: Mapping[int, np.ndarray]) -> None:
        """Along each axis the elements at these indices, in their order."""
        out = self.graph.tensors[op.name]
        on_codes = out.quant is not None and self.keeps_codes(op)
        x = self.raw(op.inputs[0]) if on_codes else self.real(op.inputs[0])
        for number, (axis, indices) in enumerate(picks.items(), 1):
            inputs = [x, self.constant(f"{op.name}:indices{axis}", indices)]
            if number < len(picks):
                x = self.node("Gather", inputs, f"{op.name}:axis{axis}", axis=axis)
            elif on_codes:
                self.node("Gather", inputs, self.raw(op.name), axis=axis)
            else:
                self.compute(op, "Gather", inputs, axis=axis)

    def scalar(self, value: float) -> str:
        """A float32 number, made once."""
        return self.constant(f":{value:.9g}", np.float32(value))

    def cast(self, x: str, output: str, dtype: str) -> str:
        from onnx import helper

        return self.node("Cast", [x], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def activate(self, activation: str, x: str, output: str) -> None:
        """relu or relu6 on real numbers."""
        low, high = ACTIVATION_RANGE[activation]
        if high is None:
            self.node("Relu", [x], output)
        else:
            self.node("Clip", [x, *map(self.scalar, (low, high))], output)
