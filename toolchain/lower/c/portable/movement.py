"""Pooling, reductions, pad, concat and reorderings: codes that are moved, averaged or compared.

What only moves codes moves bytes: those of a code are one more axis.
"""

from math import prod

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.quant import clamp_range, quantize
from toolchain.lower.c.arena.views import byte_size, in_bytes
from toolchain.lower.c.call import SUFFIX, Call
from toolchain.lower.c.portable.axes import collapse, columns, strides
from toolchain.lower.c.portable.curves import require_16_bit_kernel
from toolchain.lower.c.portable.weighted import code_range, window_sizes
from toolchain.runtime.codes import expect_same
from toolchain.runtime.multipliers import average, ratio

LONGEST_SUM = {"int8": 2**23, "int16": 2**15}
"""dtype -> codes less their zero point that are too many for a 32-bit accumulator."""


def _expect_same(graph: Graph, op: Op) -> None:
    expect_same(op, [x.quant for x in graph.of(op)], graph.tensors[op.name].quant)


def pool2d(graph: Graph, op: Op) -> Call:
    """average_pool2d, max_pool2d."""
    _expect_same(graph, op)
    kernel, pads, out = op.attrs["kernel"], op.attrs["pads"], graph.tensors[op.name]
    if max(pads[:2]) >= kernel[0] or max(pads[2:]) >= kernel[1]:
        raise Unsupported(f"{op.name}: {op.kind} with kernel {kernel} and pads {pads} has windows without "
                          f"input; pads must be smaller than the kernel")
    low, high = clamp_range(op.attrs["activation"], out.quant)
    if op.kind == "average_pool2d" and out.dtype == "int16":
        _require_short(op, prod(kernel), LONGEST_SUM["int16"])
    sizes = window_sizes(graph.of(op)[0].shape, out.shape, kernel, op)
    work = {"codes": out.size * prod(kernel), "rows": out.size * kernel[0], "outputs": out.size,
            "windows": out.size // out.shape[-1], "calls": 1}
    return Call(f"tk_{op.kind}_{SUFFIX[out.dtype]}", op.inputs, {**sizes, "low": low, "high": high},
                struct="tk_pool2d_s8_params", work=work)


def mean_or_sum(graph: Graph, op: Op) -> Call:
    """Over any axes but the first."""
    x, out = graph.of(op)[0], graph.tensors[op.name].quant
    count = prod(x.shape[i] for i in op.attrs["axes"])
    _require_short(op, count, LONGEST_SUM[x.dtype])
    multiplier, shift = average(x.quant, out, count) if op.kind == "mean" else ratio(x.quant, out)
    walk, pair = reduction(op, x.shape), {"multiplier": multiplier, "shift": shift}
    if x.dtype == "int16":
        require_16_bit_kernel(op)
        return Call("tk_mean_s16", op.inputs, {**walk, **pair})
    return Call("tk_mean_s8", op.inputs, {
        **walk, "bias": -int(x.quant.zero_point) * count, **pair, **code_range(out)},
        work={"codes": x.size, "runs": x.size // walk["reduced"][-1], "outputs": x.size // count, "calls": 1})


def _require_short(op: Op, count: int, most: int) -> None:
    if count >= most:
        raise Unsupported(f"{op.name}: {op.kind} over {count:,} codes, C takes fewer than {most:,}")


def extreme(graph: Graph, op: Op) -> Call:
    """reduce_max, reduce_min: over any axes but the first."""
    _expect_same(graph, op)
    x = graph.of(op)[0]
    return Call(f"tk_{op.kind}_{SUFFIX[x.dtype]}", op.inputs, reduction(op, x.shape),
                struct=f"tk_extreme_{SUFFIX[x.dtype]}_params")


def argmax(graph: Graph, op: Op) -> Call:
    """Codes of any scale; whole numbers come out."""
    x, axis = graph.of(op)[0], op.attrs["axis"]
    shape = x.shape
    return Call(f"tk_argmax_{SUFFIX[x.dtype]}", op.inputs, {
        "rows": prod(shape[:axis]), "depth": shape[axis], "inner": prod(shape[axis + 1:])})


def reduction(op: Op, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Sizes and strides of the axes that stay and of those that go."""
    axes = op.attrs["axes"]
    kept, kept_stride = _walk(op, shape, [i for i in range(len(shape)) if i not in axes])
    reduced, reduced_stride = _walk(op, shape, sorted(axes))
    return {"kept": kept, "kept_stride": kept_stride, "reduced": reduced, "reduced_stride": reduced_stride}


def _walk(op: Op, shape: Shape, chosen: list[int]) -> tuple[tuple[int, ...], ...]:
    """Sizes and strides of three axes that stand for the chosen ones."""
    steps = strides(shape)
    return columns(op, collapse([shape[i] for i in chosen], [steps[i] for i in chosen]), 3, 1)


def pad(graph: Graph, op: Op) -> Call:
    """Rows of x go into the output, which holds the code of the value around them."""
    _expect_same(graph, op)
    x, out = graph.of(op)[0], graph.tensors[op.name]
    code = int(quantize(op.attrs["value"], out.quant))
    if out.dtype == "int16" and code:
        raise Unsupported(f"{op.name}: pad of 16-bit codes with {op.attrs['value']:g}; C pads them with 0")
    steps = strides(in_bytes(out))[:-1]
    axes = collapse(in_bytes(x), (*steps, 1))
    if not axes or axes[-1][1] != 1:
        axes.append((1, 1))
    shape, stride = columns(op, axes, 4, 1)
    offset = sum(before * step for (before, _), step in zip(op.attrs["pads"], steps, strict=True))
    return Call("tk_pad_s8", op.inputs, {"shape": shape, "stride": stride[:3], "offset": offset,
                                         "size": byte_size(out), "code": code})


def concat(graph: Graph, op: Op) -> list[Call]:
    """One call per input."""
    _expect_same(graph, op)
    axis, shape = op.attrs["axis"], in_bytes(graph.tensors[op.name])
    calls, offset = [], 0
    for x in graph.of(op):
        run = prod(in_bytes(x)[axis:])
        calls.append(Call("tk_concat_s8", (x.name,), {
            "rows": prod(shape[:axis]), "run": run, "pitch": prod(shape[axis:]), "offset": offset}))
        offset += run
    return calls


def reshape(graph: Graph, op: Op) -> Call:
    """Only where both ends are the graph's own; elsewhere a reshape is another name for the same bytes."""
    _expect_same(graph, op)
    return Call("tk_copy", op.inputs, {"size": byte_size(graph.tensors[op.name])})


def transpose(graph: Graph, op: Op) -> Call:
    return _reordered(graph, op, graph.of(op)[0].shape, op.attrs["perm"])


def depth_to_space(graph: Graph, op: Op) -> Call:
    """The parts of a pixel's channels become rows and columns of its block."""
    n, height, width, channels = graph.of(op)[0].shape
    block = op.attrs["block"]
    return _reordered(graph, op, (n, height, width, block, block, channels // block**2), (0, 1, 3, 2, 4, 5))


def space_to_depth(graph: Graph, op: Op) -> Call:
    """The inverse of `depth_to_space`."""
    n, height, width, channels = graph.of(op)[0].shape
    block = op.attrs["block"]
    return _reordered(graph, op, (n, height // block, block, width // block, block, channels),
                      (0, 1, 3, 2, 4, 5))


def _reordered(graph: Graph, op: Op, shape: Shape, perm: tuple[int, ...]) -> Call:
    """x, taken as of `shape`, with its axes in the order `perm`. The output is written in order."""
    _expect_same(graph, op)
    shape = (*shape, np.dtype(graph.tensors[op.name].dtype).itemsize)
    steps, perm = strides(shape), (*perm, len(shape) - 1)
    axes = collapse([shape[axis] for axis in perm], [steps[axis] for axis in perm])
    sizes, stride = columns(op, axes, 6, 1)
    return Call("tk_transpose_s8", op.inputs, {"shape": sizes, "stride": stride})
