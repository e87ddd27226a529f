"""What the runner tells: lines "key value...", parsed strictly, for a device may send anything.

targets/runner/record.h says how lines are written.
"""

from collections.abc import Callable, Iterator
import re
from urllib.parse import unquote_to_bytes

import msgspec

from toolchain.errors import BadReply

MOST_BYTES = 128 * 2**20
MOST_LINE = 8192
MOST_PORTS, MOST_WATCHED, MOST_OPS = 64, 16, 16384
FACE = "edge-runner 1"
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
TEXT = re.compile(r"%|(?:[!-~]|%[0-9A-F]{2})+", re.ASCII)
SHAPE = re.compile(r"-|[1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9}){0,7}")
DTYPES = frozenset("bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split())


class RunnerPort(msgspec.Struct, frozen=True):
    """An input or output as the runtime on the device tells it; a batch of any size is 1."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Sample(msgspec.Struct, frozen=True, gc=False):
    """A timed inference. start_ns: since began_ns; cpu_ns: of all threads."""

    start_ns: int
    wall_ns: int
    cpu_ns: int


class Watched(msgspec.Struct, frozen=True):
    """A watched file's value at a time of the device's clock; or errno, where it could not be read."""

    index: int
    time_ns: int
    value: str | None = None
    errno: int | None = None


class Block(msgspec.Struct, frozen=True):
    """Inferences in a row of one of two models, 0 or 1; times are theirs, without what lies between."""

    model: int
    inferences: int
    wall_ns: int
    cpu_ns: int


class Op(msgspec.Struct, frozen=True):
    """An op, layer or kernel by the runtime's profiler: ns of all its executions."""

    index: int
    kind: str
    name: str
    ns: int
    executions: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process. Times of the clock: the device's CLOCK_MONOTONIC_RAW in ns.

    load_ns, first_ns:         cold: until the model is ready; its first inference
    began_ns, ended_ns:        of the timed run, with `inferences` in it
    samples:                   of mode time, in order, the first inference included; one of `every` in a row
    blocks:                    of mode compare; ops: of mode profile
    instructions, cycles:      an inference's, in user space; None where the kernel gives none
    vm_hwm_kb:                 peak resident memory, the runner's own log taken off
    faults, switches:          (minor, major), (voluntary, involuntary) during the timed run
    clock:                     of mode clock; sha256: of mode hash, in the files' order
    """

    runtime: str = ""
    inputs: tuple[RunnerPort, ...] = ()
    outputs: tuple[RunnerPort, ...] = ()
    load_ns: int | None = None
    first_ns: int | None = None
    began_ns: int | None = None
    ended_ns: int | None = None
    inferences: int | None = None
    every: int = 1
    samples: tuple[Sample, ...] = ()
    watched: tuple[Watched, ...] = ()
    blocks: tuple[Block, ...] = ()
    ops: tuple[Op, ...] = ()
    instructions: int | None = None
    cycles: int | None = None
    vm_hwm_kb: int | None = None
    faults: tuple[int, int] | None = None
    switches: tuple[int, int] | None = None
    clock: int | None = None
    sha256: tuple[str, ...] = ()


NEEDS = {"run": ("runtime", "load_ns", "first_ns", "inferences"),
         "time": ("runtime", "load_ns", "first_ns", "began_ns", "ended_ns", "inferences", "samples"),
         "profile": ("runtime", "load_ns", "first_ns", "inferences", "ops"),
         "compare": ("runtime", "load_ns", "blocks"), "clock": ("clock",), "hash": ("sha256",)}
"""Mode -> what its record always has."""


def parse(stdout: bytes, mode: str | None = None) -> Record:
    """The record that a runner wrote.

    mode: it was asked for; what that mode always tells must be there
    Raises BadReply for anything that no runner writes: half a record, an unknown line, a number out of range,
    too much of anything, times that contradict each other.
    """
    found = _Found()
    for number, line in enumerate(_lines(stdout), start=2):
        try:
            found.add(*line.split(" "))
        except (ValueError, TypeError) as error:
            why = error if isinstance(error, ValueError) else "too many or too few words"
            raise BadReply(f"line {number} of the runner's record, {line[:80]!r}: {why}") from None
    record = found.record()
    _check_times(record)
    if missing := [key for key in NEEDS.get(mode or "", ()) if getattr(record, key) in (None, (), "")]:
        raise BadReply(f"the runner's record of mode {mode} lacks {', '.join(missing)}")
    return record


def _lines(stdout: bytes) -> Iterator[str]:
    """Those between the first and "end"."""
    if len(stdout) > MOST_BYTES:
        raise BadReply(f"the runner wrote {len(stdout):,} bytes; at most {MOST_BYTES:,} are read")
    if not stdout.isascii() or not stdout.endswith(b"\nend\n"):
        raise BadReply(f"the runner's record is half a one or garbage: {len(stdout):,} bytes that end with "
                       f"{stdout[-40:]!r}, not with a line 'end'")
    first, *lines = stdout.decode("ascii").split("\n")[:-2]
    if first != FACE:
        raise BadReply(f"the runner's record begins with {first[:80]!r}, not with {FACE!r}")
    if any(len(line) > MOST_LINE for line in lines):
        raise BadReply(f"the runner's record has a line of more than {MOST_LINE} characters")
    return iter(lines)


class _Found:
    """Fields of a Record in the making."""

    def __init__(self) -> None:
        self._once: dict[str, object] = {}
        self._many: dict[str, list] = {field: [] for field, _, _ in MANY.values()}

    def add(self, key: str, *words: str) -> None:
        """A line. Raises ValueError, or TypeError for the wrong number of words."""
        if key in MANY:
            field, most, read = MANY[key]
            values = self._many[field]
            if len(values) == most:
                raise ValueError(f"more than {most} of them")
            values.append(read(len(values), *words))
        elif key not in ONCE or key in self._once:
            raise ValueError("a second one" if key in self._once else "an unknown key")
        else:
            self._once[key] = ONCE[key](*words)

    def record(self) -> Record:
        return Record(**self._once, **{field: tuple(values) for field, values in self._many.items()})


def _number(word: str) -> int:
    if not NUMBER.fullmatch(word) or int(word) >= 2**63:
        raise ValueError(f"{word[:40]!r} is not a number from 0 to 2^63 - 1")
    return int(word)


def _count(word: str) -> int:
    if not (count := _number(word)):
        raise ValueError("one at least")
    return count


def _pair(first: str, second: str) -> tuple[int, int]:
    return _number(first), _number(second)


def _text(word: str) -> str:
    if not TEXT.fullmatch(word) or re.search(r"%(?![0-9A-F]{2})", word) and word != "%":
        raise ValueError(f"{word[:40]!r} is not percent-encoded")
    return "" if word == "%" else unquote_to_bytes(word).decode("utf-8", "replace")


def _runtime(*words: str) -> str:
    """"LiteRT 2.3.0": words as they are."""
    name = " ".join(words)
    if not re.fullmatch(r"[\w.+-]{1,60}( [\w.+-]{1,60}){0,3}", name, re.ASCII):
        raise ValueError("not a name and a version")
    return name


def _port(_: int, name: str, dtype: str, shape: str) -> RunnerPort:
    if dtype not in DTYPES or not SHAPE.fullmatch(shape):
        raise ValueError("no dtype, or no shape")
    return RunnerPort(_text(name), dtype, () if shape == "-" else tuple(map(int, shape.split(","))))


def _sample(_: int, *words: str) -> Sample:
    return Sample(*map(_number, words))


def _watched(_: int, index: str, time_ns: str, value: str) -> Watched:
    if _number(index) >= MOST_WATCHED:
        raise ValueError(f"index {index} of {MOST_WATCHED} files")
    if value.startswith("!"):
        return Watched(_number(index), _number(time_ns), errno=_number(value[1:]))
    return Watched(_number(index), _number(time_ns), _text(value))


def _block(_: int, model: str, *words: str) -> Block:
    block = Block(_number(model), *map(_number, words))
    if block.model > 1 or not block.inferences:
        raise ValueError("model 0 or 1, and one inference at least")
    return block


def _op(_: int, index: str, kind: str, name: str, ns: str, executions: str) -> Op:
    return Op(_number(index), _text(kind), _text(name), _number(ns), _number(executions))


def _sha256(count: int, index: str, digest: str) -> str:
    if _number(index) != count or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"the digest of file {count} is asked for")
    return digest


ONCE: dict[str, Callable] = {
    "runtime": _runtime, "faults": _pair, "switches": _pair, "inferences": _count, "every": _count,
    **dict.fromkeys(("load_ns", "first_ns", "began_ns", "ended_ns", "instructions",
                     "cycles", "vm_hwm_kb", "clock"), _number)}
"""Key of a line of which there is at most one -> what reads its words; the field has the same name."""
MANY: dict[str, tuple[str, int, Callable]] = {
    "input": ("inputs", MOST_PORTS, _port), "output": ("outputs", MOST_PORTS, _port),
    "sample": ("samples", 1_000_000, _sample), "watch": ("watched", 1_000_000, _watched),
    "block": ("blocks", 20_000, _block), "op": ("ops", MOST_OPS, _op), "sha256": ("sha256", 4096, _sha256)}
"""Key -> field, most lines, and what reads one: how many there were, its words."""


def _check_times(record: Record) -> None:
    """Inferences follow each other within the run, which ends after it began."""
    if record.samples and None in (record.began_ns, record.ended_ns, record.inferences):
        raise BadReply("the runner's record has samples of a run without a beginning or an end")
    if not record.samples:
        return
    if len(record.samples) != -(-record.inferences // record.every):
        raise BadReply(f"the runner's record has {len(record.samples)} samples of {record.inferences} "
                       f"inferences, one of {record.every} each")
    last = 0
    for sample in record.samples:
        if sample.start_ns < last:
            raise BadReply(f"the runner's record has an inference that starts at {sample.start_ns} ns, while "
                           f"another ran")
        last = sample.start_ns + sample.wall_ns
    if record.began_ns + last > record.ended_ns:
        raise BadReply("the runner's record has an inference that ends after the run")
