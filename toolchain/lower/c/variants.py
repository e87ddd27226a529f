"""Which kernel does a call's work on a machine: the portable one, or one made for its instructions.

Every op could take its fastest kernel, but kernels take flash and are shared: what one op's choice costs
depends on the others'. So a network's kernels are chosen together: from all that there are, and from the
portable ones alone, one kernel is added or given up as long as that lowers

    bytes of code and constants + instructions of an inference / instructions that a byte must save
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from toolchain.lower.c.call import Call
from toolchain.lower.c.costs import flash_bytes, instructions
from toolchain.lower.c.dsp import room as dsp
from toolchain.lower.c.lending import LEAST_FETCHED
from toolchain.lower.c.machine import Machine
from toolchain.lower.c.mve import room as mve
from toolchain.lower.c.pages import kernel_files
from toolchain.lower.c.scalar import room as scalar
from toolchain.lower.c.thumb import room as thumb

SPECIAL: Mapping[str, Mapping[str, Callable[[Call], Call | list[Call] | None]]] = {
    "dsp": dsp.SPECIAL, "mve": mve.SPECIAL, "scalar": scalar.SPECIAL, "thumb": thumb.SPECIAL}
"""Room -> portable kernel -> what it makes of its call."""
BYTE_SAVES = {"size": 1e-2, "balanced": 1e-5, "speed": 1e-9}
"""The share of a network's instructions that a byte of flash must save to be spent."""


@dataclass(frozen=True, eq=False)
class Option:
    """A call that does an op's work, and its instructions."""

    call: Call
    instructions: float

    @property
    def constant_bytes(self) -> int:
        return sum(array.data.nbytes for array in self.call.arrays)


def candidates(call: Call, machine: Machine) -> list[Call]:
    """Calls for the same codes on this machine, those of its best room first, the portable one last."""
    made = (SPECIAL[room][call.kernel](call) for room in machine.rooms if call.kernel in SPECIAL[room])
    found = (special if isinstance(special, list) else [special] for special in made if special is not None)
    return [*(special for specials in found for special in specials), call]


def choose(calls: Mapping[str, Sequence[Call]], machine: Machine,
           borrowed: Callable[[Call], Call] | None = None) -> dict[str, list[Call]]:
    """Op -> its calls, each replaced by a candidate.

    borrowed: what makes of a candidate one that borrows its constants; None: all are its own
    """
    taken = iter(_chosen([call for made in calls.values() for call in made], machine, borrowed))
    return {op: [next(taken) for _ in made] for op, made in calls.items()}


def _chosen(calls: Sequence[Call], machine: Machine, borrowed: Callable[[Call], Call] | None) -> list[Call]:
    """The cheaper of what two searches find."""
    found = [candidates(call, machine) for call in calls]
    if borrowed:
        found = [_lightest([*map(borrowed, each)], machine) for each in found]
    network = _Network([_options(each, machine.isa) for each in found], machine)
    everything = frozenset(option.call.kernel for options in network.choices for option in options)
    portable = frozenset(options[-1].call.kernel for options in network.choices)
    kernels = min((network.improved(start, everything) for start in (everything, portable)),
                  key=network.price)
    return [option.call for option in network.taken(kernels)]


def _lightest(calls: Sequence[Call], machine: Machine) -> Sequence[Call]:
    """Those that borrow what one of them can borrow; all where instructions alone count."""
    own = [sum(array.data.nbytes for array in call.arrays) for call in calls]
    if machine.optimise == "speed" or not any(call.borrowed for call in calls):
        return calls
    return [call for call, size in zip(calls, own) if size < min(own) + LEAST_FETCHED]


def _options(calls: Sequence[Call], isa: str) -> list[Option]:
    """Each with its instructions; the first alone where some were not measured."""
    counted = [instructions(call, isa) for call in calls]
    if None in counted:
        return [Option(calls[0], 0.0)]
    return [Option(call, count) for call, count in zip(calls, counted)]


class _Network:
    """Every call's options, and what they cost together."""

    def __init__(self, choices: Sequence[Sequence[Option]], machine: Machine):
        fastest = sum(min(option.instructions for option in options) for options in choices)
        self.choices, self._isa = choices, machine.isa
        self._byte_saves = max(BYTE_SAVES[machine.optimise] * fastest, 1e-9)
        self.price = cache(self._price)

    def improved(self, kernels: frozenset[str], everything: frozenset[str]) -> frozenset[str]:
        """The kernels after the best steps, each adding one or giving one up."""
        while True:
            best = min([kernels, *(kernels ^ {kernel} for kernel in sorted(everything))], key=self.price)
            if best == kernels:
                return kernels
            kernels = best

    def taken(self, kernels: frozenset[str]) -> list[Option]:
        """For each call the cheapest by one of these kernels."""
        return [min((option for option in options if option.call.kernel in kernels), key=self._own_price)
                for options in self.choices]

    def _own_price(self, option: Option) -> float:
        """Without its code."""
        return option.constant_bytes + option.instructions / self._byte_saves

    def _price(self, kernels: frozenset[str]) -> float:
        """In bytes of flash; infinite where a call has no kernel among these."""
        if not all(any(option.call.kernel in kernels for option in options) for options in self.choices):
            return float("inf")
        taken = self.taken(kernels)
        code = flash_bytes(kernel_files({option.call.kernel for option in taken}), self._isa)
        return code + sum(map(self._own_price, taken))
