"""How many samples are enough: calibration may stop when the ranges have stopped moving.

The rule: after every `over` samples each tensor's range is compared with what it was `over` samples ago. It
has moved by the larger of |change of low| and |change of high|, as a share of its width now. When none has
moved by more than `share`, calibration has settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

SHARE, OVER = 0.01, 32
Ranges = Mapping[str, tuple[float, float]]


@dataclass
class Stability:
    """What became of the ranges so far.

    share, over: of the rule above
    ranges:      of the last comparison, None before the first
    stable:      whether none moved in the last comparison
    last_moved:  tensor -> (samples after which it last moved by more than `share`, by how much)
    """

    share: float = SHARE
    over: int = OVER
    ranges: Ranges | None = None
    stable: bool = False
    last_moved: dict[str, tuple[int, float]] = field(default_factory=dict)

    def settled(self, samples: int, ranges: Ranges) -> bool:
        """Compare the ranges after so many samples with the last ones: whether none has moved."""
        before, self.ranges = self.ranges, ranges
        if before is None:
            return False
        shares = {name: moved(before[name], new) for name, new in ranges.items()}
        restless = {name: (samples, share) for name, share in shares.items() if share > self.share}
        self.last_moved |= restless
        self.stable = not restless
        return self.stable

    @property
    def last(self) -> tuple[str, int, float] | None:
        """(tensor, samples, share) of the range that was last to move, the farthest of several, if any."""
        if not self.last_moved:
            return None
        name = max(self.last_moved, key=lambda tensor: (*self.last_moved[tensor], tensor))
        return name, *self.last_moved[name]


def moved(before: tuple[float, float], now: tuple[float, float]) -> float:
    """How far a range has moved, as a share of its width now; 0 where it is as it was."""
    change = max(abs(now[0] - before[0]), abs(now[1] - before[1]))
    width = now[1] - now[0]
    return change / width if change and width > 0 else float(change > 0)


def spread_order(count: int) -> np.ndarray:
    """An order of `count` samples of which any first few lie evenly among all, since files are often sorted
    by class: the positions by their bits read backwards (van der Corput 1935)."""
    bits = max(1, (count - 1).bit_length())
    position = np.arange(1 << bits)
    backwards = sum((position >> bit & 1) << (bits - 1 - bit) for bit in range(bits))
    return backwards[backwards < count]
