"""How much of the network's output each op's quantization costs, all others left in float.

The layer-wise analysis of Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.7
(debugging): each op's effect is run, not estimated.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
import math
from typing import Literal, get_args

import numpy as np

from toolchain.data import Samples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.paired import sqnr_db
from toolchain.quantize.calibrate import OpenWatch
from toolchain.quantize.reals import reals_of
from toolchain.quantize.rules import RULES, SAME

COUNT = 16
"""Samples, unless asked otherwise. A network runs once for each op and sample."""
SQUASHING = frozenset({"softmax", "log_softmax", "logistic"})
"""Kinds that, at the end of a network, hide what happens to the logits that they read."""
HANDS_ON = frozenset(kind for kind, rule in RULES.items() if rule.output == SAME) \
    - {"average_pool2d", "resize_bilinear"}
"""Kinds that choose among codes and compute none."""
Part = Literal["weights", "codes"]
WEIGHTS, CODES = PARTS = get_args(Part)
INPUT = "input"
"""Stands for the kind of an op where the row is about an input of the graph."""


@dataclass(frozen=True)
class Sensitivity:
    """What quantizing one op, its weights and its output, does to the network's output.

    name:    of the op, or of an input
    kind:    of the op, or INPUT
    sqnr_db: signal by noise of the network's output, averaged over the samples (`paired.sqnr_db`), the worst
             of the outputs; -inf where it becomes NaN or Inf
    """

    name: str
    kind: str
    sqnr_db: float


def sensitivity(float_graph: Graph, quantized_graph: Graph, samples: Samples, open_watch: OpenWatch,
                count: int = COUNT, inputs: bool = False) -> tuple[Sensitivity, ...]:
    """A row for each op whose quantization adds noise of its own, the worst first.

    float_graph:     the very graph that was quantized (equalised if the recipe says so)
    quantized_graph: made of it; its weights' codes and its scales are what is tried
    count:           how many of the samples are run, evenly spaced
    inputs:          also a row for each input of the graph
    What hands codes on at its input's scale (relu6, reshape, most concats) adds none and has no row. Outputs
    are judged before a last softmax. The cost is a float inference for each op and sample.
    """
    cost = costing(float_graph, samples.fit_to(float_graph).take(count), open_watch)
    rows = [Sensitivity(name, kind, cost(only_quantized(float_graph, quantized_graph, {name})))
            for name, kind in _noisy(float_graph, quantized_graph, logits(float_graph), inputs)]
    return tuple(sorted(rows, key=lambda row: row.sqnr_db))


def costing(float_graph: Graph, samples: Samples, open_watch: OpenWatch) -> Callable[[Graph], float]:
    """What tells how far another float graph's output is from this one's, in dB: the worst of the outputs,
    before a last softmax."""
    judged = logits(float_graph)
    truth = reals_of(float_graph, judged, samples, open_watch)

    def cost(graph: Graph) -> float:
        return min(map(mean_sqnr_db, truth, reals_of(graph, judged, samples, open_watch)))

    return cost


def only_quantized(float_graph: Graph, quantized_graph: Graph, names: Container[str],
                   parts: Container[Part] = PARTS) -> Graph:
    """The float graph, but the ops (and inputs) of `names` as they are quantized: float weights that are
    multiples of their scale, and an output that goes to codes and back.

    names: ops by their outputs, and inputs; what has no codes in `quantized_graph` stays as it is
    parts: of them, what is quantized: WEIGHTS (and biases), CODES of outputs
    Biases are the float ones, rounded: those of `quantized_graph` may have been corrected, and answer then
    for the noise of all ops before theirs, which is not there.
    """
    tensors, ops, told = dict(float_graph.tensors), [], {}
    for name in filter(names.__contains__, float_graph.inputs):
        if CODES in parts and _quant(quantized_graph, name):
            told[name] = unique_name(f"{name}:back", tensors)
            ops += _to_codes_and_back(name, told[name], quantized_graph.tensors[name], tensors)
    for op in float_graph.ops:
        op = replace(op, inputs=tuple(told.get(name, name) for name in op.inputs))
        if op.name in names and WEIGHTS in parts:
            op = _with_coded_weights(op, quantized_graph, tensors)
        if op.name in names and CODES in parts and _quant(quantized_graph, op.name):
            real = unique_name(f"{op.name}:real", tensors)
            tensors[real] = replace(tensors[op.name], name=real)
            ops += [replace(op, outputs=(real,)),
                    *_to_codes_and_back(real, op.name, quantized_graph.tensors[op.name], tensors)]
        else:
            ops.append(op)
    return replace(float_graph, tensors=tensors).with_ops(ops)


def _to_codes_and_back(real: str, back: str, coded: Tensor, tensors: dict[str, Tensor]) -> list[Op]:
    """`real` in codes as `coded` has them, and in `back` what they stand for; both get their tensors."""
    codes = unique_name(f"{real}:codes", tensors)
    tensors[codes] = replace(tensors[real], name=codes, dtype=coded.dtype, quant=coded.quant)
    tensors[back] = replace(tensors[real], name=back)
    return [make("quantize", (real,), codes), make("dequantize", (codes,), back)]


def _with_coded_weights(op: Op, quantized_graph: Graph, tensors: dict[str, Tensor]) -> Op:
    """The op with the reals of its weight's codes, and of those that its bias rounds to; itself where it has
    none."""
    coded = coded_op(quantized_graph, op)
    if op.kind not in WEIGHTED or coded is None:
        return op
    (_, weight, bias), own = quantized_graph.of(coded), tensors[op.inputs[2]]
    if not own.is_constant or any(t.quant is None or not t.is_constant for t in (weight, bias)):
        return op
    inputs = [op.inputs[0]]
    for tensor, data in ((weight, weight.data), (bias, codes_of(own.data, bias.quant))):
        inputs.append(unique_name(f"{tensor.name}:coded", tensors))
        tensors[inputs[-1]] = constant(inputs[-1], dequantize(data, tensor.quant))
    return replace(op, inputs=tuple(inputs))


def coded_op(quantized_graph: Graph, op: Op) -> Op | None:
    """The op on codes that became of `op`; None for one that computes on reals, or is not there."""
    maker = quantized_graph.producers.get(op.name)
    return maker if maker is not None and maker.kind == op.kind else None


def _noisy(float_graph: Graph, quantized_graph: Graph, judged: tuple[str, ...],
           inputs: bool) -> Iterator[tuple[str, str]]:
    """(name, kind) of what is quantized on the way to the judged tensors, unless it hands codes on."""
    live = live_ops(float_graph.ops, judged)
    read = {name for op in live for name in op.inputs}
    for name in float_graph.inputs if inputs else ():
        if name in read and _quant(quantized_graph, name):
            yield name, INPUT
    for op in live:
        if _quant(quantized_graph, op.name) and not hands_on(quantized_graph, op):
            yield op.name, op.kind


def hands_on(quantized_graph: Graph, op: Op) -> bool:
    """Whether the op only chooses among codes that all have its output's scale."""
    coded = coded_op(quantized_graph, op)
    if coded is None or coded.kind not in HANDS_ON:
        return False
    out = _quant(quantized_graph, op.name)
    quants = [t.quant for t in quantized_graph.of(coded) if t.quant is not None]
    return bool(quants) and all(out.same_as(quant) for quant in quants)


def _quant(graph: Graph, name: str) -> QuantParams | None:
    tensor = graph.tensors.get(name)
    return None if tensor is None else tensor.quant


def logits(graph: Graph) -> tuple[str, ...]:
    """The graph's real outputs; of one that a softmax or the like makes, what it reads."""
    names = []
    for name in graph.outputs:
        maker = graph.producers.get(name)
        names.append(maker.inputs[0] if maker is not None and maker.kind in SQUASHING else name)
    return tuple(name for name in dict.fromkeys(names) if graph.tensors[name].dtype == "float32")


def mean_sqnr_db(exact: np.ndarray, found: np.ndarray) -> float:
    """`paired.sqnr_db` over the samples, averaged; -inf where `found` is not finite."""
    return float(sqnr_db(exact, found).mean()) if np.isfinite(found).all() else -math.inf
