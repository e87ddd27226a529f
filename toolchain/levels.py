"""What a budget given at run time allows a chain: the rule, and nothing else of it.

A chain can be held to a level: the stage that answers at the latest, whatever it says of itself. Of networks
side by side, of which no more than one runs, a level is the network that does. Levels cost more from one to
the next and are worth more, so that a budget allows the last one that it pays for:

    within(budget) = the largest k with costs[k] <= budget, NONE where there is none

with whole numbers alone, so that hosts and devices choose alike (tk_within.h is this in C). A negative
budget, as of a deadline that is past, pays for none.
"""

from typing import Annotated, Literal

import msgspec

NONE = -1
"""No level: the budget pays for none."""
MOST = 2**63 - 1
"""The largest cost; in C costs and budgets are int64_t."""

Cost = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Unit = Literal["instructions", "microseconds", "MACs"]


class Levels(msgspec.Struct, frozen=True):
    """What a chain can be held to.

    costs: of each level, in instructions the most that one of its inferences was seen to take; in
           microseconds the 99th percentile of its network on its own; in MACs those of its worst case
    unit:  of costs and of budgets
    measured_on: a device, the runtime and the runner there, where costs were measured on one; "" where they
           are MACs, or the emulated target's own
    """

    costs: tuple[Cost, ...]
    unit: Unit
    measured_on: str = ""

    def within(self, budget: int) -> int:
        """The last level whose cost is at most the budget, NONE where there is none."""
        return max((level for level, cost in enumerate(self.costs) if cost <= budget), default=NONE)


class Held(msgspec.Struct, frozen=True):
    """What a chain was held to when it ran.

    budget: in the levels' unit, MOST where it was more;  level: that it paid for
    """

    budget: int
    unit: Unit
    level: int

    def __str__(self) -> str:
        return f"held to level {self.level} by a budget of {self.budget:,} {self.unit}"
