"""Door in: a .tflite file, float32 or int8, as a Graph with the file's tensor names and exact quantization.

Literal but for: SAME becomes explicit pads, a missing bias zeros, SQUEEZE and EXPAND_DIMS a reshape; what is
padded before a max pool and changes no maximum becomes the pool's own pads; a FULLY_CONNECTED that is not on
two dimensions gets reshapes; int8 weights under float activations are dequantized.
"""

from collections.abc import Callable, Mapping

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadGraph, BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Source
from toolchain.ir.quant import RANGE, QuantParams
from toolchain.load.tflite_file import MAX_ELEMENTS, FileOp, FileTensor, TFLiteFile, read_tflite
from toolchain.load.tflite_hybrid import float_weight, is_hybrid
from toolchain.load.tflite_schema import BUILTIN, same_pads, short_float
from toolchain.load.tflite_unsupported import (
    ACTIVATION_KIND,
    KIND,
    only_feeds_max_pools,
    pads_lowest,
    problems,
)

_NO_PADS = (0, 0, 0, 0)


def load_tflite(model: bytes, name: str) -> Graph:
    """The graph of a file's bytes.

    Raises BadModel where the bytes are damaged or contradict themselves, Unsupported listing every op, type
    and shape without a row.
    """
    file = read_tflite(model, name)
    if found := problems(file):
        raise Unsupported.listing(name, found)
    return _Loader(file).graph()


class _Loader:
    """A graph in the making.

    names:       tensor index -> name in the graph, of all that is made so far
    lowest_pads: output of a PAD or PADV2 that is left to max pools -> (its input, pads)
    hybrid:      int8 weights that were dequantized
    rectified:   what a ReLU of any form made
    """

    def __init__(self, file: TFLiteFile):
        self.file, self.build = file, Builder(file.name)
        self.names: dict[int, str] = {}
        self.lowest_pads: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.hybrid: list[str] = []
        self.rectified: set[str] = set()

    def graph(self) -> Graph:
        for index in self.file.inputs:
            tensor = self.file.tensors[index]
            self.names[index] = self.build.input(tensor.name, tensor.shape, tensor.dtype, self.params(tensor))
        for op in self.file.ops:
            self.add(op)
        if lost := [self.file.tensors[i].name for i in self.file.outputs if i not in self.names]:
            raise BadModel(f"{self.file.name}: nothing makes output '{lost[0]}'; the file is damaged")
        return self.build.graph(*(self.names[i] for i in self.file.outputs),
                                source=Source("tflite", notes=self.notes()))

    def notes(self) -> tuple[str, ...]:
        open_batch = [t.name for t in map(self.file.tensors.__getitem__, self.file.inputs)
                      if t.signature and t.signature[0] == -1]
        notes = [f"batch of {', '.join(open_batch)} bound to 1"] if open_batch else []
        if self.hybrid:
            notes.append(f"int8 weights under float activations (dynamic range quantization) dequantized: "
                         f"{', '.join(self.hybrid)}")
        return tuple(notes)

    def add(self, op: FileOp) -> None:
        kind = KIND[op.operator]
        try:
            _ADD.get(kind, _add_plain)(self, op, kind)
        except (BadGraph, ValueError) as error:
            raise self.bad(op, str(error)) from None

    def bad(self, op: FileOp, what: str) -> BadModel:
        return BadModel(f"{self.file.name}: op {op.index} {op.operator}: {what}; "
                        f"the file contradicts itself: export it again")

    def source(self, op: FileOp, position: int) -> FileTensor:
        return self.file.tensors[op.inputs[position]]

    def name(self, op: FileOp, index: int, axis: int | None = None) -> str:
        """Graph name of an input tensor: made before, or a constant; `axis` as in `params`."""
        tensor = self.file.tensors[index]
        if index not in self.names:
            if tensor.data is None:
                raise self.bad(op, f"reads '{tensor.name}' before anything makes it")
            self.names[index] = self.build.constant(tensor.name, tensor.data, self.params(tensor, axis))
        return self.names[index]

    def dequantized(self, index: int) -> str:
        """Graph name of an int8 weight as float32."""
        tensor = self.file.tensors[index]
        if index not in self.names:
            self.names[index] = self.build.constant(tensor.name, float_weight(tensor))
            self.hybrid.append(tensor.name)
        return self.names[index]

    def params(self, tensor: FileTensor, axis: int | None = None) -> QuantParams | None:
        """Quantization of an integer tensor.

        A file cannot tell one slice from per tensor: given `axis`, a single scale is that axis's if it has
        length 1.
        """
        if tensor.dtype not in RANGE or not tensor.scale.size:
            if tensor.dtype in ("int8", "uint8"):
                raise BadModel(f"{self.file.name}: {tensor.dtype} tensor '{tensor.name}' has no scale; "
                               f"export it again")
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

    def emit(self, op: FileOp, kind: str, inputs: list[str], **attrs) -> None:
        """Append an op that makes the file's output tensor, of the file's shape."""
        output = self.file.tensors[op.outputs[0]]
        if output.index in self.names or output.data is not None:
            raise self.bad(op, f"makes '{output.name}', which exists before it")
        quant = self.params(output)
        name = self.build.op(kind, inputs, output.name, dtype=output.dtype, quant=quant, **attrs)
        shape = self.build.tensors[name].shape
        if shape != output.shape:
            raise self.bad(op, f"makes {shape} but '{output.name}' is {output.shape}")
        self.names[output.index] = name
        if {"relu", "relu6"} & {kind, attrs.get("activation")}:
            self.rectified.add(name)

    def never_negative(self, name: str) -> bool:
        """Whether zeros change no maximum over an activation."""
        quant = self.build.tensors[name].quant
        if quant is not None:
            return int(quant.zero_point) == RANGE[quant.dtype][0]
        return name in self.rectified

    def reshaped(self, name: str, shape: tuple[int, ...], output: str) -> str:
        """`name` as `shape`, by a reshape of our own where it has another."""
        tensor = self.build.tensors[name]
        if tensor.shape == shape:
            return name
        return self.build.op("reshape", [name], output, quant=tensor.quant, shape=shape)


# Kinds ----------------------------------------------------------------------------------------------------

def _attrs(op: FileOp, kind: str) -> dict[str, object]:
    """The attributes that the file keeps in the operator's options."""
    attrs = {}
    for attr, fields in BUILTIN[kind].fields.items():
        values = tuple(op.options[name] for name in fields)
        attrs[attr] = values if len(values) > 1 else values[0]
        if attr == "activation":
            attrs[attr] = ACTIVATION_KIND[values[0]]
        elif isinstance(values[0], float):
            attrs[attr] = short_float(values[0])
    return attrs


def _add_plain(load: _Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.name(op, i) for i in op.inputs], **_attrs(op, kind))


def _add_pool(load: _Loader, op: FileOp, kind: str) -> None:
    attrs = _attrs(op, kind)
    pads = _pads(load, op, attrs, attrs["kernel"])
    x, pads = load.lowest_pads.get(op.inputs[0], (op.inputs[0], pads))
    load.emit(op, kind, [load.name(op, x)], pads=pads, **attrs)


def _pads(load: _Loader, op: FileOp, attrs: Mapping, kernel: tuple[int, int]) -> tuple[int, ...]:
    """Explicit pads of a window. Raises BadModel where a size is not positive."""
    shape, dilation = load.source(op, 0).shape, attrs.get("dilation", (1, 1))
    if min(*kernel, *attrs["stride"], *dilation) < 1 or len(shape) != 4:
        raise load.bad(op, f"kernel {kernel}, stride {attrs['stride']}, dilation {dilation} on input {shape}")
    if op.options["padding"] == schema.Padding.VALID:
        return _NO_PADS
    windows = zip(shape[1:3], kernel, attrs["stride"], dilation, strict=True)
    return tuple(pad for window in windows for pad in same_pads(*window))


def _add_convolution(load: _Loader, op: FileOp, kind: str) -> None:
    attrs, x, weight = _attrs(op, kind), load.source(op, 0), load.source(op, 1)
    if len(weight.shape) != 4 or not x.shape[-1:]:
        raise load.bad(op, f"weight {weight.shape} on input {x.shape}")
    attrs["pads"] = _pads(load, op, attrs, weight.shape[1:3])
    if kind == "depthwise_conv2d":
        # like TFLite's kernels, which do not trust the field
        attrs["multiplier"] = weight.shape[3] // max(x.shape[3], 1)
    load.emit(op, kind, [load.name(op, op.inputs[0]), *_weight_and_bias(load, op, kind)], **attrs)


def _add_fully_connected(load: _Loader, op: FileOp, kind: str) -> None:
    """On one sample of any shape: flattened before, and given its dimensions back after (keep_num_dims)."""
    weight, output = load.source(op, 1), load.file.tensors[op.outputs[0]]
    if len(weight.shape) != 2:
        raise load.bad(op, f"weight {weight.shape} is not 2-D")
    x = load.reshaped(load.name(op, op.inputs[0]), (1, weight.shape[1]), f"{output.name}.flat")
    inputs, attrs = [x, *_weight_and_bias(load, op, kind)], _attrs(op, kind)
    if len(output.shape) == 2:
        load.emit(op, kind, inputs, **attrs)
    else:
        flat = load.build.op(kind, inputs, f"{output.name}.2d", quant=load.params(output), **attrs)
        load.emit(op, "reshape", [flat], shape=output.shape)


def _weight_and_bias(load: _Loader, op: FileOp, kind: str) -> list[str]:
    """Names of both. A bias keeps its own scale; one that is missing is zeros at scale x * scale weight."""
    x, weight, output = load.source(op, 0), load.source(op, 1), load.file.tensors[op.outputs[0]]
    if is_hybrid(load.file, op):
        name = load.dequantized(weight.index)
    else:
        name = load.name(op, weight.index, WEIGHTED[kind])
    quant = load.build.tensors[name].quant
    axis = None if quant is None or quant.axis is None else 0
    if len(op.inputs) == 3 and op.inputs[2] >= 0:
        return [name, load.name(op, op.inputs[2], axis)]
    params = None
    if quant is not None:
        scale = np.float64(x.scale[0]) * quant.scale
        params = QuantParams(scale, np.zeros(scale.shape), axis, "int32")
    zeros = np.zeros(weight.shape[WEIGHTED[kind]], np.float32 if params is None else np.int32)
    return [name, load.build.constant(f"{output.name}.bias", zeros, params)]


def _integers(load: _Loader, op: FileOp, position: int) -> np.ndarray:
    """A constant operand: axes, a permutation, pads."""
    operand = load.source(op, position)
    if operand.dtype not in ("int32", "int64") or not 0 < operand.data.size <= 16:
        raise load.bad(op, f"'{operand.name}' is {operand.dtype} {operand.shape}, not a few whole numbers")
    return operand.data.astype(np.int64)


def _add_mean(load: _Loader, op: FileOp, kind: str) -> None:
    rank = len(load.source(op, 0).shape)
    axes = tuple(dict.fromkeys(int(a) + rank * (a < 0) for a in _integers(load, op, 1).reshape(-1)))
    load.emit(op, kind, [load.name(op, op.inputs[0])], axes=axes, **_attrs(op, kind))


def _add_transpose(load: _Loader, op: FileOp, kind: str) -> None:
    perm = tuple(int(a) for a in _integers(load, op, 1).reshape(-1))
    load.emit(op, kind, [load.name(op, op.inputs[0])], perm=perm)


def _add_concat(load: _Loader, op: FileOp, kind: str) -> None:
    attrs = _attrs(op, kind)
    attrs["axis"] += len(load.source(op, 0).shape) * (attrs["axis"] < 0)
    load.emit(op, kind, [load.name(op, i) for i in op.inputs], **attrs)


def _add_reshape(load: _Loader, op: FileOp, kind: str) -> None:
    """To the output's shape, whether the file says it in a constant, an option or a computed tensor."""
    load.emit(op, kind, [load.name(op, op.inputs[0])], shape=load.file.tensors[op.outputs[0]].shape)


def _add_pad(load: _Loader, op: FileOp, kind: str) -> None:
    """PAD, and PADV2 where it pads with zero; what no maximum sees is left to the max pools after it."""
    x, pads = load.source(op, 0), _integers(load, op, 1)
    if pads.shape != (len(x.shape), 2) or pads.min() < 0 or pads.max() > MAX_ELEMENTS:
        raise load.bad(op, f"pads {pads.tolist()} on input {x.shape}")
    pads = tuple((int(before), int(after)) for before, after in pads)
    name = load.name(op, op.inputs[0])
    unseen = pads_lowest(load.file, op) or load.never_negative(name)
    if unseen and only_feeds_max_pools(load.file, op):
        load.lowest_pads[op.outputs[0]] = op.inputs[0], (*pads[1], *pads[2])
    else:
        load.emit(op, kind, [name], pads=pads)


_ADD: Mapping[str, Callable[[_Loader, FileOp, str], None]] = {
    "conv2d": _add_convolution, "depthwise_conv2d": _add_convolution, "fully_connected": _add_fully_connected,
    "average_pool2d": _add_pool, "max_pool2d": _add_pool, "mean": _add_mean, "transpose": _add_transpose,
    "concat": _add_concat, "reshape": _add_reshape, "pad": _add_pad}
