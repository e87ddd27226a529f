"""Networks side by side, of which a budget chooses the one that runs: what each costs and is worth, as one
artefact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.cascade import cascade_stages
from toolchain.adaptive.report import LevelFigures, LevelsReport, Share, share_right
from toolchain.chain import Chain
from toolchain.chain_building import (
    Stages,
    chain_artifact,
    code_batches,
    instructions,
    level_costs,
    network_artifact,
    split_for,
)
from toolchain.chaining import Made, logits_of
from toolchain.data import Samples
from toolchain.errors import GateFailed
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.levels import Levels, Unit
from toolchain.lower import Asked, with_files
from toolchain.metric import top1_hits
from toolchain.profile import TargetProfile

Say = Callable[[str], None]
REPORT_FILE = "levels.json"
"""Of an artefact: what is told of it, a LevelsReport."""
VECTORS = 4


class OwnCost(NamedTuple):
    """Of a network on its own: cost, unit, measured_on as Levels has them;  problems: as LevelFigures has"""

    cost: int
    unit: Unit
    measured_on: str = ""
    problems: tuple[str, ...] = ()


CostOf = Callable[[str, Graph, dict[str, np.ndarray], Stages], OwnCost]
"""(what a network is called, it, some samples' codes, stages with its target) -> what it takes on its own."""


class Candidate(NamedTuple):
    """A network that may become a level, on its own. number: its position among those that were given"""

    name: str
    number: int
    own: OwnCost
    selection: Share
    test: Share


@dataclass(frozen=True)
class Networks:
    """What is to stand side by side.

    names:   of the networks, in reports
    samples: labelled, with splits; as the networks take them
    cost_of: what each takes where an emulated target does not count instructions
    """

    names: Sequence[str]
    graphs: Sequence[Graph]
    samples: Samples
    profile: TargetProfile
    asked: Asked
    say: Say
    cost_of: CostOf = lambda name, graph, feeds, stages: OwnCost(graph_macs(graph), "MACs")

    def stages(self, numbers: Sequence[int]) -> Stages:
        """Of these networks alone, which take the first one's input codes."""
        graphs = cascade_stages([self.graphs[number] for number in numbers])
        name = f"{self.graphs[numbers[-1]].name}_levels"
        return Stages(name, graphs, graphs[0], self.samples, self.profile, self.asked, self.say)

    def cost(self, name: str, graph: Graph, feeds: dict[str, np.ndarray], stages: Stages) -> OwnCost:
        """Of one on its own."""
        if not self.profile.emulated:
            return self.cost_of(name, graph, feeds, stages)
        self.say(f"counting instructions of {name} on {self.profile.name}")
        taken = instructions(network_artifact(graph, feeds, stages), self.profile)
        return OwnCost(max(taken), "instructions")


def side_by_side(networks: Networks) -> tuple[Made, list[Candidate]]:
    """What comes of the networks, and those that are its levels, in their order.

    Each is looked at alone, and those that are kept again side by side: what is left out, and in which order
    networks are given, has no say in what the others take.
    Raises BadInput and its kinds where they are not of one task, GateFailed where no more than one is left.
    """
    Chain("levels", cascade_stages(networks.graphs), (), apart=True)  # raises
    found = [_candidate(networks, number) for number in range(len(networks.graphs))]
    kept, left_out = worth_it(found)
    for line in left_out:
        networks.say(line)
    if len(kept) < 2:
        raise GateFailed(f"of {len(found)} networks one is left ({kept[0].name}), which leaves nothing to "
                         f"choose: {'; '.join(left_out)}")
    return _levels_of(networks, kept, left_out), kept


def _levels_of(networks: Networks, kept: Sequence[Candidate], left_out: tuple[str, ...]) -> Made:
    stages = networks.stages([each.number for each in kept])
    chain = Chain(stages.name, stages.graphs, (), apart=True)
    measured, problems = _measured(networks, [each.name for each in kept], stages, chain)
    chain = replace(chain, measured=measured)
    report = LevelsReport(
        name=chain.name, target=networks.profile.name, unit=measured.unit, left_out=left_out,
        measured_on=measured.measured_on,
        levels=tuple(LevelFigures(each.name, cost, *shares, broken, each.own.cost)
                     for each, cost, shares, broken
                     in zip(kept, measured.costs, _shares(stages, chain), problems, strict=True)))
    told = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    artifact = with_files(chain_artifact(stages, chain), {REPORT_FILE: told}, {})
    manifest = msgspec.structs.replace(artifact.manifest, notes=(*artifact.manifest.notes, *left_out))
    return Made(replace(artifact, manifest=manifest), chain, report)


def _candidate(networks: Networks, number: int) -> Candidate:
    stages, name = networks.stages([number]), networks.names[number]
    chain = Chain(stages.name, stages.graphs, (), apart=True)
    ((selection, test),), (own,) = _shares(stages, chain), _own_costs(networks, [name], stages, chain)
    return Candidate(name, number, own, selection, test)


def _shares(stages: Stages, chain: Chain) -> list[tuple[Share, Share]]:
    """Of selection and of test samples what each network side by side answers right."""
    splits = [split_for(stages.samples, name, chain.ends) for name in ("selection", "test")]
    told = [[share_right(top1_hits(logits, split.y)) for logits in logits_of(chain, split)]
            for split in splits]
    return [*zip(*told, strict=True)]


def _measured(networks: Networks, names: Sequence[str], stages: Stages,
              chain: Chain) -> tuple[Levels, list[tuple[str, ...]]]:
    """What levels cost, and of each why that cannot be trusted. One that takes less than the one before is
    told as taking as much: costs rise."""
    if stages.profile.emulated:
        return level_costs(stages, chain), [()] * len(names)
    found = _own_costs(networks, names, stages, chain)
    costs = np.maximum.accumulate([each.cost for each in found]).tolist()
    return Levels(tuple(costs), found[0].unit, found[0].measured_on), [each.problems for each in found]


def _own_costs(networks: Networks, names: Sequence[str], stages: Stages, chain: Chain) -> list[OwnCost]:
    """Of each of networks side by side, on its own."""
    calibration = stages.samples.split("calibration").fit_to(chain.ends).take(VECTORS)
    feeds = next(code_batches(chain, calibration))
    return [networks.cost(name, graph, feeds, stages)
            for name, graph in zip(names, stages.graphs, strict=True)]


def worth_it(found: Sequence[Candidate]) -> tuple[list[Candidate], tuple[str, ...]]:
    """Those of which none costs as much as another, or more, and is no better on selection samples: the
    cheapest first; and a line on each of the others."""
    kept, left_out = [], []
    for each in sorted(found, key=lambda one: (one.own.cost, -one.selection.value)):
        if not kept or each.selection.value > kept[-1].selection.value:
            kept.append(each)
            continue
        better = kept[-1]
        left_out.append(f"{each.name} is left out: on its own {each.own.cost:,} {each.own.unit} and top1 "
                        f"{each.selection} on {each.selection.n} selection samples, where {better.name} "
                        f"takes {better.own.cost:,} and has {better.selection}")
    return kept, tuple(left_out)
