"""Figures of the training benchmark: judged, told."""

from figures import Conditions, packed
import numpy as np
from pruning_figures import OURS, SHARES, UNPRUNED, Cell, Deployed, Tuned
import pytest
from training_figures import (
    ANSWERS,
    DEFAULT,
    FITNETS,
    FLOAT,
    LABELS,
    LEARNED,
    LITERT,
    NEAREST,
    ONNX,
    PRUNED,
    TRANSFORMER,
    C,
    Coded,
    Drawn,
    Student,
    Taught,
)
from training_judgement import Found, lift, overall, shortcomings, won_back
from training_report import page

N, SEEDS = 1000, (0, 1, 2)


def hits(right: int) -> str:
    """The first `right` of N samples are right."""
    return packed(np.arange(N) < right)


def taught(network: str, way: str, seed: int, right: int) -> Taught:
    student = Student(network, way, seed)
    return Taught(key=student.text, student=student, macs=(1000, 250), teacher=hits(950), hits=hits(right),
                  n=N)


def coded(seed: int, learned: int, predicted: float = 1.0) -> Coded:
    """Float has 900, the nearest codes 800, corrected biases 860."""
    right = {FLOAT: 900, NEAREST: 800, DEFAULT: 860, LEARNED: learned}
    return Coded(key=f"coded {seed}", network="net", scheme="static_wi4_ai8", seed=seed, predicted=predicted,
                 in_c=1.0, hits={way: hits(count) for way, count in right.items()},
                 same=dict.fromkeys(right, 0.9), n=N)


def smaller(side: str, share: float, seed: int, right: int, instructions: int) -> list:
    cell = Cell("gru", side, share, seed)
    return [Tuned(key=f"tuned {cell.text}", cell=cell, macs=(1000, int(1000 * share)), parameters=1,
                  selection=0.9, test=right / N, hits=hits(right), n=N, graph="g"),
            Deployed(key=f"deployed {cell.text}", cell=cell, test=right / N, file="f", file_bytes=1, flash=40,
                     ram=30, instructions=instructions)]


def drawing(seed: int, worse: float, differing: int) -> Drawn:
    whats = (PRUNED, LITERT, ONNX, C)
    return Drawn(key=f"drawn {seed}", network="vae", seed=seed, metric="elbo", n=N, macs=(1000, 500),
                 scores=dict.fromkeys((FLOAT, *whats), (-100.0, 1.0)),
                 worse=dict.fromkeys(whats, (worse, 0.1)), checked=16, differing=differing,
                 instructions=(900, 500), flash=4, ram=3, files=(80, 20))


def figures(fitnets: int = 910, learned: int = 885, half: int = 895, instructions: int = 600,
            predicted: float = 1.0, worse: float = 5.0, differing: int = 0) -> list:
    """Two students, one network in codes, one that draws, one pruned; all seeds alike."""
    found = [Conditions(key="said", said="today.")]
    for seed in SEEDS:
        for network in ("a", "b"):
            ways = {LABELS: 900, ANSWERS: 890, FITNETS: fitnets}
            found += [taught(network, way, seed, right) for way, right in ways.items()]
        found.append(taught("b", TRANSFORMER, seed, 930))
        found += [coded(seed, learned, predicted), drawing(seed, worse, differing)]
        found += [*smaller(UNPRUNED, 1.0, seed, 900, 1000)]
        for share in SHARES:
            found += smaller(OURS, share, seed, half, int(2 * share * instructions))
    return found


def test_gains_are_paired_by_sample():
    gain = lift(Found.of(figures()), "a", FITNETS)
    assert gain.accuracy == pytest.approx([91.0] * 3)
    assert gain.interval.mean == pytest.approx(1.0) and 0 < gain.interval.low < 1 < gain.interval.high


def test_networks_count_alike():
    found = overall(Found.of(figures()), ANSWERS)
    assert found.mean == pytest.approx(-1.0) and found.low < -1 < found.high < 0


def test_a_share_of_the_loss_comes_back():
    found = Found.of(figures()).coded["net", "static_wi4_ai8"]
    assert won_back(found, LEARNED) == pytest.approx(25 / 40)
    assert won_back(found, LEARNED, NEAREST) == pytest.approx(85 / 100)


@pytest.mark.parametrize("changed, said", [
    ({}, []), ({"fitnets": 899}, ["a: ", "b: ", "on average labels, answers, fitnets"]),
    ({"learned": 879}, ["[qat] wins back 48%"]),
    ({"worse": 10.5}, ["vae: INT8, LiteRT is 10.5 % worse", "vae: INT8, ONNX", "vae: INT8, C"]),
    ({"differing": 2}, ["vae: 6 codes of the board"]),
    ({"half": 889}, ["half of the MACs cost 1.10 points"]),
    ({"instructions": 640}, ["1.56x (at least 1.60x)"] * 3 + ["3.12x (at least 3.20x)"] * 3)], ids=str)
def test_what_misses_a_bound_is_named(changed, said):
    found = shortcomings(figures(**changed))
    assert len(found) == len(said)
    assert all(any(part in line for line in found) for part in said)


def test_a_quick_run_is_held_to_what_it_can_tell():
    assert shortcomings(figures(fitnets=800, learned=800, half=800), quick=True) == []
    (line,) = shortcomings(figures(predicted=0.99), quick=True)
    assert "foretells 99.00%" in line


def test_the_page_has_every_row():
    text = page(figures())
    assert "| labels, answers, fitnets | 91.00 ± 0.00 | 95.00 | +1.00 | +0.40 to" in text
    assert f"| {TRANSFORMER} | 93.00 ± 0.00 | 95.00 | +3.00 |" in text
    assert "| mean of 2 networks | gain | 95 % |" in text and f"| {TRANSFORMER} | +3.00" not in text
    assert f"| {LEARNED} | 88.50 ± 0.00 | 85% | 62% | 90.0% |" in text
    assert "| **2x pruned** | 500 | 89.50 ± 0.00 | 0.50 ± 0.00 | 89.50 ± 0.00 | 0.50 ± 0.00 | 600 |" in text
    assert "| INT8, C | -100.00 ± 0.00 | 5.00 ± 0.00 | 500 |  | 500 | 4 | 3 |" in text
    assert "answers to 48 samples differ from the reference's in 0 codes." in text
    assert text.rstrip().endswith("All hold.")


def test_parts_that_were_not_measured_are_left_out():
    text = page([f for f in figures() if not isinstance(f, Coded)])
    assert "## Distillation" in text and "## Codes" not in text
