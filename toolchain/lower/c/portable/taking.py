"""slice, gather, tile, mirror_pad, resize_nearest: which codes are taken, as tables of indices."""

from collections.abc import Callable, Mapping
from math import gcd, prod

import numpy as np

from toolchain.errors import BadModel, Unsupported
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.lower.c.arena.views import in_bytes
from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.portable.axes import strides
from toolchain.runtime.codes import expect_same
from toolchain.runtime.resize import nearest

Walk = list[np.ndarray]
"""Per axis of the output, outermost first: distance in x from the start to each of its places, in bytes."""
TABLES = 3
REACH = 2**16
"""Indices that a table's uint16 can tell apart."""


def take(graph: Graph, op: Op) -> Call:
    """Tables for what is not one run of codes in x and in the output."""
    expect_same(op, [x.quant for x in graph.of(op)], graph.tensors[op.name].quant)
    x, *others = graph.of(op)
    shape = in_bytes(x)
    places = [*PLACES[op.kind](op, x.shape, *(t.data for t in others)), np.arange(shape[-1])]
    steps = strides(shape)
    walk, run = _runs([place.ravel() * step for place, step in zip(places, steps, strict=True)])
    offset, walk = sum(int(table.min()) for table in walk), [table - table.min() for table in walk]
    walk = _merged([table for table in walk if len(table) > 1])
    walk = [np.zeros(1, np.int64)] * (TABLES - len(walk)) + walk
    units = [gcd(*table.tolist()) or 1 for table in walk]
    tables = [table // unit for table, unit in zip(walk, units, strict=True)]
    _require_reach(op, tables)
    return Call("tk_take_s8", op.inputs[:1], {
        "size": tuple(map(len, tables)), "stride": tuple(units), "offset": offset, "run": run,
        "index": Array("index", np.concatenate(tables).astype(np.uint16))})


def gather(graph: Graph, op: Op) -> Call:
    """By indices that are known now, or come in."""
    x, indices = graph.of(op)
    if indices.is_constant:
        return take(graph, op)
    expect_same(op, [x.quant, None], graph.tensors[op.name].quant)
    axis = op.attrs["axis"]
    return Call("tk_gather_s8", op.inputs, {
        "rows": prod(x.shape[:axis]), "size": x.shape[axis], "run": prod(in_bytes(x)[axis + 1:]),
        "count": indices.size})


def _require_reach(op: Op, tables: Walk) -> None:
    if (furthest := max(int(table.max()) for table in tables)) >= REACH:
        raise Unsupported(f"{op.name}: {op.kind} takes from {furthest + 1:,} places of an axis, C tells "
                          f"{REACH:,} apart; split it")


def _runs(walk: Walk) -> tuple[Walk, int]:
    """The walk over runs of codes that follow one another, and how long a run is."""
    walk, run = list(walk), 1
    for axis in reversed(range(len(walk))):
        starts = np.flatnonzero(np.diff(walk[axis]) != run) + 1
        length = gcd(len(walk[axis]), *starts.tolist())
        walk[axis], run = walk[axis][::length], run * length
        if len(walk[axis]) > 1:
            break
    return walk, run


def _merged(walk: Walk) -> Walk:
    """The same with at most TABLES tables: the neighbours that make the shortest one become one."""
    walk = list(walk)
    while len(walk) > TABLES:
        at = min(range(len(walk) - 1), key=lambda i: len(walk[i]) * len(walk[i + 1]))
        walk[at:at + 2] = [np.add.outer(walk[at], walk[at + 1]).ravel()]
    return walk


# Indices along each axis of x -------------------------------------------------------------------------------

def _all(shape: Shape) -> Walk:
    return [np.arange(n) for n in shape]


def _slice(op: Op, shape: Shape) -> Walk:
    return [np.arange(*ends) for ends in zip(op.attrs["begin"], op.attrs["end"], op.attrs["strides"])]


def _gather(op: Op, shape: Shape, indices: np.ndarray) -> Walk:
    walk, axis = _all(shape), op.attrs["axis"]
    if indices.min() < 0 or indices.max() >= shape[axis]:
        raise BadModel(f"{op.name}: gather of indices {indices.min()} to {indices.max()}, but {op.inputs[0]} "
                       f"has 0 to {shape[axis] - 1}; export the model again")
    walk[axis] = indices.astype(np.int64)
    return walk


def _tile(op: Op, shape: Shape) -> Walk:
    return [np.tile(axis, count) for axis, count in zip(_all(shape), op.attrs["multiples"])]


def _mirror_pad(op: Op, shape: Shape) -> Walk:
    return [np.pad(axis, both, op.attrs["mode"]) for axis, both in zip(_all(shape), op.attrs["pads"])]


def _resize_nearest(op: Op, shape: Shape) -> Walk:
    walk = _all(shape)
    walk[1:3] = (nearest(size, n, op.attrs) for size, n in zip(op.attrs["size"], shape[1:3], strict=True))
    return walk


PLACES: Mapping[str, Callable[..., Walk]] = {
    "slice": _slice, "gather": _gather, "tile": _tile, "mirror_pad": _mirror_pad,
    "resize_nearest": _resize_nearest}
"""Kind -> (op, shape of x, indices of a gather) -> for each axis which of x's are taken, in order."""
