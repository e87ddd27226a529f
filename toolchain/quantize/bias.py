"""Empirical bias correction: the mean error that rounding makes in each output channel goes out of its bias.

Source: Nagel et al. 2019, section 4.2 and appendix D: before the activation, E[quantized] - E[float], in
topological order, so that each op is corrected on inputs that come from corrected ones.

Sums of products are linear: their mean over samples is that of the mean input. So what is kept of an op's
input is its mean over the samples, place by place, and no activation has to be taken off.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.data import Samples
from toolchain.ir.check import INTEGER, WEIGHTED, check
from toolchain.ir.graph import Graph, Op, Tensor, unique_name
from toolchain.ir.loops import repeats
from toolchain.ir.quant import dequantize, round_half_away
from toolchain.quantize.calibrate import OpenWatch, batch_size
from toolchain.quantize.reals import as_codes
from toolchain.quantize.stepwise import Codes, after_step, holdable, steps_between
from toolchain.quantize.weights import BIAS_LIMIT
from toolchain.runtime.kernels_float import FLOAT

SAMPLES = 128
"""Means settle sooner than ranges."""


def correct_biases(graph: Graph, quantized: Graph, samples: Samples, open_watch: OpenWatch) -> Graph:
    """`quantized` with other bias codes.

    graph:   CANONICAL, what `quantized` was made of;  samples: of the calibration split
    The quantized network runs once, a step at a time: what a step hands on is kept for all samples, fewer of
    them where that would be much.
    """
    ops = correctable(graph, quantized)
    if not ops:
        return quantized
    steps = steps_between(quantized, {op.name for op in ops})
    samples = samples.fit_to(graph).take(min(SAMPLES, holdable(quantized, steps)))
    exact = _float_means(graph, ops, samples, open_watch)
    held = as_codes(quantized, samples.feeds(slice(None)))
    for number, step in enumerate(steps):
        corrected = [_corrected(graph, quantized, op, exact, held) for op in step if op.name in exact]
        quantized = with_biases(quantized, corrected)
        held = after_step(quantized, steps, number, held, open_watch)
    return check(quantized, "QUANTIZED")


def correctable(graph: Graph, quantized: Graph) -> list[Op]:
    """Ops of the quantized graph that compute on codes with constant weights, where `graph` has them too. Not
    what a loop repeats: it reads what it made itself."""
    repeated = repeats(quantized)

    def is_one(op: Op) -> bool:
        x, *parameters = quantized.of(op)
        twin = graph.producers.get(op.name)
        return (x.dtype in INTEGER and all(t.is_constant and t.quant is not None for t in parameters)
                and twin is not None and (twin.kind, twin.inputs[0]) == (op.kind, op.inputs[0]))

    return [op for op in quantized.ops if op.kind in WEIGHTED and op.name not in repeated and is_one(op)]


# One op -----------------------------------------------------------------------------------------------------

def mean_sums(op: Op, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(channels,) mean over all places of what the op gives before its activation; float64.

    x: mean over samples of its input, in the input's shape
    """
    plain = replace(op, attrs={**op.attrs, "activation": None})
    y = FLOAT[op.kind](plain, *(np.asarray(value, np.float64) for value in (x, weight, bias)))
    return y.reshape(-1, y.shape[-1]).mean(axis=0)


def mean_error(op: Op, graph: Graph, quantized: Graph, exact: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(channels,) E[quantized] - E[float] of an op's sums, in reals.

    exact, found: mean input of the float op and of the quantized one, both in reals
    """
    weight, bias = (dequantize(t.data, t.quant) for t in quantized.of(op)[1:])
    float_weight, float_bias = (t.data for t in graph.of(graph.producers[op.name])[1:])
    return mean_sums(op, found, weight, bias) - mean_sums(op, exact, float_weight, float_bias)


def shifted(graph: Graph, op: Op, error: np.ndarray) -> tuple[Op, Tensor]:
    """The op with `error`, in reals, taken out of its bias codes, and that bias; of its own, where it was
    shared."""
    x, _, bias = graph.of(op)
    limit = BIAS_LIMIT[x.dtype]
    steps = round_half_away(error / bias.quant.scale.astype(np.float64))
    codes = np.clip(bias.data - steps, -limit, limit).astype(bias.dtype)
    shared = len(graph.consumers[bias.name]) > 1
    name = unique_name(f"{op.name}:bias", graph.tensors) if shared else bias.name
    return replace(op, inputs=(*op.inputs[:2], name)), replace(bias, name=name, data=codes)


def with_biases(graph: Graph, corrected: list[tuple[Op, Tensor]]) -> Graph:
    """The graph with these ops and biases in the place of its own."""
    ops = {op.name: op for op, _ in corrected}
    return graph.with_tensors(*(bias for _, bias in corrected)).with_ops(
        ops.get(op.name, op) for op in graph.ops)


def _corrected(graph: Graph, quantized: Graph, op: Op, exact: Mapping[str, np.ndarray],
               held: Codes) -> tuple[Op, Tensor]:
    x = quantized.tensors[op.inputs[0]]
    found = float(x.quant.scale) * (_mean(x.shape, held[x.name]) - int(x.quant.zero_point))
    return shifted(quantized, op, mean_error(op, graph, quantized, exact[op.name], found))


# Means of the float network ---------------------------------------------------------------------------------

def _float_means(graph: Graph, ops: list[Op], samples: Samples,
                 open_watch: OpenWatch) -> dict[str, np.ndarray]:
    """Mean over the samples of what each op reads, in float: op name -> an array of the input's shape."""
    names = list(dict.fromkeys(op.inputs[0] for op in ops))
    watch, totals = open_watch(graph, names), dict.fromkeys(names, 0.0)
    for feeds in samples.batches(batch_size(graph, names)):
        seen, count = watch(feeds), len(next(iter(feeds.values())))
        totals = {name: totals[name] + count * _mean(graph.tensors[name].shape, seen[name]) for name in names}
    return {op.name: totals[op.inputs[0]] / len(samples) for op in ops}


def _mean(shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Over samples that are stacked along axis 0; float64."""
    return values.reshape(-1, *shape).mean(axis=0, dtype=np.float64)
