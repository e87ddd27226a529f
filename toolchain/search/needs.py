"""What the user needs of a network: limits on measured figures, and which of them shall be small."""

from collections.abc import Iterable, Mapping, Sequence
import re
from typing import Literal, get_args

import msgspec

from toolchain.errors import BadInput
from toolchain.section import BYTES

Quantity = Literal["instructions", "latency_ms", "energy_uj", "ram", "flash", "accuracy_drop"]
"""instructions: of an inference, on an emulated device
latency_ms, energy_uj: of one, on a device that has them
ram, flash: bytes
accuracy_drop: what the recipe's metric loses to the float network as it came, on selection samples, in the
               units of accuracy_control.Judgement: percent points of "top1" """
QUANTITIES = get_args(Quantity)
UNITS = {"ram": BYTES | {"": 1}, "flash": BYTES | {"": 1},
         "instructions": {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}}
MOST_LOST = 8.0
"""Loss of accuracy, in points or percent, beyond which a network is worth nothing, where no limit says so."""
LIMIT = re.compile(r"\s*(\w+)\s*<=\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)


def shown(figure: float) -> str:
    """For people: 5,000,000; 12.35; 0.5."""
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:,.4g}"


class Limit(msgspec.Struct, frozen=True):
    """A quantity that may be `most` at most."""

    quantity: Quantity
    most: float

    def __str__(self) -> str:
        return f"{self.quantity} <= {shown(self.most)}"


class Needs(msgspec.Struct, frozen=True):
    """limits: all hold;  objectives: what shall be small, the one that matters most first"""

    limits: tuple[Limit, ...]
    objectives: tuple[Quantity, ...]

    @property
    def costs(self) -> tuple[Quantity, ...]:
        """Everything asked for but accuracy."""
        named = dict.fromkeys([*self.objectives, *(limit.quantity for limit in self.limits)])
        return tuple(name for name in named if name != "accuracy_drop")

    def violations(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Quantity -> by what share of its limit a figure is beyond it, of those that there are; 0 or less
        where it holds."""
        return {limit.quantity: (figures[limit.quantity] - limit.most) / (limit.most or 1)
                for limit in self.limits if limit.quantity in figures}

    @property
    def most_lost(self) -> float:
        """The accuracy drop beyond which what a network costs does not matter: twice the limit on it."""
        return next((2 * limit.most for limit in self.limits if limit.quantity == "accuracy_drop"), MOST_LOST)

    def hold(self, figures: Mapping[str, float]) -> bool:
        """Whether all limits do."""
        return all(share <= 0 for share in self.violations(figures).values())


def parse_limit(text: str) -> Limit:
    """ "ram<=64kB", "instructions<=5M", "accuracy_drop<=1.0". Raises BadInput."""
    found = LIMIT.fullmatch(text)
    if not found:
        raise BadInput(f"--limit {text}: give QUANTITY<=NUMBER, as in \"ram<=64kB\" or \"instructions<=5M\"")
    quantity, number, unit = found.groups()
    units = UNITS.get(require_quantity(quantity, "--limit"), {"": 1})
    if unit not in units:
        known = f"one of {', '.join(filter(None, units))}" if len(units) > 1 else "a number alone"
        raise BadInput(f"--limit {text}: '{unit}' is no unit of {quantity}; give {known}")
    return Limit(quantity, float(number) * units[unit])


def require_quantity(name: str, option: str) -> Quantity:
    """Raises BadInput for a name that is none."""
    if name not in QUANTITIES:
        raise BadInput(f"{option} {name}: no such quantity; there are {', '.join(QUANTITIES)}")
    return name


def needs_of(limits: Iterable[str], minimise: Sequence[str], cost: Quantity) -> Needs:
    """What the command line says.

    minimise: beside one alone goes accuracy_drop; by default `cost`, what an inference takes on the target,
              and accuracy_drop
    Raises BadInput.
    """
    parsed = tuple(map(parse_limit, limits))
    if twice := _first_twice([limit.quantity for limit in parsed]):
        raise BadInput(f"--limit: {twice} has two limits; give one")
    objectives = tuple(require_quantity(name, "--minimise") for name in minimise)
    if _first_twice(objectives):
        raise BadInput(f"--minimise {_first_twice(objectives)}: given twice")
    if len(objectives) == 1:
        objectives += () if "accuracy_drop" in objectives else ("accuracy_drop",)
    return Needs(parsed, objectives or (cost, "accuracy_drop"))


def _first_twice(names: Sequence[str]) -> str | None:
    return next((name for number, name in enumerate(names) if name in names[:number]), None)


def require_told(needs: Needs, device: str, emulated: bool, has_meter: bool) -> None:
    """Raise BadInput where the device has no such figure."""
    for name in needs.costs:
        if emulated and name in ("latency_ms", "energy_uj"):
            raise BadInput(f"{name}: {device} is emulated; it counts instructions and has no time and no "
                           f"energy. Ask for `instructions` instead, or name a board with --device")
        if not emulated and name == "instructions":
            raise BadInput(f"instructions: {device} keeps time and counts none; ask for `latency_ms` instead")
        if name == "energy_uj" and not has_meter:
            raise BadInput(f"energy_uj: no meter sees what {device} takes; name one in boards.toml, or ask "
                           f"for `latency_ms` instead")
