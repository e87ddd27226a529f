"""Convolutions and fully_connected: weights to C, and all that can be computed at build time."""

from math import prod

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import Shape
from toolchain.ir.quant import QuantParams, clamp_range
from toolchain.lower.c.call import SUFFIX, Array, Call, Value
from toolchain.lower.c.portable.four_bits import in_four_bits
from toolchain.runtime.kernels_int16 import reduced
from toolchain.runtime.multipliers import folded_bias, weighted

LONGEST_SUM = {"int8": 2**17, "int16": 2**23}
"""dtype of the input -> products with int8 weights that are too many for the accumulator, of 32 bits or of
the 46 that the multiplier leaves of 64."""


def fully_connected(graph: Graph, op: Op) -> Call:
    """Rows times a matrix."""
    weight = graph.tensors[op.inputs[1]].data
    rows = graph.tensors[op.name].size // len(weight)
    kernel = _kernel(graph, op, "fully_connected")
    params = {"rows": rows, "matrix": _matrix(graph, op, weight)}
    work = _work(graph, op, rows, weight.size // len(weight))
    return _stored(graph, op, Call(kernel, op.inputs[:1], params, work=work))


def conv2d(graph: Graph, op: Op) -> Call:
    """A 1x1 window that takes every pixel as it lies is a matrix product over all of them."""
    weight = graph.tensors[op.inputs[1]].data
    if weight.shape[3] < graph.of(op)[0].shape[3]:
        return _grouped(graph, op, weight)
    if weight.shape[1:3] == (1, 1) and op.attrs["stride"] == (1, 1) and not any(op.attrs["pads"]):
        return fully_connected(graph, op)
    return _convolution(graph, op, weight)


def depthwise_conv2d(graph: Graph, op: Op) -> Call:
    """With one input channel it is a conv2d whose weights lie in another order."""
    x, weight, _ = graph.of(op)
    if x.shape[-1] == 1:
        return _convolution(graph, op, weight.data.transpose(3, 1, 2, 0))
    return _depthwise(graph, op, weight.data, op.attrs["multiplier"])


def _depthwise(graph: Graph, op: Op, weight: np.ndarray, multiplier: int) -> Call:
    """weight: [1, kh, kw, channels * multiplier]"""
    x, taps = graph.of(op)[0], weight.shape[1] * weight.shape[2]
    sizes = {"multiplier": multiplier} if multiplier > 1 else {}
    kind = "depthwise_multiplier_conv2d" if sizes else "depthwise_conv2d"
    if x.dtype == "int16":
        kind, sizes = "depthwise_conv2d", {"channels": x.shape[-1], "multiplier": multiplier}
    params = {"window": _window(graph, op), **sizes, "weight": Array("weight", weight),
              "output": _folded_output(graph, op)}
    return _windowed(graph, op, kind, params, taps, taps * x.shape[-1])


def _grouped(graph: Graph, op: Op, weight: np.ndarray) -> Call:
    """Groups of one channel are a depthwise convolution; weight: [O, kh, kw, channels / groups]"""
    outputs, height, width, depth = weight.shape
    channels = graph.of(op)[0].shape[3]
    groups = channels // depth
    if depth == 1:
        return _depthwise(graph, op, np.ascontiguousarray(weight.transpose(3, 1, 2, 0)), outputs // groups)
    params = {"window": _window(graph, op), "groups": groups, "depth": depth, "outputs": outputs // groups,
              "weight": Array("weight", weight), "output": _folded_output(graph, op)}
    return _windowed(graph, op, "grouped_conv2d", params, height * width * depth, height * width * channels)


def _windowed(graph: Graph, op: Op, kind: str, params: dict[str, Value], products: int, patch: int) -> Call:
    """A call that lays `patch` codes out for each pixel and sums `products` for each output."""
    dtype, pixels = graph.of(op)[0].dtype, prod(graph.tensors[op.name].shape[1:3])
    require_short_sum(op, products, LONGEST_SUM[dtype])
    laid_out = {"patch_rows": pixels * params["window"]["kernel_height"], "patch_codes": pixels * patch}
    return _stored(graph, op, Call(_kernel(graph, op, kind), op.inputs[:1], params,
                                   scratch_bytes=patch * np.dtype(dtype).itemsize,
                                   work=_work(graph, op, pixels, products) | laid_out))


def _work(graph: Graph, op: Op, pixels: int, products: int) -> dict[str, int]:
    """What an op costs that sums `products` for each output, in rows or pixels of them."""
    outputs = graph.tensors[op.name].size
    return {"products": outputs * products, "outputs": outputs, "pixels": pixels, "calls": 1}


def _stored(graph: Graph, op: Op, call: Call) -> Call:
    """4-bit weights two to a byte, where there are kernels for it."""
    return in_four_bits(call) if graph.tensors[op.inputs[1]].quant.dtype == "int4" else call


def _kernel(graph: Graph, op: Op, kind: str) -> str:
    return f"tk_{kind}_{SUFFIX[graph.of(op)[0].dtype]}"


def transpose_conv2d(graph: Graph, op: Op) -> Call:
    """Input codes are centred as they are read: they have 9 bits then, so that half as many products fit."""
    x, weight, bias = graph.of(op)
    y, (outputs, height, width, channels) = graph.tensors[op.name], weight.shape
    require_short_sum(op, height * width * channels, LONGEST_SUM[x.dtype] // 2)
    centre = {"input_zero_point": int(x.quant.zero_point)} if x.dtype == "int8" else {}
    (stride_height, stride_width), pads = op.attrs["stride"], op.attrs["pads"]
    return Call(_kernel(graph, op, "transpose_conv2d"), op.inputs[:1], {
        "input_height": x.shape[1], "input_width": x.shape[2], "channels": channels,
        "output_height": y.shape[1], "output_width": y.shape[2], "outputs": outputs,
        "kernel_height": height, "kernel_width": width,
        "stride_height": stride_height, "stride_width": stride_width,
        "pad_top": pads[0], "pad_left": pads[2], **centre,
        "weight": Array("weight", _by_phase(weight.data, op.attrs["stride"]) if centre else weight.data),
        "output": _output(graph, op, bias.data)},
        work={"products": x.size * outputs * height * width, "outputs": y.size,
              "pixels": y.shape[1] * y.shape[2], "calls": 1})


def _by_phase(weight: np.ndarray, strides: tuple[int, int]) -> np.ndarray:
    """Weights [O, kh, kw, I] with rows and columns ordered by the outputs that they meet: those of one
    remainder modulo the stride together, from the last to the first."""
    def order(size: int, stride: int) -> list[int]:
        return [k for phase in range(min(stride, size)) for k in reversed(range(phase, size, stride))]

    rows, columns = map(order, weight.shape[1:3], strides)
    return np.ascontiguousarray(weight[:, rows][:, :, columns])


def _convolution(graph: Graph, op: Op, weight: np.ndarray) -> Call:
    matrix = _matrix(graph, op, weight)
    params = {"window": _window(graph, op), "matrix": matrix}
    return _windowed(graph, op, "conv2d", params, matrix["depth"], matrix["depth"])


def _matrix(graph: Graph, op: Op, weight: np.ndarray) -> dict[str, Value]:
    """tk_matrix_s8_params or tk_matrix_s16_params of weights [O, ...]."""
    rows = np.ascontiguousarray(weight).reshape(len(weight), -1)
    require_short_sum(op, rows.shape[1], LONGEST_SUM[graph.of(op)[0].dtype])
    return {"channels": rows.shape[0], "depth": rows.shape[1], "weight": Array("weight", rows),
            "output": _folded_output(graph, op)}


def require_short_sum(op: Op, products: int, most: int) -> None:
    """Raises Unsupported where sums of so many products may not fit the accumulator."""
    if products >= most:
        raise Unsupported(f"{op.name}: {op.kind} adds {products:,} products, C takes fewer than "
                          f"{most:,}; split it")


def _folded_output(graph: Graph, op: Op) -> dict[str, Value]:
    """tk_output_s8_params for sums over raw input codes."""
    x, weight, bias = graph.of(op)
    return _output(graph, op, folded_bias(x.quant, weight.data, bias.data, WEIGHTED[op.kind]))


def _output(graph: Graph, op: Op, offset: np.ndarray) -> dict[str, Value]:
    """tk_output_s8_params: what is added per channel, multiplier and shift, and the range of codes; or
    tk_output_s16_params."""
    x, weight, _ = graph.of(op)
    out = graph.tensors[op.name].quant
    multiplier, shift = weighted(x.quant, weight.quant, out)
    if out.dtype == "int16":
        multiplier, shift = reduced(multiplier, shift)
        if shift.min() < 1:
            steps = 2**int(14 - shift.min())
            raise Unsupported(f"{op.name}: {op.kind}: a step of its sums is {steps:,} steps or more of its "
                              f"output; in 16 bits it can be less than 2^14: calibrate it again")
        low, high = clamp_range(op.attrs["activation"], out)
        return {"bias": Array("bias", offset.astype(np.int64)),
                "multiplier": Array("multiplier", np.broadcast_to(multiplier, offset.shape).astype(np.int16)),
                "shift": Array("shift", np.broadcast_to(shift, offset.shape).astype(np.int8)),
                "low": low, "high": high}
    return {"bias": Array("bias", offset.astype(np.int32)),
            "multiplier": Array("multiplier", np.broadcast_to(multiplier, offset.shape).astype(np.int32)),
            "shift": Array("shift", np.broadcast_to(shift, offset.shape).astype(np.int8)),
            **code_range(out, op.attrs["activation"])}


def code_range(out: QuantParams, activation: str | None = None) -> dict[str, int]:
    """zero_point, and the range of codes less the zero point."""
    zero_point, (low, high) = int(out.zero_point), clamp_range(activation, out)
    return {"zero_point": zero_point, "low": low - zero_point, "high": high - zero_point}


def _window(graph: Graph, op: Op) -> dict[str, int]:
    """tk_patch_s8_params, whose channels are bytes."""
    x, weight, _ = graph.of(op)
    shape = (*x.shape[:3], x.shape[3] * np.dtype(x.dtype).itemsize)
    return {**window_sizes(shape, graph.tensors[op.name].shape, weight.shape[1:3], op),
            "dilation_height": op.attrs["dilation"][0], "dilation_width": op.attrs["dilation"][1],
            "zero_point": int(x.quant.zero_point)}


def window_sizes(x: Shape, y: Shape, kernel: tuple[int, int], op: Op) -> dict[str, int]:
    """The sizes that every sliding window has, of NHWC input x and output y with one sample."""
    (stride_height, stride_width), pads = op.attrs["stride"], op.attrs["pads"]
    return {"input_height": x[1], "input_width": x[2], "channels": x[3],
            "output_height": y[1], "output_width": y[2],
            "kernel_height": kernel[0], "kernel_width": kernel[1],
            "stride_height": stride_height, "stride_width": stride_width,
            "pad_top": pads[0], "pad_left": pads[2]}
