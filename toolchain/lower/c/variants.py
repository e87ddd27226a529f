"""Which kernel does a call's work on a machine: the portable one, or one made for its instructions.

Every op could take its fastest kernel, but kernels take flash and are shared: what one op's choice costs
depends on the others'. So a network's kernels are chosen together: all are allowed at first, and the one that
is worth least is given up as long as that lowers

    bytes of code and constants + instructions of an inference / instructions that a byte must save
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolchain.lower.c.call import Call
from toolchain.lower.c.costs import flash_bytes, instructions
from toolchain.lower.c.dsp import room as dsp
from toolchain.lower.c.machine import Machine
from toolchain.lower.c.mve import room as mve
from toolchain.lower.c.pages import kernel_files
from toolchain.lower.c.scalar import room as scalar

SPECIAL: Mapping[str, Mapping[str, Callable[[Call], Call | None]]] = {
    "dsp": dsp.SPECIAL, "mve": mve.SPECIAL, "scalar": scalar.SPECIAL}
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
    return [*(special for special in made if special is not None), call]


def choose(calls: Mapping[str, Sequence[Call]], machine: Machine) -> dict[str, list[Call]]:
    """Op -> its calls, each replaced by a candidate."""
    taken = iter(_chosen([call for made in calls.values() for call in made], machine))
    return {op: [next(taken) for _ in made] for op, made in calls.items()}


def _chosen(calls: Sequence[Call], machine: Machine) -> list[Call]:
    choices = [_options(candidates(call, machine), machine.isa) for call in calls]
    fastest = sum(min(option.instructions for option in options) for options in choices)
    byte_saves = max(BYTE_SAVES[machine.optimise] * fastest, 1e-9)
    allowed, price = _kernels(choices), float("inf")
    while True:
        found = min((_price(choices, allowed - {kernel}, machine.isa, byte_saves), kernel)
                    for kernel in ["", *sorted(allowed)])
        if found[0] >= price:
            return [option.call for option in _taken(choices, allowed)]
        price, allowed = found[0], allowed - {found[1]}


def _options(calls: Sequence[Call], isa: str) -> list[Option]:
    """Each with its instructions; the first alone where some were not measured."""
    counted = [instructions(call, isa) for call in calls]
    if None in counted:
        return [Option(calls[0], 0.0)]
    return [Option(call, count) for call, count in zip(calls, counted)]


def _kernels(choices: Iterable[Sequence[Option]]) -> frozenset[str]:
    """Those that can be given up: not the last of a call's, the portable one."""
    return frozenset(option.call.kernel for options in choices for option in options[:-1])


def _taken(choices: Sequence[Sequence[Option]], allowed: frozenset[str]) -> list[Option]:
    """For each call the fastest of what is allowed."""
    return [min((option for option in options if option.call.kernel in allowed or option is options[-1]),
                key=lambda option: option.instructions) for options in choices]


def _price(choices: Sequence[Sequence[Option]], allowed: frozenset[str], isa: str,
           byte_saves: float) -> float:
    """In bytes of flash, of a network whose kernels may be these."""
    taken = _taken(choices, allowed)
    code = flash_bytes(kernel_files({option.call.kernel for option in taken}), isa)
    return (code + sum(option.constant_bytes for option in taken)
            + sum(option.instructions for option in taken) / byte_saves)
