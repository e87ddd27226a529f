"""Equalisation: channels are scaled between layers, so that they share the steps of one tensor's codes.

Without samples weights are equalised with weights (cross-layer equalisation, Nagel et al. 2019, section 4.1).
With samples activations are with weights (SmoothQuant, Xiao et al. 2023), by the exponents for which the
noise of rounding is estimated to be least (rounding_noise.py), and only where it is less than before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
import math

import numpy as np

from toolchain.data import Samples
from toolchain.ir.check import check
from toolchain.ir.graph import Graph, Op
from toolchain.quantize.calibrate import OpenWatch, batch_size
from toolchain.quantize.channels import (
    Group,
    Grouping,
    column_peaks,
    on_axis,
    rescaled,
    row_peaks,
    scalable_groups,
)
from toolchain.quantize.rounding_noise import ChannelStats, GroupNoise
from toolchain.quantize.rules import observed

EXPONENTS = (0.0, 0.25, 0.5)
"""Of a channel's range and of the weights that read it. Above 1/2 networks lose again what rounding gains: a
channel that fills its codes has no room for values that calibration has not seen (docs/calibration.md)."""
WORTH = 0.8
"""Share of the noise that may be left in the estimate for a group to be scaled: 1 dB less. What promises less
loses as often as it gains."""
SAMPLES = 64
"""Samples looked at, at most: ranges of channels, not of the network, are all that is asked."""
DEAD = 1e-6
"""Share of the largest weight; what is left of a channel whose batch norm has died is far below."""
CONVERGED, ROUNDS = 1e-4, 100
CAP_MARGIN = 0.9
"""Share of 6 below which the largest value seen must stay for relu6 to be taken for relu."""


@dataclass(frozen=True, eq=False)
class Equalised:
    """graph:   computes the same function
    lines:   what was scaled, and what was not and why, for the user
    factors: tensor -> by what its channels, along its last axis, were divided
    """

    graph: Graph
    lines: tuple[str, ...]
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)


# Without samples --------------------------------------------------------------------------------------------

def cross_layer(graph: Graph) -> Equalised:
    """Weights with weights: s_i = sqrt(r1_i r2_i) / r2_i, until r1 = r2 in every group (Nagel et al. 2019,
    eq. 11). r1, r2: largest magnitude of the weights that make channel i, and of those that read it.

    graph: CANONICAL. A channel without weights on one side stays.
    """
    grouping, before = scalable_groups(graph), graph
    total = {group.name: np.ones(group.count) for group in grouping.groups}
    for _ in range(ROUNDS):
        moved = 0.0
        for group in grouping.groups:
            factors = cross_layer_factors(row_peaks(graph, group), column_peaks(graph, group))
            graph = rescaled(graph, group, factors)
            total[group.name] *= factors
            moved = max(moved, float(np.abs(np.log(factors)).max()))
        if moved < CONVERGED:
            break
    lines = [_scaled_line(group, total[group.name]) for group in grouping.groups]
    factors = _factors(grouping.groups, total)
    return Equalised(check(graph, "CANONICAL"), (*lines, *_pinned_lines(before, grouping)), factors)


def cross_layer_factors(made: np.ndarray, read: np.ndarray) -> np.ndarray:
    """s = sqrt(r1 r2) / r2, 1 where either is dead: 0, or as good as that beside the others'."""
    both = (made > DEAD * made.max()) & (read > DEAD * read.max())
    return np.sqrt(np.where(both, made, 1) / np.where(both, read, 1))


# With samples -----------------------------------------------------------------------------------------------

def equalised(graph: Graph, samples: Samples | None, open_watch: OpenWatch,
              activations: str = "int8") -> Equalised:
    """The same function with channels scaled where rounding is estimated to lose less for it.

    graph:       CANONICAL
    samples:     of the calibration split, None for cross-layer equalisation without data
    activations: dtype of their codes, "int8" or "int16"
    Where a relu6 never comes near 6 on the samples and stands in the way, it becomes relu: inputs that go
    beyond are cut by the range of its codes instead.
    """
    if samples is None:
        return cross_layer(graph)
    relaxed, stats = _watched(graph, samples, open_watch)
    grouping, coded = scalable_groups(relaxed), observed(relaxed)
    groups = [group for group in grouping.groups if group.readers]
    chosen = {group.name: _chosen(group, GroupNoise(relaxed, group, stats, coded, activations),
                                  column_peaks(relaxed, group)) for group in groups}
    accepted = [group for group in groups if chosen[group.name].gain]
    result = relaxed
    for group in accepted:
        result = rescaled(result, group, chosen[group.name].factors)
    result = _with_caps(result, graph, {name for group in accepted for name in group.channels})
    factors = _factors(accepted, {group.name: chosen[group.name].factors for group in accepted})
    lines = [chosen[group.name].line(group) for group in groups]
    lines += _uncapped_lines(graph, result, stats) + _pinned_lines(relaxed, grouping)
    return Equalised(check(result, "CANONICAL"), tuple(lines), factors)


def _watched(graph: Graph, samples: Samples,
             open_watch: OpenWatch) -> tuple[Graph, Mapping[str, ChannelStats]]:
    """The graph with relu for each relu6 that no sample comes near, and what was seen of its channels."""
    names = _of_interest(graph, scalable_groups(_without_caps(graph)))
    stats = channel_stats(graph, names, samples, open_watch) if names else {}
    near = {op.name for op in _capped(graph) if stats[op.name].high.max() > 6 * CAP_MARGIN}
    return _without_caps(graph, keep=near), stats


def smoothing_factors(reach: np.ndarray, read: np.ndarray, a: float, b: float) -> np.ndarray:
    """s_i = reach_i^a / read_i^b, relative to that of the widest channel; b = 1 - a: Xiao et al. 2023, eq. 4
    (reach: max |X_i|; read: max |W_i|).

    A channel that was never seen to move, or that nothing reads, goes with the widest.
    """
    reach = np.where(reach > 0, reach, reach.max())
    read = np.where(read > 0, read, read.max())
    factors = reach**a / read**b
    return factors / factors[reach.argmax()]


@dataclass(frozen=True, eq=False)
class _Choice:
    """factors, by the exponents that make least noise;  gain: in dB, 0 where none is worth it"""

    factors: np.ndarray
    exponents: tuple[float, float]
    gain: float

    def line(self, group: Group) -> str:
        if not self.gain:
            return f"{group.name}: {group.count} channels left, no scaling would lower their rounding noise"
        a, b = self.exponents
        return (f"{_scaled_line(group, self.factors)}, by reach^{a:g} / weight^{b:g}; "
                f"estimated noise {self.gain:.1f} dB lower")


def _chosen(group: Group, noise: GroupNoise, read: np.ndarray) -> _Choice:
    """read: `column_peaks` of the group"""
    unit = np.ones(group.count)
    before, reach = noise(unit), noise.reach
    if not (before > 0 and reach.max() > 0 and read.max() > 0):
        return _Choice(unit, (0.0, 0.0), 0.0)
    factors = {pair: smoothing_factors(reach, read, *pair) for pair in product(EXPONENTS, repeat=2)}
    best = min(factors, key=lambda pair: noise(factors[pair]))
    after = noise(factors[best])
    if after > WORTH * before:
        return _Choice(unit, (0.0, 0.0), 0.0)
    return _Choice(factors[best], best, 10 * math.log10(before / after))


def channel_stats(graph: Graph, names: Sequence[str], samples: Samples,
                  open_watch: OpenWatch) -> dict[str, ChannelStats]:
    """What each channel of these tensors holds, on a few samples."""
    watch, stats = open_watch(graph, names), {}
    for feeds in samples.fit_to(graph).take(SAMPLES).batches(batch_size(graph, names)):
        seen = watch(feeds)
        for name in names:
            new = ChannelStats.of(seen[name])
            stats[name] = stats[name].merge(new) if name in stats else new
    return stats


def _of_interest(graph: Graph, grouping: Grouping) -> list[str]:
    """Tensors of groups that something reads, and those that relu6 clamps."""
    names = [name for group in grouping.groups if group.readers for name in group.channels]
    return list(dict.fromkeys((*names, *(op.name for op in _capped(graph)))))


# relu6 ------------------------------------------------------------------------------------------------------

def _capped(graph: Graph) -> Iterator[Op]:
    return (op for op in graph.ops if "relu6" in (op.kind, op.attrs.get("activation")))


def _without_caps(graph: Graph, keep: frozenset[str] | set[str] = frozenset()) -> Graph:
    """relu in the place of relu6, but for the ops in `keep`."""
    def uncapped(op: Op) -> Op:
        return (replace(op, kind="relu") if op.kind == "relu6"
                else replace(op, attrs={**op.attrs, "activation": "relu"}))

    capped = {op.name for op in _capped(graph)} - keep
    return graph.with_ops(uncapped(op) if op.name in capped else op for op in graph.ops)


def _with_caps(graph: Graph, original: Graph, scaled: set[str]) -> Graph:
    """Ops as they were, but for those whose result was scaled."""
    return graph.with_ops(op if op.name in scaled else original.producers[op.name] for op in graph.ops)


def _uncapped_lines(before: Graph, after: Graph, stats: Mapping[str, ChannelStats]) -> list[str]:
    left = {op.name for op in _capped(after)}
    return [f"{op.name}: relu6 became relu; the largest value seen is {stats[op.name].high.max():.3g}"
            for op in _capped(before) if op.name not in left]


# What was done ----------------------------------------------------------------------------------------------

def _scaled_line(group: Group, factors: np.ndarray) -> str:
    readers = ", ".join(op.name for op in group.readers) or "nothing"
    return (f"{group.name}: {group.count} channels to {readers} divided by {factors.min():.3g} to "
            f"{factors.max():.3g}")


def _pinned_lines(graph: Graph, grouping: Grouping) -> list[str]:
    return [f"{name}: left, {why}" for name, why in grouping.pinned.items() if name not in graph.outputs]


def _factors(groups: Sequence[Group], chosen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: on_axis(chosen[group.name], channels)
            for group in groups for name, channels in group.channels.items()}
