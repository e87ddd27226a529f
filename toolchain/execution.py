"""Run a graph of any level here and watch any of its tensors, as calibration, correction and diagnosis do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.quantize.calibrate import Watch
from toolchain.runtime import reference


def watch(graph: Graph, names: Sequence[str], runtime: str = "fastest") -> Watch:
    """What runs `graph` and returns the tensors of those names, inputs among them, in the graph's layout.

    runtime: a key of OPEN, or "fastest": the first of them that has a form for every op
    Raises Unsupported where the runtime has none.
    """
    if runtime != "fastest":
        return OPEN[runtime](graph, names)
    for open_runtime in OPEN.values():
        try:
            return open_runtime(graph, names)
        except Unsupported:
            if open_runtime is OPEN["reference"]:
                raise


def _litert(graph: Graph, names: Sequence[str]) -> Watch:
    from toolchain.lower.tflite import write_tflite
    from toolchain.runtime.litert import LiteRT

    made = [name for name in dict.fromkeys(names) if name not in graph.inputs]
    shown = replace(graph, outputs=(*graph.outputs, *(name for name in made if name not in graph.outputs)))
    session = LiteRT(write_tflite(shown, integer_only=True))
    return lambda feeds: {**feeds, **session.run(feeds)}


def _onnxruntime(graph: Graph, names: Sequence[str]) -> Watch:
    from toolchain.lower.onnx import write_onnx
    from toolchain.runtime.onnxruntime import OnnxRuntime

    session = OnnxRuntime(write_onnx(graph, keep=[name for name in names if name not in graph.inputs]))

    def run(feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        moved = {name: value.transpose(graph.permutations[name]) if name in graph.permutations else value
                 for name, value in feeds.items()}
        return {**feeds, **session.run(moved)}

    return run


def _reference(graph: Graph, names: Sequence[str]) -> Watch:
    """One sample at a time, so that batches change no bit."""
    def run(feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        count = len(next(iter(feeds.values())))
        rows = [reference.run(graph, {name: value[i:i + 1] for name, value in feeds.items()}, keep=names)
                for i in range(count)]
        return {name: np.concatenate([row[name] for row in rows]) for name in names}

    return run


OPEN: Mapping[str, Callable[[Graph, Sequence[str]], Watch]] = {
    "litert": _litert, "onnxruntime": _onnxruntime, "reference": _reference}
"""Fastest first."""
