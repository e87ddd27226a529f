"""Points and the recipes that they stand for."""

import re

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.adaptive_sections import WidthsConfig
from toolchain.errors import BadConfig
from toolchain.recipe import CalibrateConfig, LowRankConfig, PruneConfig, QuantSpec, Recipe, TrainConfig
from toolchain.search.space import Space, stages
from toolchain.search.trial import Trial
from toolchain.search_section import SearchConfig, Variable
from toolchain.training_sections import QatConfig

SHARE = Variable(low=0.0, high=0.9)


def space(variables, **base) -> Space:
    return Space(Recipe(**base), variables)


def test_a_point_is_written_into_the_recipe_and_the_base_stays():
    base = Recipe(seed=3, calibrate=CalibrateConfig(observer="mse"), search=SearchConfig())
    here = Space(base, {"calibrate.observer": Variable(choices=("mse", "minmax")),
                        "quantize.rounding": Variable(choices=("nearest", "gptq"))})
    made = here.recipe({"calibrate.observer": "minmax", "quantize.rounding": "gptq"})
    assert made == Recipe(seed=3, calibrate=CalibrateConfig(observer="minmax"),
                          quantize=QuantSpec(rounding="gptq"))
    assert base.calibrate.observer == "mse" and base.search == SearchConfig()


def test_shares_are_of_ops_whose_names_have_dots():
    here = space({"prune.shares.block.0.conv": SHARE, "prune.shares.head": SHARE})
    made = here.recipe({"prune.shares.block.0.conv": 0.25, "prune.shares.head": 0.0})
    assert made.prune == PruneConfig(shares={"block.0.conv": 0.25})
    assert here.recipe({"prune.shares.block.0.conv": 0.0, "prune.shares.head": 0.0}).prune is None


def test_one_variable_sets_several_keys():
    here = space({"early": Variable(low=0.0, high=0.9, of=("prune.shares.a", "prune.shares.b"))})
    assert here.recipe({"early": 0.5}).prune.shares == {"a": 0.5, "b": 0.5}
    assert here.start() == {"early": 0.0}


def test_an_island_of_no_name_is_none():
    here = space({"quantize.islands.stem": Variable(choices=("", "int16"))})
    assert here.recipe({"quantize.islands.stem": "int16"}).quantize.islands == {"stem": "int16"}
    assert here.recipe({"quantize.islands.stem": ""}).quantize.islands == {}


@pytest.mark.parametrize("key, idle, asks", [
    ("prune.ratio", 0.0, 0.5), ("prune.macs", 1.0, 0.5), ("prune.ram", 1.0, 0.5), ("low_rank.macs", 1.0, 0.5),
    ("sparsify.sparsity", 0.0, 0.5), ("cluster.clusters", 0, 16), ("qat.epochs", 0, 2)])
def test_a_section_that_asks_for_nothing_is_left_out(key, idle, asks):
    here = space({key: Variable(choices=(idle, asks))})
    section, field = key.split(".")
    assert getattr(here.recipe({key: idle}), section) is None
    assert getattr(getattr(here.recipe({key: asks}), section), field) == asks


def test_other_keys_of_a_section_that_is_left_out_ask_for_nothing():
    here = space({"prune.ratio": Variable(low=0.0, high=0.9),
                  "prune.importance": Variable(choices=("l1", "l2"))})
    assert here.recipe({"prune.ratio": 0.0, "prune.importance": "l1"}).prune is None
    made = here.recipe({"prune.ratio": 0.5, "prune.importance": "l1"})
    assert made.prune == PruneConfig(ratio=0.5, importance="l1")


def test_a_section_with_nothing_but_settings_still_says_what_it_lacks():
    here = space({"prune.importance": Variable(choices=("l1", "l2"))})
    with pytest.raises(BadConfig, match="has no budget"):
        here.recipe({"prune.importance": "l1"})


def test_epochs_are_those_of_the_rung():
    base = Recipe(train=TrainConfig(epochs=8), qat=QatConfig(epochs=2),
                  search=SearchConfig(rungs=3, reduction=2))
    here = Space(base, {"train.alpha": Variable(choices=(0.0, 0.5))})
    point = {"train.alpha": 0.5}
    made = [here.recipe_of(Trial(number=0, point=point, rung=rung), ()) for rung in range(3)]
    assert [one.train.epochs for one in made] == [2, 4, 8] and all(one.qat for one in made)
    assert all(one.train.alpha == 0.5 for one in made)
    assert here.recipe(point, 0).train is here.recipe(point, 0).qat is None
    untrained = Space(Recipe(search=SearchConfig()), {})
    assert untrained.recipe_of(Trial(number=0, point={}), ()) == Recipe()


def test_the_base_that_trains_for_no_epoch_trains_in_no_trial():
    base = Recipe(train=TrainConfig(epochs=1), qat=QatConfig(epochs=2), search=SearchConfig())
    assert Space(base, {}).epochs == (1,)


def test_values_that_do_not_go_together_are_told_with_the_point():
    here = space({"prune.ratio": Variable(low=0.0, high=2.0)})
    with pytest.raises(BadConfig, match=re.escape("[search] {'prune.ratio': 1.5}: Expected `float` < 1")):
        here.recipe({"prune.ratio": 1.5})
    both = space({"prune.ratio": SHARE, "prune.shares.a": SHARE})
    with pytest.raises(BadConfig, match="shares say how much goes of each group, where ratio would do no"):
        both.recipe({"prune.ratio": 0.5, "prune.shares.a": 0.5})


@pytest.mark.parametrize("key, told", [
    ("prune.ration", "[search] prune.ration: no recipe has the key 'prune.ration': [prune] has ratio, "),
    ("pruning.ratio", "[search] pruning.ratio: no recipe has the key 'pruning.ratio': a section and a key, "
                      'as in "prune.ratio"'),
    ("seed", "[search] seed: no recipe has the key 'seed': a section and a key"),
    ("search.rungs", "[search] search.rungs: no recipe has the key 'search.rungs': a section and a key"),
    ("shapes.x", "[search] shapes.x: no recipe has the key 'shapes.x': a section and a key"),
    ("prune.shares", "[search] prune.shares: 'prune.shares' is a table: name one of its keys"),
    ("prune.ratio.conv", "[search] prune.ratio.conv: 'prune.ratio' is no table"),
    ("train.epochs", "[search] train.epochs: 'train.epochs' says how long the last rung trains, and [search] "
                     "rungs how long the others do")])
def test_a_key_that_cannot_be_varied_is_refused(key, told):
    with pytest.raises(BadConfig, match=f"^{re.escape(told)}"):
        space({key: SHARE})


def test_a_key_that_two_variables_set_is_refused():
    with pytest.raises(BadConfig, match="early: 'prune.shares.a' is what prune.shares.a sets too; name it"):
        space({"prune.shares.a": SHARE, "early": Variable(low=0.0, high=0.9, of=("prune.shares.a",))})


@pytest.mark.parametrize("variable, base, first", [
    (Variable(low=0.1, high=0.9), PruneConfig(ratio=0.5), 0.5),
    (Variable(low=0.6, high=0.9), PruneConfig(ratio=0.5), 0.6),
    (Variable(low=0.1, high=0.4), PruneConfig(ratio=0.5), 0.4),
    (Variable(low=0.1, high=0.4), None, 0.1),
    (Variable(choices=(0.2, 0.5)), PruneConfig(ratio=0.5), 0.5),
    (Variable(choices=(0.2, 0.3)), PruneConfig(ratio=0.5), 0.2)])
def test_it_starts_where_the_base_is_or_next_to_it(variable, base, first):
    assert space({"prune.ratio": variable}, prune=base).start() == {"prune.ratio": first}


def test_it_starts_at_the_low_end_where_the_base_says_no_such_number():
    size, multiple = Variable(low=0.2, high=1.0), Variable(low=4, high=8)
    assert space({"prune.ram": size}, prune=PruneConfig(ram="64kB")).start() == {"prune.ram": 0.2}
    here = space({"prune.channel_multiple": multiple}, prune=PruneConfig(ratio=0.5))
    assert here.start() == {"prune.channel_multiple": 4}


@given(st.integers(0, 40), st.integers(1, 10))
def test_stages_are_all_names_in_order_in_sets_of_about_one_size(count, most):
    names = [str(number) for number in range(count)]
    found = list(stages(names, most))
    assert [name for stage in found for name in stage] == names and len(found) == min(count, most)
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1


# Points that go on from the weights of others ---------------------------------------------------------------

STAGE = {"prune.shares.a": SHARE, "prune.importance": Variable(choices=("l1", "l2")),
         "train.alpha": Variable(choices=(0.0, 0.5))}


def family(**base) -> Space:
    return space(STAGE, **{"train": TrainConfig(epochs=3), "search": SearchConfig(), **base})


def member(number, share, of=None, alpha=0.5) -> Trial:
    point = {"prune.shares.a": share, "prune.importance": "l1", "train.alpha": alpha}
    return Trial(number=number, point=point, of=of)


def test_a_heirs_recipe_has_the_steps_of_its_ancestors():
    here, trials = family(), [member(0, 0.2, alpha=0.0), member(1, 0.0), member(2, 0.4, 0), member(3, 0.4, 2)]
    made = here.recipe_of(trials[3], trials)
    assert [step.prune.shares["a"] for step in made.earlier] == [0.2, 0.4] and made.prune.shares["a"] == 0.4
    assert [step.train.alpha for step in made.earlier] == [0.0, 0.5] and made.train.epochs == 3
    assert here.recipe_of(trials[1], trials).earlier == ()


def test_one_that_is_only_tuned_for_longer_begins_anew():
    here = family(search=SearchConfig(rungs=2))
    again = Trial(number=1, point=member(0, 0.2).point, rung=1, of=0)
    assert here.recipe_of(again, [member(0, 0.2), again]).earlier == ()


def test_weights_are_gone_on_from_where_shares_alone_make_networks_smaller():
    assert family().inherits and space({"train.alpha": STAGE["train.alpha"]}, train=TrainConfig(epochs=3),
                                       search=SearchConfig()).inherits
    assert not family(train=None).inherits and not family(search=SearchConfig(rungs=2)).inherits
    assert not family(low_rank=LowRankConfig(macs=0.5)).inherits
    for other in ("prune.macs", "low_rank.macs", "sparsify.sparsity", "cluster.clusters"):
        assert not space({**STAGE, other: Variable(low=0.2, high=0.9)}, train=TrainConfig(epochs=3),
                         search=SearchConfig()).inherits


def test_widths_are_several_networks():
    with pytest.raises(BadConfig, match=r"\[widths\] makes several networks, and a search weighs recipes"):
        space({"seed": Variable(choices=(1, 2))}, train=TrainConfig(epochs=1),
              widths=WidthsConfig(shares=(1.0, 0.5)))


def test_steps_before_are_no_variables():
    with pytest.raises(BadConfig, match="no recipe has the key 'earlier.train'"):
        space({"earlier.train": Variable(low=1, high=2)})
