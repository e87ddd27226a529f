"""Mean and variance of activations without data, from what batch norms say of their results.

Source: Nagel et al. 2019, section 4.2.1 and appendix C: what a batch norm makes is taken as normal, with mean
beta and standard deviation |gamma| in each channel; a relu clips it, E = int f(z) N(z; beta, gamma^2) dz.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.pointwise_float import activate

REACH, NODES = 8.0, 4001
"""The integrals run over so many standard deviations to both sides, by the trapezoidal rule."""
CURVES = frozenset({"relu", "relu6", "leaky_relu", "elu", "gelu", "hard_swish", "softplus", "logistic",
                    "tanh"})
"""Kinds whose result depends on one value alone."""
MOVING = frozenset({"reshape", "transpose", "slice", "concat", "tile", "pad", "mirror_pad", "resize_nearest",
                    "depth_to_space", "space_to_depth"})
"""Kinds that hand values on: mean and variance go where they go."""
AVERAGING = frozenset({"mean", "average_pool2d", "resize_bilinear"})
"""Kinds that average values: the mean stays. How much of the variance does depends on how alike neighbours
are; it is taken to stay, as for smooth images."""

Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Moments:
    """mean, variance: of the elements of a tensor, in a shape that broadcasts to its own; float64"""

    mean: np.ndarray
    variance: np.ndarray

    def to(self, shape: Shape) -> "Moments":
        return Moments(np.broadcast_to(self.mean, shape), np.broadcast_to(self.variance, shape))


def moments(graph: Graph) -> dict[str, Moments]:
    """Of every activation that follows from batch norms alone.

    graph: FLOAT, with its batch norms. What goes into an activation is taken as normal, and the two terms of
    a sum as independent.
    """
    found: dict[str, Moments] = {}
    for op in graph.ops:
        known = _from_norm(graph, op) if op.kind == "batch_norm" else _carried(graph, op, found)
        if known is not None:
            found[op.name] = known
    return found


def _from_norm(graph: Graph, op: Op) -> Moments | None:
    _, gamma, beta, *_ = graph.of(op)
    if not (gamma.is_constant and beta.is_constant):
        return None
    return Moments(beta.data.astype(np.float64), np.square(gamma.data.astype(np.float64)))


def _carried(graph: Graph, op: Op, found: Mapping[str, Moments]) -> Moments | None:
    """What the op makes of moments that are known, None where it cannot be told."""
    if not all(name in found for name in op.inputs):
        return None
    inputs = [found[name] for name in op.inputs]
    if op.kind == "add":
        total = Moments(sum(x.mean for x in inputs), sum(x.variance for x in inputs))
        clamp = op.attrs["activation"]
        return _bent(lambda z: activate(z, clamp), total) if clamp else total
    if op.kind in CURVES:
        return _bent(lambda z: FLOAT[op.kind](op, z), inputs[0])
    if op.kind in MOVING or (op.kind in AVERAGING and op.attrs.get("activation") is None):
        whole = [x.to(t.shape) for x, t in zip(inputs, graph.of(op), strict=True)]
        return Moments(FLOAT[op.kind](op, *(x.mean for x in whole)),
                       FLOAT[op.kind](op, *(x.variance for x in whole)))
    return None


def _bent(curve: Curve, x: Moments) -> Moments:
    """Of curve(z), z normal with the moments x; those that are alike are integrated once."""
    mean, variance = np.broadcast_arrays(x.mean, x.variance)
    pairs, which = np.unique((mean + 1j * variance).ravel(), return_inverse=True)
    made = [curve_moments(curve, pair.real, np.sqrt(pair.imag)) for pair in pairs]
    return Moments(*np.array(made)[which].T.reshape(2, *mean.shape))


def curve_moments(curve: Curve, mean: float, deviation: float) -> tuple[float, float]:
    """(mean, variance) of curve(z), z normal."""
    z = np.linspace(-REACH, REACH, NODES)
    density = np.exp(-z**2 / 2)
    density /= density.sum()
    values = curve(mean + deviation * z)
    first = float(density @ values)
    return first, float(density @ np.square(values - first))
