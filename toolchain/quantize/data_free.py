"""Ranges of activations where no samples exist, from what batch norms remember of the training data.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
5: activation ranges are beta +- n * gamma of the batch norm before them, n = 6, through the activation. How
other ops spread what they read: spread.py.
"""

from collections.abc import Mapping

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import observed
from toolchain.quantize.spread import KNOWS_ITSELF, Spread, spreads, uniform

Range = tuple[float, float]


def ranges_from_batch_norm(source: Graph, graph: Graph, inputs: Mapping[str, Range] | None = None,
                           factors: Mapping[str, np.ndarray] | None = None) -> dict[str, TensorStats]:
    """What `calibrate` gives, without samples: a range for every tensor whose range the rules ask for.

    source: FLOAT, with its batch norms
    graph:  the CANONICAL graph of it, to be quantized
    inputs: input -> its range, where it is not known to be pixels (`metadata.frames`)
    factors: by what equalisation divided channels of `graph` (`Equalised.factors`)
    Raises Unsupported, naming every tensor whose range follows from no batch norm.
    """
    if not any(op.kind in KNOWS_ITSELF for op in source.ops):
        raise Unsupported(f"{graph.name} holds no batch norms that ranges could be told from; give samples "
                          "(--data), or the network as it was trained, before they were folded")
    told = spreads(source, _inputs(source, inputs or {}))
    for name, divisors in (factors or {}).items():
        if name in told:
            told[name] = told[name].each(lambda part, divisors=divisors: part / divisors)
    known = spreads(graph, told | _inputs(graph, inputs or {}))
    if missing := [name for name in observed(graph) if name not in known]:
        raise Unsupported.listing(f"{graph.name} without samples", [_reason(graph, name) for name in missing])
    return {name: TensorStats(float(np.min(known[name].low)) + 0.0, float(np.max(known[name].high)) + 0.0, 0)
            for name in observed(graph)}


def _inputs(graph: Graph, stated: Mapping[str, Range]) -> dict[str, Spread]:
    """What is stated of the inputs, or that they are pixels."""
    known = {}
    for name in graph.inputs:
        if name in stated:
            low, high = stated[name]
        elif name in graph.metadata.frames:
            frames = graph.metadata.frames[name]
            low, high = ((pixel - np.array(frames.mean)) / np.array(frames.std) for pixel in (0.0, 255.0))
        else:
            continue
        known[name] = uniform(np.asarray(low, np.float64), np.asarray(high, np.float64))
    return known


def _reason(graph: Graph, name: str) -> str:
    if name in graph.inputs:
        return f"{name}: an input of unknown range; set [calibrate] input_range, or give samples"
    return f"{name}: {graph.producers[name].kind}, whose range follows from no batch norm; give samples"
