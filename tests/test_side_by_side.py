"""Which of networks side by side are levels; what becomes of them, test_levelling and test_widths tell."""

from toolchain.adaptive.report import Share
from toolchain.side_by_side import Candidate, OwnCost, worth_it


def figures(name: str, cost: int, value: float) -> Candidate:
    return Candidate(name, 0, OwnCost(cost, "MACs"), Share(value, 0.01, 100), Share(value, 0.01, 100))


def test_of_equals_the_better_or_the_cheaper_stays():
    kept, left_out = worth_it([figures("a", 5, 0.6), figures("b", 5, 0.7), figures("c", 9, 0.7),
                               figures("d", 9, 0.9), figures("e", 20, 0.8)])
    assert [each.name for each in kept] == ["b", "d"]
    assert [line.split()[0] for line in left_out] == ["a", "c", "e"]
