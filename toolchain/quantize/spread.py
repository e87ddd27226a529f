"""How the values of a tensor spread, told without data: moments and limits of each of its elements.

Where they come from: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 5 and appendix C: what a batch norm makes is normal in each channel, with mean beta and
deviation |gamma|. Inputs of an op are taken as independent and, where a sum of many is made, as normal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.runtime.kernels_float import FLOAT

REACH = 6.0
"""Standard deviations to either side of the mean after which a normal distribution is taken to end."""
NODES = 97
"""Of the trapezoidal rule by which a curve's moments are integrated."""


@dataclass(frozen=True, eq=False)
class Spread:
    """mean, deviation: moments;  low, high: limits; float64, each broadcasts to the tensor's shape"""

    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def full(self, shape: tuple[int, ...]) -> "Spread":
        """Written out for each element."""
        return self.each(lambda part: np.broadcast_to(part, shape))

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> "Spread":
        """All four through what merely moves values, or takes larger to larger."""
        return Spread(*map(function, (self.mean, self.deviation, self.low, self.high)))


def normal(mean: np.ndarray, deviation: np.ndarray) -> Spread:
    """A normal distribution that ends after REACH deviations."""
    return Spread(mean, deviation, mean - REACH * deviation, mean + REACH * deviation)


def uniform(low: np.ndarray, high: np.ndarray) -> Spread:
    return Spread((low + high) / 2, (high - low) / np.sqrt(12), low, high)


def fixed(tensor: Tensor) -> Spread:
    """A constant."""
    value = tensor.data.astype(np.float64)
    return Spread(value, np.zeros_like(value), value, value)


def curved(curve: Callable[[np.ndarray], np.ndarray], x: Spread) -> Spread:
    """Of curve(x): its moments integrated over a normal x that stays within its limits."""
    z = np.linspace(-REACH, REACH, NODES)
    density = np.exp(-z**2 / 2)
    density /= density.sum()
    shape = (-1, *[1] * np.ndim(x.mean))
    made = curve(np.clip(x.mean + x.deviation * z.reshape(shape), x.low, x.high)).astype(np.float64)
    mean = np.tensordot(density, made, 1)
    deviation = np.sqrt(np.tensordot(density, np.square(made - mean), 1))
    return Spread(mean, deviation, made.min(axis=0), made.max(axis=0))


def within(moments: Spread, low: np.ndarray, high: np.ndarray) -> Spread:
    """The narrower of its own limits and others."""
    return replace(moments, low=np.maximum(moments.low, low), high=np.minimum(moments.high, high))


Rule = Callable[[Graph, Op, list[Spread]], Spread | None]
"""(graph, op, spreads of its inputs) -> that of its output; None where it cannot be told."""


def _norm(graph: Graph, op: Op, inputs: list[Spread]) -> Spread | None:
    gamma, beta = (t.data for t in graph.of(op)[1:3])
    if gamma is None or beta is None:
        return None
    return normal(beta.astype(np.float64), np.abs(gamma.astype(np.float64)))


def _curve(graph: Graph, op: Op, inputs: list[Spread]) -> Spread | None:
    """Of one activation; what else it reads must be constant."""
    others = [t.data for t in graph.of(op)[1:]]
    if any(other is None for other in others):
        return None
    return curved(lambda z: FLOAT[op.kind](op, z, *others), inputs[0])


def _sum(graph: Graph, op: Op, inputs: list[Spread]) -> Spread:
    a, b = inputs
    if op.kind == "sub":
        b = Spread(-b.mean, b.deviation, -b.high, -b.low)
    both = normal(a.mean + b.mean, np.hypot(a.deviation, b.deviation))
    return within(both, a.low + b.low, a.high + b.high)


def _product(graph: Graph, op: Op, inputs: list[Spread]) -> Spread:
    """x * curve(x), a gate, is a curve; else of independent factors."""
    for i, gate in ((0, graph.producers.get(op.inputs[1])), (1, graph.producers.get(op.inputs[0]))):
        if gate is not None and gate.inputs == (op.inputs[i],) and gate.kind in UNARY:
            return curved(lambda z, gate=gate: z * FLOAT[gate.kind](gate, z), inputs[i])
    a, b = inputs
    deviation = np.sqrt((a.deviation * b.deviation) ** 2 + (a.deviation * b.mean) ** 2
                        + (a.mean * b.deviation) ** 2)
    ends = np.broadcast_arrays(a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
    return Spread(a.mean * b.mean, deviation, np.min(ends, axis=0), np.max(ends, axis=0))


def _weighted(graph: Graph, op: Op, inputs: list[Spread]) -> Spread | None:
    """A sum of many: normal, with W E[x] + b and W^2 Var[x]."""
    x, weight, bias = graph.of(op)
    if not (weight.is_constant and bias.is_constant):
        return None
    linear = replace(op, attrs={**op.attrs, "activation": None})
    moments, kernel = inputs[0].full(x.shape), FLOAT[op.kind]
    weights, biases = weight.data.astype(np.float64), bias.data.astype(np.float64)
    variance = kernel(linear, np.square(moments.deviation), np.square(weights), np.zeros_like(biases))
    return normal(kernel(linear, moments.mean, weights, biases), np.sqrt(variance))


def _moved(graph: Graph, op: Op, inputs: list[Spread]) -> Spread:
    """Values go elsewhere, or the largest of some is taken. What a pad writes deviates from nothing."""
    full = [x.full(t.shape) for x, t in zip(inputs, graph.of(op))]
    others = [t.data for t in graph.of(op)[len(inputs):]]
    still = replace(op, attrs={**op.attrs, "value": 0.0}) if op.kind == "pad" else op

    def moved(op: Op, part: str) -> np.ndarray:
        return FLOAT[op.kind](op, *(getattr(x, part) for x in full), *others)

    return Spread(moved(op, "mean"), moved(still, "deviation"), moved(op, "low"), moved(op, "high"))


def _windows(graph: Graph, op: Op, inputs: list[Spread]) -> Spread:
    """Pools and resizing: where every place is alike, so is every place of the result."""
    alike = all(part.shape[-3:-1] in ((), (1, 1)) for part in vars(inputs[0]).values())
    return inputs[0] if alike else _moved(graph, op, inputs)


def _mean(graph: Graph, op: Op, inputs: list[Spread]) -> Spread:
    """The deviation is taken to stay, as if values next to each other were equal: none is clipped."""
    moments = _moved(graph, op, inputs)
    return within(normal(moments.mean, moments.deviation), moments.low, moments.high)


UNARY = frozenset({"relu", "relu6", "leaky_relu", "elu", "gelu", "hard_swish", "softplus", "logistic", "tanh",
                   "abs", "neg", "exp", "sqrt"})
CURVES = UNARY | {"prelu", "minimum", "maximum", "pow"}
MOVING = ("reshape", "transpose", "slice", "concat", "gather", "tile", "pad", "mirror_pad", "depth_to_space",
          "space_to_depth", "reduce_max", "reduce_min", "sum")
RULE: Mapping[str, Rule] = {
    "batch_norm": _norm, "layer_norm": _norm, "add": _sum, "sub": _sum, "mul": _product, "mean": _mean,
    **dict.fromkeys(CURVES, _curve), **dict.fromkeys(WEIGHTED, _weighted), **dict.fromkeys(MOVING, _moved),
    **dict.fromkeys(("average_pool2d", "max_pool2d", "resize_nearest", "resize_bilinear"), _windows)}
KNOWS_ITSELF = frozenset({"batch_norm", "layer_norm"})
"""Kinds whose result is told by their parameters alone."""


def spreads(graph: Graph, known: Mapping[str, Spread]) -> dict[str, Spread]:
    """What is known and what follows from it and from norms, op by op; what cannot be told is not in it."""
    found = dict(known)
    for op in _worth_telling(graph):
        if op.name not in found and (made := _spread_of(graph, op, found)) is not None:
            found[op.name] = made
    return found


def _worth_telling(graph: Graph) -> Iterator[Op]:
    """The ops, but for those that only norms read: these say what they make whatever comes."""
    for op in graph.ops:
        readers = graph.consumers[op.name]
        if op.name in graph.outputs or not readers or any(one.kind not in KNOWS_ITSELF for one in readers):
            yield op


def _spread_of(graph: Graph, op: Op, known: Mapping[str, Spread]) -> Spread | None:
    """How the op's result spreads, None where it cannot be told from what is known of its inputs."""
    if op.kind not in RULE or graph.tensors[op.name].dtype != "float32":
        return None
    inputs = [known.get(t.name, fixed(t) if t.is_constant else None) for t in graph.of(op)
              if t.dtype == "float32"]
    data = inputs[:1] if op.kind in WEIGHTED or op.kind in CURVES else inputs
    if op.kind not in KNOWS_ITSELF and any(x is None for x in data):
        return None
    made = RULE[op.kind](graph, op, data)
    activation = op.attrs.get("activation")
    if made is None or activation is None:
        return made
    return curved(lambda z: FLOAT[activation](op, z), made)
