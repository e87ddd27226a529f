"""What rounding to codes costs the readers of a group of channels, as a function of the channels' factors.

Rounding errors are taken as white and uniform: a step D has variance D^2 / 12. Of an op that reads the group,
with weights W' = W s and inputs X' = X / s, the noise in its sums is

    activations:  V sum W'^2                    V: sum of D^2 / 12 of the codes that its input comes through
    weights:      sum_o D_o^2 / 12 sum E[X'^2]  D_o = max |W'_o| / 127, one step for each output channel

both as a share of the sums' own energy, sum W^2 E[X^2]. Rows of makers do not count: a factor for each output
channel goes into that channel's step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.quantize.channels import Group, makes, on_axis, peaks, reads

ACTIVATION_STEPS = {"int8": 255, "int16": 65534}
"""dtype of activations -> steps over their range; weights have 127 to either side of 0."""
WEIGHT_STEPS = 127
DEVIATIONS = 4


@dataclass(frozen=True, eq=False)
class ChannelStats:
    """What was seen of each channel, along a tensor's last axis: smallest, largest, mean square; float64.

    count: values of each channel
    """

    low: np.ndarray
    high: np.ndarray
    energy: np.ndarray
    count: int

    @classmethod
    def of(cls, values: np.ndarray) -> "ChannelStats":
        rows = values.reshape(-1, values.shape[-1])
        squares = np.einsum("nc,nc->c", rows, rows, dtype=np.float64)
        return cls(rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64),
                   squares / len(rows), len(rows))

    def merge(self, other: "ChannelStats") -> "ChannelStats":
        count = self.count + other.count
        energy = (self.energy * self.count + other.energy * other.count) / count
        return ChannelStats(np.minimum(self.low, other.low), np.maximum(self.high, other.high), energy, count)

    @property
    def reach(self) -> np.ndarray:
        """Width of each channel's range with 0 in it, and no less than `DEVIATIONS` times its root mean
        square: the extremes of a few values say little of what is to come."""
        width = np.maximum(self.high, 0) - np.minimum(self.low, 0)
        return np.maximum(width, DEVIATIONS * np.sqrt(self.energy))


@dataclass(frozen=True, eq=False)
class _Reader:
    """An op that reads the group; weights as a matrix (outputs, channels that each reads).

    channels: of the group, or PINNED; peak, energy: largest magnitude and sum of squares over the taps
    taps:     of the kernel;  received: mean square of what each place reads;  through: tensors of codes
    """

    channels: np.ndarray
    peak: np.ndarray
    energy: np.ndarray
    taps: int
    received: np.ndarray
    through: tuple[str, ...]

    def noise(self, factors: np.ndarray, variance: float) -> float:
        """Share of the sums' energy, for an input with that variance of rounding."""
        each = on_axis(factors, self.channels)
        steps = (self.peak * each).max(axis=1) / WEIGHT_STEPS
        by_weights = (steps**2 / 12 * self.taps * (self.received / each**2).sum(axis=1)).sum()
        signal = (self.energy * self.received).sum()
        return float((variance * (self.energy * each**2).sum() + by_weights) / max(signal, 1e-300))


class GroupNoise:
    """The estimate for one group.

    stats:    of its tensors and of what its readers read
    observed: tensors that are rounded to a range of their own;  activations: dtype of their codes
    """

    def __init__(self, graph: Graph, group: Group, stats: Mapping[str, ChannelStats],
                 observed: Iterable[str], activations: str = "int8"):
        self.group, self.stats, self.steps = group, stats, ACTIVATION_STEPS[activations]
        self.coded = {name for name in observed if name in group.channels}
        self.readers = [self._reader(graph, op) for op in group.readers]

    def _reader(self, graph: Graph, op: Op) -> _Reader:
        x, weight, _ = graph.of(op)
        matrix = np.moveaxis(weight.data, WEIGHTED[op.kind], 0).astype(np.float64)
        matrix = matrix.reshape(len(matrix), -1, 1 if op.kind == "depthwise_conv2d" else weight.shape[-1])
        places = np.moveaxis(np.broadcast_to(reads(op, weight, x), weight.shape), WEIGHTED[op.kind], 0)
        places = places.reshape(matrix.shape)[:, 0]
        return _Reader(self.group.channels[x.name][places], np.abs(matrix).max(axis=1),
                       (matrix**2).sum(axis=1), matrix.shape[1], self.stats[x.name].energy[places],
                       tuple(self._through(graph, x.name)))

    def _through(self, graph: Graph, tensor: str) -> set[str]:
        """The tensors of the group in whose codes `tensor` was rounded on its way, itself among them."""
        found, left = set(), [tensor]
        while left:
            if (name := left.pop()) in self.group.channels and name not in found:
                found.add(name)
                if not makes(graph, graph.producers[name]):
                    left += graph.producers[name].inputs
        return found & self.coded

    @cached_property
    def reach(self) -> np.ndarray:
        """(count,) widest range of each channel in any tensor of codes."""
        return np.max([peaks(self.stats[name].reach, self.group.channels[name], self.group.count)
                       for name in sorted(self.coded)], axis=0)

    def _variance(self, name: str, factors: np.ndarray) -> float:
        """Of rounding to the codes of a tensor, whose range is the widest that its channels need."""
        stats, each = self.stats[name], on_axis(factors, self.group.channels[name])
        width = max((stats.high / each).max(), 0) - min((stats.low / each).min(), 0)
        return float((width / self.steps)**2 / 12)

    def __call__(self, factors: np.ndarray) -> float:
        """The sum of the readers' shares."""
        variance = {name: self._variance(name, factors) for name in self.coded}
        return sum(reader.noise(factors, sum(variance[name] for name in reader.through))
                   for reader in self.readers)
