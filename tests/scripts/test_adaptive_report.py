"""The adaptive benchmark's page and bounds, of figures that are made up."""

from benchmark_adaptive import Chained, means, page
from figures import Conditions
import pytest

from toolchain.adaptive.report import ChainReport, OnDevice, Paired, StageFigures
from toolchain.adaptive.threshold import Choice


def figure(network: str, seed: int, cost: float = 0.55, drop: float = 0.1, path: float = 1.0,
           n: int = 1000) -> Chained:
    choice = Choice(80_000, 500, 0.8, drop, 0.4, cost, (0.7, 0.3), 0.021)
    stages = (StageFigures("small", 0.78, 0.01, 300.0, 0.9, (0.05, 0.03)),
              StageFigures("whole", 0.81, 0.01, 1300.0 + seed))
    report = ChainReport(name=network, target="board", unit="instructions", goal="cheap", stages=stages,
                         alone=1000.0, chosen=choice, tested=choice,
                         paired=Paired(drop, -1.0, 1.0, 3, 4, 0.9))
    checked = OnDevice(device="board", runtime="C", n=n, same_path=path, same_logits=path)
    return Chained(key=f"{network}{seed}", network=network, seed=seed, report=report, device=checked)


def told(*figures: Chained, said: str = "today.") -> list:
    return [*figures, Conditions(key="said", said=said)]


def test_the_page_tells_every_seed_and_the_conditions():
    text = page(told(figure("a", 3), figure("a", 4)))
    assert text.count("\n| cascade: a, ") == 2 and text.endswith("today.\n")
    assert "| 78.00, 81.00, 80.00 % (n = 500) | 0.10 ± 0.40 | -1.00 to 1.00 |" in text
    assert "| 0.550x of 1,000 | 1.303x | 100.00%, 100.00% of 1000 |" in text


def test_means_over_seeds_are_held_against_the_bounds():
    text = page(told(figure("a", 3, cost=0.58), figure("a", 4, cost=0.64), figure("b", 0, cost=0.5)))
    assert "\n| a | 0.610 ± 0.021x | 0.10 | 1.304x | 100.00% of 2000 | no |\n" in text
    assert "\n| b | 0.500 ± 0.021x | 0.10 | 1.300x | 100.00% of 1000 | yes |\n" in text


@pytest.mark.parametrize("figures, lines", [
    ([figure("a", 0)], []),
    ([figure("a", 0, cost=0.64), figure("a", 1, cost=0.58)], ["a: expected 0.610x, at most 0.6 is allowed"]),
    ([figure("a", 0, drop=0.5), figure("a", 1, drop=-0.1)], []),
    ([figure("a", 0, drop=0.5), figure("b", 0)], ["a: 0.50 points lost, at most 0.3 are allowed"]),
    ([figure("a", 0, path=0.998)], ["a: the host's path on 99.8000% of inputs"]),
    ([figure("a", 0, path=0.998, n=100), figure("a", 1, n=900)], [])])
def test_bounds_are_of_means_over_seeds_and_of_all_inputs(figures, lines):
    assert [line for each in means(figures) for line in each.missed] == lines
