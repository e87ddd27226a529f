"""`edge levels`: networks of one task as one artefact, of which a budget chooses the one that runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path, PurePath

import msgspec
import numpy as np

from toolchain.adaptive.report import OnDevice
from toolchain.cascade import Say, asked_by, on_device, prepared_for, require_same, stated
from toolchain.chain_building import Stages, held_to, network_artifact
from toolchain.chaining import Made
from toolchain.data import Samples, load_samples
from toolchain.deploy import Wish, bench
from toolchain.errors import BadConfig, BadInput
from toolchain.ir.graph import Graph
from toolchain.lower import require_known_kinds
from toolchain.measurement import Measurement
from toolchain.pipeline import Prepared, samples_for
from toolchain.profile import TargetProfile
from toolchain.recipe import Recipe, load_recipe
from toolchain.side_by_side import CostOf, Networks, OwnCost, side_by_side

CHECK_FILE = "levels_check.json"
"""Beside an artefact: what a device did at each level."""


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
    """Of the subject's networks, prepared. Raises as `side_by_side`."""
    graphs, recipe = [each.graph for each in prepared], prepared[0].recipe
    cost_of = {"cost_of": _cost_on(subject.device)} if subject.device else {}
    networks = Networks([network.name for network in subject.networks], graphs,
                        samples_for(graphs[0], recipe, samples), subject.profile, asked_by(recipe), say,
                        **cost_of)
    made, kept = side_by_side(networks)
    recipes = {str(level): prepared[each.number].recipe for level, each in enumerate(kept)}
    return made._replace(artifact=stated(made.artifact, recipes))


def _cost_on(device: str) -> CostOf:
    """What a network takes there, by the clock, or by counting. One is measured once: side by side only what
    has an op more than on its own, which makes its input codes of the first one's."""
    known: dict[str, OwnCost] = {}

    def cost(name: str, graph: Graph, feeds: dict[str, np.ndarray], stages: Stages) -> OwnCost:
        artifact = network_artifact(graph, feeds, stages)
        if artifact.digest not in known:
            stages.say(f"measuring {name} on {device}")
            (outcome,) = bench(artifact, device, Wish(brief=True))
            known[artifact.digest] = _taken(outcome.measurement)
        return known[artifact.digest]

    return cost


def _taken(measured: Measurement) -> OwnCost:
    there, latency = f"{measured.device}, {measured.runtime}, {measured.runner}", measured.latency_us
    if latency is None:
        return OwnCost(measured.instructions, "instructions", there, measured.problems)
    return OwnCost(ceil(latency.p99 or latency.median), "microseconds", there, measured.problems)


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
