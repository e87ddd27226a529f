"""Shape rules of the op table: (op, input shapes) -> output shape. Each raises BadGraph where they do not go
together."""

from collections.abc import Callable
from math import prod

import numpy as np

from toolchain.errors import BadGraph
from toolchain.ir.graph import Op, Shape

Rule = Callable[[Op, list[Shape]], Shape]


def _require(holds: bool, op: Op, what: str) -> None:
    if not holds:
        raise BadGraph(f"{op.name}: {op.kind}: {what}")


def _require_image(op: Op, shape: Shape) -> None:
    _require(len(shape) == 4, op, f"needs a 4-D input, got {shape}")


# Windows ----------------------------------------------------------------------------------------------------

def _require_window(op: Op, kernel: tuple[int, int]) -> None:
    stride, dilation = op.attrs["stride"], op.attrs.get("dilation", (1, 1))
    _require(min(*kernel, *stride, *dilation) > 0, op,
             f"kernel {kernel}, stride {stride} and dilation {dilation} must be positive")


def _window(op: Op, shape: Shape, kernel: tuple[int, int]) -> tuple[int, int]:
    """Output height and width of a window that slides over an NHWC input."""
    _require_window(op, kernel)
    pads, stride, dilation = op.attrs["pads"], op.attrs["stride"], op.attrs.get("dilation", (1, 1))
    out = tuple((shape[1 + i] + pads[2 * i] + pads[2 * i + 1] - dilation[i] * (kernel[i] - 1) - 1)
                // stride[i] + 1 for i in (0, 1))
    _require(min(out) > 0, op, f"a {kernel} window with pads {pads} does not fit the input {shape}")
    return out


def conv2d(op: Op, shapes: list[Shape]) -> Shape:
    """Weight [O, kh, kw, I] on C channels works in C / I groups."""
    x, weight, bias = shapes
    _require_image(op, x)
    fits = len(weight) == 4 and x[-1] % weight[3] == 0 and weight[0] % (x[-1] // weight[3]) == 0
    _require(fits, op, f"weight {weight} does not take the input {x}")
    _require(bias == (weight[0],), op, f"bias {bias} does not match weight {weight}")
    return (x[0], *_window(op, x, weight[1:3]), weight[0])


def depthwise_conv2d(op: Op, shapes: list[Shape]) -> Shape:
    x, weight, bias = shapes
    _require_image(op, x)
    channels = x[-1] * op.attrs["multiplier"]
    _require(len(weight) == 4 and weight[0] == 1 and weight[3] == channels, op,
             f"weight {weight} does not take the input {x} with multiplier {op.attrs['multiplier']}")
    _require(bias == (channels,), op, f"bias {bias} does not match weight {weight}")
    return (x[0], *_window(op, x, weight[1:3]), channels)


def transpose_conv2d(op: Op, shapes: list[Shape]) -> Shape:
    """(size - 1) * stride + kernel, less the pads; a pad below 0 adds what only the bias reaches."""
    x, weight, bias = shapes
    _require_image(op, x)
    _require(len(weight) == 4 and weight[3] == x[-1], op, f"weight {weight} does not take the input {x}")
    _require(bias == (weight[0],), op, f"bias {bias} does not match weight {weight}")
    _require_window(op, weight[1:3])
    pads, stride = op.attrs["pads"], op.attrs["stride"]
    out = tuple((x[1 + i] - 1) * stride[i] + weight[1 + i] - pads[2 * i] - pads[2 * i + 1] for i in (0, 1))
    _require(min(out) > 0, op, f"pads {pads} leave nothing of the output of {x} and weight {weight}")
    return (x[0], *out, weight[0])


def pool2d(op: Op, shapes: list[Shape]) -> Shape:
    x = shapes[0]
    _require_image(op, x)
    return (x[0], *_window(op, x, op.attrs["kernel"]), x[-1])


# Matrices and pointwise -------------------------------------------------------------------------------------

def fully_connected(op: Op, shapes: list[Shape]) -> Shape:
    x, weight, bias = shapes
    _require(len(x) == 2, op, f"needs a 2-D input, got {x}; put a reshape before it")
    _require(len(weight) == 2 and weight[1] == x[1], op, f"weight {weight} does not take the input {x}")
    _require(bias == (weight[0],), op, f"bias {bias} does not match weight {weight}")
    return (x[0], weight[0])


def batch_matmul(op: Op, shapes: list[Shape]) -> Shape:
    """[.., M, K] times [.., K, N]; the axes before broadcast."""
    _require(min(map(len, shapes)) >= 2, op, f"needs matrices, got {shapes}")
    a, b = ((*shape[:-2], shape[-1], shape[-2]) if op.attrs[f"transpose_{side}"] else shape
            for side, shape in zip("ab", shapes, strict=True))
    _require(a[-1] == b[-2], op, f"{a} does not multiply {b}")
    return (*broadcast(op, [a[:-2], b[:-2]]), a[-2], b[-1])


def same(op: Op, shapes: list[Shape]) -> Shape:
    return shapes[0]


def broadcast(op: Op, shapes: list[Shape]) -> Shape:
    try:
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))
    except ValueError:
        listed = " and ".join(map(str, shapes))
        raise BadGraph(f"{op.name}: {op.kind}: shapes {listed} do not broadcast") from None


def batch_norm(op: Op, shapes: list[Shape]) -> Shape:
    x, *parameters = shapes
    matching = all(p == x[-1:] for p in parameters) and len(x) > 0
    _require(matching, op, f"parameters {parameters} do not match the input {x}")
    return x


def parametric(op: Op, shapes: list[Shape]) -> Shape:
    """The first input's; the others broadcast to it."""
    _require(broadcast(op, shapes) == shapes[0], op, f"{shapes[1:]} do not broadcast to {shapes[0]}")
    return shapes[0]


def layer_norm(op: Op, shapes: list[Shape]) -> Shape:
    _require_axes(op, shapes[0], op.attrs["axes"])
    return parametric(op, shapes)


# Reductions -------------------------------------------------------------------------------------------------

def _require_axes(op: Op, x: Shape, axes: tuple[int, ...]) -> None:
    _require(all(0 < axis < len(x) for axis in axes), op, f"axes {axes} must be within 1..{len(x) - 1}")


def reduction(op: Op, shapes: list[Shape]) -> Shape:
    x, axes = shapes[0], op.attrs["axes"]
    _require_axes(op, x, axes)
    if op.attrs["keepdims"]:
        return tuple(1 if i in axes else n for i, n in enumerate(x))
    return tuple(n for i, n in enumerate(x) if i not in axes)


def argmax(op: Op, shapes: list[Shape]) -> Shape:
    _require_axes(op, shapes[0], (op.attrs["axis"],))
    return tuple(n for i, n in enumerate(shapes[0]) if i != op.attrs["axis"])


# Moving data ------------------------------------------------------------------------------------------------

def pad(op: Op, shapes: list[Shape]) -> Shape:
    x, pads = shapes[0], op.attrs["pads"]
    matching = len(pads) == len(x) and all(min(p) >= 0 for p in pads)
    _require(matching, op, f"pads {pads} do not match the input {x}")
    return tuple(n + before + after for n, (before, after) in zip(x, pads))


def mirror_pad(op: Op, shapes: list[Shape]) -> Shape:
    """reflect leaves the border out and reaches size - 1; symmetric repeats it and reaches size."""
    _require(op.attrs["mode"] in ("reflect", "symmetric"), op, f"unknown mode {op.attrs['mode']!r}")
    reach = 1 if op.attrs["mode"] == "reflect" else 0
    fits = all(max(both) <= n - reach for n, both in zip(shapes[0], op.attrs["pads"]) if any(both))
    _require(fits, op, f"pads {op.attrs['pads']} reach further than the input {shapes[0]}")
    return pad(op, shapes)


def concat(op: Op, shapes: list[Shape]) -> Shape:
    axis, first = op.attrs["axis"], shapes[0]
    _require(0 < axis < len(first), op, f"axis {axis} must be within 1..{len(first) - 1}")
    rest = {(shape[:axis], shape[axis + 1:], len(shape)) for shape in shapes}
    _require(len(rest) == 1, op, f"shapes {shapes} differ outside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1:])


def slice_(op: Op, shapes: list[Shape]) -> Shape:
    x, begin, end, strides = shapes[0], op.attrs["begin"], op.attrs["end"], op.attrs["strides"]
    _require(len(begin) == len(end) == len(strides) == len(x) and all(
        0 <= a < b <= n and step > 0 for a, b, step, n in zip(begin, end, strides, x)), op,
        f"[{begin} to {end} by {strides}] must lie within the input {x}, one of each for every axis")
    return tuple(-(-(b - a) // step) for a, b, step in zip(begin, end, strides))


def gather(op: Op, shapes: list[Shape]) -> Shape:
    (x, indices), axis = shapes, op.attrs["axis"]
    _require(0 <= axis < len(x), op, f"axis {axis} must be within 0..{len(x) - 1}")
    return (*x[:axis], *indices, *x[axis + 1:])


def tile(op: Op, shapes: list[Shape]) -> Shape:
    x, multiples = shapes[0], op.attrs["multiples"]
    _require(len(multiples) == len(x) and min(multiples, default=1) > 0, op,
             f"multiples {multiples} do not match the input {x}")
    return tuple(n * count for n, count in zip(x, multiples))


def resize(op: Op, shapes: list[Shape]) -> Shape:
    x, size = shapes[0], op.attrs["size"]
    _require_image(op, x)
    both = op.attrs["align_corners"] and op.attrs["half_pixel_centers"]
    _require(len(size) == 2 and min(size) > 0 and not both, op,
             f"size {size} must be two positive numbers, and corners or half pixels aligned, not both")
    return (x[0], *size, x[-1])


def depth_to_space(op: Op, shapes: list[Shape]) -> Shape:
    x, block = shapes[0], op.attrs["block"]
    _require_image(op, x)
    _require(block > 0 and x[-1] % block**2 == 0, op, f"{x} has no blocks of {block} x {block}")
    return (x[0], x[1] * block, x[2] * block, x[3] // block**2)


def space_to_depth(op: Op, shapes: list[Shape]) -> Shape:
    x, block = shapes[0], op.attrs["block"]
    _require_image(op, x)
    _require(block > 0 and x[1] % block == x[2] % block == 0, op, f"{x} has no blocks of {block} x {block}")
    return (x[0], x[1] // block, x[2] // block, x[3] * block**2)


def reshape(op: Op, shapes: list[Shape]) -> Shape:
    x, shape = shapes[0], op.attrs["shape"]
    _require(min(shape, default=1) > 0 and prod(x) == prod(shape), op, f"{x} cannot become {shape}")
    return tuple(shape)


def step(op: Op, shapes: list[Shape]) -> Shape:
    """One place along an axis, which goes."""
    x, axis = shapes[0], op.attrs["axis"]
    _require(0 < axis < len(x), op, f"axis {axis} is none of {x} but the batch")
    return (*x[:axis], *x[axis + 1:])


def sequence(op: Op, shapes: list[Shape]) -> Shape:
    """All steps along a new axis."""
    x, axis, steps = shapes[0], op.attrs["axis"], op.attrs["steps"]
    _require(0 < axis <= len(x) and steps > 0, op, f"{x} cannot be stacked {steps} times along axis {axis}")
    return (*x[:axis], steps, *x[axis:])


def transpose(op: Op, shapes: list[Shape]) -> Shape:
    x, perm = shapes[0], op.attrs["perm"]
    _require(sorted(perm) == list(range(len(x))), op, f"perm {perm} does not order the axes of {x}")
    return tuple(x[axis] for axis in perm)
