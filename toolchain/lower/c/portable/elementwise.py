"""add, sub and mul; what chooses one of several codes; every function of one code as a table; softmax."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.call import SUFFIX, Array, Call
from toolchain.lower.c.portable import curves
from toolchain.lower.c.portable.axes import broadcast_strides, collapse, columns
from toolchain.lower.c.portable.curves import curve, require_16_bit_kernel
from toolchain.lower.c.portable.weighted import code_range
from toolchain.runtime import kernels_int16, multipliers
from toolchain.runtime.codes import expect_output, expect_same
from toolchain.runtime.kernels_int8 import INT8
from toolchain.runtime.multipliers import Pair
from toolchain.runtime.pairs_int8 import prelu_pairs, quotient_pair

SOFTMAX_DEPTH = 4096
"""From here on, the sum of exponentials no longer fits its 12 integer bits."""
SUM_SHIFT = {"int8": multipliers.SUM_SHIFT, "int16": kernels_int16.SUM_SHIFT}
NONE, ONE = (0, 0), (2**30, 1)
"""Multipliers that are unused; 1.0."""
TERMS: Mapping[str, Callable[[QuantParams, QuantParams, QuantParams], tuple[Pair, Pair, Pair]]] = {
    "add": lambda a, b, out: multipliers.sum_terms(a, b, out, SUM_SHIFT[out.dtype]),
    "sub": lambda a, b, out: multipliers.sum_terms(a, b, out, SUM_SHIFT[out.dtype]),
    "mul": lambda a, b, out: (NONE, NONE, multipliers.product(a, b, out)),
    "div": lambda a, b, out: (quotient_pair(a, b, out), NONE, ONE),
    "prelu": lambda a, b, out: (*prelu_pairs(a, b, out), ONE),
}
"""Of a's and b's codes and of what they make, as tk_binary_s8.h has them."""


def binary(graph: Graph, op: Op) -> Call:
    """add, sub, mul, div, prelu."""
    a, b = graph.of(op)
    out = graph.tensors[op.name]
    axes = collapse(out.shape, *(broadcast_strides(x.shape, out.shape) for x in (a, b)))
    shape, a_stride, b_stride = columns(op, axes, 4, 2)
    terms = TERMS[op.kind](a.quant, b.quant, out.quant)
    (a_multiplier, a_shift), (b_multiplier, b_shift), (multiplier, shift) = terms
    params = {
        "shape": shape, "a_stride": a_stride, "b_stride": b_stride,
        "a_zero_point": int(a.quant.zero_point), "a_multiplier": a_multiplier, "a_shift": a_shift,
        "b_zero_point": int(b.quant.zero_point), "b_multiplier": b_multiplier, "b_shift": b_shift,
        "multiplier": multiplier, "shift": shift, **code_range(out.quant, op.attrs.get("activation"))}
    if out.dtype == "int16":
        require_16_bit_kernel(op)
        params = {key: value for key, value in params.items() if not key.endswith("zero_point")}
    suffix = SUFFIX[out.dtype]
    return Call(f"tk_{op.kind}_{suffix}", op.inputs, params, struct=f"tk_binary_{suffix}_params",
                work={"elements": out.size, "rows": out.size // shape[-1], "calls": 1})


def pair(graph: Graph, op: Op) -> Call:
    """minimum, maximum."""
    shape, a_stride, b_stride = _broadcast(graph, op)
    suffix = SUFFIX[graph.tensors[op.name].dtype]
    return Call(f"tk_{op.kind}_{suffix}", op.inputs,
                {"shape": shape, "a_stride": a_stride, "b_stride": b_stride},
                struct=f"tk_pair_{suffix}_params")


def select(graph: Graph, op: Op) -> Call:
    """By a condition that is known, or comes in. It chooses bytes."""
    shape, *steps = _broadcast(graph, op, np.dtype(graph.tensors[op.name].dtype).itemsize)
    names = ("condition_stride", "a_stride", "b_stride")
    return Call("tk_select_s8", op.inputs, {"shape": shape, **dict(zip(names, steps, strict=True))})


def _broadcast(graph: Graph, op: Op, width: int = 1) -> tuple[tuple[int, ...], ...]:
    """Sizes of the four axes that are walked, and each operand's strides; codes are handed on, in `width`
    pieces, but for what is no code."""
    operands, out = graph.of(op), graph.tensors[op.name]
    expect_same(op, [t.quant for t in operands], out.quant)
    shapes = [(*t.shape, 1 if t.quant is None else width) for t in operands]
    walked = (*out.shape, width)
    axes = collapse(walked, *(broadcast_strides(shape, walked) for shape in shapes))
    return columns(op, axes, 4, len(operands))


def lookup(graph: Graph, op: Op) -> Call:
    """Every function of one code: the reference's answer for each of the 256; pow with its exponent."""
    (x, *others), y = graph.of(op), graph.tensors[op.name]
    if "int16" in (x.dtype, y.dtype):
        return curve(graph, op)
    if not all(t.is_constant and t.size == 1 for t in others):
        raise Unsupported(f"{op.name}: {op.kind} by {others[0].name} {list(others[0].shape)}; C takes one "
                          f"constant exponent")
    every = np.arange(256, dtype=np.uint8).view(x.dtype)
    table = INT8[op.kind](op, [every, *(t.data for t in others)], [t.quant for t in (x, *others)], y.quant)
    return Call("tk_lookup_s8", op.inputs[:1],
                {"size": y.size, "table": Array("table", table.view(np.uint8))})


def binary_or_lookup(graph: Graph, op: Op) -> Call:
    """div, prelu: by one constant, a function of one code."""
    a, b = graph.of(op)
    return (lookup if b.is_constant and b.size == 1 else binary)(graph, op)


def softmax(graph: Graph, op: Op) -> Call:
    """Over the last axis."""
    x, y = graph.of(op)[0], graph.tensors[op.name]
    if x.dtype == "int16":
        return curves.softmax(op, x, y)
    depth = x.shape[-1]
    require_short_softmax(op, depth)
    expect_output(op, y.quant, 1 / 256, -128)
    exps = Array("exp", multipliers.softmax_exps(x.quant, op.attrs["beta"]).astype(np.int32))
    return Call("tk_softmax_s8", op.inputs, {"rows": x.size // depth, "depth": depth, "exp": exps})


def require_short_softmax(op: Op, depth: int) -> None:
    """Raises Unsupported where a sum of so many exponentials may not fit."""
    if depth >= SOFTMAX_DEPTH:
        raise Unsupported(f"{op.name}: {op.kind} over {depth:,} codes, C takes fewer than {SOFTMAX_DEPTH:,}")
