"""How often the instruction at each address runs in one inference, counted by a plugin of QEMU's.

QEMU's own way of counting (qemu.py) gives their sum. The plugin is compiled by the host's C compiler when it
is first needed, and kept in the user's cache.
"""

from collections import Counter
from functools import cache
from hashlib import sha256
import io
from pathlib import Path
import re
import shutil
import subprocess
import tempfile

from toolchain.atomic import replacing
from toolchain.device.cache import cache_folder
from toolchain.device.qemu import machine_of, qemu_version, running
from toolchain.errors import BadInput, DeviceUnavailable, InvalidMeasurement
from toolchain.profile import TargetProfile

SOURCE = Path(__file__).with_name("address_counter.c")
FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
LATER_INTERFACE = 9
"""QEMU's version that came with version 2 of its plugin interface."""
MARKS = ("count_begin", "count_end", "count_ticks", "count_nothing")
"""Symbols of targets/firmware/count.c."""


def count_addresses(elf: bytes, profile: TargetProfile, inputs: list[bytes]) -> dict[int, int]:
    """Address -> executions, of one inference of these inputs on the target's emulated board.

    Counted from the call of the model to its return, without the firmware around it; addresses that did not
    run are left out. The sum is QemuSession.count's and one: there an empty call, a return, is taken off.
    Raises DeviceUnavailable, BadInput for an image that is no firmware of ours.
    """
    marks = _marks(elf)
    with tempfile.TemporaryDirectory(prefix="edge-trace-") as folder:
        out = Path(folder, "windows")
        arguments = f"begin={marks['count_begin'][0]:x},end={marks['count_end'][0]:x},out={out}"
        plugin = compiled_plugin(qemu_version(machine_of(profile).qemu))
        with running(elf, profile, ("-plugin", f"{plugin},{arguments}")) as dut:
            dut.load_codes(inputs)
            dut.count()
        return _last_inference(out, marks)


def _marks(elf: bytes) -> dict[str, tuple[int, int]]:
    """Of MARKS: address and size. Raises BadInput where one is missing."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        table = ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab")
        found = {name: table.get_symbol_by_name(name)[0] for name in MARKS}
    except (ELFError, AttributeError, TypeError):
        raise BadInput(f"the image is no firmware with the symbols {', '.join(MARKS)}; "
                       f"build it again") from None
    return {name: (symbol["st_value"] & ~1, symbol["st_size"]) for name, symbol in found.items()}


def _last_inference(out: Path, marks: dict[str, tuple[int, int]]) -> dict[int, int]:
    """Of the plugin's windows the last one in which a model ran. Raises InvalidMeasurement."""
    first, size = marks["count_ticks"]
    for window in reversed(out.read_text().split("window\n") if out.is_file() else []):
        counts: Counter[int] = Counter()
        for address, executions in re.findall(r"(\S+) (\d+)\n", window):
            counts[int(address, 16)] += int(executions)
        if counts and marks["count_nothing"][0] not in counts:
            return {address: n for address, n in sorted(counts.items()) if not 0 <= address - first < size}
    raise InvalidMeasurement("the plugin saw no inference; does the firmware call it by count_ticks?")


@cache
def compiled_plugin(emulator: str) -> Path:
    """The plugin for an emulator ("QEMU 7.2.22"), compiled if it was not yet. Raises DeviceUnavailable."""
    major = int(re.sub(r"\D*(\d+).*", r"\1", emulator) or 0)
    defined = f"-DPLUGIN_VERSION={1 if major < LATER_INTERFACE else 2}"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise DeviceUnavailable("no C compiler on this host for QEMU's plugin; apt-get install gcc")
    key = sha256(" ".join((*FLAGS, defined)).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    place = cache_folder() / f"address_counter-{key}.so"
    if not place.is_file():
        with replacing(place) as unfinished:
            _compile([compiler, *FLAGS, defined, "-o", str(unfinished), str(SOURCE)])
    return place


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise DeviceUnavailable(f"{command[0]} cannot compile QEMU's plugin: {done.stderr.strip()[:200]}")
