"""`edge search`: what the user needs goes in, the best network that meets it comes out, measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
import hashlib
import os
from pathlib import Path
import shutil

import msgspec

from toolchain.atomic import replacing
from toolchain.data import Samples, load_samples
from toolchain.device.boards import load_boards
from toolchain.errors import BadInput, BadSamples, DoesNotFit, Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ledger.ledger import Ledger
from toolchain.load import load
from toolchain.metric import standard_error
from toolchain.profile import TargetProfile
from toolchain.pruning import EPOCHS
from toolchain.recipe import Recipe
from toolchain.report.search import Entry, Found, Loss, search_page
from toolchain.search.answer import bindings, front_of, nearest_miss, recommended
from toolchain.search.needs import Needs, needs_of, require_told
from toolchain.search.space import Space
from toolchain.search.study import Study, searches
from toolchain.search.trial import Trial
from toolchain.search_section import SearchConfig
from toolchain.searching import Search, Watch
from toolchain.starting import Starting, usual_variables
from toolchain.tomlfile import encode_toml
from toolchain.training_sections import TrainConfig
from toolchain.trying import Judge, Trying, untrained

Say = Callable[[str], None]
JOURNAL = "search.journal"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched, all that decides it.

    model, data, checkpoint: as `edge build` takes them
    limits, minimise:        as the command line has them
    also:                    other models of the user's, to be held against
    """

    model: str
    data: str
    recipe: Recipe
    profile: TargetProfile
    device: str | None = None
    checkpoint: str = ""
    limits: tuple[str, ...] = ()
    minimise: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Adapting:
    """One search, its model loaded. Raises BadInput for what the device cannot tell, Unsupported for a
    quantized model, BadSamples without samples to select by."""

    wish: Wish
    ledger: Ledger
    say: Say

    def __post_init__(self):
        if level_of(self.graph) == "QUANTIZED":
            raise Unsupported(f"{self.graph.name} is already quantized: there is nothing left to search; "
                              f"start from its float model")
        if self.samples.splits is None or not self.samples.has("selection"):
            raise BadSamples(f"{self.samples.name}: a search selects by samples that neither train nor "
                             f"calibrate; give a set, or an .npz whose 'split' names calibration and "
                             f"selection")

    @cached_property
    def graph(self) -> Graph:
        return self._loaded(self.wish.model, self.base.checkpoint)

    def _loaded(self, model: str, checkpoint: Path | str | None = None) -> Graph:
        return load(model, shapes=self.wish.recipe.shapes, checkpoint=checkpoint or None)

    @cached_property
    def samples(self) -> Samples:
        return load_samples(self.wish.data)

    @cached_property
    def needs(self) -> Needs:
        profile, device = self.wish.profile, self.wish.device
        board = load_boards().boards.get(device or "")
        emulated = board.emulated if board else profile.emulated
        needs = needs_of(self.wish.limits, self.wish.minimise, "instructions" if emulated else "latency_ms")
        require_told(needs, device or profile.name, emulated, bool(board and board.meters))
        return needs

    @cached_property
    def base(self) -> Recipe:
        """The recipe, with the checkpoint that was given, and with training where there are samples for it
        and nothing else is said."""
        recipe = self.wish.recipe
        usual = TrainConfig(epochs=EPOCHS) if self.samples.has("train") else None
        return msgspec.structs.replace(recipe, checkpoint=self.wish.checkpoint or recipe.checkpoint,
                                       train=recipe.train or usual, search=recipe.search or SearchConfig())

    @cached_property
    def space(self) -> Space:
        listed = self.base.search.variables
        return Space(self.base, listed or usual_variables(self.graph, self.base))

    @cached_property
    def trying(self) -> Trying:
        judge = Judge(self.graph, self.samples, self.base)
        return Trying(self.graph, judge, self.wish.profile, self.wish.device, self.needs, self.ledger)

    @cached_property
    def name(self) -> str:
        """Of the study: by all that decides it, so that the same search is gone on with and no other."""
        parts = {"applied to": self.trying.identity, "made with": self.trying.made_with(self.base),
                 "recipe": self.base.portable, "search": self.base.search, "needs": self.needs,
                 "variables": self.space.variables, "device": self.wish.device}
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]

    def study(self, storage: str, budget: int | None) -> Study:
        """Where its trials are kept; from now on others can join. Raises as `Study`."""
        study = Study(storage, self.name, self.base.search, self.space.variables, self.needs, self.base.seed)
        study.say_of({"wish": self.wish, "budget": budget})
        return study

    def search(self, study: Study, budget: int | None, seconds: float | None,
               watch: Watch | None = None) -> list[Trial]:
        """All trials of the study, once its budget or this process's time is spent."""
        starting = Starting(self.graph, self.trying.judge.network_samples, self.wish.profile)
        return Search(study, self.space, self.needs, self.trying.outcome,
                      lambda: starting.points(self.space), self.ledger, budget, seconds, watch).run()

    # The answer -------------------------------------------------------------------------------------------

    def others(self) -> list[Entry]:
        """The model as it came, quantized, and what --also names. Raises BadInput for what is not built,
        unless it is too large for its target: that is what a search is for."""
        plain = untrained(msgspec.structs.replace(self.base, scale=None, prune=None, low_rank=None,
                                                  sparsify=None, cluster=None, search=None))
        found = [self._entry("plain", "plain", self.trying, plain)]
        for model in self.wish.also:
            self.say(f"measuring {model}")
            found.append(self._entry(model, "also", replace(self.trying, graph=self._loaded(model)), plain))
        return found

    def _entry(self, name: str, kind: str, trying: Trying, recipe: Recipe) -> Entry:
        outcome = trying.measured(recipe)
        if outcome.refused.startswith(DoesNotFit.__name__):
            return Entry(name=name, kind=kind, outcome=outcome)
        if outcome.refused:
            raise BadInput(f"{name} cannot be built: {outcome.refused}")
        return Entry(name=name, kind=kind, outcome=outcome, test=self._test(trying, recipe))

    def _test(self, trying: Trying, recipe: Recipe) -> Loss | None:
        """On samples that nothing was chosen by."""
        if not self.samples.has("test"):
            return None
        lost = trying.lost(trying.artifact(recipe), "test")
        return Loss(float(lost.mean()), standard_error(lost), len(self.samples.split("test")))

    def answered(self, trials: Sequence[Trial], others: Sequence[Entry], folder: Path) -> Found:
        """The answer, and its files in the folder."""
        front, chosen = front_of(trials, self.needs), recommended(trials, self.needs)
        entries = [Entry(name=f"trial {trial.number}", kind="front", outcome=trial.outcome,
                         recipe=f"front/{trial.number}.toml",
                         test=self._test(self.trying, self.space.recipe_of(trial, trials)))
                   for trial in front]
        done = [trial.outcome for trial in trials if trial.outcome]
        found = Found(
            model=self.wish.model, target=self.wish.profile.name, device=self.wish.device or "",
            needs=self.needs, trials=tuple(one for one in trials if one.state != "waits"),
            front=tuple(entries), others=tuple(others), chosen=chosen,
            spared=sum(not one.refused and "accuracy_drop" not in one.figures for one in done),
            refused=sum(bool(one.refused) for one in done), bindings=tuple(bindings(trials, self.needs)),
            miss=None if chosen else nearest_miss(trials, self.needs), folder=str(folder))
        self._write(found, trials, folder)
        return found

    def _write(self, found: Found, trials: Sequence[Trial], folder: Path) -> None:
        """The page and the record, a recipe for each point of the front, the recommended artefact; nothing is
        left of an answer that was there."""
        front = front_of(trials, self.needs)
        for old in ("front", "recommended"):
            shutil.rmtree(folder / old, ignore_errors=True)
        (folder / "recipe.toml").unlink(missing_ok=True)
        files = {f"front/{trial.number}.toml": self._recipe(trial, trials, folder / "front")
                 for trial in front}
        for trial in front:
            if trial.number == found.chosen.number:
                files["recipe.toml"] = self._recipe(trial, trials, folder)
                self.trying.artifact(self.space.recipe_of(trial, trials)).write(folder / "recommended")
        files |= {"search.html": search_page(found), "search.json": msgspec.json.encode(found)}
        for name, content in files.items():
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(content)

    def _recipe(self, trial: Trial, trials: Sequence[Trial], folder: Path) -> bytes:
        """As a file in the folder, beside which what it names is looked for."""
        recipe = self.space.recipe_of(trial, trials)
        beside = {key: os.path.relpath(path, folder) for key in ("checkpoint", "features")
                  if (path := getattr(recipe, key))}
        return encode_toml(msgspec.structs.replace(recipe, **beside)).encode()


def wish_in(storage: str, name: str | None) -> tuple[Wish, int | None]:
    """What the search of that name in a storage is, and its budget; of the only one where no name is given.

    Raises BadInput.
    """
    known = {each: facts for each, facts in searches(storage).items() if facts}
    if name is None and len(known) == 1:
        name = next(iter(known))
    if name not in known:
        raise BadInput(f"--storage has {', '.join(known) or 'no searches'}; "
                       f"{'give one with --name' if known else 'one begins with `edge search --storage`'}")
    return msgspec.convert(known[name]["wish"], Wish), known[name]["budget"]
