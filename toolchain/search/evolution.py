"""Points made of the best that were tried, by small changes: a steady-state evolution whose parents are
chosen by fronts and hypervolume (Beume et al. 2007, "SMS-EMOA").

Where points inherit (Elsken et al. 2019, "Efficient Multi-Objective Neural Architecture Search via
Lamarckian Evolution"), a child goes on from its parent's trained weights. It has no more channels than
these, and every epoch that was spent on an ancestor is one of its own.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from toolchain.search.best import best_of
from toolchain.search.needs import Needs
from toolchain.search.space import Point, Space
from toolchain.search.trial import Trial
from toolchain.search_section import Value, Variable

PARENTS = 8
CHILDREN = 5
"""Of a parent at most: of what further ones added to hypervolumes there was a tenth of what others' did."""
FOUNDERS = 6
"""Trials before there are children."""
SHARE_STEP, STEP = 0.13, 0.25
"""Standard deviation of a change, in shares of a variable's span: of channels that go, of other numbers."""
AGAIN = 0.3
"""How often a child that inherits keeps all channels, and is only trained for longer."""
TOGETHER = 0.6
"""How often all stages are cut by the same step first."""
CHANGED, SWITCHED = 0.4, 0.15
"""How often a number is changed, and another choice drawn."""
ATTEMPTS = 20
"""At a child that is none that was tried."""


class Child(NamedTuple):
    """of: number of the trial whose weights it goes on from; None: from those that the network came with"""

    point: dict[str, Value]
    of: int | None


def child(trials: Sequence[Trial], space: Space, needs: Needs, random: np.random.Generator) -> Child | None:
    """The next point; None while there are too few to go on from, or where nothing new is found.

    Where points inherit, it has the weights and the resolution of a parent, and no more channels.
    """
    parents = _parents(trials, needs)
    if len(trials) < FOUNDERS or not parents:
        return None
    for _ in range(ATTEMPTS):
        parent = parents[random.integers(len(parents))]
        found = Child(_changed(parent.point, space, random), parent.number if space.inherits else None)
        if not any(found.of == trial.of and found.point == trial.point for trial in trials):
            return found
    return None


def _parents(trials: Sequence[Trial], needs: Needs) -> list[Trial]:
    """The best that have not had all their children yet."""
    born = Counter(trial.of for trial in trials if trial.of is not None)
    spent = sum(count >= CHILDREN for count in born.values())
    best = best_of(trials, needs, PARENTS + spent)
    return [trial for trial in best if born[trial.number] < CHILDREN][:PARENTS]


def _changed(parent: Point, space: Space, random: np.random.Generator) -> dict[str, Value]:
    inherits, shares, point = space.inherits, space.shares, dict(parent)
    stays = inherits and random.random() < AGAIN
    shift = random.normal(0, SHARE_STEP) if random.random() < TOGETHER else 0.0
    for name, variable in space.variables.items():
        changes, value = random.random(), point[name]
        if not variable.is_range:
            fixed = stays and name in shares or inherits and name == space.resolution
            if changes < SWITCHED and not fixed:
                grows = inherits and name in shares
                choices = [choice for choice in variable.choices if not grows or choice >= value]
                point[name] = choices[random.integers(len(choices))]
        elif name in shares:
            step = shift + (random.normal(0, SHARE_STEP) if changes < CHANGED else 0.0)
            if inherits:
                step = 0.0 if stays else abs(step) * _room(value, variable)
            point[name] = _moved(value, step, variable)
        elif changes < CHANGED:
            point[name] = _moved(value, random.normal(0, STEP), variable)
    return point


def _room(value: Value, variable: Variable) -> float:
    """By what steps are shortened where the high end is near."""
    return min(1.0, 2 * (variable.high - value) / (variable.high - variable.low) + SHARE_STEP)


def _moved(value: Value, step: float, variable: Variable) -> Value:
    """By a share of the span, within it."""
    if not step:
        return value
    low, high, place = variable.low, variable.high, value
    if variable.log:
        low, high, place = np.log([low, high, place])
    place = place + step * (high - low)
    found = float(np.clip(np.exp(place) if variable.log else place, variable.low, variable.high))
    return round(found) if variable.whole else found
