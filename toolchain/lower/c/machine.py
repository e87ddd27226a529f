"""What C is written for: a core's instructions, and what matters more there."""

from dataclasses import dataclass
from typing import Literal

Optimise = Literal["size", "balanced", "speed"]
ROOMS: dict[str, tuple[str, ...]] = {
    "armv6-m": ("thumb", "scalar"),
    "armv7-m": ("scalar",),
    "armv7e-m": ("dsp",),
    "armv8-m.main+dsp": ("dsp",),
    "armv8.1-m.main+mve": ("mve", "dsp"),
    "rv32imc": ("scalar",),
    "rv32imac": ("scalar",),
}
"""ISA, as a profile names it -> rooms of kernels that run on it besides the portable ones, best first."""


@dataclass(frozen=True)
class Machine:
    """A kind of core.

    isa:       "armv7e-m"; one that ROOMS does not know gets portable C99
    optimise:  "size": least flash; "speed": fewest instructions; "balanced": instructions where their price
               in flash is fair
    ram_bytes: of the whole firmware; None: as much as it takes
    patches:   bands of rows that the first layers are done in, one after the other; "auto": as many as make
               the arena fit ram_bytes; 0: none
    regions:   (name, bytes) of memories that parts of the arena may lie in besides, fastest first
    """

    isa: str = ""
    optimise: Optimise = "balanced"
    ram_bytes: int | None = None
    patches: int | Literal["auto"] = "auto"
    regions: tuple[tuple[str, int], ...] = ()

    @property
    def rooms(self) -> tuple[str, ...]:
        """Rooms of kernels beside the portable ones, best first."""
        return ROOMS.get(self.isa, ())


PORTABLE = Machine()
