"""Which ops become what: a budget is kept, at little more than the best choice there is."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from toolchain.ir.ops import make
from toolchain.prune.ranks import Choice, Option, choose


def choice(name, cost, options):
    op = make("relu", ["x"], name)
    return Choice(op, cost, {}, np.zeros(0), tuple(Option("channel", n, *pair) for n, pair in
                                                   enumerate(options, 1)))


def found(choices, excess):
    taken = choose(choices, excess)
    return taken and {name: option.rank for name, option in taken.items()}


def test_what_loses_least_for_what_it_saves_goes_first():
    choices = [choice("a", 10, [(5, 1.0), (2, 5.0)]), choice("b", 10, [(6, 0.1)])]
    assert found(choices, 0) == {}
    assert found(choices, 1) == {"b": 1}
    assert found(choices, 9) == {"a": 1, "b": 1}
    assert found(choices, 12) == {"a": 2, "b": 1}
    assert found(choices, 13) is None


def test_the_last_step_is_no_longer_than_needed():
    """(8, 0.5) lies above the hull from (10, 0) to (2, 1), and is enough."""
    assert found([choice("a", 10, [(8, 0.5), (2, 1.0)])], 2) == {"a": 1}


OPTIONS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(ops=st.lists(OPTIONS, min_size=1, max_size=4), excess=st.integers(1, 30))
def test_beside_all_choices_there_are(ops, excess):
    """By brute force: a budget is kept where it can be, and at no more than the best choice plus the largest
    single loss, as greedy knapsacks do."""
    choices = [choice(str(n), 10, options) for n, options in enumerate(ops)]
    taken = choose(choices, excess)
    every = [sum(loss for _, loss in picked) for picked in
             product(*([(10, 0), *options] for options in ops))
             if sum(10 - cost for cost, _ in picked) >= excess]
    assert (taken is None) == (not every)
    if every:
        assert sum(10 - option.cost for option in taken.values()) >= excess
        largest = max(loss for options in ops for _, loss in options)
        assert sum(option.loss for option in taken.values()) <= min(every) + largest
