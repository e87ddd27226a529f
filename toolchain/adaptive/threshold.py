"""When a stage's answer suffices: one confidence for all of a chain, for a limit on what is lost or spent.

Each stage's confidence is calibrated by itself, so that one threshold means the same for all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from toolchain.errors import GateFailed
from toolchain.metric import standard_error
from toolchain.policy import ONE

NEVER = 0
"""The bound with which no stage but the last answers."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What n selection samples say.

    doubts: of each stage but the last (n,), in parts of ONE;  hits: of each stage (n,), whether it is right
    costs:  of each path, from the one that the first stage ends, what an inference takes
    alone:  what it takes where the last stage's network is on its own
    unit:   of costs, in words: "instructions", "MACs"
    """

    doubts: Sequence[np.ndarray]
    hits: Sequence[np.ndarray]
    costs: Sequence[float]
    alone: float
    unit: str

    def path(self, bound: int) -> np.ndarray:
        """(n,) which stage answers."""
        sure = np.array([doubts <= bound for doubts in self.doubts] + [np.ones(len(self.hits[0]), bool)])
        return sure.argmax(axis=0)


class Choice(msgspec.Struct, frozen=True):
    """What a bound leads to on n samples.

    threshold: the least confidence with which a stage answers; inf: none but the last does
    drop:      percent points that the chain loses against the last stage alone, and their standard error, of
               paired differences
    cost:      expected; share of what the last stage's network takes on its own; and its standard error
    shares:    of the inputs, by the stage that answers
    """

    bound: int
    n: int
    accuracy: float
    drop: float
    drop_error: float
    cost: float
    shares: tuple[float, ...]
    cost_error: float = 0.0

    @property
    def threshold(self) -> float:
        return ONE / self.bound if self.bound else float("inf")

    @property
    def upper_drop(self) -> float:
        """What is lost, and one standard error; a gain counts as no loss."""
        return max(self.drop, 0.0) + self.drop_error

    @property
    def upper_cost(self) -> float:
        """What it takes, and one standard error."""
        return self.cost + self.cost_error

    def __str__(self) -> str:
        return (f"{self.drop:.2f} ± {self.drop_error:.2f} points lost at {self.cost:.3f} ± "
                f"{self.cost_error:.3f}x the cost, with a threshold of {self.threshold:.4f} on {self.n} "
                f"selection samples")


def outcome(seen: Seen, bound: int) -> Choice:
    """What comes of a bound."""
    path = seen.path(bound)
    hits = np.choose(path, seen.hits).astype(np.float64)
    lost = 100 * (seen.hits[-1].astype(np.float64) - hits)
    shares = np.bincount(path, minlength=len(seen.hits)) / len(path)
    costs = np.asarray(seen.costs, np.float64) / seen.alone
    return Choice(bound, len(path), float(hits.mean()), float(lost.mean()), standard_error(lost),
                  float(shares @ costs), tuple(shares.tolist()), standard_error(costs[path]))


def within_drop(seen: Seen, points: float) -> Choice:
    """The cheapest bound whose loss against the last stage alone, and one standard error of it, are at most
    so many percent points. Of many bounds that are tried one is always lucky: a gain counts as no loss.

    Raises GateFailed where a chain that does costs no less than the last stage's network on its own.
    """
    choices = [*_choices(seen)]
    kept = min((c for c in choices if c.upper_drop <= points), key=lambda c: c.cost)
    if kept.cost < 1:
        return kept
    cheaper = [choice for choice in choices if choice.cost < 1]
    nearest = min(cheaper or choices, key=lambda c: c.upper_drop if cheaper else c.cost)
    raise GateFailed(f"no threshold loses at most {points:g} points, standard error included, and takes "
                     f"fewer {seen.unit} than the last network alone; nearest: {nearest}. Allow a larger "
                     "drop, give more selection samples, or take a smaller or better first network")


def within_cost(seen: Seen, share: float) -> Choice:
    """The highest threshold with which the chain, and one standard error of it, takes at most such a share of
    what the last stage's network takes alone; labels have no say. Raises GateFailed where none does."""
    choices = [*_choices(seen)]
    if kept := [choice for choice in choices if choice.upper_cost <= share]:
        return min(kept, key=lambda c: c.bound)
    nearest = min(choices, key=lambda c: c.upper_cost)
    raise GateFailed(f"no threshold takes at most {share:g} of the {seen.unit} of the last network alone, "
                     f"standard error included; nearest: {nearest}. Allow more, give more selection samples, "
                     f"or take a smaller first network")


def _choices(seen: Seen) -> Iterator[Choice]:
    """One for each set of samples that a bound can divide them into."""
    bounds = {NEVER, *(int(bound) for doubts in seen.doubts for bound in np.ceil(np.unique(doubts)))}
    return (outcome(seen, bound) for bound in sorted(bounds))
