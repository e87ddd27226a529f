"""Resize and Upsample (ONNX operator specification): where each output pixel comes from, and which of
TensorFlow Lite's resizes takes it from there.

Coordinates: Resize-19, "coordinate_transformation_mode"; rounding as onnxruntime's upsamplebase.h, float32.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.load.onnx_call import Call, Rule, Value, from_image, to_image
from toolchain.load.onnx_moves import pick
from toolchain.runtime.resize import nearest

CLOSE = 1e-3
"""Pixels that a linear resize may take its values from another place."""


@dataclass(frozen=True)
class Axis:
    """size, wanted: before and after;  scale: wanted / size as the model says it, which may be rounded"""

    size: int
    wanted: int
    scale: float

    @property
    def places(self) -> np.ndarray:
        return np.arange(self.wanted, dtype=np.float32)


def _half_pixel(axis: Axis) -> np.ndarray:
    return (axis.places + np.float32(0.5)) / np.float32(axis.scale) - np.float32(0.5)


def _half_pixel_symmetric(axis: Axis) -> np.ndarray:
    adjustment = axis.wanted / (axis.scale * axis.size)
    offset = axis.size / 2 * (1 - adjustment)
    return np.float32(offset) + _half_pixel(axis)


def _align_corners(axis: Axis) -> np.ndarray:
    if axis.wanted == 1:
        return np.zeros(1, np.float32)
    return axis.places * np.float32(axis.size - 1) / np.float32(axis.wanted - 1)


COORDINATES: Mapping[str, Callable[[Axis], np.ndarray]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": lambda axis: _half_pixel(axis) if axis.wanted > 1 else np.zeros(1, np.float32),
    "align_corners": _align_corners,
    "asymmetric": lambda axis: axis.places / np.float32(axis.scale),
    "tf_half_pixel_for_nn": lambda axis: (axis.places + np.float32(0.5)) / np.float32(axis.scale),
}
"""coordinate_transformation_mode -> where along the input each output lies."""
ROUNDING: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda at: np.ceil(at - np.float32(0.5)),
    "round_prefer_ceil": lambda at: np.floor(at + np.float32(0.5)),
    "floor": np.floor,
    "ceil": np.ceil,
}
OURS = {"asymmetric": {"align_corners": False, "half_pixel_centers": False},
        "half_pixel": {"align_corners": False, "half_pixel_centers": True},
        "align_corners": {"align_corners": True, "half_pixel_centers": False}}
"""Coordinates -> attributes of the rows that have them."""


def resize(call: Call) -> Value:
    x = call.activation()
    axes = _axes(call, x)
    call.bounded(sum(axis.wanted for axis in axes))
    if all(axis.size == axis.wanted and axis.scale == 1 for axis in axes):
        return x
    for name in ("antialias", "exclude_outside"):
        call.require(not call.attr(name, 0), f"{name}=1 has no row; turn it off")
    mode = call.attr("mode", "nearest")
    default = "half_pixel" if call.opset > 10 else "asymmetric"
    coordinates = call.attr("coordinate_transformation_mode", default)
    call.require(coordinates in COORDINATES and mode in ("nearest", "linear"),
                 f"mode={mode}, coordinate_transformation_mode={coordinates}; only nearest and linear, and "
                 f"{', '.join(COORDINATES)} have a row")
    at = [axis.places if axis.scale == 1 else COORDINATES[coordinates](axis) for axis in axes]
    return (_nearest if mode == "nearest" else _linear)(call, x, axes, at)


def _axes(call: Call, x: str) -> list[Axis]:
    """One for each of the tensor's; roi counts for tf_crop_and_resize alone and is not read."""
    shape, scales, sizes = call.shape(x), *_asked(call)
    chosen = [call.axis(axis, x) for axis in call.attr("axes") or range(len(shape))]
    if sizes:
        scales = [wanted / shape[axis] for axis, wanted in zip(chosen, sizes, strict=True)]
        sizes, scales = _kept_aspect(call, [shape[axis] for axis in chosen], sizes, scales)
    else:
        sizes = [int(np.floor(np.float32(shape[axis]) * np.float32(scale)))
                 for axis, scale in zip(chosen, scales, strict=True)]
    said = {axis: (wanted, scale) for axis, wanted, scale in zip(chosen, sizes, scales)}
    return [Axis(n, *said.get(axis, (n, 1.0))) for axis, n in enumerate(shape)]


def _asked(call: Call) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """(scales, sizes), one of them empty. Before opset 11 the scales are input 1."""
    if call.opset < 11:
        return call.setting("scales", 1), ()
    scales, sizes = call.setting("scales", 2) or (), call.setting("sizes", 3) or ()
    if bool(scales) == bool(sizes):
        raise ValueError("needs either scales or sizes")
    return scales, sizes


def _kept_aspect(call: Call, shape: list[int], sizes, scales) -> tuple[list[int], list[float]]:
    """Sizes and scales as the policy has them."""
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return list(sizes), scales
    scale = (min if policy == "not_larger" else max)(scales)
    return [int(np.floor(scale * size + 0.5)) for size in shape], [scale] * len(shape)


def _nearest(call: Call, x: str, axes: list[Axis], at: list[np.ndarray]) -> str:
    """Rows and columns are picked one by one where no row of the table picks the same."""
    picked = [np.clip(_rounded(call, axis, where), 0, axis.size - 1) for axis, where in zip(axes, at)]
    for attrs in OURS.values():
        if _is_image(axes) and all(np.array_equal(places, nearest(axis.wanted, axis.size, attrs))
                                   for places, axis in zip(picked[2:], axes[2:])):
            return _image(call, x, "resize_nearest", axes, attrs)
    return pick(call, x, {i: places.astype(np.int64) for i, (axis, places) in enumerate(zip(axes, picked))
                          if not np.array_equal(places, np.arange(axis.size))})


def _rounded(call: Call, axis: Axis, at: np.ndarray) -> np.ndarray:
    """Before opset 11: down, but up where the axis shrinks."""
    default = "round_prefer_floor" if call.opset > 10 else ("ceil" if axis.scale < 1 else "floor")
    return ROUNDING[call.attr("nearest_mode", default)](at)


def _linear(call: Call, x: str, axes: list[Axis], at: list[np.ndarray]) -> str:
    call.require(_is_image(axes), f"resizes {tuple(axis.size for axis in axes)} to "
                                  f"{tuple(axis.wanted for axis in axes)}; only [N, C, L] and [N, C, H, W] "
                                  f"along L, H and W have a row")
    for coordinates, attrs in OURS.items():
        ours = (COORDINATES[coordinates](Axis(axis.size, axis.wanted, axis.wanted / axis.size))
                for axis in axes[2:])
        if all(np.abs(np.clip(a, 0, axis.size - 1) - np.clip(b, 0, axis.size - 1)).max() <= CLOSE
               for axis, a, b in zip(axes[2:], at[2:], ours)):
            return _image(call, x, "resize_bilinear", axes, attrs)
    call.require(False, f"coordinate_transformation_mode={call.attr('coordinate_transformation_mode')} with "
                        f"scales {tuple(axis.scale for axis in axes)}, which do not give whole sizes; give "
                        f"sizes instead")


def _is_image(axes: list[Axis]) -> bool:
    """Whether only the spatial axes of a batch of images or sequences change."""
    return len(axes) in (3, 4) and all(axis.size == axis.wanted for axis in axes[:2])


def _image(call: Call, x: str, kind: str, axes: list[Axis], attrs) -> str:
    size = tuple(axis.wanted for axis in axes[2:])
    y = call.emit(kind, [to_image(call, x)], kind, size=size if len(size) == 2 else (1, *size), **attrs)
    return from_image(call, y, len(axes))


RESIZE: Mapping[str, Rule] = {"Resize": resize, "Upsample": resize}
