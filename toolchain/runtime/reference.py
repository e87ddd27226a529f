"""The judge: run a Graph in numpy, in float32 or 8-bit integers, as TensorFlow Lite Micro's kernels do.

Every other runtime, file and device is compared with it (ARCHITECTURE.md, "The numeric contract").
"""

from collections.abc import Iterable, Mapping

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import CONVERSIONS
from toolchain.ir.graph import Graph, Op
from toolchain.runtime.feeds import sample_count
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.kernels_int8 import INT8

VALUES_AT_ONCE = 1 << 20
"""Samples run together as long as the largest activation stays below this many values."""


def run(graph: Graph, feeds: Mapping[str, np.ndarray], keep: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Values of the graph's outputs and of the activations named in `keep`, for N samples.

    feeds: graph input -> (N, ...) in the tensor's own dtype; the Graph's leading 1 stands for the samples
    Memory is bounded: a few samples at a time, and an activation is let go after its last reader.
    Raises BadSamples where the feeds do not match the inputs, Unsupported for an op without a kernel for its
    dtypes.
    """
    keep = tuple(keep)
    if unknown := [name for name in keep if name not in graph.tensors]:
        raise KeyError(f"{graph.name} has no tensor {', '.join(unknown)}")
    count, step = sample_count([graph.tensors[name] for name in graph.inputs], feeds), _samples_at_once(graph)
    wanted = [graph.tensors[name] for name in dict.fromkeys((*graph.outputs, *keep))]
    results = {t.name: np.empty((count * t.shape[0], *t.shape[1:]), t.dtype) for t in wanted}
    for start in range(0, count, step):
        values = _run_part(graph, {name: feeds[name][start:start + step] for name in graph.inputs}, results)
        for tensor in wanted:
            rows = slice(start * tensor.shape[0], (start + step) * tensor.shape[0])
            results[tensor.name][rows] = values[tensor.name]
    return results


def _samples_at_once(graph: Graph) -> int:
    """How many samples fit; 1 where axis 0 of some activation is not the batch all the way."""
    largest = max(t.size for t in graph.activations)
    return max(1, VALUES_AT_ONCE // largest) if all(_keeps_batch(graph, op) for op in graph.ops) else 1


def _keeps_batch(graph: Graph, op: Op) -> bool:
    shapes = [t.shape for t in (*graph.of(op), graph.tensors[op.name]) if not t.is_constant]
    return (all(shape[:1] == (1,) for shape in shapes)
            and (op.kind == "reshape" or len({len(shape) for shape in shapes}) == 1 or op.kind == "mean")
            and (op.kind != "transpose" or op.attrs["perm"][0] == 0))


def _run_part(graph: Graph, feeds: Mapping[str, np.ndarray], wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """All ops over a few samples."""
    values = {t.name: t.data for t in graph.constants} | dict(feeds)
    last_reader = {name: op for op in graph.ops for name in op.inputs}
    kept = {name: values[name] for name in wanted if name in values}
    for op in graph.ops:
        values[op.name] = _run_op(graph, op, [values[name] for name in op.inputs])
        if op.name in wanted:
            kept[op.name] = values[op.name]
        for name in {op.name, *op.inputs}:
            if last_reader.get(name, op) is op:
                del values[name]
    return kept


def _run_op(graph: Graph, op: Op, values: list[np.ndarray]) -> np.ndarray:
    """One op by the kernel for its dtypes: float32 all through, int8 all through, or a conversion."""
    inputs, output = graph.of(op), graph.tensors[op.name]
    dtypes = {t.dtype for t in inputs if not t.is_constant} | {output.dtype}
    if dtypes == {"float32"} and op.kind in FLOAT:
        return FLOAT[op.kind](op, *values)
    if (dtypes == {"int8"} or op.kind in CONVERSIONS) and op.kind in INT8:
        return INT8[op.kind](op, values, [t.quant for t in inputs], output.quant)
    found = " and ".join(sorted(dtypes))
    raise Unsupported(f"{op.name}: the reference has no {op.kind} for {found} activations")
