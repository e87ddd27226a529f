"""A record and its rows: what is stored of a Measurement or an Evaluation, and the way back.

The record is stored as JSON, its long lists of raw samples apart, compact and exact.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
import functools
import hashlib
from importlib import metadata
import json
import math
import platform
import sys
import zlib

import msgspec

import toolchain
from toolchain.errors import InvalidMeasurement, LedgerError
from toolchain.measurement import Evaluation, Measurement

Record = Measurement | Evaluation
KINDS: dict[str, type] = {"measurement": Measurement, "evaluation": Evaluation}
SAMPLES = tuple(field.name for field in msgspec.structs.fields(Measurement) if field.type == list[float])
"""Fields of a Measurement that hold raw samples."""
SEALED = ("kind", "started", "device", "target", "artifact", "digest", "runtime", "emulated", "valid",
          "problems", "record")
TOOLS = ("ai-edge-litert", "asyncssh", "numpy", "onnxruntime", "pyserial", "torch")
"""Packages whose version a figure may depend on; those that are not installed are left out."""


class Subject(msgspec.Struct, frozen=True):
    """What an Evaluation is of, which does not say so itself."""

    artifact: str = ""
    artifact_digest: str = ""
    target: str = ""


def kind_of(record: Record) -> str:
    """The key of KINDS."""
    return next(kind for kind, cls in KINDS.items() if isinstance(record, cls))


def run_row(record: Record, subject: Subject, now: float) -> dict:
    """The record's row in `runs`. Raises InvalidMeasurement for numbers that are not finite."""
    measured = isinstance(record, Measurement)
    of = record if measured else subject
    problems = record.problems if measured else ()
    return {"kind": kind_of(record), "started": (_seconds(record.started_at) if measured else None) or now,
            "recorded": now, "device": record.device, "target": of.target, "artifact": of.artifact,
            "digest": of.artifact_digest, "runtime": record.runtime, "emulated": record.emulated,
            "valid": not problems, "problems": "\n".join(problems), "record": _json(record)}


def seal(row: Mapping[str, object], raw: Iterable[Mapping[str, object]]) -> str:
    """sha256 over what a run's row says of it and over its rows in `samples`."""
    said = [row[name] for name in SEALED]
    return _sha256(json.dumps([*said, sorted((each["name"], _sha256(each["data"])) for each in raw)]))


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def moment(seconds: float) -> str:
    """Seconds since 1970 as "2026-11-22T13:45:06+00:00"."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _json(record: Record) -> str:
    """Without raw samples. What does not come back as it was is refused: JSON has no NaN."""
    bare = without_samples(record)
    text = msgspec.json.encode(bare)
    try:
        same = msgspec.json.decode(text, type=type(bare)) == bare
    except msgspec.ValidationError:
        same = False
    if not same:
        raise InvalidMeasurement(f"the {kind_of(record)} on {record.device} holds a number that is not "
                                 f"finite, so it is not recorded; measure again")
    return text.decode()


def without_samples(record: Record) -> Record:
    """The record with empty lists of raw samples."""
    return msgspec.structs.replace(record, **{name: [] for name in _sampled(record)})


def _sampled(record: Record) -> tuple[str, ...]:
    return SAMPLES if isinstance(record, Measurement) else ()


def sample_rows(record: Record) -> list[dict]:
    """The record's rows in `samples`. Raises InvalidMeasurement."""
    rows = []
    for name in _sampled(record):
        values = getattr(record, name)
        if not all(map(math.isfinite, values)):
            raise InvalidMeasurement(f"{name} of the measurement on {record.device} is not finite "
                                     f"everywhere, so it is not recorded; measure again")
        if values:
            rows.append({"name": name, "count": len(values), "data": packed(values)})
    return rows


def condition_rows(record: Record) -> list[dict]:
    """The record's rows in `conditions`."""
    found = record.conditions if isinstance(record, Measurement) else {}
    return [{"name": name, "value": json.dumps(value)} for name, value in found.items()]


def packed(values: list[float]) -> bytes:
    """zlib over little-endian float64: exact."""
    return zlib.compress(_little_endian(array("d", values)).tobytes())


def unpacked(data: bytes, count: int) -> list[float]:
    """What `packed` made of so many values. Raises LedgerError for anything else."""
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data, 8 * max(count, 0) + 1)
    except (zlib.error, OverflowError):
        raw = b""
    if len(raw) != 8 * count or not inflate.eof:
        raise LedgerError(f"raw samples in the ledger are damaged: {len(raw)} bytes instead of {8 * count}")
    values = array("d")
    values.frombytes(raw)
    return _little_endian(values).tolist()


def _little_endian(values: array) -> array:
    if sys.byteorder == "big":
        values.byteswap()
    return values


def record_of(row: Mapping[str, object], raw: Sequence[Mapping[str, object]]) -> Record:
    """The record as it was, of its row in `runs` and those in `samples`.

    Raises LedgerError where they are not what was written, or of an unknown kind.
    """
    if seal(row, raw) != row["sha256"]:
        raise LedgerError("a run in the ledger is damaged: it is not the one that was written")
    try:
        found = msgspec.json.decode(row["record"], type=KINDS[row["kind"]])
    except (KeyError, msgspec.DecodeError) as error:
        raise LedgerError(f"a run in the ledger cannot be read: {error}; was it written by a newer edge?") \
            from None
    return msgspec.structs.replace(found, **{each["name"]: unpacked(each["data"], each["count"])
                                             for each in raw})


@functools.cache
def tool_versions() -> dict[str, str]:
    """Of this process: what a figure may depend on."""
    found = {"edge": toolchain.__version__, "python": platform.python_version(),
             "kernel": f"{platform.system()} {platform.release()} {platform.machine()}"}
    for name in TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def tools_of(digest: str, text: str) -> dict[str, str]:
    """The versions in a row of `tools`. Raises LedgerError where they are not what was written."""
    if _sha256(text) != digest:
        raise LedgerError("a run in the ledger is damaged: versions of its tools are not those written")
    return json.loads(text)


@functools.cache
def tools_row() -> dict:
    """The row in `tools` of this process."""
    text = json.dumps(tool_versions(), sort_keys=True)
    return {"digest": _sha256(text), "versions": text}
