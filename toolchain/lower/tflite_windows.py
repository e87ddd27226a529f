"""Explicit pads as TFLite has them: SAME, VALID, or an op before or after.

Sources: ComputePaddingHeightWidth and ComputePaddingWithOffset in TFLite's kernels/padding.h.
"""

from math import prod

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import RANGE
from toolchain.load.tflite_schema import WINDOWED, same_pads
from toolchain.lower.rewriting import Rewriting

Pads = tuple[tuple[int, int], tuple[int, int]]
"""(before, after) along height and width."""


def scheme(graph: Graph, op: Op) -> str | None:
    """TFLite's name for the op's pads: "VALID", "SAME", or None where it has none."""
    if op.kind == "transpose_conv2d":
        return _transposed_scheme(graph, op)
    pads, windows = _read_pads(graph, op), _windows(graph, op)
    if pads == ((0, 0), (0, 0)):
        return "VALID"
    # XNNPACK in tflite-runtime 2.14 takes the overhang of a convolution that stops short for an unsigned pad
    if op.kind in WEIGHTED and min(_overhangs(graph, op)) < 0:
        return None
    same = tuple(same_pads(size, kernel, stride, dilation) for size, _, kernel, stride, dilation in windows)
    all_outputs = all(out == -(-size // stride) for size, out, _, stride, _ in windows)
    return "SAME" if pads == same and all_outputs else None


def with_pads(rewriting: Rewriting, op: Op) -> bool:
    """Emit an op whose pads are neither SAME nor VALID as ops that TFLite has."""
    graph = rewriting.old
    if op.kind not in {*WINDOWED, "transpose_conv2d"} or scheme(graph, op):
        return False
    if op.kind == "transpose_conv2d":
        _emit_transposed(rewriting, op)
    elif op.kind == "average_pool2d":
        _emit_average(rewriting, op)
    else:
        _emit_padded(rewriting, op)
    return True


# Windows ----------------------------------------------------------------------------------------------------

def _windows(graph: Graph, op: Op) -> list[tuple[int, int, int, int, int]]:
    """(input size, output size, kernel, stride, dilation) along height and width."""
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    kernel = op.attrs["kernel"] if "kernel" in op.attrs else graph.tensors[op.inputs[1]].shape[1:3]
    dilation = op.attrs.get("dilation", (1, 1))
    return list(zip(x[1:3], y[1:3], kernel, op.attrs["stride"], dilation, strict=True))


def _overhangs(graph: Graph, op: Op) -> list[int]:
    """How far the windows reach over the input along height and width; below 0 they stop short of its end."""
    return [(out - 1) * stride + (kernel - 1) * dilation + 1 - size
            for size, out, kernel, stride, dilation in _windows(graph, op)]


def _read_pads(graph: Graph, op: Op) -> Pads:
    """Without what lies beyond the last window."""
    befores = op.attrs["pads"][0], op.attrs["pads"][2]
    return tuple((before, max(overhang - before, 0))
                 for before, overhang in zip(befores, _overhangs(graph, op), strict=True))


def _emit_padded(rewriting: Rewriting, op: Op) -> None:
    """A pad op before; zeros, but the lowest number or code before a max pool."""
    x, pads = rewriting.old.tensors[op.inputs[0]], ((0, 0), *_read_pads(rewriting.old, op), (0, 0))
    zeros = op.kind != "max_pool2d" or _never_negative(rewriting.old, x)
    value = 0.0 if zeros else float(np.finfo(np.float32).min)
    padded = rewriting.inner("pad", [x.name], f"{op.name}.padded", quant=x.quant, pads=pads, value=value)
    rewriting.last(op.kind, [padded, *op.inputs[1:]], op.name, **{**op.attrs, "pads": (0, 0, 0, 0)})


def _never_negative(graph: Graph, x: Tensor) -> bool:
    """Whether zeros change no maximum over `x`: then PAD will do, which XNNPACK takes; PADV2 it does not."""
    if x.quant is not None:
        return int(x.quant.zero_point) == RANGE[x.dtype][0]
    maker = graph.producers.get(x.name)
    return maker is not None and not {"relu", "relu6"}.isdisjoint((maker.kind, maker.attrs.get("activation")))


def _emit_average(rewriting: Rewriting, op: Op) -> None:
    """Of the padded input, with zeros counted, times (taps in the kernel) / (taps inside the input).

    Pads that count are not averaged by any TFLite operator, so the counts are a constant [1, H, W, 1].
    """
    graph, activation = rewriting.old, op.attrs["activation"]
    x, pads = graph.tensors[op.inputs[0]], ((0, 0), *_read_pads(graph, op), (0, 0))
    padded = rewriting.inner("pad", [x.name], f"{op.name}.padded", pads=pads)
    attrs = {**op.attrs, "pads": (0, 0, 0, 0), "activation": None}
    pooled = rewriting.inner("average_pool2d", [padded], f"{op.name}.pooled", **attrs)
    inside = [_taps_inside(window, before) for window, (before, _) in
              zip(_windows(graph, op), pads[1:3], strict=True)]
    share = prod(op.attrs["kernel"]) / np.outer(*inside)
    correction = rewriting.constant(f"{op.name}.correction", share[None, :, :, None].astype(np.float32))
    rewriting.last("mul", [pooled, correction], op.name, activation=activation)


def _taps_inside(window: tuple[int, int, int, int, int], before: int) -> np.ndarray:
    """Along one axis, for each output: how many taps of its window lie inside the input."""
    size, out, kernel, stride, dilation = window
    taps = np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - before
    return ((taps >= 0) & (taps < size)).sum(axis=1)


# Transposed convolution -------------------------------------------------------------------------------------

def _transposed_sizes(graph: Graph, op: Op) -> list[tuple[int, int, int, int, int, int]]:
    """(input size, output size, kernel, stride, pad before, pad after) along height and width."""
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    pads, kernel = op.attrs["pads"], graph.tensors[op.inputs[1]].shape[1:3]
    return list(zip(x[1:3], y[1:3], kernel, op.attrs["stride"], pads[::2], pads[1::2], strict=True))


def _transposed_scheme(graph: Graph, op: Op) -> str | None:
    sizes = _transposed_sizes(graph, op)
    if all(before == after == 0 for *_, before, after in sizes):
        return "VALID"
    same = all(-(-out // stride) == size and same_pads(out, kernel, stride, 1) == (before, after)
               for size, out, kernel, stride, before, after in sizes)
    return "SAME" if same else None


def _emit_transposed(rewriting: Rewriting, op: Op) -> None:
    """VALID, and a slice: in XNNPACK faster than a kernel that zeros extend until SAME cuts off the same.

    What only the bias reaches, zeros after the kernel reach.
    """
    extra = [(max(-before, 0), max(-after, 0)) for *_, before, after in _transposed_sizes(rewriting.old, op)]
    weight, pads = _extended(rewriting, op, extra)
    y, inputs = rewriting.old.tensors[op.name], [op.inputs[0], weight, op.inputs[2]]
    attrs = {**op.attrs, "pads": (0, 0, 0, 0)}
    if not any(pads):
        rewriting.last(op.kind, inputs, op.name, **attrs)
        return
    full = rewriting.inner(op.kind, inputs, f"{op.name}.full", dtype=y.dtype, quant=y.quant, **attrs)
    begin = (0, pads[0], pads[2], 0)
    end = tuple(a + n for a, n in zip(begin, y.shape, strict=True))
    rewriting.last("slice", [full], op.name, begin=begin, end=end, strides=(1, 1, 1, 1))


def _extended(rewriting: Rewriting, op: Op, extra: list[tuple[int, int]]) -> tuple[str, tuple[int, ...]]:
    """The weight with zeros around its kernel, and the pads that then cut off the same."""
    weight = rewriting.old.tensors[op.inputs[1]]
    pads = tuple(pad + more for pad, more in zip(op.attrs["pads"], (n for both in extra for n in both)))
    if not any(map(any, extra)):
        return weight.name, pads
    zero = 0 if weight.quant is None or weight.quant.axis is not None else int(weight.quant.zero_point)
    data = np.pad(weight.data, ((0, 0), *extra, (0, 0)), constant_values=zero)
    return rewriting.constant(f"{weight.name}.extended", data, weight.quant), pads
