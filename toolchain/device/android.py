"""What an Android device is, and in which ways models run on it.

No phone ran any of this: each way says so in its note.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import re

from toolchain.device.transports.transport import Finished
from toolchain.errors import BadReply

ABI_ISA = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7-a"}
"""Android's word for an instruction set -> that of target profiles."""
PROPERTY = re.compile(r"\[([A-Za-z0-9._:@-]{1,200})\]: \[(.{0,500})\]")
PROPERTY_LINES = 20_000


@dataclass(frozen=True)
class Facts:
    """abis:    instruction sets that it runs, the preferred first
    sdk:     API level: 35 is Android 15
    model:   as the maker names it; not its serial number
    thermal: it tells its temperatures by `dumpsys thermalservice`
    """

    abis: tuple[str, ...]
    sdk: int
    model: str
    thermal: bool

    @property
    def isa(self) -> str | None:
        """Of the first ABI that programs are built for here, as target profiles name it."""
        return next((ABI_ISA[abi] for abi in self.abis if abi in ABI_ISA), None)


def read_facts(run: Callable[[Sequence[str]], Finished]) -> Facts:
    """run: runs a command line on the device. Raises BadReply where it is no Android."""
    found = properties(run(["getprop"]).stdout)
    abis = found.get("ro.product.cpu.abilist") or found.get("ro.product.cpu.abi", "")
    sdk = found.get("ro.build.version.sdk", "")
    if not abis or not re.fullmatch(r"\d{1,3}", sdk):
        raise BadReply("getprop names no ABI or no SDK version: is this Android?")
    heat = run(["dumpsys", "thermalservice"])
    return Facts(tuple(abis.split(",")), int(sdk), found.get("ro.product.model", ""),
                 heat.code == 0 and b"Thermal Status" in heat.stdout)


def properties(text: bytes) -> dict[str, str]:
    """Of what `getprop` prints: "[name]: [value]" on a line; other lines are parts of longer values."""
    lines = text.decode("utf-8", "replace").splitlines()[:PROPERTY_LINES]
    return {found[1]: found[2] for line in lines if (found := PROPERTY.fullmatch(line))}
