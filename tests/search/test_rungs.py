"""Who is tuned for longer."""

from toolchain.search.needs import needs_of
from toolchain.search.rungs import promoted
from toolchain.search.trial import Outcome, Trial

NEEDS = needs_of(("ram<=100", "accuracy_drop<=1"), (), "instructions")


def trial(number, instructions, drop=0.0, ram=50.0, rung=0, of=None):
    figures = {"instructions": float(instructions), "accuracy_drop": drop, "ram": ram}
    return Trial(number=number, point={"x": number}, rung=rung, of=of, outcome=Outcome(figures=figures))


def test_nobody_goes_on_before_there_are_enough():
    assert promoted([], NEEDS, 3, 2) is None
    assert promoted([trial(0, 5)], NEEDS, 3, 2) is None
    assert promoted([trial(0, 5), trial(1, 4)], NEEDS, 3, 2).number == 1
    assert promoted([trial(0, 5), trial(1, 4)], NEEDS, 3, 3) is None


def test_the_last_rung_ends_it():
    assert promoted([trial(0, 5), trial(1, 4)], NEEDS, 1, 2) is None
    assert promoted([trial(0, 5, rung=2), trial(1, 4, rung=2)], NEEDS, 3, 2) is None


def test_each_goes_on_once_and_the_next_best_when_more_came():
    here = [trial(0, 4), trial(1, 5), trial(2, 4, rung=1, of=0)]
    assert promoted(here, NEEDS, 3, 2) is None
    here += [trial(3, 6), trial(4, 7)]
    assert promoted(here, NEEDS, 3, 2).number == 1


def test_one_that_is_under_way_counts_as_gone():
    asked = Trial(number=2, point={"x": 0}, rung=1, of=0, state="runs")
    assert promoted([trial(0, 4), trial(1, 5), asked], NEEDS, 3, 2) is None


def test_higher_rungs_are_first():
    here = [trial(number, 10 - number) for number in range(4)]
    here += [trial(4, 7, rung=1, of=3), trial(5, 8, rung=1, of=2)]
    assert promoted(here, NEEDS, 3, 2).number == 4


def test_what_breaks_a_limit_on_costs_does_not_go_on_and_a_drop_that_training_may_mend_does():
    here = [trial(0, 1, ram=101.0), trial(1, 2, drop=3.0), trial(2, 3, drop=5.0)]
    assert promoted(here, NEEDS, 3, 2).number == 1
    assert promoted([trial(0, 1, ram=101.0), trial(1, 2)], NEEDS, 3, 2) is None


def test_what_was_not_judged_or_not_built_does_not_count():
    spared = Trial(number=0, point={}, outcome=Outcome(figures={"instructions": 1.0, "ram": 5.0}))
    refused = Trial(number=1, point={}, outcome=Outcome(refused="no"))
    waits = Trial(number=2, point={}, state="waits")
    assert promoted([spared, refused, waits, trial(3, 4)], NEEDS, 3, 2) is None


def test_within_a_budget_a_rung_is_filled_before_the_next():
    """Of seven trials four are new, two of these go on, and one of these."""
    here = [trial(number, 10 - number) for number in range(3)]
    assert promoted(here, NEEDS, 3, 2, budget=7) is None
    for rung, of, number in ((0, None, 3), (1, 3, 4), (1, 2, 5), (2, 4, 6)):
        if rung:
            best = promoted(here, NEEDS, 3, 2, budget=7)
            assert (best.rung + 1, best.number) == (rung, of)
        here.append(trial(number, 10 - number if of is None else 10 - of, rung=rung, of=of))
    assert promoted(here, NEEDS, 3, 2, budget=7) is None


def test_a_budget_that_grew_is_filled_from_below():
    here = [trial(number, 10 - number) for number in range(4)] + [trial(4, 7, rung=1, of=3)]
    assert promoted(here, NEEDS, 3, 2, budget=7).number == 2
    assert promoted(here, NEEDS, 3, 2, budget=14) is None
