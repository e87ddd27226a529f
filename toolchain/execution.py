"""Run a graph of any level here and watch any of its tensors, as calibration, correction and diagnosis do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from toolchain.errors import BadModel, Unsupported
from toolchain.ir.graph import Graph, Tensor, live_ops
from toolchain.ir.quant import dequantize, quantize
from toolchain.ir.unrolling import Unrolled, stacked, stepped, unrolled
from toolchain.quantize.calibrate import Watch, batch_size
from toolchain.runtime import reference
from toolchain.runtime.batched import batched, can_batch
from toolchain.runtime.feeds import sample_count

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
"""Feeds of exactly the graph's shapes -> the watched activations, which may be views that the next run
overwrites."""
OpenRun = Callable[[Graph], Run]
"""A graph, whose outputs are what is watched -> what runs it."""


def watch(graph: Graph, names: Sequence[str], runtime: str = "fastest", batch: int | None = None) -> Watch:
    """What runs `graph` and returns the tensors of those names, inputs among them, in the graph's layout and
    dtype: of a quantized graph codes go in and come out. The arrays may be read-only views of the runtime's
    memory, good until the next call.

    runtime: a key of OPEN, or "fastest": the first of them that has a form for every op and takes it
    batch:   how many samples run together at most, where the graph allows; by default `batch_size`
    Raises Unsupported where the runtime has no form for it, BadModel where it does not take that.
    """
    flat = unrolled(graph)
    open_flat = _fastest_watch if runtime == "fastest" else OPEN[runtime]
    watched = open_flat(flat.graph, stepped(flat, names), batch)
    return watched if flat.graph is graph else _stacking(flat, names, watched)


def fastest(graph: Graph, names: Sequence[str]) -> str:
    """The runtime that `watch` takes for them by default: a key of OPEN."""
    flat = unrolled(graph)
    return _fastest(flat.graph, stepped(flat, names), None)[0]


def _stacking(flat: Unrolled, names: Sequence[str], watched: Watch) -> Watch:
    """The steps of what is repeated on axis 1. A step that a constant begins is not watched."""
    def run(feeds: Arrays) -> Arrays:
        shown = watched(feeds)
        return {name: stacked(flat, name, shown) if name in flat.steps else shown[name] for name in names}

    return run


def _fastest_watch(graph: Graph, names: Sequence[str], batch: int | None) -> Watch:
    return _fastest(graph, names, batch)[1]


def _fastest(graph: Graph, names: Sequence[str], batch: int | None) -> tuple[str, Watch]:
    *runtimes, last = OPEN
    for runtime in runtimes:
        with suppress(Unsupported, BadModel):
            return runtime, OPEN[runtime](graph, names, batch)
    return last, OPEN[last](graph, names, batch)


def version_of(runtime: str) -> str:
    """Of the package that `OPEN[runtime]` runs in."""
    return version(DISTRIBUTION[runtime])


class InBatches:
    """A Watch on a runtime that takes as many samples at a time as it was opened for.

    It is opened for one sample, which tells whether the runtime takes the graph at all, and again as more
    come together; fewer are filled up.
    """

    def __init__(self, open_run: OpenRun, graph: Graph, names: Sequence[str], batch: int | None):
        self._open, self._graph = open_run, graph
        self._names = tuple(dict.fromkeys(names))
        self._most = (batch or batch_size(graph, names)) if can_batch(graph) else 1
        self._size, self._run = 1, self._opened(1)

    def __call__(self, feeds: Arrays) -> Arrays:
        count = sample_count([self._graph.tensors[name] for name in self._graph.inputs], feeds)
        self._make_room(min(count, self._most))
        if count <= self._size:
            return self._shown(feeds, count)
        return _joined(self._shown(_rows(feeds, start, self._size), min(self._size, count - start))
                       for start in range(0, count, self._size))

    def _opened(self, size: int) -> Run:
        """Of the graph as far as the last op that is watched."""
        made = tuple(name for name in self._names if name not in self._graph.inputs)
        if not made:
            return lambda feeds: {}
        ending = replace(self._graph, outputs=made).with_ops(live_ops(self._graph.ops, made))
        return self._open(batched(ending, size))

    def _make_room(self, size: int) -> None:
        """Open the runtime for that many samples, unless it has room; stay as it is where it refuses."""
        if size <= self._size:
            return
        try:
            self._run, self._size = self._opened(size), size
        except (Unsupported, BadModel):
            self._most = self._size

    def _shown(self, feeds: Arrays, count: int) -> Arrays:
        """What is watched, of up to as many samples as the runtime is open for."""
        spare = self._size - count
        full = {name: np.concatenate([x, np.repeat(x[:1], spare, axis=0)]) for name, x in feeds.items()} \
            if spare else feeds
        shown = {**feeds, **self._run(full)}
        return {name: shown[name] if name in feeds else shown[name][:len(shown[name]) * count // self._size]
                for name in self._names}


def _rows(feeds: Arrays, start: int, count: int) -> Arrays:
    return {name: x[start:start + count] for name, x in feeds.items()}


def _joined(shown: Iterator[Arrays]) -> Arrays:
    """The arrays of all parts, each copied before the next part is made."""
    whole: dict[str, list[np.ndarray]] = {}
    for part in shown:
        for name, values in part.items():
            whole.setdefault(name, []).append(values.copy())
    return {name: np.concatenate(parts) for name, parts in whole.items()}


def _litert(graph: Graph) -> Run:
    from toolchain.lower.tflite import write_tflite
    from toolchain.runtime.litert import LiteRT

    return LiteRT(write_tflite(graph, integer_only=True, origin=False)).run_whole


def _onnxruntime(graph: Graph) -> Run:
    """The file takes and gives reals where the graph has codes; what it hands out lies as the file has it."""
    from toolchain.lower.onnx import write_onnx
    from toolchain.runtime.onnxruntime import OnnxRuntime

    session = OnnxRuntime(write_onnx(replace(graph, outputs=()), keep=graph.outputs))
    to_graph = session.permutations
    to_file = {name: np.argsort(axes) for name, axes in to_graph.items()}

    def run(feeds: Arrays) -> Arrays:
        reals = {name: _reals(graph.tensors[name], x) for name, x in feeds.items()}
        given = {name: x.transpose(to_file[name]) if name in to_file else x for name, x in reals.items()}
        shown = session.run_whole(given)
        turned = {name: x.transpose(to_graph[name]) if name in to_graph else x for name, x in shown.items()}
        return {name: _codes(graph.tensors[name], turned[name]) for name in graph.outputs}

    return run


def _reals(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    return values if tensor.quant is None else dequantize(values, tensor.quant)


def _codes(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    return values if tensor.quant is None else quantize(values, tensor.quant)


def _in_batches(open_run: OpenRun) -> Callable[[Graph, Sequence[str], int | None], Watch]:
    return lambda graph, names, batch: InBatches(open_run, graph, names, batch)


def _reference(graph: Graph, names: Sequence[str], batch: int | None) -> Watch:
    """One sample at a time, so that batches change no bit."""
    def run(feeds: Arrays) -> Arrays:
        count = sample_count([graph.tensors[name] for name in graph.inputs], feeds)
        rows = [reference.run(graph, _rows(feeds, i, 1), keep=names) for i in range(count)]
        return {name: np.concatenate([row[name] for row in rows]) for name in names}

    return run


OPEN: Mapping[str, Callable[[Graph, Sequence[str], int | None], Watch]] = {
    "litert": _in_batches(_litert), "onnxruntime": _in_batches(_onnxruntime), "reference": _reference}
"""Fastest first, for small networks and for large ones, one sample at a time or several."""
DISTRIBUTION = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime", "reference": "edge-toolchain"}
