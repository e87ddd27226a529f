"""The judge: run a Graph in numpy, in float32 or 8-bit integers, as TensorFlow Lite Micro's kernels do.

Every other runtime, file and device is compared with it (ARCHITECTURE.md, "The numeric contract").
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import CONVERSIONS, INTEGER, WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import PLAIN
from toolchain.ir.unrolling import stacked, stepped, unrolled
from toolchain.runtime.feeds import sample_count
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.kernels_int8 import INT8
from toolchain.runtime.kernels_int16 import INT16
from toolchain.runtime.moving import over_samples

VALUES_AT_ONCE = 1 << 20
"""Samples run together as long as the largest activation stays below this many values."""


def run(graph: Graph, feeds: Mapping[str, np.ndarray], keep: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Values of the graph's outputs and of the activations named in `keep`, for N samples.

    feeds: graph input -> (N, ...) in the tensor's own dtype; the Graph's leading 1 stands for the samples
    What a loop repeats has its steps on axis 1: (N, steps, ...).
    Memory is bounded: a few samples at a time, and an activation is let go after its last reader.
    Raises BadSamples where the feeds do not match the inputs, Unsupported for an op without a kernel for its
    dtypes.
    """
    keep = tuple(keep)
    if unknown := [name for name in keep if name not in graph.tensors]:
        raise KeyError(f"{graph.name} has no tensor {', '.join(unknown)}")
    flat = unrolled(graph)
    found = _run(flat.graph, feeds, stepped(flat, keep))
    return {name: found[name] if name in found else stacked(flat, name, found)
            for name in dict.fromkeys((*graph.outputs, *keep))}


def _run(graph: Graph, feeds: Mapping[str, np.ndarray], keep: tuple[str, ...]) -> dict[str, np.ndarray]:
    """As `run`, of a graph without loops."""
    count, step = sample_count([graph.tensors[name] for name in graph.inputs], feeds), _samples_at_once(graph)
    wanted = [graph.tensors[name] for name in dict.fromkeys((*graph.outputs, *keep))]
    results = {t.name: np.empty((count * t.shape[0], *t.shape[1:]), t.dtype) for t in wanted}
    for start in range(0, count, step):
        part = {name: feeds[name][start:start + step] for name in graph.inputs}
        values = _run_part(graph, part, results, len(next(iter(part.values()))))
        for tensor in wanted:
            rows = slice(start * tensor.shape[0], (start + step) * tensor.shape[0])
            results[tensor.name][rows] = values[tensor.name]
    return results


def run_one(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs for one sample; inputs have their tensors' own shapes, whose first axis need not be 1."""
    return _run_part(unrolled(graph).graph, feeds, graph.outputs, 1)


def _samples_at_once(graph: Graph) -> int:
    """How many samples fit; 1 where axis 0 of some activation is not the batch all the way."""
    largest = max(t.size for t in graph.activations)
    return max(1, VALUES_AT_ONCE // largest) if all(keeps_batch(graph, op) for op in graph.ops) else 1


def keeps_batch(graph: Graph, op: Op) -> bool:
    """Whether the op treats axis 0 of all its activations as samples that know nothing of each other."""
    shapes = [t.shape for t in (*graph.of(op), graph.tensors[op.name]) if not t.is_constant]
    if any(shape[:1] != (1,) for shape in shapes) or not _parameters_are_constant(graph, op):
        return False
    if op.kind in OWN_BATCH:
        return OWN_BATCH[op.kind](graph, op)
    return op.kind in CHANGES_RANK or len({len(shape) for shape in shapes}) == 1


def _parameters_are_constant(graph: Graph, op: Op) -> bool:
    return op.kind not in WEIGHTED or all(t.is_constant for t in graph.of(op)[1:])


def _gather_keeps_batch(graph: Graph, op: Op) -> bool:
    """Rows of a constant table for each sample's indices, or the same constant indices in each sample."""
    x, indices = graph.of(op)
    return x.is_constant if op.attrs["axis"] == 0 else indices.is_constant


def _matmul_keeps_batch(graph: Graph, op: Op) -> bool:
    """Matrices per sample; or a sample is a row of the first matrix."""
    a, b = graph.of(op)
    ranks = {len(t.shape) for t in (a, b, graph.tensors[op.name]) if not t.is_constant}
    return len(ranks) == 1 and (min(ranks) > 2 or (b.is_constant and not op.attrs["transpose_a"]))


CHANGES_RANK = frozenset({"reshape", "mean", "sum", "reduce_max", "reduce_min", "argmax"})
OWN_BATCH: Mapping[str, Callable[[Graph, Op], bool]] = {
    "transpose": lambda graph, op: op.attrs["perm"][0] == 0,
    "gather": _gather_keeps_batch,
    "batch_matmul": _matmul_keeps_batch,
}
"""Kinds that may use axis 0 although every activation has 1 there -> whether an op of it does not."""


def _run_part(graph: Graph, feeds: Mapping[str, np.ndarray], wanted: Iterable[str],
              count: int) -> dict[str, np.ndarray]:
    """All ops over `count` samples, a few."""
    values = {t.name: t.data for t in graph.constants} | dict(feeds)
    last_reader = {name: op for op in graph.ops for name in op.inputs}
    kept = {name: values[name] for name in wanted if name in values}
    for op in graph.ops:
        values[op.name] = run_op(graph, op, [values[name] for name in op.inputs], count)
        if op.name in wanted:
            kept[op.name] = values[op.name]
        for name in {op.name, *op.inputs}:
            if last_reader.get(name, op) is op:
                del values[name]
    return kept


def run_op(graph: Graph, op: Op, values: list[np.ndarray], count: int) -> np.ndarray:
    """One op over `count` samples, by the kernel for its dtypes: plain numbers all through, or codes, or from
    one to the other."""
    op = op if count == 1 else over_samples(op, count)
    inputs, output = graph.of(op), graph.tensors[op.name]
    dtypes = {t.dtype for t in inputs if not t.is_constant} | {output.dtype}
    if dtypes <= PLAIN and op.kind in FLOAT:
        with np.errstate(all="ignore"):
            return FLOAT[op.kind](op, *values).astype(output.dtype, copy=False)
    codes = dtypes & INTEGER
    if (codes == {"int8"} or op.kind in CONVERSIONS) and op.kind in INT8:
        return INT8[op.kind](op, values, [t.quant for t in inputs], output.quant)
    if codes == {"int16"} and op.kind in INT16:
        return INT16[op.kind](op, values, [t.quant for t in inputs], output.quant)
    found = " and ".join(sorted(dtypes))
    raise Unsupported(f"{op.name}: the reference has no {op.kind} for {found} activations")
