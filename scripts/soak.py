"""Damaged and hostile model files, many of them: each must give one clear error or a right result.

Never a crash, a hang over 10 s, more than 2 GB. A right result is one that passes the load's self-check,
which runs the damaged file in its own runtime. Mutation number N of a format is the same on every run. Each
format loads in a child process, which is started anew behind a file that it did not survive.

    python scripts/soak.py --count 10000            # make soak
    python scripts/soak.py --format onnx --only 4711  # one file again, with its traceback
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
import queue
import resource
import subprocess
import sys
import tempfile
import threading

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
SUFFIXES = ("tflite", "onnx", "pt2")
SECONDS = 10
MEMORY_BYTES = 2 << 30
START_SECONDS = 120
"""A child may take so long until its imports are done."""
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Rng = np.random.Generator


# Damage -----------------------------------------------------------------------------------------------------

def cut(model: bytearray, rng: Rng) -> bytearray:
    return model[:int(rng.integers(len(model)))]


def flip_bits(model: bytearray, rng: Rng) -> bytearray:
    for at in rng.integers(8 * len(model), size=int(rng.integers(1, 9))):
        model[at // 8] ^= 1 << (at % 8)
    return model


def overwrite(model: bytearray, rng: Rng) -> bytearray:
    start, length = int(rng.integers(len(model))), int(rng.integers(1, 33))
    patch = rng.integers(256, size=min(length, len(model) - start)).astype(np.uint8).tobytes()
    model[start:start + len(patch)] = patch
    return model


def extreme_number(model: bytearray, rng: Rng) -> bytearray:
    """A 32-bit number, aligned as flatbuffers have them, becomes one that indexes and sizes rarely are."""
    at = 4 * int(rng.integers(len(model) // 4))
    model[at:at + 4] = int(rng.choice(EXTREMES)).to_bytes(4, "little")
    return model


def copy_block(model: bytearray, rng: Rng) -> bytearray:
    source, target = (int(at) for at in rng.integers(len(model), size=2))
    block = model[source:source + int(rng.integers(4, 257))][:len(model) - target]
    model[target:target + len(block)] = block
    return model


def insert(model: bytearray, rng: Rng) -> bytearray:
    at = int(rng.integers(len(model)))
    return model[:at] + model[at:at + int(rng.integers(1, 65))] + model[at:]


DAMAGE: tuple[Callable[[bytearray, Rng], bytearray], ...] = (
    cut, flip_bits, flip_bits, overwrite, extreme_number, extreme_number, copy_block, insert)


def mutation(suffix: str, number: int) -> bytes:
    """Damaged file `number` of a format: one of the golden files, damaged once or twice."""
    rng = np.random.default_rng([number, SUFFIXES.index(suffix)])
    files = sorted(GOLDEN.glob(f"*.{suffix}"))
    model = bytearray(files[int(rng.integers(len(files)))].read_bytes())
    for _ in range(int(rng.integers(1, 3))):
        if model:
            model = DAMAGE[int(rng.integers(len(DAMAGE)))](model, rng)
    return bytes(model)


# The child --------------------------------------------------------------------------------------------------

def child(suffix: str, first: int, last: int) -> None:
    """Load files first to last - 1; after each a line "number outcome" on stdout, at the start "ready"."""
    from toolchain.load import load

    warm_up(load, suffix)
    allowed = memory_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    print("ready", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        path = Path(folder, f"model.{suffix}")
        for number in range(first, last):
            path.write_bytes(mutation(suffix, number))
            print(number, outcome(load, path), flush=True)


def warm_up(load, suffix: str) -> None:
    """Everything is imported and every runtime loaded before memory is counted."""
    for path in sorted(GOLDEN.glob(f"*.{suffix}")):
        load(path)


def memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def outcome(load, path: Path) -> str:
    from toolchain.errors import ToolchainError

    try:
        load(path)
    except ToolchainError as error:
        return type(error).__name__ if str(error).strip() else "an empty message"
    except MemoryError:
        return f"FAILED asked for more than {MEMORY_BYTES >> 30} GB"
    except BaseException as error:
        return f"FAILED {type(error).__name__}: {str(error).splitlines()[:1]}"
    return "loaded"


# The driver -------------------------------------------------------------------------------------------------

@dataclass
class Found:
    """outcomes: how often each; failures: (number, what happened)"""

    outcomes: Counter = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, what: str) -> None:
        if what.startswith("FAILED"):
            self.failures.append((number, what.removeprefix("FAILED ")))
        self.outcomes[what.split(":")[0]] += 1


def soak(suffix: str, count: int, first: int = 0) -> Found:
    """Load mutations first to first + count - 1 of a format in child processes."""
    found, at, last = Found(), first, first + count
    while at < last:
        at = drive(suffix, at, last, found)
    return found


def drive(suffix: str, first: int, last: int, found: Found) -> int:
    """One child's life; returns the number of the file that the next one starts with.

    Raises RuntimeError where the child ends before it is ready: then the undamaged files do not load.
    """
    arguments = [sys.executable, __file__, "--child", suffix, str(first), str(last)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          cwd=ROOT) as process:
        at, ready = first, False
        for line in lines(process):
            ready = True
            if line is None:
                process.kill()
                found.add(at, f"FAILED took longer than {SECONDS} s")
                return at + 1
            if line != "ready":
                number, _, what = line.partition(" ")
                found.add(int(number), what)
                at = int(number) + 1
    if not ready:
        raise RuntimeError(f"the .{suffix} door does not load the golden files; run: {' '.join(arguments)}")
    if at < last:
        found.add(at, f"FAILED ended the process with code {process.returncode}")
        return at + 1
    return last


def lines(process: subprocess.Popen) -> Iterator[str | None]:
    """Lines that the child writes; None where the next one takes too long."""
    written: queue.Queue = queue.Queue()
    allowed = START_SECONDS

    def read() -> None:
        for line in process.stdout:
            written.put(line.strip())
        written.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = written.get(timeout=allowed)
        except queue.Empty:
            yield None
            return
        if not line:
            return
        allowed = SECONDS
        yield line


def again(suffix: str, number: int) -> None:
    """One file, in this process, with a traceback."""
    from toolchain.load import load

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        path = Path(folder, f"model.{suffix}")
        path.write_bytes(mutation(suffix, number))
        load(path)
    print("loaded")


def report(results: Mapping[str, Found]) -> int:
    for suffix, found in results.items():
        told = ", ".join(f"{what} {count:,}" for what, count in found.outcomes.most_common())
        print(f".{suffix}: {found.outcomes.total():,} damaged files: {told}")
        for number, what in found.failures[:20]:
            print(f"  number {number}: {what}")
    return int(any(found.failures for found in results.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="of each format")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--format", choices=SUFFIXES)
    parser.add_argument("--only", type=int, metavar="NUMBER")
    parser.add_argument("--child", nargs=3, metavar=("FORMAT", "FIRST", "LAST"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child[0], int(asked.child[1]), int(asked.child[2]))
        return 0
    if asked.only is not None:
        again(asked.format or SUFFIXES[0], asked.only)
        return 0
    formats = [asked.format] if asked.format else list(SUFFIXES)
    with ThreadPoolExecutor(len(formats)) as pool:
        found = pool.map(lambda suffix: soak(suffix, asked.count, asked.first), formats)
    return report(dict(zip(formats, found, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
