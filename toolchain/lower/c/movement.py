"""Pooling, mean, pad, concat, transpose: codes that are moved or averaged."""

from math import prod

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import clamp_range
from toolchain.lower.c.axes import collapse, columns, strides
from toolchain.lower.c.call import Call
from toolchain.lower.c.pack import code_range, window_sizes
from toolchain.runtime.multipliers import average


def _same_codes(graph: Graph, op: Op) -> None:
    out = graph.tensors[op.name].quant
    for x in graph.of(op):
        if not out.same_as(x.quant):
            raise Unsupported(f"{op.name}: int8 {op.kind} moves codes as they are, but {x.name} has scale {x.quant.scale}, "
                              f"zero point {x.quant.zero_point} and the output {out.scale}, {out.zero_point}. "
                              f"Put a quantize op between")


def pool2d(graph: Graph, op: Op) -> Call:
    """average_pool2d, max_pool2d."""
    _same_codes(graph, op)
    kernel, pads, out = op.attrs["kernel"], op.attrs["pads"], graph.tensors[op.name]
    if max(pads[:2]) >= kernel[0] or max(pads[2:]) >= kernel[1]:
        raise Unsupported(f"{op.name}: {op.kind} with kernel {kernel} and pads {pads} has windows without input; "
                          f"pads must be smaller than the kernel")
    low, high = clamp_range(op.attrs["activation"], out.quant)
    return Call(f"tk_{op.kind}_s8", op.inputs,
                {**window_sizes(graph.of(op)[0].shape, out.shape, kernel, op), "low": low, "high": high},
                struct="tk_pool2d_s8_params")


def mean(graph: Graph, op: Op) -> Call:
    """Over any axes but the first."""
    x, out = graph.of(op)[0], graph.tensors[op.name].quant
    sides = []
    for reduced in (False, True):
        chosen = [i for i in range(len(x.shape)) if (i in op.attrs["axes"]) == reduced]
        axes = collapse([x.shape[i] for i in chosen], [strides(x.shape)[i] for i in chosen])
        sides += columns(op, axes, 3, 1)
    count = prod(x.shape[i] for i in op.attrs["axes"])
    multiplier, shift = average(x.quant, out, count)
    return Call("tk_mean_s8", op.inputs, {
        **dict(zip(("kept", "kept_stride", "reduced", "reduced_stride"), sides)),
        "bias": -int(x.quant.zero_point) * count, "multiplier": multiplier, "shift": shift, **code_range(out)})


def pad(graph: Graph, op: Op) -> Call:
    """Rows of x go into the output, which holds the zero point around them."""
    _same_codes(graph, op)
    x, out = graph.of(op)[0], graph.tensors[op.name]
    steps = strides(out.shape)
    axes = collapse(x.shape, steps)
    if not axes or axes[-1][1] != 1:
        axes.append((1, 1))
    shape, stride = columns(op, axes, 4, 1)
    offset = sum(before * step for (before, _), step in zip(op.attrs["pads"], steps))
    return Call("tk_pad_s8", op.inputs, {"shape": shape, "stride": stride[:3], "offset": offset, "size": out.size,
                                         "zero_point": int(out.quant.zero_point)})


def concat(graph: Graph, op: Op) -> list[Call]:
    """One call per input."""
    _same_codes(graph, op)
    axis, out = op.attrs["axis"], graph.tensors[op.name]
    rows, calls, offset = prod(out.shape[:axis]), [], 0
    for x in graph.of(op):
        run = prod(x.shape[axis:])
        calls.append(Call("tk_concat_s8", (x.name,), {"rows": rows, "run": run, "pitch": prod(out.shape[axis:]),
                                                      "offset": offset}))
        offset += run
    return calls


def reshape(graph: Graph, op: Op) -> Call:
    """Only where both ends are inputs or outputs of the graph; elsewhere a reshape is another name for the same bytes."""
    _same_codes(graph, op)
    return Call("tk_copy", op.inputs, {"size": graph.tensors[op.name].size})


def transpose(graph: Graph, op: Op) -> Call:
    """The output is written in order."""
    _same_codes(graph, op)
    x, out = graph.of(op)[0], graph.tensors[op.name]
    steps = strides(x.shape)
    shape, stride = columns(op, collapse(out.shape, [steps[axis] for axis in op.attrs["perm"]]), 4, 1)
    return Call("tk_transpose_s8", op.inputs, {"shape": shape, "stride": stride})
