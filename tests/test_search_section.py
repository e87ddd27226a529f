"""[search] of a recipe."""

import re

import pytest

from toolchain.errors import BadConfig
from toolchain.recipe import Recipe, load_recipe
from toolchain.search_section import SearchConfig, Variable


def written(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return load_recipe(path)


def test_a_list_is_choices_and_a_table_a_range(tmp_path):
    recipe = written(tmp_path, '[search]\nsampler = "nsga2"\n[search.vary]\n'
                               '"calibrate.observer" = ["mse", "minmax"]\n'
                               '"prune.ratio" = {low = 0.0, high = 0.9}\n'
                               'rate = {low = 1e-4, high = 1e-2, log = true, of = ["train.learning_rate"]}\n')
    assert recipe.search.sampler == "nsga2" and recipe.search.variables == {
        "calibrate.observer": Variable(choices=("mse", "minmax")), "prune.ratio": Variable(low=0.0, high=0.9),
        "rate": Variable(low=1e-4, high=1e-2, log=True, of=("train.learning_rate",))}


def test_whole_numbers_are_those_between_whole_ends():
    assert Variable(low=1, high=4).whole and not Variable(low=1, high=4.0).whole


@pytest.mark.parametrize("given, told", [
    ({}, "a variable has either `choices`, or both `low` and `high`"),
    ({"choices": (1,), "low": 0, "high": 2}, "a variable has either `choices`, or both `low` and `high`"),
    ({"low": 1}, "a variable has either `choices`, or both `low` and `high`"),
    ({"high": 1}, "a variable has either `choices`, or both `low` and `high`"),
    ({"low": 2, "high": 2}, "low = 2 must be below high = 2"),
    ({"low": 0, "high": 2, "log": True}, "log = true is for a range of numbers above 0"),
    ({"choices": (1, 2), "log": True}, "log = true is for a range of numbers above 0"),
    ({"choices": ("a", "b", "a")}, "choices have a twice; name it once")])
def test_what_is_no_variable_is_refused(given, told):
    with pytest.raises(BadConfig, match=f"^{re.escape(told)}$"):
        Variable(**given)


def test_a_list_that_is_none_is_refused_when_it_is_read(tmp_path):
    with pytest.raises(BadConfig, match="recipe.toml: .*vary.prune.ratio: a variable has either `choices`"):
        written(tmp_path, '[search.vary]\n"prune.ratio" = []\n')


def test_a_key_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="unknown key 'search.samplers'; did you mean 'search.sampler'"):
        written(tmp_path, '[search]\nsamplers = "tpe"\n')


@pytest.mark.parametrize("rungs, reduction, full, epochs", [
    (3, 2, 8, (2, 4, 8)), (1, 2, 8, (8,)), (3, 4, 8, (1, 2, 8)), (6, 2, 3, (1, 2, 3)), (3, 2, 1, (1,)),
    (3, 2, 0, (0,))])
def test_rungs_end_with_all_epochs_and_none_is_shorter_than_one(rungs, reduction, full, epochs):
    found = SearchConfig(rungs=rungs, reduction=reduction).epochs(full)
    assert found == epochs


def test_how_a_recipe_is_searched_is_no_part_of_what_it_builds():
    assert Recipe(search=SearchConfig(sampler="random")).digest == Recipe().digest
