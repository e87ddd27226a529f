"""Pooling: windows that slide, and windows that adapt to the size asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math

from toolchain.load.aten_call import (
    Call,
    Rule,
    activation,
    cut,
    from_image,
    pair,
    spatial_axes,
    take,
    to_image,
)


@dataclass(frozen=True)
class Window:
    """pads: (top, bottom, left, right); extra: how much further ceil_mode reaches (bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]
    extra: tuple[int, int]

    @property
    def reach(self) -> tuple[int, int, int, int]:
        top, bottom, left, right = self.pads
        return top, bottom + self.extra[0], left, right + self.extra[1]


def _window(call: Call, x: str) -> Window:
    spatial = spatial_axes(call, x)
    dilation = pair(call.get("dilation", default=1), spatial, 1)
    kernel = pair(call["kernel_size"], spatial, 1)
    stride = pair(call["stride"], spatial, 1) if call["stride"] else kernel
    high, wide = pair(call["padding"], spatial, 0)
    result = call.result if isinstance(call.result[0], int) else call.result[0]
    sizes, results = ((1,) * (2 - spatial) + shape[2:] for shape in (call.shape(x), result))
    extra = tuple(max(0, (n - 1) * s + d * (k - 1) + 1 - size - 2 * p) for n, s, d, k, size, p
                  in zip(results, stride, dilation, kernel, sizes, (high, wide)))
    return Window(kernel, stride, dilation, (high, high, wide, wide), extra)


def max_pool(call: Call) -> str:
    x = activation(call)
    window, image = _window(call, x), to_image(call, x)
    if window.dilation != (1, 1):
        return from_image(call, _largest(call, image, [_taps(window, axis, call.shape(image))
                                                       for axis in (0, 1)]))
    attrs = {"kernel": window.kernel, "stride": window.stride, "pads": window.reach}
    return from_image(call, call.emit("max_pool2d", [image], "max_pool2d", **attrs))


def max_pool_with_indices(call: Call) -> tuple[str, None]:
    """Where the largest values lie has no row."""
    return max_pool(call), None


def _taps(window: Window, axis: int, shape) -> list[list[int]]:
    """The rows (axis 0) or columns (axis 1) that each window of a dilated kernel reads."""
    size, before, after = shape[1 + axis], window.pads[2 * axis], window.reach[2 * axis + 1]
    step, spread = window.stride[axis], window.dilation[axis] * (window.kernel[axis] - 1)
    starts = range(-before, size + after - spread, step)
    reads = [range(start, start + spread + 1, window.dilation[axis]) for start in starts]
    return [[at for at in read if 0 <= at < size] for read in reads]


def _largest(call: Call, image: str, reads: list[list[list[int]]]) -> str:
    """The maximum over the rows and columns read: they are gathered side by side, one window after another.

    A window that reads fewer than the longest one reads its first again, which changes no maximum.
    """
    kernel = tuple(max(map(len, axis)) for axis in reads)
    for axis, (name, lists) in enumerate(zip(("rows", "columns"), reads), start=1):
        order = [at for read in lists for at in (*read, *read[:1] * (kernel[axis - 1] - len(read)))]
        image = take(call, image, axis, order, name)
    return call.emit("max_pool2d", [image], "max_pool2d", kernel=kernel, stride=kernel)


def average_pool(call: Call) -> str:
    """The row counts only what lies inside the input; what else is counted is padded before it."""
    x = activation(call)
    window, y = _window(call, x), to_image(call, x)
    divisor, counted, left = call.get("divisor_override"), (0, 0, 0, 0), window.reach
    if divisor is not None:
        counted, left = window.reach, (0, 0, 0, 0)
    elif call["count_include_pad"]:
        counted, left = window.pads, (0, window.extra[0], 0, window.extra[1])
    if any(counted):
        y = call.emit("pad", [y], "pad", pads=((0, 0), counted[:2], counted[2:], (0, 0)))
    attrs = {"kernel": window.kernel, "stride": window.stride, "pads": left}
    y = call.emit("average_pool2d", [y], "average_pool2d", **attrs)
    if divisor is not None:
        factor = math.prod(window.kernel) / divisor
        y = call.emit("mul", [y, call.tensor(factor, role="divisor")], "divided")
    return from_image(call, y)


def average_over_one_axis(call: Call) -> str:
    """avg_pool3d, as far as local_response_norm uses it: k neighbours along one axis."""
    x, kernel = activation(call), tuple(call["kernel_size"])
    wide = [axis for axis, size in enumerate(kernel) if size > 1]
    plain = not any(call["padding"]) and set(call["stride"] or kernel) == {1}
    call.require(plain and len(wide) == 1, "has 3 spatial axes; only 1 or 2 have a row")
    axis, size = wide[0] + 2, kernel[wide[0]]
    parts = [cut(call, x, axis, slice(at, at + call.result[axis]), f"neighbour{at}") for at in range(size)]
    total = parts[0]
    for at, part in enumerate(parts[1:], start=1):
        total = call.part("add", [total, part], f"sum{at}")
    return call.emit("mul", [total, call.tensor(1 / size, role="share")])


# Adaptive ---------------------------------------------------------------------------------------------------

def adaptive_average_pool(call: Call) -> str:
    return _adaptive(call, "mean", "average_pool2d", _averages)


def adaptive_max_pool(call: Call) -> tuple[str, None]:
    return _adaptive(call, "reduce_max", "max_pool2d", _largest), None


def _adaptive(call: Call, reduction: str, pool: str, uneven: Callable) -> str:
    """To one value: a reduction. To a divisor: a pool. Else windows of uneven size."""
    x = activation(call)
    spatial = int(call.op.rstrip("d")[-1])
    shape, result = call.shape(x), call.result if isinstance(call.result[0], int) else call.result[0]
    call.require(len(shape) == spatial + 2, f"input has shape {shape}; a batch axis is needed")
    old, new = shape[2:], result[2:]
    if set(new) == {1}:
        return call.emit(reduction, [x], axes=tuple(range(2, 2 + spatial)), keepdims=True)
    image = to_image(call, x)
    if all(a % b == 0 for a, b in zip(old, new)):
        kernel = pair([a // b for a, b in zip(old, new)], spatial, 1)
        return from_image(call, call.emit(pool, [image], pool, kernel=kernel, stride=kernel))
    sizes = zip(pair(old, spatial, 1), pair(new, spatial, 1))
    return from_image(call, uneven(call, image, [_adaptive_reads(*both) for both in sizes]))


def _adaptive_reads(old: int, new: int) -> list[list[int]]:
    """Window i of `new` reads from floor(i * old / new) to ceil((i + 1) * old / new)."""
    return [list(range(i * old // new, -(-(i + 1) * old // new))) for i in range(new)]


def _averages(call: Call, image: str, reads: list[list[list[int]]]) -> str:
    """First over rows, then over columns: each window is a slice and its mean."""
    for axis, (name, lists) in enumerate(zip(("row", "column"), reads), start=1):
        if max(map(len, lists)) == 1 and len(lists) == call.shape(image)[axis]:
            continue
        parts = []
        for number, read in enumerate(lists):
            part = cut(call, image, axis, slice(read[0], read[-1] + 1), f"{name}{number}")
            parts.append(call.emit("mean", [part], f"{name}{number}_mean", axes=(axis,), keepdims=True))
        image = parts[0] if len(parts) == 1 else call.emit("concat", parts, f"{name}s", axis=axis)
    return image


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("max_pool1d", "max_pool2d"), max_pool),
    **dict.fromkeys(("max_pool1d_with_indices", "max_pool2d_with_indices"), max_pool_with_indices),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), average_pool),
    "avg_pool3d": average_over_one_axis,
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"),
                    adaptive_average_pool),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), adaptive_max_pool),
}
