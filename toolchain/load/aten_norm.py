"""Normalizations. Group and instance norm are layer_norm over other axes."""

from collections.abc import Mapping
import math

import numpy as np

from toolchain.load.aten_call import Call, Constant, Rule, activation, axes_of, constant, from_image, to_image

STATISTICS = "uses the batch's own statistics; train it with track_running_stats=True and load it again"


def batch_norm(call: Call) -> str:
    call.require(not (call.get("training") or call["running_mean"] is None), STATISTICS)
    return _with_running_statistics(call)


def _with_running_statistics(call: Call) -> str:
    x = activation(call, "input")
    roles = (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0))
    parameters = [call.vector(call[role], call.shape(x)[1], fill, role) for role, fill in roles]
    if len(call.shape(x)) == 2:
        return call.emit("batch_norm", [x, *parameters], epsilon=call["eps"])
    image = to_image(call, x)
    return from_image(call, call.emit("batch_norm", [image, *parameters], "batch_norm", epsilon=call["eps"]))


def batch_norm_of_core(call: Call) -> tuple[str | None, ...]:
    """The core ATen form, which gives saved statistics too."""
    return _with_running_statistics(call), None, None


def layer_norm(call: Call) -> str:
    x, sizes = activation(call, "input"), call["normalized_shape"]
    axes = axes_of(call, x, range(-len(sizes), 0))
    gamma, beta = (_affine(call, role, tuple(sizes)) for role in ("weight", "bias"))
    return call.emit("layer_norm", [x, gamma, beta], axes=axes, epsilon=call["eps"])


def _affine(call: Call, role: str, shape: tuple[int, ...]) -> str:
    """Gamma (role weight) or beta (role bias) in this shape; 1 or 0 where the source has none."""
    if call[role] is None:
        data = np.full(shape, 1.0 if role == "weight" else 0.0, np.float32)
        return call.build.constant(f"{call.name}.{role}", data)
    value = constant(call, role)
    return call.weight(value, f"as {shape}", value.array.reshape(shape), role)


def group_norm(call: Call) -> str:
    """[N, H, W, C] as [N, H * W, groups, C / groups]: no value moves."""
    x, groups = activation(call, "input"), call.get("num_groups", "group")
    shape = call.shape(x)
    parts = (groups, shape[1] // groups)
    gamma, beta = (_affine(call, role, parts) for role in ("weight", "bias"))
    attrs = {"axes": (1, 3), "epsilon": call["eps"]}
    if len(shape) == 2:
        y = call.emit("reshape", [x], "groups", shape=(shape[0], 1, *parts))
        return call.emit("reshape", [call.emit("layer_norm", [y, gamma, beta], "norm", **attrs)], shape=shape)
    image = to_image(call, x)
    inner = call.shape(image)
    y = call.emit("reshape", [image], "groups", shape=(shape[0], math.prod(inner[1:3]), *parts))
    y = call.emit("layer_norm", [y, gamma, beta], "norm", **attrs)
    return from_image(call, call.emit("reshape", [y], "channels", shape=inner))


def group_norm_of_core(call: Call) -> tuple[str | None, ...]:
    return group_norm(call), None, None


def layer_norm_of_core(call: Call) -> tuple[str | None, ...]:
    return layer_norm(call), None, None


def instance_norm(call: Call) -> str:
    if not call["use_input_stats"]:
        return _with_running_statistics(call)
    image = to_image(call, activation(call, "input"))
    size = call.shape(image)[-1:]
    gamma, beta = (_affine(call, role, size) for role in ("weight", "bias"))
    y = call.emit("layer_norm", [image, gamma, beta], "norm", axes=(1, 2), epsilon=call["eps"])
    return from_image(call, y)


def rms_norm(call: Call) -> str:
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019, eq. 4)."""
    x, sizes = activation(call, "input"), call["normalized_shape"]
    axes = axes_of(call, x, range(-len(sizes), 0))
    epsilon = call["eps"] if call["eps"] is not None else float(np.finfo(np.float32).eps)
    power = call.part("mean", [call.part("mul", [x, x], "square")], "mean", axes=axes, keepdims=True)
    power = call.part("add", [power, call.tensor(epsilon, role="epsilon")], "add")
    inverse = call.part("rsqrt", [power], "rsqrt")
    if call["weight"] is None:
        return call.emit("mul", [x, inverse])
    weight = call["weight"]
    call.require(isinstance(weight, Constant), "weight is computed from the input")
    return call.emit("mul", [call.part("mul", [x, inverse], "norm"), call.tensor(weight, role="weight")])


RULES: Mapping[str, Rule] = {
    "batch_norm": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm_of_core,
    "layer_norm": layer_norm,
    "native_layer_norm": layer_norm_of_core,
    "group_norm": group_norm,
    "native_group_norm": group_norm_of_core,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
}
