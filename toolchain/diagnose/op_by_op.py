"""Which op of an INT8 .tflite file computes something else than its graph."""

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.ir.check import INTEGER
from toolchain.ir.graph import Graph
from toolchain.load.selfcheck import unit
from toolchain.runtime import reference
from toolchain.runtime.apart import apart
from toolchain.runtime.litert import LiteRT

ALLOWED = 1
"""Codes: LiteRT may round a requantization to the code beside."""
Arrays = Mapping[str, np.ndarray]


def first_divergence(graph: Graph, model: bytes, codes: Arrays) -> str:
    """The first op whose codes are not those that the graph's op makes of the file's own inputs, in words.

    codes: what the file is fed with, (N, ...). Each op is judged on what the file itself feeds it, so that a
    difference shows where it begins and not all the way behind.
    """
    for i in range(len(next(iter(codes.values())))):
        for name, kind, worst in divergences(graph, model, {key: x[i:i + 1] for key, x in codes.items()}):
            if worst > ALLOWED:
                return f"it begins at {name} ({kind}): {worst:,} codes off on the same inputs"
    return "each op alone agrees to the code beside: differences that small add up here"


def divergences(graph: Graph, model: bytes, sample: Arrays) -> Iterator[tuple[str, str, int]]:
    """(op, kind, largest difference in codes) of every op on codes that the file shows, in order."""
    theirs = {**apart(lambda: _tensors(model, sample), "LiteRT"), **sample}
    theirs = {name: value for name, value in theirs.items() if name in graph.tensors
              and (value.shape, value.dtype.name) == (graph.tensors[name].shape, graph.tensors[name].dtype)}
    for op in graph.ops:
        if op.name in theirs and graph.tensors[op.name].dtype in INTEGER:
            single = unit(graph, op, theirs)
            ours = reference.run_one(single, {name: theirs[name] for name in single.inputs})[op.name]
            yield op.name, op.kind, int(np.abs(ours.astype(np.int64) - theirs[op.name]).max())


def _tensors(model: bytes, sample: Arrays) -> dict[str, np.ndarray]:
    session = LiteRT(model, preserve_all=True)
    outputs = session.run(sample)
    return {**session.tensors(), **outputs}
