"""ONNX operators as Graph ops: one rule each (ONNX operator specification, opsets 9 and later).

Literal: what the source has channels first is transposed to channels last before an op that needs it so, and
back after. Names that hold ':' are this scaffolding; the tensor that holds the node's result carries the
plain name.
"""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.load.onnx_call import Call, Value, from_image, to_image
from toolchain.load.onnx_window import window

HUGE = 3.4e38
"""Exporters write float32's largest number for "no bound"."""


# Convolution and matrix products ---------------------------------------------------------------------------

def conv(call: Call) -> str:
    x, kernel = call.activation(), call.constant(1, "weight")
    image, rank, group = to_image(call, x), kernel.ndim, call.attr("group", 1)
    channels = call.shape(image)[-1]
    if rank != len(call.shape(x)):
        raise ValueError(f"weight {kernel.shape} does not fit the input {call.shape(x)}")
    slide = window(call, x, kernel.shape[2:])
    attrs = {"stride": slide.stride, "dilation": slide.dilation, "pads": slide.pads}
    kernel = kernel if rank == 4 else kernel[:, :, None]
    bias = call.vector(2, len(kernel), "bias")
    if group == 1:
        weight = call.weight(1, "conv2d", kernel.transpose(0, 2, 3, 1))
        return from_image(call, call.emit("conv2d", [image, weight, bias], "conv2d", **attrs), rank)
    call.require(group == channels,
                 f"group={group} of {channels} channels; only 1 and depthwise ({channels}) have a row")
    weight = call.weight(1, "depthwise", kernel.transpose(1, 2, 3, 0))
    attrs["multiplier"] = len(kernel) // channels
    return from_image(call, call.emit("depthwise_conv2d", [image, weight, bias], "depthwise", **attrs), rank)


def gemm(call: Call) -> str:
    """alpha * A' * B' + beta * C, where ' transposes if transA or transB says so."""
    x, alpha, beta = call.activation(), call.attr("alpha", 1.0), call.attr("beta", 1.0)
    if call.attr("transA", 0):
        x = call.emit("transpose", [x], "rows", perm=(1, 0))
    matrix = call.constant(1, "B")
    rows = matrix if call.attr("transB", 0) else matrix.T
    weight = call.weight(1, f"rows {call.attr('transB', 0)} * {alpha}", rows * np.float32(alpha))
    return call.emit("fully_connected", [x, weight, _gemm_bias(call, beta, len(rows))])


def _gemm_bias(call: Call, beta: float, size: int) -> str:
    if call.input(2) is None:
        return call.vector(2, size, "bias")
    bias = call.constant(2, "C") * np.float32(beta)
    call.require(bias.ndim < 2 or len(bias) == 1,
                 f"C has shape {bias.shape}; only one value for each column has a row")
    return call.weight(2, f"{size} * {beta}", np.broadcast_to(bias.ravel(), (size,)))


def matmul(call: Call) -> str:
    """x @ B on the last axis. [N, I] goes through fully_connected, longer shapes through a 1x1 conv2d."""
    call.require(isinstance(call.input(0), str), "a constant from the left; only from the right has a row")
    x, matrix = call.activation(), call.constant(1, "B")
    shape = call.shape(x)
    call.require(matrix.ndim == 2 and 2 <= len(shape) <= 4,
                 f"shapes {shape} and {matrix.shape}; only [N, ..., I] with a matrix has a row")
    bias = call.vector(2, matrix.shape[1], "bias")
    if len(shape) == 2:
        return call.emit("fully_connected", [x, call.weight(1, "rows 0 * 1.0", matrix.T), bias])
    weight = call.weight(1, "1x1", matrix.T[:, None, None, :])
    if len(shape) == 4:
        return call.emit("conv2d", [x, weight, bias])
    image = call.emit("reshape", [x], "image", shape=(shape[0], 1, *shape[1:]))
    y = call.emit("conv2d", [image, weight, bias], "conv2d")
    return call.emit("reshape", [y], shape=(*shape[:2], matrix.shape[1]))


def batch_normalization(call: Call) -> str:
    call.require(not call.attr("training_mode", 0), "in training mode; export the model in evaluation mode")
    x = call.activation()
    roles = ("gamma", "beta", "mean", "variance")
    parameters = [call.weight(i, "as it is", call.constant(i, role)) for i, role in enumerate(roles, 1)]
    epsilon = float(call.attr("epsilon", 1e-5))
    if len(call.shape(x)) == 2:
        return call.emit("batch_norm", [x, *parameters], epsilon=epsilon)
    image = to_image(call, x)
    return from_image(call, call.emit("batch_norm", [image, *parameters], "batch_norm", epsilon=epsilon),
                      len(call.shape(x)))


# Pooling ---------------------------------------------------------------------------------------------------

def max_pool(call: Call) -> str:
    x = call.activation()
    slide = window(call, x, call.attr("kernel_shape"))
    call.require(slide.dilation == (1, 1), f"dilations={slide.dilation}; only 1 has a row")
    y = call.emit("max_pool2d", [to_image(call, x)], "max_pool2d", kernel=slide.kernel, stride=slide.stride,
                  pads=slide.reach)
    return from_image(call, y, len(call.shape(x)))


def average_pool(call: Call) -> str:
    """The row counts only what lies inside the input; count_include_pad is an explicit pad before it."""
    x = call.activation()
    slide = window(call, x, call.attr("kernel_shape"))
    call.require(slide.dilation == (1, 1), f"dilations={slide.dilation}; only 1 has a row")
    image, pads = to_image(call, x), slide.reach
    if any(slide.pads) and call.attr("count_include_pad", 0):
        call.require(not any(slide.extra), "ceil_mode with count_include_pad has no row; turn one off")
        image = call.emit("pad", [image], "pad", pads=((0, 0), pads[:2], pads[2:], (0, 0)))
        pads = (0, 0, 0, 0)
    y = call.emit("average_pool2d", [image], "average_pool2d", kernel=slide.kernel, stride=slide.stride,
                  pads=pads)
    return from_image(call, y, len(call.shape(x)))


def global_average_pool(call: Call) -> str:
    x = call.activation()
    return call.emit("mean", [x], axes=tuple(range(2, len(call.shape(x)))), keepdims=True)


def global_max_pool(call: Call) -> str:
    x = call.activation()
    image = to_image(call, x)
    y = call.emit("max_pool2d", [image], "max_pool2d", kernel=call.shape(image)[1:3])
    return from_image(call, y, len(call.shape(x)))


def reduce_mean(call: Call) -> Value:
    x, axes = call.activation(), call.setting("axes", 1)
    if not axes and call.attr("noop_with_empty_axes", 0):
        return x
    rank = len(call.shape(x))
    axes = tuple(sorted({axis % rank for axis in (axes or range(rank))}))
    call.require(0 not in axes, "averages over the batch; name the other axes")
    return call.emit("mean", [x], axes=axes, keepdims=bool(call.attr("keepdims", 1)))


# Arithmetic and activations --------------------------------------------------------------------------------

def binary(kind: str) -> Callable[[Call], str]:
    return lambda call: call.emit(kind, [call.operand(0), call.operand(1)])


def div(call: Call) -> str:
    """x / c as x * (1 / c)."""
    divisor = call.constant(1, "divisor").astype(np.float64)
    call.require(bool(divisor.all()), "divides by 0")
    return call.emit("mul", [call.activation(), call.weight(1, "inverse", 1 / divisor)])


def clip(call: Call) -> Value:
    x, low, high = call.activation(), call.setting("min", 1), call.setting("max", 2)
    low, high = None if low is None or low <= -HUGE else low, None if high is None or high >= HUGE else high
    if low is None and high is None:
        return x
    kind = {(0, None): "relu", (0, 6): "relu6"}.get((low, high))
    call.require(kind is not None, f"clips to [{low}, {high}]; only [0, 6] and [0, None] have a row")
    return call.emit(kind, [x])


def unary(kind: str) -> Callable[[Call], str]:
    return lambda call: call.emit(kind, [call.activation()])


def leaky_relu(call: Call) -> str:
    return call.emit("leaky_relu", [call.activation()], alpha=float(call.attr("alpha", 0.01)))


def softmax(call: Call) -> str:
    """Before opset 13 over all axes from `axis` on, since then over `axis` alone."""
    x = call.activation()
    shape = call.shape(x)
    axis = call.attr("axis", -1 if call.opset >= 13 else 1) % len(shape)
    call.require(axis > 0, "goes over the batch; name another axis")
    if axis == len(shape) - 1:
        return call.emit("softmax", [x])
    if call.opset < 13:
        flat = call.emit("reshape", [x], "flat", shape=(*shape[:axis], int(np.prod(shape[axis:]))))
        return call.emit("reshape", [call.emit("softmax", [flat], "softmax")], shape=shape)
    perm = (*(a for a in range(len(shape)) if a != axis), axis)
    y = call.emit("softmax", [call.emit("transpose", [x], "last", perm=perm)], "softmax")
    return call.emit("transpose", [y], perm=tuple(int(a) for a in np.argsort(perm)))


# Moving data -----------------------------------------------------------------------------------------------

def concat(call: Call) -> str:
    axis, rank = call.attr("axis"), len(call.shape(call.operand(0)))
    call.require(axis % rank > 0, "joins batches; join along another axis")
    return call.emit("concat", [call.operand(i) for i in range(len(call.inputs))], axis=axis % rank)


def pad(call: Call) -> str:
    """Attributes before opset 11, inputs since then: pads, value and, since 18, the axes they are for."""
    x, value, mode = call.activation(), call.setting("value", 2) or 0.0, call.attr("mode", "constant")
    flat, rank = call.setting("pads", 1), len(call.shape(x))
    axes = [axis % rank for axis in call.setting("axes", 3) or range(rank)]
    if len(flat) != 2 * len(axes):
        raise ValueError(f"{len(flat)} pads for {len(axes)} axes")
    call.require(mode == "constant" and value == 0 and min(flat) >= 0,
                 f"mode={mode}, value={value}, pads={flat}; only zeros that are added have a row")
    pairs = dict(zip(axes, zip(flat[:len(axes)], flat[len(axes):])))
    return call.emit("pad", [x], pads=tuple(pairs.get(axis, (0, 0)) for axis in range(rank)))


def reshape(call: Call) -> str:
    """0 keeps a size (unless allowzero), -1 takes what is left."""
    x, wanted = call.activation(), call.setting("shape", 1)
    old = call.shape(x)
    if not call.attr("allowzero", 0):
        wanted = tuple(old[axis] if n == 0 else n for axis, n in enumerate(wanted))
    rest = int(np.prod([n for n in wanted if n != -1]))
    return call.emit("reshape", [x], shape=tuple(int(np.prod(old)) // rest if n == -1 else n for n in wanted))


def flatten(call: Call) -> str:
    x = call.activation()
    shape = call.shape(x)
    axis = call.attr("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return call.emit("reshape", [x], shape=(int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))


def squeeze(call: Call) -> str:
    x, axes = call.activation(), call.setting("axes", 1)
    shape = call.shape(x)
    axes = {axis % len(shape) for axis in axes} if axes else {axis for axis, n in enumerate(shape) if n == 1}
    return call.emit("reshape", [x], shape=tuple(n for axis, n in enumerate(shape) if axis not in axes))


def unsqueeze(call: Call) -> str:
    x, axes = call.activation(), call.setting("axes", 1)
    sizes, rank = iter(call.shape(x)), len(call.shape(x)) + len(axes)
    axes = {axis % rank for axis in axes}
    return call.emit("reshape", [x], shape=tuple(1 if axis in axes else next(sizes) for axis in range(rank)))


def transpose(call: Call) -> str:
    x = call.activation()
    return call.emit("transpose", [x], perm=call.attr("perm", tuple(reversed(range(len(call.shape(x)))))))


def identity(call: Call) -> Value:
    return call.activation()


def dropout(call: Call) -> Value:
    call.require(not call.setting("training_mode", 2),
                 "in training mode; export the model in evaluation mode")
    return call.activation()


def cast(call: Call) -> Value:
    """onnx.TensorProto.FLOAT is 1."""
    call.require(call.attr("to") == 1, "casts the input to another type than float32")
    return call.activation()


def shape(call: Call) -> Value:
    sizes = np.array(call.shape(call.activation()), np.int64)
    return sizes[call.attr("start", 0):call.attr("end", len(sizes))]


RULES: Mapping[str, Callable[[Call], Value]] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_normalization,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "ReduceMean": reduce_mean,
    "Add": binary("add"),
    "Sub": binary("sub"),
    "Mul": binary("mul"),
    "Div": div,
    "Clip": clip,
    "Relu": unary("relu"),
    "Sigmoid": unary("logistic"),
    "Tanh": unary("tanh"),
    "LeakyRelu": leaky_relu,
    "Softmax": softmax,
    "Concat": concat,
    "Pad": pad,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Identity": identity,
    "Dropout": dropout,
    "Cast": cast,
    "Shape": shape,
}
