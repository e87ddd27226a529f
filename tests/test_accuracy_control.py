"""The ladder: it stops where the bound holds, and keeps what costs the target least."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.accuracy_control import Judgement, Ladder, judge_of
from toolchain.errors import BadSamples, GateFailed
from toolchain.metric import score
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.reals import watch_reals
from toolchain.recipe import CalibrateConfig, QuantSpec, Recipe
from toolchain.runtime import reference

OPS = ("a", "b", "c", "d", "e")


class Toy:
    """Stands for a network: its graph is the recipe, whose drop a function of it tells."""

    def __init__(self, drop: Callable[[Recipe], float]):
        self.drop, self.told, self.judged = drop, [], []

    def ladder(self, ranked=OPS, costs=None) -> Ladder:
        return Ladder(treat=lambda recipe: recipe, judge=self.judge, rank=lambda graph: ranked,
                      costs=costs or dict.fromkeys(OPS, 1), island="int16", say=self.told.append)

    def judge(self, recipe: Recipe) -> Judgement:
        self.judged.append(recipe)
        drop = self.drop(recipe)
        return Judgement(drop, 0.1, 40 - drop, 100)


def asked(**quantize) -> Recipe:
    return Recipe(calibrate=CalibrateConfig(observer="minmax"),
                  quantize=QuantSpec(**{"bias_correction": "none", "accuracy_drop": 1.0} | quantize))


def found_by(**quantize) -> Recipe:
    """What `asked` becomes where nothing but this had to be added."""
    return msgspec.structs.replace(asked(), quantize=QuantSpec(**{"bias_correction": "none"} | quantize))


def test_a_recipe_that_holds_is_left_alone():
    toy = Toy(lambda recipe: 0.5)
    found = toy.ladder().climb(asked(equalise=True))
    assert found.recipe == found_by(equalise=True) and len(toy.judged) == 1


def test_treatments_that_help_are_kept_and_others_are_not():
    def drop(recipe):
        spec = recipe.quantize
        return (6 - 2 * (recipe.calibrate.observer == "mse") + 1 * spec.equalise
                - 1 * (spec.bias_correction == "empirical") - 2.5 * (spec.rounding == "gptq"))

    found = Toy(drop).ladder().climb(asked())
    assert found.judgement.drop == 0.5
    assert found.recipe == Recipe(
        calibrate=CalibrateConfig(observer="mse"),
        quantize=QuantSpec(bias_correction="empirical", rounding="gptq"))


def test_it_climbs_no_further_than_it_has_to():
    toy = Toy(lambda recipe: 5 - 4.5 * recipe.quantize.equalise)
    found = toy.ladder().climb(asked())
    assert found.recipe == found_by(equalise=True)
    assert all(recipe.quantize.rounding == "nearest" for recipe in toy.judged)


def test_the_found_recipe_leads_there_without_climbing():
    toy = Toy(lambda recipe: 5 - 4.5 * recipe.quantize.equalise)
    found = toy.ladder().climb(asked())
    assert found.recipe.quantize.accuracy_drop is None and toy.drop(found.recipe) == found.judgement.drop


def test_as_few_islands_as_hold_and_the_cheaper_ones():
    """b and c are to blame; d holds as well as c but costs more."""
    def drop(recipe):
        islands = set(recipe.quantize.islands)
        return 5 - 2.5 * ("b" in islands) - 2 * bool(islands & {"c", "d"})

    toy = Toy(drop)
    found = toy.ladder(costs=dict(a=3, b=9, c=1, d=50, e=1)).climb(asked())
    assert found.recipe.quantize.islands == {"b": "int16", "c": "int16"}
    assert found.judgement.drop == 0.5
    assert len({recipe.digest for recipe in toy.judged}) == len(toy.judged)


def test_islands_of_the_recipe_stay():
    toy = Toy(lambda recipe: 2 - 1.5 * ("a" in recipe.quantize.islands))
    found = toy.ladder().climb(asked(islands={"x*": "float32"}))
    assert found.recipe.quantize.islands == {"x*": "float32", "a": "int16"}


def test_the_nearest_miss_is_told_where_nothing_holds():
    toy = Toy(lambda recipe: 9 - len(recipe.quantize.islands))
    with pytest.raises(GateFailed, match=r"within 1; the nearest has drop 4.00 ± 0.10"):
        toy.ladder().climb(asked())
    assert toy.told[0].startswith("as the recipe says: drop 9.00")
    assert GateFailed.exit_code == 3


# Judging ----------------------------------------------------------------------------------------------------

def watch(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


@pytest.fixture(scope="module")
def judged():
    """A float net with random labels, its INT8 form, and what each of them gives."""
    net = Net()
    x = net.op("reshape", [net.conv(net.input("x", (1, 4, 4, 2)), 4, "conv")], "flat", shape=(1, 64))
    graph = net.graph(net.dense(x, 3, "dense"))
    samples = samples_of(graph, count=64)
    coded = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    of = {g: watch_reals(g, ("dense",), watch)(samples.x)["dense"] for g in (graph, coded)}
    return graph, coded, samples, of


def test_top1_drops_by_the_difference_of_the_scores(judged):
    graph, coded, samples, of = judged
    y = np.random.default_rng(1).integers(0, 3, len(samples))
    found = judge_of(graph, "top1", labelled(samples, y), watch)(coded)
    exact, ours = (score("top1", of[g], y).value for g in (graph, coded))
    assert found.drop == pytest.approx(100 * (exact - ours)) and found.n == 64
    assert judge_of(graph, "top1", labelled(samples, y), watch)(graph).drop == 0


def test_without_labels_the_float_network_is_agreed_with(judged):
    graph, coded, samples, of = judged
    found = judge_of(graph, "agreement", samples, watch)(coded)
    assert found.drop == pytest.approx(100 * (1 - score("agreement", of[coded], of[graph]).value))
    noise = of[graph] - of[coded]
    per_sample = 10 * np.log10((of[graph]**2).sum(1) / (noise**2).sum(1))
    assert found.sqnr_db == pytest.approx(per_sample.mean(), rel=1e-4)


def test_squared_error_is_told_by_what_is_expected(judged):
    graph, coded, samples, of = judged
    found = judge_of(graph, "mse", samples, watch)(coded)
    noise, signal = ((x**2).mean() for x in (of[graph] - of[coded], of[graph]))
    assert found.drop == pytest.approx(100 * noise / signal, rel=1e-4) and found.drop > 0


def test_a_distance_between_sets_is_told_in_shares_of_float_s_own(judged):
    """The second set has as many samples, in another order, and is of the outputs' kind."""
    graph, coded, samples, of = judged
    y = of[graph][::-1] + 0.5
    found = judge_of(graph, "frechet", labelled(samples, y), watch, lambda x: x)(coded)
    exact, ours = (score("frechet", of[g], y, lambda x: x).value for g in (graph, coded))
    assert found.drop == pytest.approx(100 * (ours - exact) / exact) and found.standard_error > 0
    assert (found.n, found.unit) == (64, "points")
    with pytest.raises(BadSamples, match="frechet of float held against itself has no bound, .* needs 'y'"):
        judge_of(graph, "frechet", samples, watch, lambda x: x)


def test_psnr_drops_in_decibels(judged):
    graph, coded, samples, of = judged
    y = of[graph] + 1
    found = judge_of(graph, "psnr", labelled(samples, y), watch)(coded)
    assert "dB (n=64)" in str(found)


def test_a_metric_that_needs_labels_says_so(judged):
    graph, _, samples, _ = judged
    with pytest.raises(BadSamples, match='top1 needs labels .*metric = "agreement"'):
        judge_of(graph, "top1", samples, watch)


def labelled(samples, y):
    return replace(samples, y=y)
