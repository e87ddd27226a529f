"""Functions of one 16-bit code: too many codes for a table of answers, so each has arithmetic of its own."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import clamp_range, fixed_point
from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.portable.weighted import code_range
from toolchain.runtime import multipliers, tables_int16
from toolchain.runtime.codes import expect_output
from toolchain.runtime.kernels_int16 import INTEGER_KINDS, SOFTMAX_STEP, hard_swish_integers, reduced

OUTPUT = 1 / 32768, 0
"""Scale and zero point of what logistic, tanh and softmax give."""
SOFTMAX_DEPTH = 2**15
"""From here on, the sum of exponentials may not fit 30 bits."""


def curve(graph: Graph, op: Op) -> Call:
    """Raises Unsupported for a kind without 16-bit arithmetic."""
    require_16_bit_kernel(op)
    return CURVES[op.kind](op, graph.of(op)[0], graph.tensors[op.name])


def require_16_bit_kernel(op: Op) -> None:
    """Raises Unsupported for a kind that is computed on reals where codes have 16 bits."""
    if op.kind not in (*INTEGER_KINDS, "quantize"):
        raise Unsupported(f"{op.name}: {op.kind} has no 16-bit kernel; C is integer only: leave it in 8 bits "
                          f"(recipe: [quantize] scheme and islands)")


def _rescaled(op: Op, x: Tensor, y: Tensor) -> Call:
    """relu, relu6, and leaky_relu with a slope of its own below 0."""
    alpha = op.attrs.get("alpha", 1.0)
    multiplier, shift = multipliers.ratio(x.quant, y.quant)
    below, below_shift = multipliers.ratio(x.quant, y.quant, alpha)
    low, high = clamp_range(None if op.kind == "leaky_relu" else op.kind, y.quant)
    return Call("tk_rescale_s16", op.inputs, {
        "size": y.size, "multiplier": multiplier, "shift": shift, "below_multiplier": below,
        "below_shift": below_shift, "sign": -1 if alpha < 0 else 1, "low": low, "high": high})


def _quantize(op: Op, x: Tensor, y: Tensor) -> Call:
    """Between int8 and int16, or from one int16 scale to another."""
    multiplier, shift = multipliers.ratio(x.quant, y.quant)
    sizes = {"size": y.size, "multiplier": multiplier, "shift": shift}
    if (x.dtype, y.dtype) == ("int16", "int16"):
        low, high = clamp_range(None, y.quant)
        return Call("tk_rescale_s16", op.inputs, {**sizes, "below_multiplier": multiplier,
                                                  "below_shift": shift, "sign": 1, "low": low, "high": high})
    if (x.dtype, y.dtype) == ("int16", "int8"):
        return Call("tk_narrow_s16", op.inputs, {**sizes, **code_range(y.quant)})
    low, high = clamp_range(None, y.quant)
    return Call("tk_widen_s16", op.inputs,
                {**sizes, "zero_point": int(x.quant.zero_point), "low": low, "high": high})


def _hard_swish(op: Op, x: Tensor, y: Tensor) -> Call:
    integers = hard_swish_integers(x.quant, y.quant)
    multiplier, shift = map(int, reduced(*integers.pair))
    return Call("tk_hard_swish_s16", op.inputs, {
        "size": y.size, "lift": integers.lift, "three": integers.three, "six": integers.six,
        "multiplier": multiplier, "shift": shift})


def _sigmoid(op: Op, x: Tensor, y: Tensor) -> Call:
    """logistic, tanh."""
    expect_output(op, y.quant, *OUTPUT)
    multiplier, shift = tables_int16.curve_pair(float(x.quant.scale))
    table = Array("table", tables_int16.sigmoid_table().astype(np.uint16))
    return Call(f"tk_{op.kind}_s16", op.inputs, {
        "size": y.size, "multiplier": multiplier, "shift": shift, "table": table},
        struct="tk_sigmoid_s16_params")


def softmax(op: Op, x: Tensor, y: Tensor) -> Call:
    """Over the last axis."""
    depth = x.shape[-1]
    if depth >= SOFTMAX_DEPTH:
        raise Unsupported(f"{op.name}: softmax over {depth:,} codes, C takes fewer than {SOFTMAX_DEPTH:,}")
    expect_output(op, y.quant, *OUTPUT)
    multiplier, shift = fixed_point(float(x.quant.scale) * float(np.float32(op.attrs["beta"])) / SOFTMAX_STEP)
    tables = {"exp": tables_int16.exp_table(), "reciprocal": tables_int16.reciprocal_table()}
    return Call("tk_softmax_s16", op.inputs, {
        "rows": x.size // depth, "depth": depth, "multiplier": multiplier, "shift": shift,
        **{role: Array(role, table.astype(np.int16)) for role, table in tables.items()}})


CURVES: Mapping[str, Callable[[Op, Tensor, Tensor], Call]] = {
    "relu": _rescaled, "relu6": _rescaled, "leaky_relu": _rescaled, "hard_swish": _hard_swish,
    "logistic": _sigmoid, "tanh": _sigmoid, "quantize": _quantize}
