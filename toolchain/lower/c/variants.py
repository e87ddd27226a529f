"""Which kernel does a call's work on a machine: the portable one, or one made for its instructions."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call
from toolchain.lower.c.dsp import room as dsp
from toolchain.lower.c.machine import Machine
from toolchain.lower.c.mve import room as mve
from toolchain.lower.c.scalar import room as scalar

SPECIAL: Mapping[str, Mapping[str, Callable[[Call], Call | None]]] = {
    "dsp": dsp.SPECIAL, "mve": mve.SPECIAL, "scalar": scalar.SPECIAL}
"""Room -> portable kernel -> what it makes of its call."""


def candidates(call: Call, machine: Machine) -> list[Call]:
    """Calls for the same codes on this machine, those of its best room first, the portable one last."""
    made = (SPECIAL[room][call.kernel](call) for room in machine.rooms if call.kernel in SPECIAL[room])
    return [*(special for special in made if special is not None), call]


def choose(call: Call, machine: Machine) -> Call:
    """The first candidate."""
    return candidates(call, machine)[0]
