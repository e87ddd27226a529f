"""Convolutions and transposed convolutions, with one or two spatial axes."""

from collections.abc import Mapping

import numpy as np

from toolchain.load.aten_call import (
    Call,
    Constant,
    Rule,
    activation,
    constant,
    cut,
    from_image,
    pair,
    require_spatial,
    to_image,
)

FEW_GROUPS = 4
"""A transposed convolution of more groups than that is one with zeros between the groups."""


def convolution(call: Call) -> str:
    if call.get("transposed"):
        return transposed_convolution(call)
    x, weight, spatial = _operands(call)
    channels, groups = call.shape(x)[1], call["groups"]
    image, kernel = to_image(call, x), _kernel(weight, spatial)
    attrs = {"stride": pair(call["stride"], spatial, 1), "dilation": pair(call["dilation"], spatial, 1)}
    attrs["pads"] = _pads(call, spatial, kernel.shape[2:], attrs["dilation"])
    bias = call.vector(call["bias"], len(kernel), 0.0, "bias")
    if groups != channels or groups == 1:
        weights = call.weight(weight, "conv2d", kernel.transpose(0, 2, 3, 1), "weight")
        return from_image(call, call.emit("conv2d", [image, weights, bias], "conv2d", **attrs))
    weights = call.weight(weight, "depthwise", kernel.transpose(1, 2, 3, 0), "weight")
    attrs["multiplier"] = len(kernel) // channels
    return from_image(call, call.emit("depthwise_conv2d", [image, weights, bias], "depthwise", **attrs))


def _operands(call: Call) -> tuple[str, Constant, int]:
    """(input, weight, number of spatial axes)."""
    x, weight = activation(call, "input"), constant(call, "weight")
    spatial = weight.array.ndim - 2
    call.require(spatial in (1, 2), f"has {spatial} spatial axes; only 1 or 2 have a row")
    return x, weight, require_spatial(call, x, spatial)


def _kernel(weight: Constant, spatial: int) -> np.ndarray:
    return weight.array if spatial == 2 else weight.array[:, :, None]


def _pads(call: Call, spatial: int, kernel, dilation) -> tuple[int, int, int, int]:
    """(top, bottom, left, right); padding="same" puts the odd one after, as torch does."""
    padding = call["padding"]
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation)]
        (top, left) = (total // 2 for total in totals)
        return top, totals[0] - top, left, totals[1] - left
    high, wide = (0, 0) if padding == "valid" else pair(padding, spatial, 0)
    return high, high, wide, wide


def transposed_convolution(call: Call) -> str:
    """torch's padding crops the full output, output_padding crops less at the end; dilation puts zeros into
    the kernel."""
    x, weight, spatial = _operands(call)
    high, wide = pair(call["padding"], spatial, 0)
    more_high, more_wide = pair(call["output_padding"], spatial, 0)
    attrs = {"stride": pair(call["stride"], spatial, 1),
             "pads": (high, high - more_high, wide, wide - more_wide)}
    kernel = _spaced(_kernel(weight, spatial), pair(call["dilation"], spatial, 1))
    bias = call["bias"]
    if bias is None:
        bias = Constant("", np.zeros(kernel.shape[1] * call["groups"], np.float32))
    image, groups = to_image(call, x), call["groups"]
    grouped = _in_slices if 1 < groups <= FEW_GROUPS else _at_once
    return from_image(call, grouped(call, image, (weight, kernel), bias, attrs))


def _spaced(kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    """The kernel with its taps `dilation` apart, zeros between."""
    sizes = [step * (size - 1) + 1 for size, step in zip(kernel.shape[2:], dilation)]
    spaced = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
    spaced[:, :, ::dilation[0], ::dilation[1]] = kernel
    return spaced


def _at_once(call: Call, image: str, weight: tuple[Constant, np.ndarray], bias: Constant, attrs) -> str:
    """[I, O / groups, kh, kw] as [O, kh, kw, I]; zero where input and output are of different groups."""
    source, kernel = weight
    (columns, per_group), groups = kernel.shape[:2], call["groups"]
    dense = np.zeros((per_group * groups, *kernel.shape[2:], columns), np.float32)
    for group, ins in enumerate(np.split(np.arange(columns), groups)):
        outs = slice(group * per_group, (group + 1) * per_group)
        dense[outs, :, :, ins[0]:ins[-1] + 1] = kernel[ins].transpose(1, 2, 3, 0)
    inputs = [image, call.weight(source, f"transposed {call['dilation']}", dense, "weight"),
              call.weight(bias, "as it is", bias.array, "bias")]
    return call.emit("transpose_conv2d", inputs, "transpose_conv2d", **attrs)


def _in_slices(call: Call, image: str, weight: tuple[Constant, np.ndarray], bias: Constant, attrs) -> str:
    (source, kernel), groups, parts = weight, call["groups"], []
    per_in, per_out = len(kernel) // groups, kernel.shape[1]
    for group in range(groups):
        ins, outs = (slice(group * n, (group + 1) * n) for n in (per_in, per_out))
        layout = f"transposed {call['dilation']} group {group} of {groups}"
        inputs = [cut(call, image, 3, ins, f"group{group}"),
                  call.weight(source, layout, kernel[ins].transpose(1, 2, 3, 0), "weight"),
                  call.weight(bias, f"group {group} of {groups}", bias.array[outs], "bias")]
        parts.append(call.emit("transpose_conv2d", inputs, f"transpose_conv2d{group}", **attrs))
    return call.emit("concat", parts, "concat", axis=3)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution),
}
