"""The instructions of an image, as GNU objdump reads them, and the functions that they belong to."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
import re
import subprocess
import tempfile

from toolchain.errors import DeviceUnavailable
from toolchain.profile import TargetProfile


@dataclass(frozen=True)
class Instruction:
    """One line: "ldr.w r1, [r3, #4]" at an address.

    mnemonic: without a width: "ldr"
    operands: as written, without comments
    """

    address: int
    bytes: int
    mnemonic: str
    operands: str


def disassemble(elf: bytes, profile: TargetProfile) -> dict[int, Instruction]:
    """Address -> instruction, ascending. Raises DeviceUnavailable without the compiler's objdump."""
    tool = re.sub(r"gcc$", "objdump", profile.compiler)
    with tempfile.TemporaryDirectory(prefix="edge-objdump-") as folder:
        image = Path(folder, "firmware.elf")
        image.write_bytes(elf)
        try:
            done = subprocess.run([tool, "-d", "-w", str(image)], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise DeviceUnavailable(f"{tool} cannot read the image of {profile.name}: {error}; it comes with "
                                    f"{profile.compiler}") from None
    found = re.findall(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{4,8} ?)+)\s*\t(\S+)\t?(.*)$", done.stdout,
                       re.MULTILINE)
    return {int(at, 16): Instruction(int(at, 16), len(code.replace(" ", "")) // 2, mnemonic.split(".")[0],
                                     re.split(r"\s*[;@<]", operands)[0].strip())
            for at, code, mnemonic, operands in found}


class Functions:
    """Which function an address belongs to, by the image's symbols."""

    def __init__(self, elf: bytes):
        import io

        from elftools.elf.elffile import ELFFile

        table = ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab")
        starts = {symbol["st_value"] & ~1: symbol.name for symbol in table.iter_symbols()
                  if symbol["st_info"]["type"] == "STT_FUNC"}
        self._starts = sorted(starts)
        self._names = [starts[start] for start in self._starts]

    def of(self, address: int) -> str:
        """The last one that begins at the address or before."""
        number = bisect_right(self._starts, address) - 1
        return self._names[number] if number >= 0 else "?"
