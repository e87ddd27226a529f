"""Images of another size: interpolation, and channels that become pixels."""

from collections.abc import Mapping

import numpy as np

from toolchain.load.aten_call import Call, Rule, activation, from_image, take, to_image


def resize(kind: str) -> Rule:
    """nearest reads floor(i * in / out), nearest-exact the pixel's middle, bilinear either corners or
    middles."""
    def rule(call: Call) -> str:
        x = activation(call)
        shape = call.shape(x)
        call.require(3 <= len(shape) <= 4, f"input has shape {shape}; only 1 or 2 spatial axes have a row")
        corners = bool(call.get("align_corners"))
        if not corners:
            _require_exact(call, shape[2:])
        middles = not corners and (kind == "resize_bilinear" or "exact" in call.op)
        size = (1, *call.result[2:])[-2:]
        y = call.emit(kind, [to_image(call, x)], kind, size=size, align_corners=corners,
                      half_pixel_centers=middles)
        return from_image(call, y)

    return rule


def _require_exact(call: Call, sizes: tuple[int, ...]) -> None:
    """A scale_factor gives torch its coordinates: they are those of the sizes where it is out / in."""
    factors = call.get("scale_factors")
    if factors is None:
        factors = [call[name] for name in ("scales", "scales_h", "scales_w") if name in call.args]
    for factor, size, result in zip(factors, sizes, call.result[2:]):
        call.require(factor is None or factor * size == result,
                     f"scale_factor={factor} takes {size} to {result}, which is not {size} * {factor}; "
                     f"give size= or recompute_scale_factor=True")


def pixel_shuffle(call: Call) -> str:
    """torch counts a pixel's channels (c, row, column), depth_to_space (row, column, c)."""
    x, block = activation(call), call["upscale_factor"]
    order = np.arange(call.shape(x)[1]).reshape(-1, block * block).T.ravel()
    y = take(call, to_image(call, x), 3, order, "order")
    return from_image(call, call.emit("depth_to_space", [y], "depth_to_space", block=block))


def pixel_unshuffle(call: Call) -> str:
    x, block = activation(call), call["downscale_factor"]
    y = call.emit("space_to_depth", [to_image(call, x)], "space_to_depth", block=block)
    order = np.arange(call.result[1]).reshape(block * block, -1).T.ravel()
    return from_image(call, take(call, y, 3, order, "order"))


def channel_shuffle(call: Call) -> str:
    """[N, groups * C, ...] with its channels read across the groups (Zhang et al. 2018, fig. 1)."""
    x, groups = activation(call), call["groups"]
    n, channels, *rest = call.shape(x)
    y = call.emit("reshape", [x], "groups", shape=(n, groups, channels // groups, *rest))
    perm = (0, 2, 1, *range(3, 3 + len(rest)))
    return call.emit("reshape", [call.emit("transpose", [y], "across", perm=perm)], shape=call.result)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d",
                     "_upsample_nearest_exact2d"), resize("resize_nearest")),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d"), resize("resize_bilinear")),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
}
