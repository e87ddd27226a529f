"""add, sub and mul; every function of one code as a table; softmax."""

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.lower.c.axes import broadcast_strides, collapse, columns
from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.pack import code_range
from toolchain.runtime import multipliers
from toolchain.runtime.codes import expect_output
from toolchain.runtime.kernels_int8 import INT8

SOFTMAX_DEPTH = 4096
"""From here on, the sum of exponentials no longer fits its 12 integer bits."""


def binary(graph: Graph, op: Op) -> Call:
    """add, sub, mul."""
    a, b = graph.of(op)
    out = graph.tensors[op.name]
    axes = collapse(out.shape, *(broadcast_strides(x.shape, out.shape) for x in (a, b)))
    shape, a_stride, b_stride = columns(op, axes, 4, 2)
    if op.kind == "mul":
        terms = ((0, 0), (0, 0), multipliers.product(a.quant, b.quant, out.quant))
    else:
        terms = multipliers.sum_terms(a.quant, b.quant, out.quant)
    (a_multiplier, a_shift), (b_multiplier, b_shift), (multiplier, shift) = terms
    return Call(f"tk_{op.kind}_s8", op.inputs, {
        "shape": shape, "a_stride": a_stride, "b_stride": b_stride,
        "a_zero_point": int(a.quant.zero_point), "a_multiplier": a_multiplier, "a_shift": a_shift,
        "b_zero_point": int(b.quant.zero_point), "b_multiplier": b_multiplier, "b_shift": b_shift,
        "multiplier": multiplier, "shift": shift, **code_range(out.quant, op.attrs["activation"])},
        struct="tk_binary_s8_params")


def lookup(graph: Graph, op: Op) -> Call:
    """Every function of one code: the reference's answer for each of the 256; pow with its exponent."""
    (x, *others), y = graph.of(op), graph.tensors[op.name]
    if not all(t.is_constant and t.size == 1 for t in others):
        raise Unsupported(f"{op.name}: {op.kind} by {others[0].name} {list(others[0].shape)}; C takes one "
                          f"constant exponent")
    every = np.arange(256, dtype=np.uint8).view(x.dtype)
    table = INT8[op.kind](op, [every, *(t.data for t in others)], [t.quant for t in (x, *others)], y.quant)
    return Call("tk_lookup_s8", op.inputs[:1],
                {"size": y.size, "table": Array("table", table.view(np.uint8))})


def softmax(graph: Graph, op: Op) -> Call:
    """Over the last axis."""
    x = graph.of(op)[0]
    depth = x.shape[-1]
    if depth >= SOFTMAX_DEPTH:
        raise Unsupported(f"{op.name}: softmax over {depth:,} codes, C takes fewer than {SOFTMAX_DEPTH:,}")
    expect_output(op, graph.tensors[op.name].quant, 1 / 256, -128)
    exps = Array("exp", multipliers.softmax_exps(x.quant, op.attrs["beta"]).astype(np.int32))
    return Call("tk_softmax_s8", op.inputs, {"rows": x.size // depth, "depth": depth, "exp": exps})
