"""batch_matmul, layer_norm, log_softmax, resize_bilinear: arithmetic between activations."""

from functools import partial
from math import prod

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.portable.axes import broadcast_strides, collapse, columns, strides
from toolchain.lower.c.portable.elementwise import require_short_softmax
from toolchain.lower.c.portable.weighted import code_range, require_short_sum
from toolchain.runtime import log_softmax_int8
from toolchain.runtime.codes import expect_output, expect_same
from toolchain.runtime.multipliers import softmax_exps
from toolchain.runtime.norm_int8 import BETA_BITS, norm_integers
from toolchain.runtime.resize_int8 import ONE, neighbours
from toolchain.runtime.weighted_int8 import product_pair

LONGEST_CENTRED_SUM = 2**15
"""Products of two codes less their zero points that are too many for a 32-bit accumulator."""
LONGEST_ROW = 2**16
"""Codes whose squares sum up within 32 bits."""
LARGEST_NORMALIZED = 2**30 + 2**6
"""tk_norm.h's y: 30 bits, and what 1 / sqrt is off by."""


def batch_matmul(graph: Graph, op: Op) -> Call:
    """Transposed or not, a matrix is read where it lies."""
    (a, b), out = graph.of(op), graph.tensors[op.name]
    a_batch, a_row, a_depth = _matrices(a.shape, out.shape[:-2], op.attrs["transpose_a"])
    b_batch, b_depth, b_column = _matrices(b.shape, out.shape[:-2], op.attrs["transpose_b"])
    depth = a.shape[-2 if op.attrs["transpose_a"] else -1]
    require_short_sum(op, depth, LONGEST_CENTRED_SUM)
    batch, a_batch, b_batch = columns(op, collapse(out.shape[:-2], a_batch, b_batch), 3, 2)
    multiplier, shift = product_pair(a.quant, b.quant, out.quant)
    return Call("tk_batch_matmul_s8", op.inputs, {
        "batch": batch, "a_batch": a_batch, "b_batch": b_batch,
        "rows": out.shape[-2], "depth": depth, "columns": out.shape[-1],
        "a_row": a_row, "a_depth": a_depth, "b_depth": b_depth, "b_column": b_column,
        "a_zero_point": int(a.quant.zero_point), "b_zero_point": int(b.quant.zero_point),
        "multiplier": multiplier, "shift": shift, **code_range(out.quant)},
        work=_matmul_work(out.size, depth, out.shape[-1]))


def _matmul_work(outputs: int, depth: int, columns: int) -> dict[str, int]:
    """Columns go by four; the others are alone."""
    alone = outputs // columns * (columns % 4)
    return {"products": (outputs - alone) * depth, "lone_products": alone * depth, "outputs": outputs,
            "calls": 1}


def _matrices(shape: Shape, batch: Shape, transposed: bool) -> tuple[tuple[int, ...], int, int]:
    """Strides between matrices, and between the rows and the columns of what is multiplied."""
    row, column = strides(shape)[-2:]
    between = tuple(step * prod(shape[-2:]) for step in broadcast_strides(shape[:-2], batch))
    return (between, column, row) if transposed else (between, row, column)


def layer_norm(graph: Graph, op: Op) -> Call:
    """gamma and beta become tables of one shape, which may repeat along axes of x."""
    (x, gamma, beta), out = graph.of(op), graph.tensors[op.name].quant
    axes = sorted(op.attrs["axes"])
    count = prod(x.shape[axis] for axis in axes)
    integers = norm_integers(op, count, x.quant, gamma.data, beta.data, out)
    gain, offset = map(np.ascontiguousarray, np.broadcast_arrays(integers.gain, integers.offset))
    norm = {"count": count, "spread": integers.spread, "lift": integers.lift, "fraction": integers.fraction}
    across = tuple(n if axis in axes else 1 for axis, n in enumerate(x.shape))
    last = axes == list(range(len(x.shape) - len(axes), len(x.shape)))
    if last and gain.size == count and np.broadcast_shapes(gain.shape, across) == across:
        tables = {"gain": gain.ravel(), "offset": offset.ravel()}
        if rows := _norm_of_rows(op, x.size // count, norm, integers.gain_shift, tables, out):
            return rows
    steps = strides(x.shape), broadcast_strides(gain.shape, x.shape)
    others = [axis for axis in range(len(x.shape)) if axis not in axes]
    kept, kept_stride, kept_gain = _walk(op, x.shape, steps, others)
    reduced, reduced_stride, reduced_gain = _walk(op, x.shape, steps, axes)
    return Call("tk_layer_norm_s8", op.inputs[:1], {
        "kept": kept, "kept_stride": kept_stride, "kept_gain": kept_gain,
        "reduced": reduced, "reduced_stride": reduced_stride, "reduced_gain": reduced_gain,
        "norm": norm, "gain_shift": integers.gain_shift, "gain": Array("gain", gain),
        "offset": Array("offset", offset), **code_range(out)})


def _norm_of_rows(op: Op, rows: int, norm: dict[str, int], gain_shift: int, tables: dict[str, np.ndarray],
                  out: QuantParams) -> Call | None:
    """Where squares, and products with an offset, fit 32 bits, and shifts are as the kernel has them."""
    zero_point, farthest = int(out.zero_point), 61 - norm["lift"] // 2 - norm["fraction"]
    offset = tables["offset"].astype(np.int64) + (1 << BETA_BITS - 1) + (zero_point << BETA_BITS)
    gain = int(np.abs(tables["gain"].astype(np.int64)).max())
    largest = (gain * LARGEST_NORMALIZED >> gain_shift) + int(np.abs(offset).max()) + 1
    if norm["count"] > LONGEST_ROW or largest >= 2**31 or farthest > 31 or gain_shift < 32:
        return None
    return Call("tk_layer_norm_rows_s8", op.inputs[:1], {
        "rows": rows, "norm": norm, "gain_shift": gain_shift, "gain": Array("gain", tables["gain"]),
        "offset": Array("offset", offset.astype(np.int32))})


def _walk(op: Op, shape: Shape, steps: tuple[tuple[int, ...], ...], chosen: list[int]):
    """Sizes of three axes that stand for the chosen ones, and their strides in x and in gamma."""
    x, gamma = ([each[i] for i in chosen] for each in steps)
    return columns(op, collapse([shape[i] for i in chosen], x, gamma), 3, 2)


def log_softmax(graph: Graph, op: Op) -> Call:
    """Over the last axis."""
    x = graph.of(op)[0]
    require_short_softmax(op, x.shape[-1])
    expect_output(op, graph.tensors[op.name].quant, *log_softmax_int8.OUTPUT)
    tables = {"exp": softmax_exps(x.quant, 1.0), "scaled": log_softmax_int8.scaled_steps(x.quant)}
    return Call("tk_log_softmax_s8", op.inputs, {
        "rows": x.size // x.shape[-1], "depth": x.shape[-1],
        **{role: Array(role, table.astype(np.int32)) for role, table in tables.items()}})


def resize_bilinear(graph: Graph, op: Op) -> Call:
    """Where each row and column of the output lies is known."""
    x, out = graph.of(op)[0], graph.tensors[op.name]
    expect_same(op, [x.quant], out.quant)
    row, column = map(partial(_positions, op), op.attrs["size"], x.shape[1:3])
    return Call("tk_resize_bilinear_s8", op.inputs, {
        "input_height": x.shape[1], "input_width": x.shape[2], "channels": x.shape[3],
        "output_height": out.shape[1], "output_width": out.shape[2],
        "row": Array("row", row), "column": Array("column", column)})


def _positions(op: Op, size: int, old: int) -> np.ndarray:
    """In 1 / ONE rows of the input."""
    before, _, share = neighbours(size, old, op.attrs)
    return (before * ONE + share).astype(np.int32)
