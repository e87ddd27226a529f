"""Which of what was tried to go on from."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from toolchain.search.answer import objectives
from toolchain.search.best import best_of, hopeful
from toolchain.search.front import ranked
from toolchain.search.needs import MOST_LOST, needs_of
from toolchain.search.trial import Outcome, Trial

NEEDS = needs_of(("ram<=100",), (), "instructions")


def trial(number, instructions, drop, ram=50.0):
    figures = {"instructions": float(instructions), "accuracy_drop": drop, "ram": ram}
    return Trial(number=number, point={}, outcome=Outcome(figures=figures))


def numbers(trials):
    return [each.number for each in trials]


def test_hopeful_is_what_was_judged_and_keeps_the_limits_that_training_does_not_mend():
    spared = Trial(number=0, point={}, outcome=Outcome(figures={"instructions": 1.0, "ram": 5.0}))
    waits = Trial(number=1, point={}, state="waits")
    limited = needs_of(("ram<=100", "accuracy_drop<=1"), (), "instructions")
    here = [spared, waits, trial(2, 1, 50.0), trial(3, 1, 0.0, ram=100.5), trial(4, 9, 0.0)]
    assert numbers(hopeful(here, limited)) == [2, 4]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["", "ram<=100", "instructions<=60", "accuracy_drop<=1"]),
       st.integers(1, 12))
def test_the_best_are_ranked_of_what_breaks_no_limit(seed, limit, count):
    """Each limit and each figure looked at by itself."""
    random, needs = np.random.default_rng(seed), needs_of((limit,) if limit else (), (), "instructions")
    here = [trial(number, 100 * random.random(), 6 * random.random(), ram=200 * random.random())
            for number in range(30)]
    for number in random.choice(30, 9, replace=False):
        kept = [name for name in here[number].outcome.figures if random.random() < 0.6]
        figures = {name: here[number].outcome.figures[name] for name in kept}
        here[number] = Trial(number=number, point={}, outcome=Outcome(figures=figures))
    sound = [each for each in here if {"instructions", "accuracy_drop"} <= each.outcome.figures.keys()
             and not any(share > 0 for name, share in needs.violations(each.outcome.figures).items()
                         if name != "accuracy_drop")]
    assert hopeful(here, needs) == sound
    useful = [each for each in sound if each.outcome.figures["accuracy_drop"] <= needs.most_lost]
    if useful:
        order = ranked([objectives(each, needs) for each in useful], count)
        assert best_of(here, needs, count) == [useful[number] for number in order]


def test_what_knows_nothing_is_not_gone_on_from_where_anything_knows_more():
    lost = [trial(number, 10 - number, MOST_LOST + 10 - number) for number in range(5)]
    good = [trial(8, 50, 0.0), trial(9, 60, MOST_LOST)]
    assert numbers(best_of([*lost, *good], NEEDS, 3)) == [8, 9]
    assert numbers(best_of(lost, NEEDS, 2)) == [4, 3]


def test_a_limit_on_accuracy_says_what_is_worth_nothing():
    assert NEEDS.most_lost == MOST_LOST
    assert needs_of(("accuracy_drop<=1.5",), (), "ram").most_lost == 3
