"""A Graph in the making from the operators of a .tflite file: what every operator's reader works with."""

import numpy as np

from toolchain.errors import BadModel
from toolchain.ir.build import Builder
from toolchain.ir.check import INTEGER
from toolchain.ir.graph import Graph, Source
from toolchain.ir.quant import RANGE, QuantParams, quantize
from toolchain.load.tflite_hybrid import float_weight
from toolchain.load.tflite_records import FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_schema import BUILTIN, CODES, RELATION, short_float
from toolchain.load.tflite_unsupported import CLIPS, FUSED_CLIPS

_VALUES = {attr: {code: value for value, code in codes.items()} for attr, codes in CODES.items()}
_RELATION_OF = {row.operator: relation for relation, row in RELATION.items()}


class Loader:
    """A graph in the making.

    names:       tensor index -> name in the graph, of all that is made so far
    lowest_pads: output of a PAD or PADV2 that is left to max pools -> (its input, pads)
    hybrid:      integer weights that were dequantized
    rectified:   what a ReLU of any form made
    states:      what operators made that keep states
    """

    def __init__(self, file: TFLiteFile):
        self.file, self.build = file, Builder(file.name)
        self.names: dict[int, str] = {}
        self.lowest_pads: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.hybrid: list[str] = []
        self.rectified: set[str] = set()
        self.states: list[str] = []
        for index in file.inputs:
            tensor = file.tensors[index]
            self.names[index] = self.build.input(tensor.name, tensor.shape, tensor.dtype, self.params(tensor))

    def graph(self) -> Graph:
        """The graph of all that was added. Raises BadModel where an output was not."""
        for index in self.file.outputs:
            tensor = self.file.tensors[index]
            if index not in self.names and tensor.data is None:
                raise BadModel(f"{self.file.name}: nothing makes output '{tensor.name}'; the file is damaged")
        source = Source("tflite", notes=self.notes(), ports=self.ports())
        return self.build.graph(*(self.names[i] for i in self.file.outputs), source=source)

    def ports(self) -> tuple[tuple[str, str], ...]:
        """Names of inputs and outputs in the file's signature, where they are not those of the tensors."""
        named = ((self.names[index], name) for index, name in self.file.signature.items()
                 if index in self.names)
        return tuple(sorted((tensor, name) for tensor, name in named if tensor != name))

    def notes(self) -> tuple[str, ...]:
        open_batch = [t.name for t in map(self.file.tensors.__getitem__, self.file.inputs)
                      if t.signature and t.signature[0] == -1]
        notes = [f"batch of {', '.join(open_batch)} bound to 1"] if open_batch else []
        if self.hybrid:
            notes.append(f"integer weights under float activations (dynamic range quantization) dequantized: "
                         f"{', '.join(self.hybrid)}")
        if self.states:
            notes.append(f"states of {', '.join(self.states)} begin at 0 for each sample; LiteRT keeps them "
                         f"from run to run, unless reset_all_variables is called")
        return tuple(notes)

    # What the file says -------------------------------------------------------------------------------------

    def bad(self, op: FileOp, what: str) -> BadModel:
        return BadModel(f"{self.file.name}: op {op.index} {op.operator}: {what}; "
                        f"the file contradicts itself: export it again")

    def source(self, op: FileOp, position: int) -> FileTensor:
        return self.file.tensors[op.inputs[position]]

    def output(self, op: FileOp, position: int = 0) -> FileTensor:
        return self.file.tensors[op.outputs[position]]

    def integers(self, op: FileOp, position: int) -> tuple[int, ...]:
        """A constant operand: axes, a permutation, pads, flattened."""
        operand = self.source(op, position)
        if operand.dtype not in ("int32", "int64") or not 0 < operand.data.size <= 1024:
            raise self.bad(op, f"'{operand.name}' is {operand.dtype} {operand.shape}, "
                               f"not a few whole numbers")
        return tuple(operand.data.reshape(-1).tolist())

    def axis(self, op: FileOp, axis: int, rank: int) -> int:
        """An axis that may count from the end."""
        if not -rank <= axis < rank:
            raise self.bad(op, f"axis {axis} of {rank} dimensions")
        return axis % rank

    def attrs(self, op: FileOp, kind: str) -> dict[str, object]:
        """The attributes that the file keeps in the operator's options."""
        attrs = {"relation": _RELATION_OF[op.operator]} if kind == "compare" else {}
        for attr, fields in BUILTIN[kind].fields.items() if kind in BUILTIN else ():
            values = tuple(op.options[name] for name in fields)
            attrs[attr] = values if len(values) > 1 else values[0]
            if attr in CODES:
                attrs[attr] = self.meaning(op, attr, values[0])
            elif isinstance(values[0], float):
                attrs[attr] = short_float(values[0])
        return attrs

    def meaning(self, op: FileOp, attr: str, code: int) -> object:
        """What a number of an enumeration stands for; a fused clip stays its name."""
        if attr == "activation" and code in FUSED_CLIPS:
            return FUSED_CLIPS[code]
        if code not in _VALUES[attr]:
            raise self.bad(op, f"{attr} {code} is unknown")
        return _VALUES[attr][code]

    def params(self, tensor: FileTensor, axis: int | None = None) -> QuantParams | None:
        """Quantization of codes, or of a bias.

        A file cannot tell one slice from per tensor: given `axis`, a single scale is that axis's if it has
        length 1.
        """
        if tensor.dtype not in RANGE or not tensor.scale.size:
            if tensor.dtype in INTEGER:
                raise BadModel(f"{self.file.name}: {tensor.dtype} tensor '{tensor.name}' has no scale; "
                               f"export it again")
            return None
        if tensor.dtype not in INTEGER and tensor.data is None:
            return None
        if tensor.scale.size > 1:
            axis = tensor.axis
        elif axis is not None and tensor.shape[axis] != 1:
            axis = None
        scale, zero_point = (v[0] if axis is None else v for v in (tensor.scale, tensor.zero_point))
        try:
            return QuantParams(scale, zero_point, axis, tensor.dtype)
        except (ValueError, OverflowError) as error:
            raise BadModel(f"{self.file.name}: tensor '{tensor.name}': {error}; export it again") from None

    # What is made -------------------------------------------------------------------------------------------

    def name(self, op: FileOp, index: int, axis: int | None = None) -> str:
        """Graph name of an input tensor: made before, or a constant; `axis` as in `params`."""
        tensor = self.file.tensors[index]
        if index not in self.names:
            if tensor.data is None:
                raise self.bad(op, f"reads '{tensor.name}' before anything makes it")
            self.names[index] = self.build.constant(tensor.name, tensor.data, self.params(tensor, axis))
        return self.names[index]

    def named(self, op: FileOp, position: int) -> str:
        """Graph name of the operator's input at `position`."""
        return self.name(op, op.inputs[position])

    def dequantized(self, index: int) -> str:
        """Graph name of an integer weight as float32."""
        tensor = self.file.tensors[index]
        if index not in self.names:
            self.names[index] = self.build.constant(tensor.name, float_weight(tensor))
            self.hybrid.append(tensor.name)
        return self.names[index]

    def inner(self, kind: str, inputs: list[str], name: str, **attrs) -> str:
        """Append an op that makes a tensor which the file has not, with its first input's quantization."""
        tensor = self.build.tensors[inputs[-1 if kind == "select" else 0]]
        quant = tensor.quant if kind != "dequantize" else None
        return self.build.op(kind, inputs, f"{name}", quant=quant, **attrs)

    def emit(self, op: FileOp, kind: str, inputs: list[str], *, position: int = 0, **attrs) -> None:
        """Append an op that makes the file's output tensor, of the file's shape."""
        output = self.output(op, position)
        if output.index in self.names or output.data is not None:
            raise self.bad(op, f"makes '{output.name}', which exists before it")
        quant, activation = self.params(output), attrs.get("activation")
        if activation in CLIPS:
            inner = self.build.op(kind, inputs, f"{output.name}.unclipped", dtype=output.dtype, quant=quant,
                                  **{**attrs, "activation": None})
            return self.clip(op, inner, CLIPS[activation])
        name = self.build.op(kind, inputs, output.name, dtype=output.dtype, quant=quant, **attrs)
        shape = self.build.tensors[name].shape
        if shape != output.shape:
            raise self.bad(op, f"makes {shape} but '{output.name}' is {output.shape}")
        self.names[output.index] = name
        if {"relu", "relu6"} & {kind, activation}:
            self.rectified.add(name)

    def clip(self, op: FileOp, x: str, ends: tuple[float, float]) -> None:
        """minimum(maximum(x, low), high) as the operator's output."""
        low, high = (self.number(f"{self.output(op).name}.{end}", value, like=x)
                     for end, value in zip(("low", "high"), ends, strict=True))
        raised = self.inner("maximum", [x, low], f"{self.output(op).name}.raised")
        self.emit(op, "minimum", [raised, high])

    def number(self, name: str, value: float, like: str) -> str:
        """A constant [1] of another tensor's dtype and quantization."""
        tensor = self.build.tensors[like]
        data = np.array([value], tensor.dtype) if tensor.quant is None else \
            quantize(np.float32([value]), tensor.quant)
        return self.build.constant(name, data, tensor.quant)

    def rescaled(self, name: str, op: FileOp) -> str:
        """`name` at the scale of the operator's output, by a quantize of our own where it has another."""
        output = self.output(op)
        params, tensor = self.params(output), self.build.tensors[name]
        if params is None or params.same_as(tensor.quant):
            return name
        return self.build.op("quantize", [name], f"{output.name}.part", dtype=output.dtype, quant=params)

    def reshaped(self, name: str, shape: tuple[int, ...], output: str) -> str:
        """`name` as `shape`, by a reshape of our own where it has another."""
        return name if self.build.tensors[name].shape == shape else \
            self.inner("reshape", [name], output, shape=shape)

    def emit_reshaped(self, op: FileOp, name: str, *, position: int = 0) -> None:
        """`name` in the shape of the operator's output, as that output."""
        self.emit(op, "reshape", [name], position=position, shape=self.output(op, position).shape)

    def never_negative(self, name: str) -> bool:
        """Whether zeros change no maximum over an activation."""
        quant = self.build.tensors[name].quant
        if quant is not None:
            return int(quant.zero_point) == RANGE[quant.dtype][0]
        return name in self.rectified
