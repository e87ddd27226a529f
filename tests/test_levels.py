"""Which level a budget pays for."""

from hypothesis import given
from hypothesis import strategies as st
import msgspec
import pytest

from toolchain.levels import MOST, NONE, Levels

COSTS = st.lists(st.integers(0, MOST), min_size=1, max_size=8).map(sorted)


@given(COSTS, st.integers(-2**63, 2**63 - 1))
def test_the_last_that_the_budget_pays_for(costs, budget):
    level = Levels(tuple(costs), "instructions").within(budget)
    assert NONE <= level < len(costs)
    assert level == NONE or costs[level] <= budget
    assert all(cost > budget for cost in costs[level + 1:])


@given(COSTS)
def test_each_level_is_what_its_own_cost_pays_for(costs):
    levels = Levels(tuple(sorted(set(costs))), "MACs")
    assert [levels.within(cost) for cost in levels.costs] == [*range(len(levels.costs))]
    assert levels.within(levels.costs[0] - 1) == NONE


@pytest.mark.parametrize("cost", [-1, MOST + 1, 0.5])
def test_costs_are_whole_numbers_that_c_holds(cost):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"costs": [cost], "unit": "MACs"}, Levels)


def test_units_are_those_that_are_told():
    with pytest.raises(msgspec.ValidationError, match="unit"):
        msgspec.convert({"costs": [1], "unit": "joules"}, Levels)
