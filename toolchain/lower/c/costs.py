"""What a kernel costs on a core: instructions of a call, and flash. Measured by scripts/measure_kernels.py.

costs.toml:   [instructions.<isa>.<kernel>]  unit of Call.work -> instructions each, fitted to counts on QEMU
              [flash.<isa>]                  source file -> bytes of code
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
import tomllib

from toolchain.lower.c.call import Call

FILE = Path(__file__).with_name("costs.toml")


@cache
def _measured() -> Mapping[str, Mapping[str, Mapping]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def instructions(call: Call, isa: str) -> float | None:
    """Estimated instructions of the call; None where its kernel was not measured on the core."""
    price = _measured()["instructions"].get(isa, {}).get(call.kernel)
    if price is None:
        return None
    return sum(price.get(unit, 0.0) * count for unit, count in call.work.items())


def flash_bytes(files: Iterable[str], isa: str) -> int:
    """Of the code in these files; what was not measured counts nothing."""
    sizes = _measured()["flash"].get(isa, {})
    return sum(sizes.get(file, 0) for file in files)
