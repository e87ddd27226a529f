"""Convolutions and fully connected operators of a .tflite file."""

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.ir.check import BIAS, WEIGHTED
from toolchain.ir.quant import QuantParams
from toolchain.load.tflite_hybrid import is_hybrid
from toolchain.load.tflite_loader import Loader
from toolchain.load.tflite_records import FileOp
from toolchain.load.tflite_schema import same_pads

_NO_PADS = (0, 0, 0, 0)


def window_pads(load: Loader, op: FileOp, attrs: Mapping, kernel: tuple[int, int]) -> tuple[int, ...]:
    """Explicit pads of a window. Raises BadModel where a size is not positive."""
    shape, dilation = load.source(op, 0).shape, attrs.get("dilation", (1, 1))
    if min(*kernel, *attrs["stride"], *dilation) < 1 or len(shape) != 4:
        raise load.bad(op, f"kernel {kernel}, stride {attrs['stride']}, dilation {dilation} on input {shape}")
    if op.options["padding"] == schema.Padding.VALID:
        return _NO_PADS
    windows = zip(shape[1:3], kernel, attrs["stride"], dilation, strict=True)
    return tuple(pad for window in windows for pad in same_pads(*window))


def add_convolution(load: Loader, op: FileOp, kind: str) -> None:
    attrs, x, weight = load.attrs(op, kind), load.source(op, 0), load.source(op, 1)
    if len(weight.shape) != 4 or not x.shape[-1:]:
        raise load.bad(op, f"weight {weight.shape} on input {x.shape}")
    attrs["pads"] = window_pads(load, op, attrs, weight.shape[1:3])
    if kind == "depthwise_conv2d":
        # like TFLite's kernels, which do not trust the field
        attrs["multiplier"] = weight.shape[3] // max(x.shape[3], 1)
    load.emit(op, kind, [load.named(op, 0), *_weight_and_bias(load, op, kind)], **attrs)


def add_transposed(load: Loader, op: FileOp, kind: str) -> None:
    """Inputs are (output shape, weight, x, bias). What SAME cuts off, it cuts half of it before."""
    attrs, weight, x, y = load.attrs(op, kind), load.source(op, 1), load.source(op, 2), load.output(op)
    if not len(weight.shape) == len(x.shape) == len(y.shape) == 4 or min(attrs["stride"]) < 1:
        raise load.bad(op, f"weight {weight.shape}, stride {attrs['stride']} on input {x.shape}")
    said = load.source(op, 0).data
    if said is not None and tuple(said.reshape(-1).tolist()) != y.shape:
        raise load.bad(op, f"'{y.name}' is {y.shape}, its shape operand says {said.reshape(-1)[:8].tolist()}")
    pads = []
    for i in (0, 1):
        kernel, stride, out = weight.shape[1 + i], attrs["stride"][i], y.shape[1 + i]
        same = op.options["padding"] == schema.Padding.SAME
        before = same_pads(out, kernel, stride, 1)[0] if same else 0
        pads += [before, (x.shape[1 + i] - 1) * stride + kernel - out - before]
    inputs = [load.named(op, 2), *_weight_and_bias(load, op, kind, positions=(2, 1, 3))]
    load.emit(op, kind, inputs, **attrs, pads=tuple(pads))


def add_fully_connected(load: Loader, op: FileOp, kind: str) -> None:
    """On one row of any shape: flattened before, and given its dimensions back after (keep_num_dims)."""
    weight, x, output, attrs = load.source(op, 1), load.source(op, 0), load.output(op), load.attrs(op, kind)
    if len(weight.shape) != 2 or not weight.shape[1]:
        raise load.bad(op, f"weight {weight.shape} is not a matrix")
    rows = int(np.prod(x.shape, dtype=np.int64)) // weight.shape[1]
    if rows != 1:
        return _add_rows(load, op, rows)
    flat = load.reshaped(load.named(op, 0), (1, weight.shape[1]), f"{output.name}.flat")
    inputs = [flat, *_weight_and_bias(load, op, kind)]
    if output.shape == (1, weight.shape[0]):
        load.emit(op, kind, inputs, **attrs)
    else:
        made = load.build.op(kind, inputs, f"{output.name}.2d", quant=load.params(output), **attrs)
        load.emit_reshaped(op, made)


def _add_rows(load: Loader, op: FileOp, rows: int) -> None:
    """On many rows: as a 1x1 convolution over a row of pixels."""
    weight, output, attrs = load.source(op, 1), load.output(op), load.attrs(op, "fully_connected")
    pixels = load.reshaped(load.named(op, 0), (1, 1, rows, weight.shape[1]), f"{output.name}.pixels")
    matrix, bias = _weight_and_bias(load, op, "fully_connected")
    kernel = load.build.tensors[matrix]
    name = load.build.constant(f"{kernel.name}.kernel", kernel.data[:, None, None, :], kernel.quant)
    made = load.build.op("conv2d", [pixels, name, bias], f"{output.name}.pixels", quant=load.params(output),
                         **attrs)
    load.emit_reshaped(op, made)


def _weight_and_bias(load: Loader, op: FileOp, kind: str, positions=(0, 1, 2)) -> list[str]:
    """Names of both. A bias keeps its own scale; one that is missing is zeros at scale x * scale weight.

    positions: of x, weight and bias among the operator's inputs
    """
    x, weight = (load.source(op, position) for position in positions[:2])
    if is_hybrid(load.file, op):
        name = load.dequantized(weight.index)
    else:
        name = load.name(op, weight.index, WEIGHTED[kind])
    quant = load.build.tensors[name].quant
    axis = None if quant is None or quant.axis is None else 0
    if len(op.inputs) > positions[2] and op.inputs[positions[2]] >= 0:
        return [name, _bias(load, op, positions[2], axis)]
    params, dtype = None, "float32"
    if quant is not None:
        scale, dtype = np.float64(x.scale[0]) * quant.scale, BIAS[x.dtype]
        params = QuantParams(scale, np.zeros(scale.shape), axis, dtype)
    zeros = np.zeros(weight.shape[WEIGHTED[kind]], dtype)
    return [name, load.build.constant(f"{load.output(op).name}.bias", zeros, params)]


def _bias(load: Loader, op: FileOp, position: int, axis: int | None) -> str:
    """Its name. litert-torch writes some as [1, 1, 1, O]."""
    bias = load.source(op, position)
    if len(bias.shape) == 1 or bias.scale.size > 1:
        return load.name(op, bias.index, axis)
    return load.build.constant(bias.name, bias.data.reshape(-1), load.params(bias))
