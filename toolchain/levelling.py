"""`edge levels`: networks of one task as one artefact, of which a budget chooses the one that runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path, PurePath
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.cascade import cascade_stages
from toolchain.adaptive.report import LevelFigures, LevelsReport, OnDevice, Share, share_right
from toolchain.cascade import Say, asked_by, on_device, prepared_for, require_same, stated
from toolchain.chain import Chain
from toolchain.chain_building import (
    Stages,
    chain_artifact,
    code_batches,
    held_to,
    instructions,
    level_costs,
    network_artifact,
    split_for,
)
from toolchain.chaining import Made, logits_of
from toolchain.data import Samples, load_samples
from toolchain.deploy import Wish, bench
from toolchain.errors import BadConfig, BadInput, GateFailed
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.levels import Levels, Unit
from toolchain.lower import require_known_kinds, with_files
from toolchain.metric import top1_hits
from toolchain.pipeline import Prepared, samples_for
from toolchain.profile import TargetProfile
from toolchain.recipe import Recipe, load_recipe

REPORT_FILE, CHECK_FILE = "levels.json", "levels_check.json"
"""Of an artefact: what is told of it, a LevelsReport; beside it, what a device did at each level."""
VECTORS = 4


@dataclass(frozen=True)
class Network:
    """model: as `edge build` takes it;  recipe: what is wanted of it;  name: what it is called in reports"""

    model: str
    recipe: Recipe
    name: str


def network_of(given: str) -> Network:
    """A model, or a model, @ and its recipe. Raises BadInput and its kinds."""
    model, at, path = given.rpartition("@")
    if not at or not path.endswith(".toml"):
        return Network(given, Recipe(), PurePath(given).name)
    return Network(model, load_recipe(Path(path)), f"{PurePath(model).name}@{PurePath(path).name}")


@dataclass(frozen=True)
class Subject:
    """device: where costs are timed, as open_place takes it; None: instructions of an emulated target, else
    MACs"""

    networks: Sequence[Network]
    profile: TargetProfile
    data: str
    device: str | None = None


class OwnCost(NamedTuple):
    """Of a network on its own: cost, unit, measured_on as Levels has them;  problems: as LevelFigures has"""

    cost: int
    unit: Unit
    measured_on: str = ""
    problems: tuple[str, ...] = ()


class Candidate(NamedTuple):
    """A network that may become a level, on its own."""

    name: str
    prepared: Prepared
    own: OwnCost
    selection: Share
    test: Share


def build_levels(subject: Subject, say: Say = lambda message: None) -> Made:
    """Prepare the networks, leave out those that another one beats, and lower the others as one artefact.

    Raises what `edge build` raises of any, BadInput where they are not of one task, GateFailed where no more
    than one is left.
    """
    require_known_kinds(subject.profile)
    recipes = [network.recipe for network in subject.networks]
    if len(recipes) < 2:
        raise BadInput("levels are of two networks or more; give another one, or use `edge build`")
    require_same(recipes, "levels")
    if len({recipe.quantize.float_weights for recipe in recipes}) > 1:
        raise BadConfig("the recipes of levels' models differ in whether weights are in float, or in which; "
                        "the files have one such scheme, so say the same in all")
    samples = load_samples(subject.data)
    prepared = [prepared_for(network.model, network.recipe, subject.profile, samples, say)
                for network in subject.networks]
    return _levels_of(prepared, samples, subject, say)


def _levels_of(prepared: Sequence[Prepared], samples: Samples, subject: Subject, say: Say) -> Made:
    """Of the subject's networks, prepared. Raises BadInput and its kinds where they are not of one task.

    Each is looked at alone, and those that are kept again side by side: what is left out, and in which order
    networks are given, has no say in what the others take.
    """
    Chain("levels", cascade_stages([each.graph for each in prepared]), (), apart=True)  # raises
    found = [_candidate(network.name, own, _stages([own], samples, subject, say), subject.device)
             for network, own in zip(subject.networks, prepared, strict=True)]
    kept, left_out = worth_it(found)
    for line in left_out:
        say(line)
    if len(kept) < 2:
        raise GateFailed(f"of {len(found)} networks one is left ({kept[0].name}), which leaves nothing to "
                         f"choose: {'; '.join(left_out)}")
    stages = _stages([each.prepared for each in kept], samples, subject, say)
    chain = Chain(stages.name, stages.graphs, (), apart=True)
    measured, problems = _measured([each.name for each in kept], stages, chain, subject.device)
    chain = replace(chain, measured=measured)
    report = LevelsReport(
        name=chain.name, target=subject.profile.name, unit=measured.unit, left_out=left_out,
        measured_on=measured.measured_on,
        levels=tuple(LevelFigures(each.name, cost, *shares, broken) for each, cost, shares, broken
                     in zip(kept, measured.costs, _shares(stages, chain), problems, strict=True)))
    told = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    recipes = {str(number): each.prepared.recipe for number, each in enumerate(kept)}
    artifact = stated(with_files(chain_artifact(stages, chain), {REPORT_FILE: told}, {}), recipes)
    manifest = msgspec.structs.replace(artifact.manifest, notes=(*artifact.manifest.notes, *left_out))
    return Made(replace(artifact, manifest=manifest), chain, report)


def _stages(prepared: Sequence[Prepared], samples: Samples, subject: Subject, say: Say) -> Stages:
    """Of these networks alone, which take the first one's input codes."""
    graphs, recipe = cascade_stages([each.graph for each in prepared]), prepared[0].recipe
    return Stages(f"{prepared[-1].graph.name}_levels", graphs, graphs[0],
                  samples_for(prepared[0].graph, recipe, samples), subject.profile, asked_by(recipe), say)


def _candidate(name: str, prepared: Prepared, stages: Stages, device: str | None) -> Candidate:
    """stages: of this network alone"""
    chain = Chain(stages.name, stages.graphs, (), apart=True)
    ((selection, test),), (own,) = _shares(stages, chain), _own_costs([name], stages, chain, device)
    return Candidate(name, prepared, own, selection, test)


def _shares(stages: Stages, chain: Chain) -> list[tuple[Share, Share]]:
    """Of selection and of test samples what each network side by side answers right."""
    splits = [split_for(stages.samples, name, chain.ends) for name in ("selection", "test")]
    told = [[share_right(top1_hits(logits, split.y)) for logits in logits_of(chain, split)]
            for split in splits]
    return [*zip(*told, strict=True)]


def _measured(names: Sequence[str], stages: Stages, chain: Chain,
              device: str | None) -> tuple[Levels, list[tuple[str, ...]]]:
    """What levels cost, and of each why that cannot be trusted. One that takes less than the one before is
    told as taking as much: costs rise."""
    if stages.profile.emulated:
        return level_costs(stages, chain), [()] * len(names)
    found = _own_costs(names, stages, chain, device)
    costs = np.maximum.accumulate([each.cost for each in found]).tolist()
    return Levels(tuple(costs), found[0].unit, found[0].measured_on), [each.problems for each in found]


def _own_costs(names: Sequence[str], stages: Stages, chain: Chain, device: str | None) -> list[OwnCost]:
    """Of each of networks side by side, on its own."""
    calibration = stages.samples.split("calibration").fit_to(chain.ends).take(VECTORS)
    feeds = next(code_batches(chain, calibration))
    return [_cost(name, graph, feeds, stages, device)
            for name, graph in zip(names, stages.graphs, strict=True)]


def _cost(name: str, graph: Graph, feeds: dict[str, np.ndarray], stages: Stages,
          device: str | None) -> OwnCost:
    if stages.profile.emulated:
        stages.say(f"counting instructions of {name} on {stages.profile.name}")
        taken = instructions(network_artifact(graph, feeds, stages), stages.profile)
        return OwnCost(max(taken), "instructions")
    if device is None:
        return OwnCost(graph_macs(graph), "MACs")
    stages.say(f"measuring {name} on {device}")
    (outcome,) = bench(network_artifact(graph, feeds, stages), device, Wish(brief=True))
    measured, latency = outcome.measurement, outcome.measurement.latency_us
    there = f"{measured.device}, {measured.runtime}, {measured.runner}"
    if latency is None:
        return OwnCost(measured.instructions, "instructions", there, measured.problems)
    return OwnCost(ceil(latency.p99 or latency.median), "microseconds", there, measured.problems)


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


def checked(made: Made, subject: Subject, limit: int,
            say: Say = lambda message: None) -> tuple[OnDevice, ...]:
    """What a device does with at most so many test samples at each level, called with a budget that pays for
    just that one, beside the host's reference. Raises DeviceUnavailable and its kinds."""
    test, found = load_samples(subject.data).split("test").take(limit), []
    for cost in made.chain.levels.costs:
        say(f"answering {len(test)} test samples within {cost:,} {made.chain.levels.unit}")
        held = made._replace(artifact=held_to(made.artifact, cost, subject.profile))
        found.append(msgspec.structs.replace(on_device(held, test, subject.device), budget=cost,
                                             artifact_digest=made.artifact.digest))
    return tuple(found)
