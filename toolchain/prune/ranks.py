"""Which ops become two, in which form and of which rank: a knapsack of several choices for each op."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.ir.graph import Op
from toolchain.prune.factors import Factors


@dataclass(frozen=True)
class Option:
    """A form and a rank of an op: what it costs, and -log of the share of the variance that it keeps."""

    form: str
    rank: int
    cost: float
    loss: float


@dataclass(frozen=True, eq=False)
class Choice:
    """An op with all that it may become.

    cost:    as it is
    factors: by form
    mean:    (K,) of what its windows hold
    """

    op: Op
    cost: float
    factors: Mapping[str, Factors]
    mean: np.ndarray
    options: tuple[Option, ...]


def choose(choices: Sequence[Choice], excess: float) -> dict[str, Option] | None:
    """Op -> what it becomes, so that together they cost less by `excess`; None where they cannot.

    Steps along the convex hulls go in the order of what is lost for what is saved; the last one is to the
    option that loses least of those that save enough.
    """
    steps = sorted((step for choice in choices for step in _steps(choice)), key=lambda step: step[0])
    taken: dict[str, Option] = {}
    for _, choice, option in steps:
        if excess <= 0:
            break
        before = taken.get(choice.op.name)
        now = choice.cost if before is None else before.cost
        if now - option.cost >= excess:
            enough = [other for other in choice.options if now - other.cost >= excess]
            option = min(enough, key=lambda other: (other.loss, other.cost))
        taken[choice.op.name] = option
        excess -= now - option.cost
    return taken if excess <= 0 else None


def _steps(choice: Choice) -> list[tuple[float, Choice, Option]]:
    """From one corner to the next of the lower convex hull of (cost, loss), from the op as it is on: what is
    lost for what is saved, which never falls."""
    costs = np.array([option.cost for option in choice.options])
    losses = np.array([option.loss for option in choice.options])
    cost, loss, steps = choice.cost, 0.0, []
    while (cheaper := np.flatnonzero(costs < cost)).size:
        slopes = (losses[cheaper] - loss) / (cost - costs[cheaper])
        best = cheaper[np.lexsort((costs[cheaper], slopes))[0]]
        steps.append((float(slopes.min()), choice, choice.options[best]))
        cost, loss = costs[best], losses[best]
    return steps
