"""What the kept channels of each group are a multiple of, so that the target's kernels are used well."""

from collections.abc import Mapping, Sequence
import math

import numpy as np

from toolchain.ir.graph import Graph
from toolchain.prune.groups import Group
from toolchain.prune.widths import Price

STEPS = (1, 2, 4, 8, 16)
WITHIN = 0.02
"""What the smaller step may cost more than the best one, as a share."""


def liked_steps(graph: Graph, groups: Sequence[Group], multiples: Mapping[str, int]) -> list[int]:
    """Per group the least common multiple of what the kernels that make or read its channels like.

    multiples: op kind -> what its kernel likes its channels to be a multiple of
    """
    found = []
    for group in groups:
        kinds = {op.kind for op in graph.ops if group.tensors & {*op.inputs, *op.outputs}}
        found.append(math.lcm(*(multiples[kind] for kind in kinds if kind in multiples)))
    return found


def measured_steps(price: Price) -> list[int]:
    """Per group the least of STEPS at whose multiples it costs, within WITHIN, as little as at those of any.

    price: by a table of what the target was measured to take. A group is priced by all ops that it is on, the
    other groups whole. Costs are held against the line through those at the multiples of the largest step and
    of the whole group, so that where each channel costs the same, every step is as good. A step is at most
    half of a group's channels, so that each group can get smaller.
    """
    return [_step(price, group) for group in range(len(price.widths.full))]


def _step(price: Price, group: int) -> int:
    full = price.widths.full
    steps = [step for step in STEPS if 2 * step <= full[group]] or [1]
    counts = np.arange(steps[-1], full[group] + 1)
    costs = np.array([price.of_group(group, [*full[:group], int(count), *full[group + 1:]])
                      for count in counts])
    corner = (counts % steps[-1] == 0) | (counts == full[group])
    excess = costs / np.maximum(np.interp(counts, counts[corner], costs[corner]), np.finfo(float).tiny)
    means = [float(np.mean(excess[counts % step == 0])) for step in steps]
    return next(step for step, mean in zip(steps, means) if mean <= min(means) * (1 + WITHIN))
