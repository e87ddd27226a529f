"""The search benchmark's page and bounds, of figures that are made up."""

from figures import Conditions
import pytest
from search_judgement import Found, missed, shortcomings
from search_report import page
from search_runs import GRID, OURS, RANDOM, Searched, Task, methods, shaping

PLAIN = (1000.0, 10.0, 20.0, 0.1, 0.2)


def searched(method: str, cost: float, lost: float, tested: float, network: str = "watch") -> Searched:
    """A search that found one network."""
    return Searched(key=f"{method}{network}", task=Task(network, method, 0, 60, 4), plain=PLAIN,
                    tried=((cost, lost),), front=((cost, lost, tested, 0.5),), spared=1, refused=0, epochs=8,
                    n=(200, 300))


def told(*searches: Searched) -> list:
    return [*searches, Conditions(key="said", said="today.")]


GOOD = searched(OURS, 200.0, 1.0, 0.5), searched(RANDOM, 500.0, 1.0, 1.0), searched(GRID, 500.0, 1.0, 1.0)


def test_bounds_that_hold():
    assert not [*missed(Found.of(told(*GOOD)))]
    text = page(told(*GOOD))
    assert "All hold, on test samples." in text and "Less than" not in text
    assert "| random search | 1.15 | 1.80 | 1.69 | 1.64 | 1.60 | 1.60 | 1.60 |" in text
    assert "| edge search | 5.00x | 8 | 1.0 | 0 |" in text


@pytest.mark.parametrize("lost, tested, line", [
    (1.0, 3.0, "watch: 0.80 of the hypervolume of random search on test samples; asked for 1.15"),
    (4.0, 0.5, "")])
def test_a_bound_is_held_on_test_samples_and_what_is_less_on_selection_samples_is_told(lost, tested, line):
    found = told(searched(OURS, 200.0, lost, tested), *GOOD[1:])
    lines = [*missed(Found.of(found))]
    assert lines[:1] == ([line] if line else [])
    less = "selection samples, on which no bound is held:\n\n- watch: 0.40 of the hypervolume of random"
    assert (less in page(found)) == (not line)


def test_a_search_that_saves_too_little_is_told():
    found = told(searched(OURS, 700.0, 0.0, 0.0), *GOOD[1:])
    assert missed_last(found) == "watch: 1.43x fewer instructions at 1 points; asked for 1.5x"
    assert shortcomings(found, quick=True) == []


def missed_last(found: list) -> str:
    return [*missed(Found.of(found))][-1]


def test_only_what_proposes_points_depends_on_how_they_are_proposed():
    own, other = shaping(OURS), shaping(GRID)
    assert {*own} > {*other} and "toolchain/searching.py" in {*own} - {*other}
    assert len(methods("watch")) == 4 and len(methods("resnet8")) == 3
