"""Watch a quantized graph as if it were in float: reals go in, reals come out."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize, quantize
from toolchain.quantize.calibrate import OpenWatch, Watch


def watch_reals(graph: Graph, names: Sequence[str], open_watch: OpenWatch) -> Watch:
    """Of a graph of any level: its feeds are quantized to its inputs' codes, what it shows is dequantized.

    Tensors that are plain numbers stay as they are. What it returns is only good until the next call where
    nothing had to be dequantized.
    """
    watch = open_watch(graph, names)

    def run(feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        quants = {name: graph.tensors[name].quant for name in graph.inputs}
        coded = {name: x if quants[name] is None else quantize(x, quants[name]) for name, x in feeds.items()}
        shown = watch(coded)
        return {name: _reals(graph, name, shown[name]) for name in names}

    return run


def _reals(graph: Graph, name: str, values: np.ndarray) -> np.ndarray:
    quant = graph.tensors[name].quant
    return values if quant is None else dequantize(values, quant)
