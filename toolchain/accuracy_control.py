"""Accuracy control: the cheapest treatment with which the quantized network keeps what the float one can do.

A ladder is climbed until the metric's drop on selection samples is within `[quantize] accuracy_drop`. First
what costs nothing on the target: another observer, equalising, bias correction, chosen rounding. Then islands
of wider numbers, the most sensitive ops first, as few as will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

import msgspec
import numpy as np

from toolchain.data import Samples
from toolchain.errors import BadSamples, GateFailed
from toolchain.ir.graph import Graph
from toolchain.metric import METRIC, Embed, loss_scale, standard_error, values_of
from toolchain.quantize.calibrate import OpenWatch
from toolchain.quantize.reals import reals_of
from toolchain.quantize.sensitivity import logits, mean_sqnr_db
from toolchain.recipe import CalibrateConfig, Recipe

OBSERVERS = get_args(get_type_hints(CalibrateConfig)["observer"])


@dataclass(frozen=True)
class Judgement:
    """A quantized network beside the float one on n selection samples.

    drop:           of the metric, in percent points; of "mse", in percent of the expected values' mean
                    square; of "psnr", in dB; of "elbo" and distances between sets, in percent of what the
                    float network has
    standard_error: of the drop, from the differences sample by sample
    sqnr_db:        of the first output before its softmax, mean over samples
    """

    drop: float
    standard_error: float
    sqnr_db: float
    n: int
    unit: str = "points"

    def __str__(self) -> str:
        return (f"drop {self.drop:.2f} ± {self.standard_error:.2f} {self.unit} (n={self.n}), "
                f"SQNR {self.sqnr_db:.1f} dB")


@dataclass(frozen=True, eq=False)
class Trial:
    """A recipe, what it made, and how that was judged."""

    recipe: Recipe
    graph: Graph
    judgement: Judgement


@dataclass(frozen=True, eq=False)
class Ladder:
    """What is needed to climb.

    treat:  a recipe -> the network quantized by it
    judge:  a quantized network -> how good it is
    rank:   a trial -> its ops, the most sensitive first
    costs:  op -> multiply-accumulates; of the islands that hold the bound, costly ones are given up first
    island: what ops compute in where 8 bits are too coarse
    """

    treat: Callable[[Recipe], Graph]
    judge: Callable[[Graph], Judgement]
    rank: Callable[[Trial], Sequence[str]]
    costs: Mapping[str, int]
    island: Literal["int16", "float32"]
    say: Callable[[str], None]

    def climb(self, recipe: Recipe) -> Trial:
        """The first rung that holds. Its recipe leads there without climbing.

        Raises GateFailed, with the nearest miss, where none holds.
        """
        limit = recipe.quantize.accuracy_drop
        best = self.tried("as the recipe says", _quantize(recipe, accuracy_drop=None))
        for rung in (observers, bias_corrected, equalised, rounded):
            if best.judgement.drop <= limit:
                return best
            trials = [self.tried(name, changed) for name, changed in rung(best.recipe)]
            best = max((best, *trials), key=lambda trial: _merit(trial, limit))
        return best if best.judgement.drop <= limit else self.with_islands(best, limit)

    def tried(self, name: str, recipe: Recipe) -> Trial:
        graph = self.treat(recipe)
        trial = Trial(recipe, graph, self.judge(graph))
        self.say(f"{name}: {trial.judgement}")
        return trial

    def with_islands(self, start: Trial, limit: float) -> Trial:
        """The most sensitive ops in islands, twice as many until that holds, then as few as hold."""
        ranked = [name for name in self.rank(start) if name not in start.recipe.quantize.islands]
        best, count, missed = start, 1, [set()]
        while count < 2 * len(ranked):
            trial = self.islanded(start, ranked[:count])
            if trial.judgement.drop <= limit:
                return self.thinned(start, trial, ranked[:count], limit, missed)
            best, count = min((best, trial), key=lambda trial: trial.judgement.drop), 2 * count
            missed.append(set(trial.recipe.quantize.islands) - set(start.recipe.quantize.islands))
        raise GateFailed(f"no treatment keeps the drop within {limit:g}; the nearest has {best.judgement}; "
                         f"allow a larger [quantize] accuracy_drop, or leave the network in float")

    def islanded(self, start: Trial, names: Sequence[str]) -> Trial:
        islands = {**start.recipe.quantize.islands, **dict.fromkeys(names, self.island)}
        return self.tried(f"{self.island} for {', '.join(names)}", _quantize(start.recipe, islands=islands))

    def thinned(self, start: Trial, held: Trial, names: Sequence[str], limit: float,
                missed: Sequence[Set[str]]) -> Trial:
        """`held` without the islands that the bound does not need.

        missed: islands that are known to be too few
        """
        for name in sorted(names, key=lambda name: -self.costs.get(name, 0)):
            fewer = [other for other in names if other != name]
            if set(fewer) in missed:
                continue
            trial = self.islanded(start, fewer)
            if trial.judgement.drop <= limit:
                held, names = trial, fewer
        return held


def _merit(trial: Trial, limit: float) -> tuple[bool, float]:
    """What holds comes first; then SQNR, which tells treatments apart where a few hundred samples cannot."""
    return trial.judgement.drop <= limit, trial.judgement.sqnr_db


def _quantize(recipe: Recipe, **changes) -> Recipe:
    return msgspec.structs.replace(recipe, quantize=msgspec.structs.replace(recipe.quantize, **changes))


# Rungs: (name, recipe) of the treatments to try next, on top of what has been found ------------------------

Rung = Iterator[tuple[str, Recipe]]


def observers(recipe: Recipe) -> Rung:
    for observer in OBSERVERS:
        if observer != recipe.calibrate.observer:
            calibrate = msgspec.structs.replace(recipe.calibrate, observer=observer)
            yield f"observer {observer}", msgspec.structs.replace(recipe, calibrate=calibrate)


def equalised(recipe: Recipe) -> Rung:
    if not recipe.quantize.equalise:
        yield "equalised", _quantize(recipe, equalise=True)


def bias_corrected(recipe: Recipe) -> Rung:
    if recipe.quantize.bias_correction == "none":
        yield "biases corrected", _quantize(recipe, bias_correction="empirical")


def rounded(recipe: Recipe) -> Rung:
    if recipe.quantize.rounding == "nearest":
        yield "weights rounded by gptq", _quantize(recipe, rounding="gptq")


# Judging ----------------------------------------------------------------------------------------------------

Lost = Callable[[Sequence[np.ndarray]], np.ndarray]
"""A network's outputs, each (N, ...) -> (N,) what each sample's answer loses to the float network's."""


def lost_by(graph: Graph, metric: str, samples: Samples, exact: Sequence[np.ndarray],
            embed: Embed | None = None) -> tuple[Lost, str]:
    """How much the metric loses to the float graph, sample by sample, and the unit: as Judgement.drop has it.

    samples: fit to the graph;  exact: the graph's outputs for them, as many as the metric takes
    embed:   for a distance between sets
    Raises BadSamples where the metric needs labels and there are none.
    """
    row = METRIC[metric]
    if row.expected == "labels" and samples.y is None:
        raise BadSamples(f"{samples.name}: {metric} needs labels for accuracy_drop; give 'y', or take "
                         f'metric = "agreement"')
    labelled = samples.y is not None and (
        row.expected == "labels" or samples.y.shape[1:] == exact[0].shape[1:])
    if not labelled and row.lost in ("dB", "share"):
        raise BadSamples(f"{samples.name}: {metric} of float held against itself has no bound, so "
                         f"accuracy_drop needs 'y', of {exact[0].shape[1:]}, to be like")
    expected = samples.y if labelled else exact[0]
    of_float = values_of(metric, exact, expected, embed)
    scale = loss_scale(metric, of_float, expected)
    return (lambda found: scale * (of_float - values_of(metric, found, expected, embed)),
            "dB" if row.lost == "dB" else "points")


def judge_of(graph: Graph, metric: str, samples: Samples, open_watch: OpenWatch,
             embed: Embed | None = None) -> Callable[[Graph], Judgement]:
    """Judges quantized forms of a float graph by the metric on these samples: as `lost_by`."""
    names = *graph.outputs[:METRIC[metric].outputs], logits(graph)[0]
    *exact, exact_logits = reals_of(graph, names, samples, open_watch)
    lost_of, unit = lost_by(graph, metric, samples, exact, embed)

    def judge(quantized: Graph) -> Judgement:
        *found, found_logits = reals_of(quantized, names, samples, open_watch)
        lost = lost_of(found)
        return Judgement(float(lost.mean()), standard_error(lost), mean_sqnr_db(exact_logits, found_logits),
                         len(found[0]), unit)

    return judge
