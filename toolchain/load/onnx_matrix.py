"""Convolutions and products of matrices (ONNX operator specification)."""

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.load.onnx_call import Call, Rule, from_image, to_image
from toolchain.load.onnx_window import deconvolution, window

FEW = 8
"""Channels of a transposed convolution's group from which groups are worth an op each."""


def conv(call: Call) -> str:
    x, kernel = call.activation(), call.constant(1, "weight")
    image, rank, group = to_image(call, x), kernel.ndim, call.attr("group", 1)
    channels = call.shape(image)[-1]
    if rank != call.rank(x) or kernel.shape[1] * group != channels:
        raise ValueError(f"weight {kernel.shape} in {group} groups does not take the input {call.shape(x)}")
    slide = window(call, x, kernel.shape[2:])
    attrs = {"stride": slide.stride, "dilation": slide.dilation, "pads": slide.pads}
    kernel = kernel if rank == 4 else kernel[:, :, None]
    bias = call.vector(2, len(kernel), "bias")
    if group > 1 and group == channels:
        weight = call.weight(1, "depthwise", kernel.transpose(1, 2, 3, 0), channels=3)
        y = call.emit("depthwise_conv2d", [image, weight, bias], "depthwise",
                      multiplier=len(kernel) // channels, **attrs)
    else:
        weight = call.weight(1, "conv2d", kernel.transpose(0, 2, 3, 1))
        y = call.emit("conv2d", [image, weight, bias], "conv2d", **attrs)
    return from_image(call, y, rank)


def conv_transpose(call: Call) -> str:
    """Weight [I, O / group, kh, kw]; dilation is zeros between its taps."""
    x, kernel, group = call.activation(), call.constant(1, "weight"), call.attr("group", 1)
    rank, channels = kernel.ndim, call.shape(x)[1]
    if rank != call.rank(x) or len(kernel) != channels or channels % group:
        raise ValueError(f"weight {kernel.shape} in {group} groups does not take the input {call.shape(x)}")
    image = to_image(call, x)
    stretch = deconvolution(call, x, kernel.shape[2:])
    call.bounded(kernel.size, group, *stretch.dilation)
    kernel = _dilated(kernel if rank == 4 else kernel[:, :, None], stretch.dilation)
    attrs = {"stride": stretch.stride, "pads": stretch.pads}
    bias = call.vector(2, kernel.shape[1] * group, "bias")
    if group > 1 and channels // group >= FEW:
        return from_image(call, _group_by_group(call, image, kernel, bias, group, attrs), rank)
    weight = call.weight(1, f"transposed {group}", _block_diagonal(kernel, group).transpose(1, 2, 3, 0))
    return from_image(call, call.emit("transpose_conv2d", [image, weight, bias], "conv2d", **attrs), rank)


def _dilated(kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    sizes = ((n - 1) * d + 1 for n, d in zip(kernel.shape[2:], dilation))
    spread = np.zeros((*kernel.shape[:2], *sizes), np.float32)
    spread[:, :, ::dilation[0], ::dilation[1]] = kernel
    return spread


def _block_diagonal(kernel: np.ndarray, group: int) -> np.ndarray:
    """One kernel for all groups: zeros where input and output channel are of different ones."""
    rows, made = len(kernel) // group, kernel.shape[1]
    full = np.zeros((len(kernel), made * group, *kernel.shape[2:]), np.float32)
    for g in range(group):
        full[g * rows:(g + 1) * rows, g * made:(g + 1) * made] = kernel[g * rows:(g + 1) * rows]
    return full


def _group_by_group(call: Call, image: str, kernel: np.ndarray, bias: str, group: int, attrs) -> str:
    n, height, width, channels = call.shape(image)
    parts, step, values = [], channels // group, np.split(call.build.tensors[bias].data, group)
    for g, (rows, value) in enumerate(zip(np.split(kernel, group), values)):
        part = call.emit("slice", [image], f"in{g}", begin=(0, 0, 0, g * step),
                         end=(n, height, width, (g + 1) * step), strides=(1, 1, 1, 1))
        weight = call.weight(1, f"transposed {g} of {group}", rows.transpose(1, 2, 3, 0))
        inputs = [part, weight, call.fresh(f"bias{g}", value)]
        parts.append(call.emit("transpose_conv2d", inputs, f"conv2d{g}", **attrs))
    return call.emit("concat", parts, "conv2d", axis=3)


def gemm(call: Call) -> str:
    """alpha * A' * B' + beta * C, where ' transposes if transA or transB says so."""
    if isinstance(call.input(1), str) or isinstance(call.input(0), np.ndarray):
        return _gemm_of_activations(call)
    x, alpha, beta = call.activation(), call.attr("alpha", 1.0), call.attr("beta", 1.0)
    if call.attr("transA", 0):
        x = call.emit("transpose", [x], "rows", perm=(1, 0))
    matrix = call.constant(1, "B")
    rows = matrix if call.attr("transB", 0) else matrix.T
    weight = call.weight(1, f"rows {call.attr('transB', 0)} * {alpha}", rows * np.float32(alpha))
    if isinstance(call.input(2), str):
        zeros = call.fresh("zeros", np.zeros(len(rows), np.float32))
        return _plus(call, call.emit("fully_connected", [x, weight, zeros], "product"), beta)
    return call.emit("fully_connected", [x, weight, _gemm_bias(call, beta, len(rows))])


def _gemm_bias(call: Call, beta: float, size: int) -> str:
    if call.input(2) is None:
        return call.vector(2, size, "bias")
    bias = call.constant(2, "C") * np.float32(beta)
    call.require(bias.ndim < 2 or len(bias) == 1,
                 f"C has shape {bias.shape}; only one value for each column has a row")
    return call.weight(2, f"{size} * {beta}", np.broadcast_to(bias.ravel(), (size,)))


def _gemm_of_activations(call: Call) -> str:
    alpha, added = call.attr("alpha", 1.0), call.input(2) is not None
    turned = {f"transpose_{side}": bool(call.attr(f"trans{side.upper()}", 0)) for side in "ab"}
    plain = alpha == 1 and not added
    y = call.emit("batch_matmul", [call.operand(0), call.operand(1)], "" if plain else "product", **turned)
    if alpha != 1:
        y = call.emit("mul", [y, call.fresh("alpha", alpha)], "scaled" if added else "")
    return _plus(call, y, call.attr("beta", 1.0)) if added else y


def _plus(call: Call, product: str, beta: float) -> str:
    addend = call.operand(2)
    if beta != 1:
        addend = call.emit("mul", [addend, call.fresh("beta", beta)], "addend")
    return call.emit("add", [product, addend])


def matmul(call: Call) -> str:
    """x @ B on the last axis. With a known matrix [N, I] goes through fully_connected, longer shapes through
    a 1x1 conv2d."""
    matrix = call.input(1)
    if isinstance(matrix, str) or matrix.ndim != 2 or isinstance(call.input(0), np.ndarray):
        return call.emit("batch_matmul", [call.operand(0), call.operand(1)])
    x, matrix = call.activation(), call.constant(1, "B")
    shape = call.shape(x)
    bias = call.vector(2, matrix.shape[1], "bias")
    if len(shape) == 2:
        return call.emit("fully_connected", [x, call.weight(1, "rows 0 * 1.0", matrix.T), bias])
    weight = call.weight(1, "1x1", matrix.T[:, None, None, :])
    if len(shape) == 4:
        return call.emit("conv2d", [x, weight, bias])
    image = call.emit("reshape", [x], "image", shape=(shape[0], 1, prod(shape[1:-1]), shape[-1]))
    y = call.emit("conv2d", [image, weight, bias], "conv2d")
    return call.emit("reshape", [y], shape=(*shape[:-1], matrix.shape[1]))


MATRIX: Mapping[str, Rule] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
}
