"""Points by small changes of the best."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from toolchain.recipe import Recipe, TrainConfig
from toolchain.search.evolution import CHILDREN, FOUNDERS, PARENTS, Child, child
from toolchain.search.needs import needs_of
from toolchain.search.space import Space
from toolchain.search.trial import Outcome, Trial
from toolchain.search_section import SearchConfig, Variable

NEEDS = needs_of(("ram<=100",), (), "instructions")
VARIABLES = {"prune.shares.a": Variable(low=0.0, high=0.9), "prune.shares.b": Variable(low=0.0, high=0.8),
             "train.learning_rate": Variable(low=1e-4, high=1.0, log=True),
             "train.batch_size": Variable(low=1, high=9), "scale.resolution": Variable(choices=(1.0, 0.7))}
POINT = {"prune.shares.a": 0.4, "prune.shares.b": 0.4, "train.learning_rate": 0.01, "train.batch_size": 5,
         "scale.resolution": 1.0}


def trial(number, instructions, drop, ram=50.0, **point) -> Trial:
    figures = {"instructions": float(instructions), "accuracy_drop": drop, "ram": ram}
    return Trial(number=number, point=POINT | point, outcome=Outcome(figures=figures))


def founders(**point) -> list[Trial]:
    return [trial(number, 10 - number, number, **point) for number in range(FOUNDERS)]


def space(inherits, variables=None) -> Space:
    train = TrainConfig(epochs=1) if inherits else None
    return Space(Recipe(train=train, search=SearchConfig()), variables or VARIABLES)


def children(trials, inherits=False, count=400, variables=None) -> list:
    random, here = np.random.default_rng(0), space(inherits, variables)
    return [child(trials, here, NEEDS, random) for _ in range(count)]


def column(found, name) -> np.ndarray:
    return np.array([each.point[name] for each in found])


def test_there_are_none_of_too_few_or_of_what_breaks_a_limit():
    assert children(founders()[1:], count=1) == [None]
    assert children([trial(number, 5, 1.0, ram=101.0) for number in range(20)], count=1) == [None]
    assert children(founders(), count=1) != [None]


@given(st.floats(0.0, 0.8), st.floats(1e-4, 1.0), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_they_stay_within_their_ranges(share, rate, steps, inherits, seed):
    point = {"prune.shares.a": share, "prune.shares.b": share, "train.learning_rate": rate,
             "train.batch_size": steps}
    found = child(founders(**point), space(inherits), NEEDS, np.random.default_rng(seed)).point
    assert found.keys() == VARIABLES.keys() and isinstance(found["train.batch_size"], int)
    assert found["scale.resolution"] in (1.0, 0.7)
    for name, variable in VARIABLES.items():
        assert not variable.is_range or variable.low <= found[name] <= variable.high
    assert not inherits or min(found["prune.shares.a"], found["prune.shares.b"]) >= share


def test_parents_are_at_the_front():
    bad = [trial(20 + number, 100, 9.0, **{"train.batch_size": 1}) for number in range(30)]
    here = [*(trial(number, 10 - number, number) for number in range(PARENTS)), *bad]
    steps = column(children(here), "train.batch_size")
    assert np.mean(np.abs(steps - 5) <= 2) > 0.8 and np.mean(steps == 5) > 0.5
    assert {each.of for each in children(here, inherits=True)}  == set(range(PARENTS))


def test_a_parent_has_so_many_children_and_no_more():
    here, found = space(inherits=True), founders()
    poor = Outcome(figures={"instructions": 10.0, "accuracy_drop": 7.9, "ram": 50.0})
    for number in range(FOUNDERS, 60):
        born = child(found, here, NEEDS, np.random.default_rng(number))
        found.append(Trial(number=number, point=born.point, of=born.of, outcome=poor))
    assert max(Counter(each.of for each in found[FOUNDERS:]).values()) == CHILDREN


def test_of_numbers_some_stay_and_of_choices_most():
    found = children(founders())
    assert 0.5 < np.mean(column(found, "train.learning_rate") == 0.01) < 0.7
    assert 0.85 < np.mean(column(found, "scale.resolution") == 1.0) < 0.98


def test_ranges_of_logarithms_are_walked_in_factors():
    rates = np.log(column(children(founders()), "train.learning_rate")) - np.log(0.01)
    moved = rates[np.abs(rates) > 1e-9]
    assert abs(np.mean(moved)) < 0.3 and 0.6 < np.std(moved) / (0.25 * np.log(1e4)) < 1.1


def test_stages_mostly_go_together_and_nothing_else_with_them():
    found = children(founders())
    first, second = (column(found, f"prune.shares.{name}") - 0.4 for name in "ab")
    assert np.corrcoef(first, second)[0, 1] > 0.3 and not np.allclose(first, second) and (first < 0).any()
    assert abs(np.corrcoef(first, np.log(column(found, "train.learning_rate")))[0, 1]) < 0.2


def test_heirs_lose_channels_or_are_trained_for_longer():
    found = children(founders(), inherits=True)
    first, second = (column(found, f"prune.shares.{name}") - 0.4 for name in "ab")
    assert min(first.min(), second.min()) == 0 and max(first.max(), second.max()) > 0.1
    assert 0.35 < np.mean((first == 0) & (second == 0)) < 0.47


def test_heirs_stay_at_their_resolution():
    found = children(founders(), inherits=True)
    assert all(each.of is not None and each.point["scale.resolution"] == 1.0 for each in found)
    assert all(each.of is None for each in children(founders()))
    assert {each.point["scale.resolution"] for each in children(founders())} == {1.0, 0.7}


def test_choices_and_names_of_ones_own_are_shares_too():
    variables = {"prune.shares.a": Variable(choices=(0.0, 0.4, 0.8)),
                 "rest": Variable(low=0.0, high=0.9, of=("prune.shares.b", "prune.shares.c")),
                 "size": Variable(choices=(1.0, 0.7), of=("scale.resolution",))}
    point = {"prune.shares.a": 0.4, "rest": 0.5, "size": 0.7}
    here = [Trial(number=number, point=point, outcome=one.outcome) for number, one in enumerate(founders())]
    assert {each.point["prune.shares.a"] for each in children(here, variables=variables)} == {0, 0.4, 0.8}
    heirs = children(here, inherits=True, variables=variables)
    assert {each.point["prune.shares.a"] for each in heirs} == {0.4, 0.8}
    assert column(heirs, "rest").min() == 0.5 < column(heirs, "rest").max()
    assert {each.point["size"] for each in heirs} == {0.7}


def test_nothing_is_tried_twice():
    """Of one variable with two choices there are few children."""
    few, random = {"train.alpha": Variable(choices=(0.0, 0.5))}, np.random.default_rng(0)
    here = [Trial(number=number, point={"train.alpha": alpha}, outcome=founders()[number].outcome)
            for number, alpha in enumerate((0.0,) * FOUNDERS)]
    found = child(here, space(False, few), NEEDS, random)
    assert found == Child({"train.alpha": 0.5}, None)
    both = [*here, Trial(number=FOUNDERS, point=found.point, outcome=here[0].outcome)]
    assert child(both, space(False, few), NEEDS, random) is None
    assert child(both, space(True, few), NEEDS, random).of is not None
