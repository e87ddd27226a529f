"""Watch a graph of any level as if it were in float: reals go in, reals come out."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize, quantize
from toolchain.quantize.calibrate import OpenWatch, Watch

BATCH = 8
"""Samples that run together where all values of a few tensors are kept."""
Arrays = Mapping[str, np.ndarray]


def as_codes(graph: Graph, values: Arrays) -> dict[str, np.ndarray]:
    """Reals in the codes of the graph's tensors; what has none stays as it is."""
    quants = {name: graph.tensors[name].quant for name in values}
    return {name: x if quants[name] is None else quantize(x, quants[name]) for name, x in values.items()}


def as_reals(graph: Graph, values: Arrays) -> dict[str, np.ndarray]:
    """Codes of the graph's tensors as reals; plain numbers as they are."""
    quants = {name: graph.tensors[name].quant for name in values}
    return {name: x if quants[name] is None else dequantize(x, quants[name]) for name, x in values.items()}


def watch_reals(graph: Graph, names: Sequence[str], open_watch: OpenWatch) -> Watch:
    """Its feeds are quantized to its inputs' codes, what it shows is dequantized.

    What it returns is only good until the next call where nothing had to be dequantized.
    """
    watch = open_watch(graph, names)

    def run(feeds: Arrays) -> Arrays:
        shown = watch(as_codes(graph, feeds))
        return as_reals(graph, {name: shown[name] for name in names})

    return run


def reals_of(graph: Graph, names: Sequence[str], samples: Samples, open_watch: OpenWatch) -> list[np.ndarray]:
    """Of each of the tensors its reals for all samples, (N, ...)."""
    watch = watch_reals(graph, names, open_watch)
    parts = [[np.array(shown[name]) for name in names] for shown in map(watch, samples.batches(BATCH))]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
