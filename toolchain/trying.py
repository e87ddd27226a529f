"""What a recipe makes of a model: built, measured on its device, judged on selection samples.

It is kept by its content, so that nothing is made twice.

Instructions, time, energy and memory are those of the device. Answers are too, but for a microcontroller:
they are those of the same generated C on this host, whose codes are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
import hashlib
from pathlib import Path
import time

import msgspec
import numpy as np

from toolchain import deploy
from toolchain.accuracy_control import Lost, lost_by
from toolchain.artifact import Artifact, read_artifact
from toolchain.cost_table import load_cost_table
from toolchain.data import Samples
from toolchain.device.boards import HOST
from toolchain.device.cache import cache_folder, kept
from toolchain.device.place import open_place
from toolchain.errors import (
    BadInput,
    DeviceLost,
    DeviceTimeout,
    DoesNotFit,
    DoesNotPay,
    GateFailed,
    InvalidMeasurement,
    SelfCheckFailed,
    Unsupported,
)
from toolchain.examination import first_answers
from toolchain.execution import watch
from toolchain.features import embedding
from toolchain.graph_file import read_graph, write_graph
from toolchain.identity import identity, own_code
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.records import tool_versions
from toolchain.measurement import Measurement
from toolchain.metric import METRIC, standard_error
from toolchain.pipeline import Say, build, prepare, quiet
from toolchain.preprocess import network_samples
from toolchain.profile import TargetProfile, load_target
from toolchain.quantize.reals import reals_of
from toolchain.recipe import Recipe
from toolchain.search.needs import Needs
from toolchain.search.trial import Outcome
from toolchain.shrinking import teacher_named, teachers_of
from toolchain.tuning import epochs_of

REFUSALS = (BadInput, DoesNotFit, DoesNotPay, GateFailed, SelfCheckFailed, Unsupported)
"""What ends a trial and no search."""
AGAIN = (DeviceLost, DeviceTimeout, InvalidMeasurement)
TRIES = 3
OUTCOME = "outcome.json"
ARTIFACT = "artifact"
GRAPH = "network.graph"


@dataclass(frozen=True, eq=False)
class Judge:
    """The float network as it came, on samples: what others are held against.

    graph:   FLOAT
    samples: as the recipe's [input] has them
    """

    graph: Graph
    samples: Samples
    recipe: Recipe
    _known: dict[str, tuple[Lost, str]] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """How many of a network's it takes."""
        return METRIC[self.recipe.metric].outputs

    @cached_property
    def network_samples(self) -> Samples:
        """As the network itself takes them."""
        if not self.recipe.input.takes_frames:
            return self.samples
        return network_samples(self.samples, self.recipe.input, self.graph)

    def of(self, split: str) -> tuple[Lost, str]:
        """What answers to the samples of a split lose, and the unit. Raises BadSamples."""
        if split not in self._known:
            graph, metric = canonical(self.graph), self.recipe.metric
            samples = self.network_samples.split(split).fit_to(graph)
            exact = reals_of(graph, graph.outputs[:self.outputs], samples, watch)
            lost, unit = lost_by(graph, metric, samples, exact, embedding(self.recipe.features))
            self._known[split] = lost, "%" if METRIC[metric].lost in ("power", "share") else unit
        return self._known[split]


@dataclass(frozen=True, eq=False)
class Trying:
    """Recipes tried on one model and device.

    graph:   FLOAT, as it came
    judge:   has the samples too, with the splits calibration and selection
    device:  as `deploy.bench` takes it
    needs:   says which figures there must be, and when training is in vain
    seconds: of a timed run
    """

    graph: Graph
    judge: Judge
    profile: TargetProfile
    device: str | None
    needs: Needs
    ledger: Ledger
    seconds: float = 1.0
    say: Say = quiet
    _teachers: dict[str, str] = field(default_factory=dict)

    def outcome(self, recipe: Recipe) -> Outcome:
        """What the recipe makes. One that breaks a limit on costs before it is trained is not trained.

        Raises DeviceUnavailable and its kinds, and InvalidMeasurement, where a third try gives no better.
        """
        spared = untrained(recipe)
        if spared != recipe and any(limit.quantity != "accuracy_drop" for limit in self.needs.limits):
            found = self._kept(spared, judged=False)
            if not self.needs.hold(found.figures):
                return found
        return self.measured(recipe)

    def measured(self, recipe: Recipe) -> Outcome:
        """The same, whatever limits it breaks."""
        return self._kept(recipe, judged=True)

    def artifact(self, recipe: Recipe) -> Artifact:
        """What was measured; built again where the cache was emptied meanwhile."""
        return read_artifact(_place(self.measured(recipe).key) / ARTIFACT)

    def lost(self, artifact: Artifact, split: str) -> np.ndarray:
        """(N,) what the artefact's answers lose to the float network's, sample by sample of a split."""
        answers = self._answers(artifact, self.judge.samples.split(split))
        return self.judge.of(split)[0](answers)

    def _kept(self, recipe: Recipe, judged: bool) -> Outcome:
        key = self._key(recipe, judged)
        place = kept(_place(key), lambda folder: self._try(recipe, judged, key, folder))
        return msgspec.json.decode((place / OUTCOME).read_bytes(), type=Outcome)

    def _key(self, recipe: Recipe, judged: bool) -> str:
        parts = {**self.identity, **self.made_with(recipe), "recipe": recipe.digest, "judged": judged,
                 "device": self.device, "costs": sorted(self.needs.costs), "seconds": self.seconds}
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    def made_with(self, recipe: Recipe) -> dict[str, str]:
        """What a recipe names and does not hold -> its digest."""
        found = own_code(recipe)
        for name in teachers_of(recipe):
            if name not in self._teachers:
                self._teachers[name] = teacher_named(name, recipe).digest
            found[f"teacher {name}"] = self._teachers[name]
        return found

    @cached_property
    def identity(self) -> dict:
        """What recipes are applied to, and with what."""
        judge = self.judge
        return {**identity(self.graph, judge.network_samples, self.profile, load_cost_table(self.profile)),
                "judge": judge.graph.digest, "tools": tool_versions()}

    def _try(self, recipe: Recipe, judged: bool, key: str, folder: Path) -> None:
        begin = time.perf_counter()
        try:
            made = self._made(recipe, judged, folder / ARTIFACT)
        except REFUSALS as error:
            figures = {name: float(error.sizes[name]) for name in ("ram", "flash") if name in error.sizes} \
                if isinstance(error, DoesNotFit) else {}
            made = Outcome(refused=f"{type(error).__name__}: {error}", figures=figures)
        made = msgspec.structs.replace(made, key=key, recipe_digest=recipe.digest,
                                       epochs=epochs_of(recipe),
                                       seconds=round(time.perf_counter() - begin, 2))
        (folder / OUTCOME).write_bytes(msgspec.json.encode(made))

    def _made(self, recipe: Recipe, judged: bool, place: Path) -> Outcome:
        prepared = prepare(self.graph, recipe, self.judge.samples, self.profile, self.say, keep=_keep)
        artifact = build(prepared, self.profile, self.judge.samples, self.say)
        artifact.write(place)
        figures, measured = self._measured(artifact)
        if not judged:
            return Outcome(figures=figures, measured=measured, artifact_digest=artifact.digest)
        lost = self.lost(artifact, "selection")
        return Outcome(figures={**figures, "accuracy_drop": float(lost.mean())},
                       n=len(self.judge.samples.split("selection")), standard_error=standard_error(lost),
                       unit=self.judge.of("selection")[1], measured=measured,
                       artifact_digest=artifact.digest)

    def _measured(self, artifact: Artifact) -> tuple[dict[str, float], str]:
        """Figures of the costs that are needed, and of what they are."""
        for left in reversed(range(TRIES)):
            try:
                found = self._measure(artifact)
                break
            except AGAIN as error:
                self.say(f"{error}; {'tried again' if left else 'given up'}")
                if not left:
                    raise
        static = artifact.manifest.static_bytes
        figures = {"instructions": found.instructions, "flash": static["flash"],
                   "ram": found.peak_rss_bytes or static["ram"],
                   "latency_ms": found.latency_us and found.latency_us.median / 1000,
                   "energy_uj": found.energy and found.energy.gross_uj}
        told = {name: float(figures[name]) for name in self.needs.costs if figures[name] is not None}
        if missing := set(self.needs.costs) - set(told):
            raise InvalidMeasurement(f"{found.device} gave no {', '.join(sorted(missing))}; "
                                     f"{found.conditions.get('energy', 'ask for what it has')}")
        where = f"{found.device}{' (emulated)' if found.emulated else ''}, {found.runtime}"
        return told, where

    def _measure(self, artifact: Artifact) -> Measurement:
        """Raises InvalidMeasurement for one that does not stand."""
        wish = deploy.Wish(seconds=self.seconds, brief=True)
        with deploy.held(self.ledger, deploy.own_profile(artifact), self.device) as lease:
            found = next(iter(deploy.bench(artifact, self.device, wish))).measurement
            self.ledger.record(found, lease=lease)
        if found.problems:
            raise InvalidMeasurement("; ".join(found.problems))
        return found

    def _answers(self, artifact: Artifact, samples: Samples) -> list[np.ndarray]:
        """Of the device; of this host for what runs as firmware."""
        firmware = self.profile.has_firmware
        profile, device = (load_target(HOST), HOST) if firmware else (self.profile, self.device)
        with open_place(profile, device) as place:
            way = deploy.ways_of(artifact, place, "c" if firmware else None)[0]
            with deploy.loaded(artifact, place, way) as session:
                return first_answers(artifact, way.fmt, session, samples, self.judge.outputs)


def _keep(key: str, make: Callable[[], Graph]) -> Graph:
    """What the weights of points that go on from others are: made once."""
    place = kept(cache_folder() / "graphs" / key, lambda folder: write_graph(folder / GRAPH, make()))
    return read_graph(place / GRAPH)


def _place(key: str) -> Path:
    return cache_folder() / "trials" / key


def untrained(recipe: Recipe) -> Recipe:
    """The same without training: it has the same shapes, or about the same where training chooses them."""
    prune = recipe.prune
    if prune and prune.schedule != "one_shot":
        prune = msgspec.structs.replace(prune, schedule="one_shot")
    return msgspec.structs.replace(recipe, earlier=(), train=None, qat=None, prune=prune)
