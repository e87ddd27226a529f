"""Section of a recipe that says what a search may vary."""

from typing import Annotated, ClassVar, Literal

import msgspec

from toolchain.errors import BadConfig, about
from toolchain.section import Section

Value = str | int | float | bool
"""What a key of a recipe may be."""


class Variable(Section):
    """What one or more keys of the recipe may be.

    choices:   one of these; or
    low, high: a number from here to there, a whole one where both ends are
    log:       the range's logarithm is what is drawn from
    of:        the keys that all get the value; by default the key that the variable is named after
    """

    choices: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    of: tuple[str, ...] = ()

    def __post_init__(self):
        if self.is_range == bool(self.choices) or None in (self.low, self.high) and self.is_range:
            raise BadConfig("a variable has either `choices`, or both `low` and `high`")
        if twice := [choice for number, choice in enumerate(self.choices) if choice in self.choices[:number]]:
            raise BadConfig(f"choices have {twice[0]} twice; name it once")
        if self.is_range and not self.low < self.high:
            raise BadConfig(f"low = {self.low} must be below high = {self.high}")
        if self.log and (not self.is_range or self.low <= 0):
            raise BadConfig("log = true is for a range of numbers above 0")

    @property
    def is_range(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class SearchConfig(Section):
    """What `edge search` varies and how it goes about it.

    vary:      key of the recipe, such as "prune.ratio", "calibrate.observer" or "prune.shares.OP" -> a list
               of values, or a Variable. Where nothing is listed, it is found out from the model
    sampler:   what proposes points: "evolution", by small changes of the best, with their weights where no
               more than channels go; "tpe" (Watanabe 2023), "nsga2" (Deb et al. 2002); "random", which does
               not look at what was measured
    rungs:     how often the best of what was tuned for a while are tuned for longer (successive halving,
               Jamieson & Talwalkar 2016; Li et al. 2020), all from the weights that the network came with;
               1: all are tuned for as long as [train] epochs says
    reduction: one of so many goes on to the next rung, where it is tuned for so many times as long
    """

    heading: ClassVar[str] = "search"
    vary: dict[str, tuple[Value, ...] | Variable] = {}
    sampler: Literal["evolution", "tpe", "nsga2", "random"] = "evolution"
    rungs: Annotated[int, msgspec.Meta(ge=1, le=6)] = 1
    reduction: Annotated[int, msgspec.Meta(ge=2, le=8)] = 2

    def __post_init__(self):
        """Raises BadConfig for a list that is no Variable's choices."""
        _ = self.variables

    @property
    def variables(self) -> dict[str, Variable]:
        """All as Variables."""
        found = {}
        for name, value in self.vary.items():
            with about(f"[search] vary.{name}"):
                found[name] = value if isinstance(value, Variable) else Variable(choices=value)
        return found

    def epochs(self, full: int) -> tuple[int, ...]:
        """Of each rung, the last of which is `full`; no rung is shorter than one epoch."""
        shorter = [max(1, round(full / self.reduction**rung)) for rung in reversed(range(self.rungs))]
        return tuple(dict.fromkeys(shorter)) if full else (0,)
