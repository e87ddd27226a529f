"""Figures of the pruning benchmark: kept, judged, told."""

from itertools import product

from figures import Conditions, Kept, packed
import numpy as np
from pruning_figures import (
    ON_HOST,
    OURS,
    SHARES,
    UNPRUNED,
    Cell,
    Correlated,
    Deployed,
    Failed,
    Measured,
    Timed,
    Tuned,
)
from pruning_judgement import Found, points, shortcomings
from pruning_report import page
import pytest

N, SEEDS = 1000, (0, 1, 2)
THEIR_BEST, THEIR_WORST = "Torch-Pruning, magnitude", "Torch-Pruning, LAMP"


def tuned(side: str, share: float, seed: int, right: int) -> Tuned:
    """The first `right` of N samples are right."""
    cell, hits = Cell("net", side, share, seed), np.arange(N) < right
    return Tuned(key=f"tuned {cell.text}", seconds=60.0, cell=cell, macs=(1000, int(1000 * share)),
                 parameters=10, selection=0.9, test=right / N, hits=packed(hits), n=N, graph="g")


def deployed(side: str, share: float, seed: int, right: int, instructions: int) -> Deployed:
    cell = Cell("net", side, share, seed)
    return Deployed(key=f"deployed {cell.text}", cell=cell, test=right / N, file="f", file_bytes=5, flash=4,
                    ram=3, instructions=instructions)


def timed(side: str, share: float, ratio: float) -> Timed:
    cell = Cell("net", side, share, 0)
    return Timed(key=f"timed {cell.text}", cell=cell, ms=(ratio, 1.0), ratio=ratio, lowest=ratio,
                 highest=ratio)


def figures(ours: int = 905, whole: int = 910, instructions: int = 550, host: float = 0.55) -> list:
    """One network: ours, two of theirs (895 and 800 right), at every share and seed."""
    found = [Conditions(key="said", said="today."),
             Correlated(key="ranks", network="net", ranks={"taylor": (0.9, 0.8, 0.7, 0.6)})]
    for seed in SEEDS:
        found += [tuned(UNPRUNED, 1.0, seed, whole), deployed(UNPRUNED, 1.0, seed, whole, 1000)]
    for share, seed in product(SHARES, SEEDS):
        scale = share / SHARES[0]
        found += [tuned(OURS, share, seed, ours), tuned(THEIR_BEST, share, seed, 895),
                  tuned(THEIR_WORST, share, seed, 800), tuned(ON_HOST, share, seed, ours),
                  deployed(OURS, share, seed, ours - 2, int(instructions * scale))]
    for share in SHARES:
        found += [deployed(ON_HOST, share, 0, ours, 500), timed(OURS, share, 0.9),
                  timed(ON_HOST, share, host * share / SHARES[0])]
    return found


def test_ours_is_held_against_the_best_of_theirs():
    half, quarter = points(Found.of(figures()))
    assert (half.share, quarter.share) == SHARES
    assert half.best == THEIR_BEST and not half.worse
    assert half.drop == pytest.approx(0.5) and half.best_drop == pytest.approx(1.5)
    assert (half.test.only_first, half.test.only_second) == (30, 0)


def test_nothing_falls_short_of_good_figures():
    assert shortcomings(figures()) == []


@pytest.mark.parametrize("change, told", [
    (dict(ours=880, whole=890), "p = 0.000"),
    (dict(ours=899), "drop 1.10 points (at most 1.0)"),
    (dict(ours=894, whole=900), "on average not better"),
    (dict(instructions=700), "1.43x on cortex_m4_qemu (at least 1.60x)"),
    (dict(host=0.7), "1.43x on host (at least 1.60x)"),
    (dict(ours=896), "2x and INT8 lose 1.60 points (at most 1.5)"),
])
def test_each_bound_is_told(change: dict, told: str):
    assert any(told in line for line in shortcomings(figures(**change)))


def test_a_quick_run_is_held_to_its_answers_and_tells_the_rest():
    found = figures(host=0.7)
    assert shortcomings(found, quick=True) == []
    assert "net, ours, for the host, 0.5 of the MACs, seed 0: 1.43x on host (at least 1.60x)" in page(found)
    assert any("p = 0.000" in line for line in shortcomings(figures(ours=880, whole=890), quick=True))


def test_our_failure_is_a_shortcoming_and_theirs_is_none():
    mine, theirs = (Failed(key=side, cell=Cell("net", side, 0.5, 0), why="no room")
                    for side in (OURS, THEIR_BEST))
    without = [f for f in figures() if not (isinstance(f, Tuned) and f.cell.side == THEIR_BEST)]
    assert any("no room" in line for line in shortcomings([*figures(), mine]))
    assert shortcomings([*without, theirs]) == []
    text = page([*without, theirs])
    assert "no room" in text and "| Torch-Pruning, magnitude | does not run |" in text


def test_the_page_has_every_figure():
    text = page(figures())
    for told in ("today.", "91.00 ± 0.00 % unpruned, n = 1000 x 3", "| net, 2x fewer MACs | 0.50 | 1.50",
                 "| **ours** | 50.0% | 0.50 ± 0.00 |", "**1.82x**",
                 "0.90 | 0.80 | 0.70 | 0.60", "All hold.", "| net, 2x, ours | ",
                 "is 1.6x and 3.2x. So much gain: "):
        assert told in text


def test_figures_are_kept(tmp_path):
    kept, figure = Kept(tmp_path / "figures.jsonl", Measured), tuned(OURS, 0.5, 0, 123)
    kept.add(figure)
    kept.add(Conditions(key="said", said="today."))
    again = Kept(tmp_path / "figures.jsonl", Measured)
    assert "nothing" not in again and again[figure.key] == figure
    assert again[figure.key].right.sum() == 123
