"""Pooling, mean, pad, concat, reshape, transpose: codes that are moved or averaged."""

from math import prod

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import clamp_range
from toolchain.lower.c.axes import collapse, columns, strides
from toolchain.lower.c.call import Call
from toolchain.lower.c.pack import code_range, window_sizes
from toolchain.runtime.codes import expect_same
from toolchain.runtime.multipliers import average


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
    sizes = window_sizes(graph.of(op)[0].shape, out.shape, kernel, op)
    return Call(f"tk_{op.kind}_s8", op.inputs, {**sizes, "low": low, "high": high},
                struct="tk_pool2d_s8_params")


def mean(graph: Graph, op: Op) -> Call:
    """Over any axes but the first."""
    x, out, axes = graph.of(op)[0], graph.tensors[op.name].quant, op.attrs["axes"]
    kept, kept_stride = _walk(op, x.shape, [i for i in range(len(x.shape)) if i not in axes])
    reduced, reduced_stride = _walk(op, x.shape, sorted(axes))
    count = prod(x.shape[i] for i in axes)
    multiplier, shift = average(x.quant, out, count)
    return Call("tk_mean_s8", op.inputs, {
        "kept": kept, "kept_stride": kept_stride, "reduced": reduced, "reduced_stride": reduced_stride,
        "bias": -int(x.quant.zero_point) * count, "multiplier": multiplier, "shift": shift,
        **code_range(out)})


def _walk(op: Op, shape: tuple[int, ...], chosen: list[int]) -> tuple[tuple[int, ...], ...]:
    """Sizes and strides of three axes that stand for the chosen ones."""
    steps = strides(shape)
    return columns(op, collapse([shape[i] for i in chosen], [steps[i] for i in chosen]), 3, 1)


def pad(graph: Graph, op: Op) -> Call:
    """Rows of x go into the output, which holds the zero point around them."""
    _expect_same(graph, op)
    x, out = graph.of(op)[0], graph.tensors[op.name]
    steps = strides(out.shape)
    axes = collapse(x.shape, steps)
    if not axes or axes[-1][1] != 1:
        axes.append((1, 1))
    shape, stride = columns(op, axes, 4, 1)
    offset = sum(before * step for (before, _), step in zip(op.attrs["pads"], steps, strict=True))
    return Call("tk_pad_s8", op.inputs, {"shape": shape, "stride": stride[:3], "offset": offset,
                                         "size": out.size, "zero_point": int(out.quant.zero_point)})


def concat(graph: Graph, op: Op) -> list[Call]:
    """One call per input."""
    _expect_same(graph, op)
    axis, shape = op.attrs["axis"], graph.tensors[op.name].shape
    calls, offset = [], 0
    for x in graph.of(op):
        run = prod(x.shape[axis:])
        calls.append(Call("tk_concat_s8", (x.name,), {
            "rows": prod(shape[:axis]), "run": run, "pitch": prod(shape[axis:]), "offset": offset}))
        offset += run
    return calls


def reshape(graph: Graph, op: Op) -> Call:
    """Only where both ends are the graph's own; elsewhere a reshape is another name for the same bytes."""
    _expect_same(graph, op)
    return Call("tk_copy", op.inputs, {"size": graph.tensors[op.name].size})


def transpose(graph: Graph, op: Op) -> Call:
    """The output is written in order."""
    _expect_same(graph, op)
    x, out = graph.of(op)[0], graph.tensors[op.name]
    steps = [strides(x.shape)[axis] for axis in op.attrs["perm"]]
    shape, stride = columns(op, collapse(out.shape, steps), 4, 1)
    return Call("tk_transpose_s8", op.inputs, {"shape": shape, "stride": stride})
