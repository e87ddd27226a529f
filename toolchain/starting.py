"""Where a search starts: what it varies unless it is told, and first points that are known to be good."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from toolchain.budgets import budget_in
from toolchain.cost_table import load_cost_table
from toolchain.data import Samples
from toolchain.errors import BadConfig, BadGraph, ToolchainError
from toolchain.fitting import at_resolution
from toolchain.ir.graph import Graph
from toolchain.profile import TargetProfile
from toolchain.prune.groups import Group
from toolchain.prune.prune import channels_to_go, grouping_of, scores_of
from toolchain.recipe import Recipe
from toolchain.search.space import RESOLUTION, SHARES, Point, Space, stages
from toolchain.search_section import Value, Variable
from toolchain.shrinking import Shrinking
from toolchain.training_sections import PruneConfig

STAGES = 8
"""Variables at most that say how much of a network's groups goes."""
MOST = 0.9
"""Share of a group's channels that may go."""
EVEN = (0.5, 0.3, 0.7, 0.4, 0.6, 0.8)
"""Shares of all groups' channels that go of the first points."""
LESS = 0.3
"""The same, of those at a lower resolution."""
CHOSEN = (0.5, 0.35)
"""Of what the whole network costs: what further ones are cut down to, by importance."""
RATE, FASTER = "train.learning_rate", 2
"""By what every other point is trained faster: a short training wants a high rate."""
RESOLUTIONS = (1.0, 0.85, 0.7)
"""Shares of an image's sides."""


def usual_variables(graph: Graph, recipe: Recipe) -> dict[str, Variable]:
    """What is varied of a FLOAT graph where the recipe lists nothing: the share that goes of each stage's
    channels and how it is chosen, the resolution of an image, how ranges are found and weights rounded, and
    how it is trained.

    Raises BadConfig where the recipe prunes already.
    """
    if recipe.prune and recipe.prune.budgets:
        raise BadConfig("the recipe's [prune] has a budget and its [search] varies nothing; list in "
                        "[search.vary] what may vary, or leave the budget to the search")
    names = [group.name for group in _groups(graph, recipe)]
    found = {f"{SHARES}{stage[0]}": Variable(low=0.0, high=MOST, of=tuple(SHARES + name for name in stage))
             for stage in stages(names, STAGES)}
    found |= {"prune.importance": Variable(choices=("taylor", "fisher", "l2")),
              "calibrate.observer": Variable(choices=("mse", "percentile", "minmax")),
              "quantize.rounding": Variable(choices=("nearest", "gptq"))}
    with suppress(BadGraph):
        at_resolution(graph, min(RESOLUTIONS))
        found[RESOLUTION] = Variable(choices=RESOLUTIONS)
    if recipe.train:
        rate = recipe.train.learning_rate
        found |= {RATE: Variable(low=rate / 4, high=rate * 4, log=True),
                  "train.alpha": Variable(choices=(0.0, 0.5, 0.9))}
    return found if names else {key: value for key, value in found.items() if not key.startswith("prune.")}


def _groups(graph: Graph, recipe: Recipe) -> Sequence[Group]:
    return grouping_of(graph, recipe.prune or PruneConfig(ratio=0.5)).groups


@dataclass(frozen=True, eq=False)
class Starting:
    """What first points are found by. samples: as the network takes them"""

    graph: Graph
    samples: Samples
    profile: TargetProfile

    def points(self, space: Space) -> Iterator[Point]:
        """The same share of all groups, some of it at lower resolutions too, and what importance would cut to
        save so much of the cost; trained now as the base says and now at a higher rate. The base itself where
        no shares vary."""
        first, shared = space.start(), space.shares
        if not shared:
            yield first
            return
        cuts = [dict.fromkeys(shared, share) for share in EVEN]
        cuts += [{space.resolution: choice, **dict.fromkeys(shared, LESS)} for choice in _lower(space)]
        cuts += [cut for cost in CHOSEN if (cut := _of_stages(shared, self._gone(space.base, cost)))]
        given = []
        for number, cut in enumerate(cuts):
            if RATE in first and number % 2:
                cut |= {RATE: FASTER * first[RATE]}
            point = {**first, **{name: _nearest(space.variables[name], value) for name, value in cut.items()}}
            if point not in given:
                given.append(point)
                yield point

    def _gone(self, base: Recipe, share: float) -> Mapping[str, float]:
        """Group -> share of its channels that goes where the whole is cut to so much; {} where it cannot."""
        table = load_cost_table(self.profile)
        config = PruneConfig(**{budget_in(table.unit) if table else "macs": share})
        wanted = msgspec.structs.replace(base, prune=config)
        shrinking = Shrinking(self.graph, wanted, self.samples, self.profile, table)
        try:
            aim, groups = shrinking.aim(), _groups(self.graph, base)
            scores = scores_of(self.graph, groups, config, aim)
            gone = channels_to_go(self.graph, groups, scores, config, aim)
        except ToolchainError:
            return {}
        return {group.name: len(gone.get(number, ())) / group.channels for number, group in enumerate(groups)}


def _lower(space: Space) -> Sequence[Value]:
    """Other choices of the resolution than the first point's."""
    if space.resolution is None:
        return []
    first = space.start()[space.resolution]
    return [choice for choice in space.variables[space.resolution].choices if choice != first]


def _nearest(variable: Variable, value: float) -> Value:
    """Of what the variable may be. Choices that are no numbers: the first"""
    if variable.is_range:
        return min(max(value, variable.low), variable.high)
    numbers = [choice for choice in variable.choices if not isinstance(choice, str)]
    return min(numbers, key=lambda choice: abs(choice - value), default=variable.choices[0])


def _of_stages(shared: Mapping[str, Variable], gone: Mapping[str, float]) -> dict[str, float]:
    """Variable -> the mean of its groups; {} where one has patterns for names."""
    groups = {name: [key.removeprefix(SHARES) for key in variable.of or (name,)]
              for name, variable in shared.items()}
    if not gone.keys() >= {group for names in groups.values() for group in names}:
        return {}
    return {name: round(sum(gone[group] for group in names) / len(names), 4)
            for name, names in groups.items()}
