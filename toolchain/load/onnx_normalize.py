"""Normalization and softmax (ONNX operator specification)."""

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.load.onnx_call import Call, Rule, from_image, to_image


def batch_normalization(call: Call) -> str:
    call.require(not call.attr("training_mode", 0), "in training mode; export the model in evaluation mode")
    x = call.activation()
    roles = ("gamma", "beta", "mean", "variance")
    parameters = [call.weight(i, "as it is", call.constant(i, role)) for i, role in enumerate(roles, 1)]
    epsilon = float(call.attr("epsilon", 1e-5))
    if call.rank(x) == 2:
        return call.emit("batch_norm", [x, *parameters], epsilon=epsilon)
    image = to_image(call, x)
    return from_image(call, call.emit("batch_norm", [image, *parameters], "batch_norm", epsilon=epsilon),
                      call.rank(x))


def _parameter(call: Call, index: int, shape: tuple[int, ...], left_out: float) -> str:
    """gamma or beta in `shape`, which it fills or broadcasts to."""
    call.bounded(*shape)
    if call.input(index) is None:
        return call.fresh(f"input{index}", np.full(shape[-1:], left_out, np.float32))
    value = call.constant(index, f"input {index}")
    fitted = value.reshape(shape) if value.size == prod(shape) else np.broadcast_to(value, shape)
    return call.weight(index, f"as {shape}", fitted)


def layer_normalization(call: Call) -> str:
    """Over all axes from `axis` on."""
    x = call.activation()
    first = call.axis(call.attr("axis", -1), x)
    call.require(first > 0, "normalizes over the batch; name later axes")
    shape = call.shape(x)[first:]
    parameters = [_parameter(call, 1, shape, 1), _parameter(call, 2, shape, 0)]
    return call.emit("layer_norm", [x, *parameters], axes=tuple(range(first, call.rank(x))),
                     epsilon=float(call.attr("epsilon", 1e-5)))


def rms_normalization(call: Call) -> str:
    """x / sqrt(mean of x^2 + epsilon) * scale, over all axes from `axis` on."""
    x = call.activation()
    first = call.axis(call.attr("axis", -1), x)
    call.require(first > 0, "normalizes over the batch; name later axes")
    squares = call.emit("mul", [x, x], "square")
    mean = call.emit("mean", [squares], "mean", axes=tuple(range(first, call.rank(x))), keepdims=True)
    stable = call.emit("add", [mean, call.fresh("epsilon", call.attr("epsilon", 1e-5))], "stable")
    scaled = call.emit("mul", [x, call.emit("rsqrt", [stable], "rsqrt")], "scaled")
    return call.emit("mul", [scaled, _parameter(call, 1, call.shape(x)[first:], 1)])


def instance_normalization(call: Call) -> str:
    x = call.activation()
    channels = (call.shape(x)[1], *(1,) * (call.rank(x) - 2))
    parameters = [_parameter(call, 1, channels, 1), _parameter(call, 2, channels, 0)]
    return call.emit("layer_norm", [x, *parameters], axes=tuple(range(2, call.rank(x))),
                     epsilon=float(call.attr("epsilon", 1e-5)))


def group_normalization(call: Call) -> str:
    """Scale and bias: one for each group in opset 18, for each channel since 21."""
    x, groups = call.activation(), call.attr("num_groups")
    n, channels, *sizes = call.shape(x)
    split = (n, groups, channels // groups, *sizes)
    given = call.constant(1, "scale").size
    each = (*((groups, 1) if given == groups and call.opset < 21 else split[1:3]), *(1,) * len(sizes))
    parameters = [_parameter(call, 1, each, 1), _parameter(call, 2, each, 0)]
    y = call.emit("layer_norm", [call.emit("reshape", [x], "groups", shape=split), *parameters], "norm",
                  axes=tuple(range(2, len(split))), epsilon=float(call.attr("epsilon", 1e-5)))
    return call.emit("reshape", [y], shape=call.shape(x))


def mean_variance_normalization(call: Call) -> str:
    """(x - mean) / (standard deviation + 1e-9). Over the batch of one that a Graph has, the batch axis does
    not count.

    One that stands for a layer norm written out (load.onnx_patterns) has gamma, beta and epsilon too.
    """
    x = call.activation()
    axes = sorted({call.axis(axis, x) for axis in call.attr("axes", (0, 2, 3))} - {0})
    call.require(bool(axes), "normalizes over the batch; name later axes")
    gamma, beta = (_broadcast(call, index, x, left_out) for index, left_out in ((1, 1), (2, 0)))
    return call.emit("layer_norm", [x, gamma, beta], axes=tuple(axes),
                     epsilon=float(call.attr("epsilon", 1e-9)))


def _broadcast(call: Call, index: int, x: str, left_out: float) -> str:
    """gamma or beta that broadcasts to x."""
    if call.input(index) is None:
        return call.fresh(f"input{index}", np.full(1, left_out, np.float32))
    value = call.constant(index, f"input {index}")
    call.require(np.broadcast_shapes(value.shape, call.shape(x)) == call.shape(x),
                 f"a constant of shape {value.shape} makes more of {call.shape(x)}")
    return call.weight(index, "as it is", np.atleast_1d(value))


def softmax(kind: str) -> Rule:
    """Before opset 13 over all axes from `axis` on, since then over `axis` alone."""
    def rule(call: Call) -> str:
        x = call.activation()
        shape = call.shape(x)
        axis = call.axis(call.attr("axis", -1 if call.opset >= 13 else 1), x)
        call.require(axis > 0, "goes over the batch; name another axis")
        if axis == len(shape) - 1:
            return call.emit(kind, [x])
        if call.opset < 13:
            flat = call.emit("reshape", [x], "flat", shape=(*shape[:axis], prod(shape[axis:])))
            return call.emit("reshape", [call.emit(kind, [flat], kind)], shape=shape)
        perm = (*(a for a in range(len(shape)) if a != axis), axis)
        y = call.emit(kind, [call.emit("transpose", [x], "last", perm=perm)], kind)
        return call.emit("transpose", [y], perm=tuple(int(a) for a in np.argsort(perm)))
    return rule


NORMALIZE: Mapping[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Softmax": softmax("softmax"),
    "LogSoftmax": softmax("log_softmax"),
}
