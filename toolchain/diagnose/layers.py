"""Figures of every layer: in the network, alone, and what it costs the output."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from toolchain.data import Samples
from toolchain.diagnose.figures import Similarity, Spread, weight_figures
from toolchain.diagnose.findings import Layer
from toolchain.diagnose.isolate import ALONE, isolated
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import dequantize, quantize
from toolchain.quantize.calibrate import OpenWatch, batch_size
from toolchain.quantize.reals import as_codes
from toolchain.quantize.sensitivity import INPUT, Sensitivity, coded_op

Arrays = Mapping[str, np.ndarray]


def layer_figures(float_graph: Graph, quantized: Graph, samples: Samples, open_watch: OpenWatch,
                  ranking: Sequence[Sensitivity] = ()) -> tuple[Layer, ...]:
    """A record for each input and op of the float graph that the quantized one has in codes, in order.

    float_graph: canonical, the one that was quantized;  ranking: what each costs the network's output
    """
    samples = samples.fit_to(float_graph)
    names = [name for name in (*float_graph.inputs, *(op.name for op in float_graph.ops))
             if name in quantized.tensors and quantized.tensors[name].quant is not None]
    gathered = {name: _Gathered(quantized, name) for name in names}
    for values, codes, alone in _batches(float_graph, quantized, samples, open_watch, names):
        for name in names:
            gathered[name].add(values[name], codes[name], alone.get(name))
    costs = {row.name: row.sqnr_db for row in ranking}
    return tuple(_layer(float_graph, quantized, name, gathered[name], costs.get(name)) for name in names)


class _Gathered:
    """What is kept of one tensor."""

    def __init__(self, quantized: Graph, name: str):
        tensor = quantized.tensors[name]
        self.quant = tensor.quant
        self.whole, self.alone = Similarity(), Similarity()
        self.spread = Spread(tensor.quant, tensor.shape[-1] if len(tensor.shape) > 1 else 1)

    def add(self, values: np.ndarray, codes: np.ndarray, alone: np.ndarray | None) -> None:
        """alone: the op's own codes; None of an input, which only rounds, and of what a loop repeats"""
        own = quantize(values, self.quant) if alone is None else alone
        self.whole.add(values, dequantize(codes, self.quant))
        self.alone.add(values, dequantize(own, self.quant))
        self.spread.add(values, codes)


def _batches(float_graph: Graph, quantized: Graph, samples: Samples, open_watch: OpenWatch,
             names: Sequence[str]) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
    """Of a few samples at a time: float values; codes; codes of each op alone on rounded float values."""
    activations = {t.name for t in float_graph.activations}
    cut = isolated(quantized, activations)
    watched = tuple(dict.fromkeys((*names, *cut.inputs)))
    in_float, in_codes = open_watch(float_graph, watched), open_watch(quantized, names)
    apart = open_watch(cut, cut.outputs)
    for feeds in samples.batches(batch_size(float_graph, watched)):
        values = in_float(feeds)
        codes = in_codes(as_codes(quantized, {name: feeds[name] for name in quantized.inputs}))
        alone = apart(as_codes(quantized, {name: values[name] for name in cut.inputs}))
        yield values, codes, {name.removesuffix(ALONE): value for name, value in alone.items()
                              if name.endswith(ALONE)}


def _layer(float_graph: Graph, quantized: Graph, name: str, found: _Gathered, cost: float | None) -> Layer:
    op = float_graph.producers.get(name)
    weights = _weights(float_graph, quantized, op) if op is not None else {}
    return Layer(name=name, kind=op.kind if op is not None else INPUT, sqnr_db=found.whole.sqnr_db,
                 cosine=found.whole.cosine, local_db=found.alone.sqnr_db, output_db=cost,
                 **found.spread.figures(), **weights)


def _weights(float_graph: Graph, quantized: Graph, op: Op) -> dict:
    """Nothing for an op without weights in codes of the same shape."""
    coded = coded_op(quantized, op)
    if op.kind not in WEIGHTED or coded is None:
        return {}
    weight, codes = float_graph.of(op)[1], quantized.of(coded)[1]
    if codes.quant is None or weight.data is None or codes.shape != weight.shape:
        return {}
    return weight_figures(weight.data, dequantize(codes.data, codes.quant), codes.quant.scale,
                          WEIGHTED[op.kind])
