"""Rounding of weights chosen on calibration samples, layer by layer: other codes at the same parameters.

A block of layers at a time: the quantized network, with the layers before the block already rounded, shows
what they read; each layer keeps what its method needs of that; codes are written back.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.quantize.adaround import SampledRows
from toolchain.quantize.calibrate import OpenWatch, Watch
from toolchain.quantize.gptq import SecondMoments
from toolchain.quantize.layer import Layer, layers_of
from toolchain.quantize.reals import watch_reals

BLOCK_BYTES = 1 << 27
"""What the layers of a block keep together; a single layer may need more."""
ROWS_BYTES = 1 << 25
"""Rows of a layer's inputs unfolded at a time; those of a single sample may need more."""


def rounded(graph: Graph, quantized: Graph, samples: Samples, open_watch: OpenWatch, method: str,
            seed: int = 0) -> Graph:
    """`quantized` with other weight codes; parameters and biases stay.

    graph:    CANONICAL, what `quantized` was made of;  samples: of the calibration split, all are used
    method:   a key of METHOD, or "nearest", which changes nothing
    seed:     of what a method draws
    Raises BadSamples where there are none, BadInput where the method needs torch and it is not here.
    """
    if method == "nearest":
        return quantized
    samples = samples.fit_to(graph)
    if not len(samples):
        raise BadSamples(f"{samples.name}: no samples to round the weights of {graph.name} on")
    for block in _blocks(layers_of(graph, quantized), METHOD[method].bytes_of):
        watch = watch_reals(quantized, _inputs(block), open_watch)
        kept = [METHOD[method](layer, seed) for layer in block]
        _show(block, kept, quantized, watch, samples)
        weights = [layer.with_codes(statistics.codes()) for layer, statistics in zip(block, kept)]
        quantized = quantized.with_tensors(*weights)
    return check(quantized, "QUANTIZED")


class Statistics(Protocol):
    """What a method keeps of a layer's inputs, and what it makes of that."""

    def __init__(self, layer: Layer, seed: int):
        """Nothing seen yet."""

    @staticmethod
    def bytes_of(layer: Layer) -> int:
        """How much is kept."""

    def add(self, rows: np.ndarray) -> None:
        """(G, rows, K) float32 inputs of the layer in the quantized network."""

    def codes(self) -> np.ndarray:
        """(G, O, K) whole numbers."""


METHOD: Mapping[str, type[Statistics]] = {"gptq": SecondMoments, "adaround": SampledRows}


def _blocks(layers: list[Layer], bytes_of: Callable[[Layer], int]) -> Iterator[list[Layer]]:
    """Neighbours, as many as fit BLOCK_BYTES."""
    block, total = [], 0
    for layer in layers:
        if block and total + bytes_of(layer) > BLOCK_BYTES:
            yield block
            block, total = [], 0
        block.append(layer)
        total += bytes_of(layer)
    if block:
        yield block


def _inputs(block: list[Layer]) -> list[str]:
    return list(dict.fromkeys(op.inputs[0] for layer in block for op in layer.ops))


def _show(block: list[Layer], kept: list[Statistics], graph: Graph, watch: Watch, samples: Samples) -> None:
    """Run all samples and hand every layer its inputs."""
    largest = max(_rows_bytes(layer, graph) for layer in block)
    for feeds in samples.batches(max(1, ROWS_BYTES // largest)):
        seen = watch(feeds)
        for layer, statistics in zip(block, kept, strict=True):
            for op in layer.ops:
                statistics.add(layer.rows(op, seen[op.inputs[0]]))


def _rows_bytes(layer: Layer, graph: Graph) -> int:
    """Of a sample: K inputs for each group and place of the output."""
    places = max(graph.tensors[op.name].size for op in layer.ops) // layer.channels
    return 4 * places * layer.groups * layer.size
