"""What a search has found, in words."""

from hypothesis import given
from hypothesis import strategies as st
import msgspec

from toolchain.search.answer import bindings, feasible, front_of, judged, nearest_miss, recommended
from toolchain.search.front import dominates
from toolchain.search.needs import needs_of
from toolchain.search.trial import Outcome, Trial

FREE = needs_of((), (), "instructions")


def trials(*figures, names=("instructions", "accuracy_drop", "ram")) -> list[Trial]:
    return [Trial(number=number, point={}, outcome=Outcome(figures=dict(zip(names, map(float, row)))))
            for number, row in enumerate(figures)]


def test_the_front_is_of_those_that_keep_all_limits():
    found = trials((10, 5, 7), (20, 2, 9), (30, 3, 1), (40, 1, 20))
    needs = needs_of(("ram<=10",), (), "instructions")
    assert [trial.number for trial in feasible(found, needs)] == [0, 1, 2]
    assert [trial.number for trial in front_of(found, needs)] == [0, 1]
    assert [trial.number for trial in front_of(found, FREE)] == [0, 1, 3]


def test_what_lacks_a_figure_or_is_not_done_is_in_no_front():
    found = [*trials((10, 5)), Trial(number=1, point={}, outcome=Outcome(figures={"instructions": 1.0})),
             Trial(number=2, point={}, outcome=Outcome(refused="no")),
             Trial(number=3, point={}, state="runs")]
    assert judged(found, FREE) == front_of(found, FREE) == found[:1]


def test_with_a_limit_on_accuracy_the_cheapest_is_recommended():
    found = trials((10, 5), (20, 1), (25, 0.9), (30, 0))
    best = recommended(found, needs_of(("accuracy_drop<=1.0",), (), "instructions"))
    assert best.number == 1
    assert best.reason == "the least instructions of what keeps all limits (accuracy_drop <= 1: 1)"


def test_with_a_limit_on_the_cost_the_most_accurate_is_recommended():
    found = trials((10, 5), (20, 1), (25, 0.9), (30, 0))
    best = recommended(found, needs_of(("instructions<=26",), (), "instructions"))
    assert best.number == 2 and best.reason.startswith("the least accuracy_drop of what keeps all limits")


def test_with_limits_on_all_the_first_objective_is_least():
    found = trials((10, 5), (20, 1), (25, 0.9))
    both = needs_of(("instructions<=26", "accuracy_drop<=2"), (), "instructions")
    assert recommended(found, both).number == 1


def test_without_limits_where_the_front_bends():
    found = trials((100, 0), (50, 0.5), (40, 1), (35, 10), (36, 9))
    best = recommended(found, FREE)
    assert best.number == 2 and "where the front bends" in best.reason
    assert recommended(trials((10, 1)), FREE).number == 0


def test_where_nothing_keeps_all_limits_there_is_none_and_the_nearest_miss():
    needs = needs_of(("instructions<=10", "ram<=10"), (), "instructions")
    found = trials((11, 0, 30), (14, 0, 13), (9, 0, 15))
    assert recommended(found, needs) is None and bindings(found, needs) == []
    assert nearest_miss(found, needs).number == 1


def test_the_nearest_miss_was_judged_where_any_was():
    needs = needs_of(("instructions<=10",), (), "instructions")
    spared = Trial(number=0, point={}, outcome=Outcome(figures={"instructions": 10.5}))
    refused = Trial(number=1, point={}, outcome=Outcome(refused="no"))
    whole = msgspec.structs.replace(trials((20, 0))[0], number=2)
    assert nearest_miss([refused, spared, whole], needs).number == 2
    assert nearest_miss([refused, spared], needs).number == 0
    assert nearest_miss([refused], needs).number == 1
    assert nearest_miss([], needs) is None


def test_a_limit_that_binds_says_what_a_tenth_more_would_buy():
    needs = needs_of(("ram<=1000", "accuracy_drop<=1.0"), (), "instructions")
    found = trials((5_000, 0.5, 900), (4_000, 1.05, 800), (3_000, 0.9, 1_100), (2_000, 0.1, 1_101))
    ram, drop = bindings(found, needs)
    assert (ram.objective, ram.now, ram.relaxed) == ("instructions", 5_000, 3_000)
    assert str(ram) == "ram <= 1,000 binds: with 10 % more, instructions would be 3,000 instead of 5,000"
    assert (drop.now, drop.relaxed) == (5_000, 4_000)


def test_a_limit_that_does_not_bind_says_so():
    needs = needs_of(("ram<=1000",), (), "instructions")
    assert str(bindings(trials((5, 0.5, 900), (7, 0, 1_050)), needs)[0]) == (
        "ram <= 1,000 does not bind: 10 % more would buy nothing that was seen")


def test_relaxing_the_objective_itself_is_told_by_the_other():
    needs = needs_of(("instructions<=10",), (), "instructions")
    found = bindings(trials((9, 4), (10.5, 1)), needs)[0]
    assert (found.objective, found.now, found.relaxed) == ("accuracy_drop", 4, 1)


FIGURES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9)), max_size=8)


@given(FIGURES, st.sampled_from([(), ("ram<=5",), ("accuracy_drop<=4",), ("ram<=5", "instructions<=4")]))
def test_what_is_recommended_keeps_all_limits_and_nothing_that_does_is_better(rows, limits):
    needs, found = needs_of(limits, (), "instructions"), trials(*rows)
    best = recommended(found, needs)
    kept = [row for row in rows if needs.hold(dict(zip(("instructions", "accuracy_drop", "ram"), row)))]
    assert (best is None) == (not kept)
    if best:
        assert rows[best.number] in kept
        assert not any(dominates(row[:2], rows[best.number][:2]) for row in kept)
