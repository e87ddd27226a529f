"""One search of benchmark_search.py: a method on a network with a seed. Trials are kept in a journal, what
became of recipes in a cache that all methods share; a search that was killed goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
import os
from typing import NamedTuple

from figures import DEPLOYING, PRUNING, TRAINING, Figure, code
import msgspec
import numpy as np
from pruning_cells import RATES, TRAIN, opened
from search_networks import CASES, ROOT

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ledger.ledger import Ledger
from toolchain.metric import standard_error
from toolchain.profile import load_target
from toolchain.recipe import Recipe
from toolchain.search.answer import front_of
from toolchain.search.needs import Limit, Needs
from toolchain.search.space import Point, Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome
from toolchain.search_section import SearchConfig
from toolchain.searching import Search
from toolchain.starting import Starting, usual_variables
from toolchain.trying import Judge, Trying

FOLDER = ROOT / "build" / "benchmark" / "search"
SPACE = ("toolchain/search_section.py", "toolchain/search/space.py", "toolchain/search/study.py",
         "toolchain/search/needs.py", "toolchain/search/trial.py", "toolchain/search/front.py",
         "toolchain/search/answer.py", "toolchain/starting.py")
TRYING = (*TRAINING, *PRUNING, *DEPLOYING, *SPACE, "toolchain/trying.py", "scripts/search_runs.py",
          "scripts/search_networks.py")
"""Files that shape what may be tried, and what becomes of it."""
PROPOSING = ("toolchain/searching.py", "toolchain/search/*.py")
"""Files that shape what OURS tries next. Other methods' points do not depend on outcomes: what else these
files do for them, to go through the points within a budget, is taken as settled."""
BOARD = "cortex_m4_qemu"
OURS, RANDOM, GRID = "edge search", "random search", "uniform ratios"
LONG = "uniform ratios, longer"
LONGER = 3
"""How many times longer a trial of LONG trains than another method's, of which there are as many times more.
"""
ALSO_LONGER = "ds_cnn", "watch"
"""Networks that LONG is tried on, which nothing is asked of: trials of the others take four times as long."""
EPOCHS = {"ds_cnn": 4, "watch": 4, "resnet8": 2, "mobilenet_v2": 1}
"""Of training, of each trial of every method: what four hours of two cores leave room for."""
SEARCH_RATES = RATES | {"watch": 0.02}
ROOM = 0.95
"""Of the RAM and flash of the network as it came, quantized: the limits."""
COSTS = ("instructions", "ram", "flash")
IMPORTANCE = {GRID: ("taylor", "fisher", "l2"), LONG: ("taylor",)}
Tried = tuple[float, float]
"""Instructions, points of accuracy that are lost."""


class Plain(NamedTuple):
    """The network as it came, quantized."""

    outcome: Outcome
    test: float


class Task(msgspec.Struct, frozen=True):
    """trials: how many;  epochs: of training, of each"""

    network: str
    method: str
    seed: int
    trials: int
    epochs: int

    @property
    def name(self) -> str:
        return f"{self.network}-{self.method.replace(' ', '-')}-{self.seed}-{self.trials}-{self.epochs}"


def methods(network: str) -> tuple[str, ...]:
    """Those that are tried on it."""
    return (OURS, RANDOM, GRID, *([LONG] if network in ALSO_LONGER else []))


def shaping(method: str) -> tuple[str, ...]:
    """Files that shape what it finds."""
    return (*TRYING, *PROPOSING) if method == OURS else TRYING


def task_of(network: str, method: str, seed: int, trials: int, epochs: int) -> Task:
    """A search by a method that has so many epochs of training in all."""
    if method == LONG:
        trials, epochs = trials // LONGER, epochs * LONGER
    return Task(network, method, seed, trials, epochs)


class Searched(Figure, kw_only=True):
    """What a search found.

    plain:  of the network as it came: instructions, RAM, flash, points lost on selection and on test samples
    tried:  of all that keep the limits: on selection samples
    front:  of those that none of these is better than: instructions, points lost on selection and on test
            samples, standard error of the last
    spared, refused: trials that were not trained, for they break a limit; that could not be built
    epochs: of training in all;  n: samples of selection and test
    """

    task: Task
    plain: tuple[float, float, float, float, float]
    tried: tuple[Tried, ...]
    front: tuple[tuple[float, float, float, float], ...]
    spared: int
    refused: int
    epochs: int
    n: tuple[int, int]

    @property
    def text(self) -> str:
        task = self.task
        return f"{task.network}, {task.method}, seed {task.seed}"


def network(name: str) -> tuple[Graph, Samples]:
    """As trained, with its batch norms; all samples."""
    case = CASES[name]
    data = case.data()
    x, y = (np.concatenate(arrays) for arrays in zip(*data))
    splits = np.repeat(data._fields, [len(labels) for _, labels in data])
    return opened(*case.network(), name), Samples(name, {"x": x}, y, splits, np.arange(len(y)))


def recipe_of(task: Task) -> Recipe:
    """What a search begins with."""
    train = msgspec.structs.replace(TRAIN, epochs=task.epochs, learning_rate=SEARCH_RATES[task.network],
                                    loader=CASES[task.network].loader_source)
    search = SearchConfig() if task.method == OURS else SearchConfig(sampler="random")
    return Recipe(train=train, search=search, seed=task.seed)


def searched(task: Task, key: str) -> Searched:
    os.environ["EDGE_CACHE"] = str(FOLDER / "cache" / code(TRYING))
    graph, samples = network(task.network)
    base = recipe_of(task)
    judge, profile = Judge(graph, samples, base), load_target(BOARD)
    place = FOLDER / "journals" / f"{task.name}-{key}"
    place.mkdir(parents=True, exist_ok=True)
    with Ledger.open(str(place / "ledger.db")) as ledger:
        trying = Trying(graph, judge, profile, None, Needs((), COSTS), ledger)
        plain = _plain(trying, base)
        needs = Needs(tuple(Limit(size, ROOM * plain.outcome.figures[size]) for size in ("ram", "flash")),
                      ("instructions", "accuracy_drop"))
        trying = Trying(graph, judge, profile, None, needs, ledger)
        space = Space(base, usual_variables(graph, base))
        study = Study(str(place / "journal"), task.name, base.search, space.variables, needs, task.seed)
        search = Search(study, space, needs, trying.outcome, lambda: first(task, space, judge), ledger,
                        task.trials)
        trials = search.run()
        front = [(*_tried(trial.outcome), *_on_test(trying, space.recipe_of(trial, trials)))
                 for trial in front_of(trials, needs)]
    kept = [trial.outcome for trial in trials if trial.outcome]
    judged = [one for one in kept if "accuracy_drop" in one.figures]
    sizes = len(samples.split("selection")), len(samples.split("test"))
    return Searched(
        key=key, task=task, front=tuple(front), n=sizes,
        tried=tuple(_tried(one) for one in judged if needs.hold(one.figures)),
        plain=(*(plain.outcome.figures[name] for name in (*COSTS, "accuracy_drop")), plain.test),
        spared=sum(not one.refused and "accuracy_drop" not in one.figures for one in kept),
        refused=sum(bool(one.refused) for one in kept), epochs=len(judged) * task.epochs)


def _plain(trying: Trying, base: Recipe) -> Plain:
    recipe = Recipe(seed=base.seed)
    return Plain(trying.measured(recipe), _on_test(trying, recipe)[0])


def _tried(outcome: Outcome) -> Tried:
    return outcome.figures["instructions"], outcome.figures["accuracy_drop"]


def _on_test(trying: Trying, recipe: Recipe) -> Tried:
    """Points that are lost there, and the standard error."""
    lost = trying.lost(trying.artifact(recipe), "test")
    return float(lost.mean()), standard_error(lost)


def first(task: Task, space: Space, judge: Judge) -> Iterator[Point]:
    """The points that a method begins with; of the grid, all."""
    if task.method == OURS:
        yield from Starting(judge.graph, judge.network_samples, load_target(BOARD)).points(space)
    if criteria := IMPORTANCE.get(task.method):
        yield from _grid(task.trials, criteria, space)


def _grid(trials: int, criteria: Sequence[str], space: Space) -> Iterator[Point]:
    """The same share of all groups, by each criterion; all else as the recipe has it."""
    start, count = space.start(), -(-trials // len(criteria))
    points: list[Mapping] = [{**start, "prune.importance": criterion,
                              **dict.fromkeys(space.shares, float(share))}
                             for share in np.linspace(0.05, 0.9, count) for criterion in criteria]
    yield from points[:trials]
