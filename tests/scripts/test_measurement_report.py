"""What the benchmark of comparisons promises, and how it goes on where it ended."""

from benchmark_measurement import LAYERS, MORE_LAYERS, missing, network
from measurement_report import KINDS, Outcome, Pair, page, shortcomings
import numpy as np
import pytest

from toolchain.comparison import Comparison
from toolchain.ir.ops import graph_macs
from toolchain.runtime import reference

WANTED = {name: kind.comparisons for name, kind in KINDS.items()}


def outcomes(kind: str, verdicts: list[str]) -> list[Outcome]:
    return [Outcome(Pair(kind, number), 4.0, None if verdict == "invalid" else compared(verdict),
                    ("other programs took the CPU: the run had 50% of it",) if verdict == "invalid" else (),
                    compared(KINDS[kind].right) if verdict == "invalid" else None)
            for number, verdict in enumerate(verdicts)]


def compared(verdict: str) -> Comparison:
    ratio = {"slower": 1.1, "faster": 0.9}.get(verdict, 1.0)
    return Comparison(ratio=ratio, low=ratio - 0.01, high=ratio + 0.01, p=0.5, verdict=verdict, least=0.012,
                      processes=10, alpha=0.01, power=0.95)


def found(false_alarms=3, missed=3, valid_disturbed=0, invalid=7) -> list[Outcome]:
    none = "no difference told"
    equal = ["slower"] * false_alarms + [none] * (100 - false_alarms)
    beside = ["invalid"] * (20 - valid_disturbed) + [none] * valid_disturbed
    return [*outcomes("equal", ["invalid"] * invalid + equal),
            *outcomes("more", ["slower"] * (100 - missed) + [none] * missed),
            *outcomes("equal, disturbed", beside),
            *outcomes("more, disturbed", ["invalid"] * 20)]


def test_bounds_that_hold():
    assert shortcomings(found(), WANTED) == []


@pytest.mark.parametrize("facts, line", [
    ({"false_alarms": 4}, "equal: 96 of 100 valid comparisons say 'no difference told', 97% must"),
    ({"missed": 4}, "more: 96 of 100 valid comparisons say 'slower', 97% must"),
    ({"valid_disturbed": 1}, "equal, disturbed: 1 disturbed comparisons were valid, none may be")])
def test_bounds_that_are_missed(facts, line):
    assert shortcomings(found(**facts), WANTED) == [line]


def test_too_few_valid_comparisons_prove_nothing():
    few = [*outcomes("equal", ["invalid"] * 300), *found()[107:]]
    assert shortcomings(few, WANTED) == [
        "equal: 0 valid comparisons of 300 begun, 100 are needed; measure on a quieter machine"]
    assert missing(few, WANTED) is None


def test_a_rerun_goes_on_with_what_is_missing():
    assert missing([], WANTED) == Pair("equal", 0)
    assert missing(found(), WANTED) is None
    assert missing(found()[:-1], WANTED) == Pair("more, disturbed", 19)
    assert missing(found()[1:107], WANTED) == Pair("more", 0)


def test_the_page_counts_what_was_said():
    text = page(found(), 2_560_000, 2_816_000)
    assert "| the same network twice | 107 | 100 | 97 | 3 | 0 | 7 | 7 |" in text and "10.0% more" in text
    assert "| 22 layers against 20 | 1.0970 |" in text and "- other programs took the CPU: 47 times" in text


def test_the_regression_is_a_tenth():
    assert graph_macs(network(MORE_LAYERS)) * LAYERS == graph_macs(network(LAYERS)) * MORE_LAYERS
    assert MORE_LAYERS * 10 == LAYERS * 11
    y = reference.run(network(LAYERS), {"x": np.ones((1, 25, 5, 32), np.float32)})
    assert all(np.isfinite(value).all() and np.abs(value).max() > 1e-30 for value in y.values())
