"""The file that calibration leaves: what was seen of each tensor, of which samples, through which observer.

The same activations make the same bytes, however they were sharded, merged or resumed.
"""

from collections.abc import Iterable, Mapping
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from toolchain.atomic import replacing
from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.quantize.observers import TensorStats, settings
from toolchain.quantize.rules import observed
from toolchain.quantize.stats_record import Row, TensorRecord, record_of, stats_of
from toolchain.recipe import CalibrateConfig

MOST_ROWS = 100_000_000
"""That a file may name: 800 MB of row numbers."""
Run = Annotated[tuple[Row, Row], "first and last of neighbouring rows"]


class ObserverRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The observer, and the setting that it reads if any."""

    observer: Literal[*CalibrateConfig.__annotations__["observer"].__args__]
    percentile: float | None = None
    smoothing: float | None = None


class StatsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Statistics of the tensors of one graph over some rows of one sample set.

    graph, graph_digest:     of the canonical graph that ran
    samples, samples_sha256: name of the set, and of what it holds, "" where that is not known
    runtime, runtime_version: what ran the graph
    rows:                    that were seen, as ascending runs [first, last]
    """

    schema: Literal["edge.statistics"] = "edge.statistics"
    schema_version: Literal[1] = 1
    graph: str
    graph_digest: str
    samples: str
    samples_sha256: str = ""
    runtime: str
    runtime_version: str
    observer: ObserverRecord
    rows: tuple[Run, ...]
    tensors: dict[str, TensorRecord]

    @classmethod
    def of(cls, graph: Graph, stats: Mapping[str, TensorStats], rows: Iterable[int], *, samples: str,
           runtime: str, runtime_version: str, samples_sha256: str = "") -> "StatsFile":
        """What calibrating `graph` on those rows of a set gave; all of one observer.

        Raises ValueError where a tensor became NaN or Inf, or no tensor was seen.
        """
        if bad := [name for name, one in stats.items() if not np.isfinite([one.low, one.high]).all()]:
            raise ValueError(f"{', '.join(bad)}: NaN and Inf have no place in a statistics file")
        observer, = {observer_of(one.config) for one in stats.values()}
        return cls(graph=graph.name, graph_digest=graph.digest, samples=samples,
                   samples_sha256=samples_sha256, runtime=runtime, runtime_version=runtime_version,
                   observer=observer, rows=runs_of(rows),
                   tensors={name: record_of(stats[name]) for name in sorted(stats)})

    @property
    def config(self) -> CalibrateConfig:
        """The observer and its setting; the rest as by default."""
        return msgspec.convert(msgspec.to_builtins(self.observer), CalibrateConfig)

    @property
    def stats(self) -> dict[str, TensorStats]:
        """What was seen of each tensor. Raises ValueError where a record contradicts itself."""
        return {name: _named(name, record, self.config) for name, record in self.tensors.items()}

    @property
    def seen_rows(self) -> np.ndarray:
        """int64 (n,), ascending."""
        return np.concatenate([np.arange(first, last + 1) for first, last in self.rows])

    def stats_for(self, graph: Graph, config: CalibrateConfig) -> dict[str, TensorStats]:
        """What `quantize` takes, through the observer of `config`.

        Raises BadInput where they are another graph's, or lack what the observer needs.
        """
        if self.graph_digest != graph.digest:
            raise BadInput(f"these statistics are of graph {self.graph} (digest {self.graph_digest[:12]}), "
                           f"not of {graph.name} ({graph.digest[:12]}); calibrate this very model")
        if missing := [name for name in observed(graph) if name not in self.tensors]:
            raise BadInput(f"these statistics of {graph.name} lack {', '.join(missing)}; calibrate it again")
        try:
            return {name: one.seen_by(config) for name, one in self.stats.items()}
        except ValueError as error:
            raise BadInput(f"statistics of {graph.name}: {error}") from None


def observer_of(config: CalibrateConfig) -> ObserverRecord:
    """What a file says of the observer of `config`."""
    return ObserverRecord(**settings(config))


def _named(name: str, record: TensorRecord, config: CalibrateConfig) -> TensorStats:
    try:
        return stats_of(record, config)
    except ValueError as error:
        raise ValueError(f"tensor {name}: {error}") from None


def runs_of(rows: Iterable[int]) -> tuple[Run, ...]:
    """Ascending runs [first, last] of neighbouring rows, each named once."""
    ordered = np.unique(np.fromiter(rows, np.int64))
    ends = np.flatnonzero(np.diff(ordered) != 1)
    firsts, lasts = ordered[np.append(0, ends + 1)], ordered[np.append(ends, ordered.size - 1)]
    return tuple(zip(firsts.tolist(), lasts.tolist()))


def merge_stats(one: StatsFile, other: StatsFile) -> StatsFile:
    """The file of both parts' rows; associative and commutative.

    Raises BadInput where they are not parts of one calibration, or share rows.
    """
    for field in StatsFile.__struct_fields__:
        if field not in ("rows", "tensors") and getattr(one, field) != getattr(other, field):
            said = [msgspec.json.encode(getattr(file, field)).decode() for file in (one, other)]
            raise BadInput(f"statistics of different calibrations cannot be merged: {field} is {said[0]} in "
                           f"one and {said[1]} in the other")
    if one.tensors.keys() != other.tensors.keys():
        names = ", ".join(sorted(one.tensors.keys() ^ other.tensors.keys()))
        raise BadInput(f"statistics of different calibrations cannot be merged: only one has {names}")
    runs = sorted((*one.rows, *other.rows))
    for (_, last), (first, end) in zip(runs, runs[1:]):
        if first <= last:
            raise BadInput(f"rows {first} to {min(last, end)} of {one.samples} are in both statistics; merge "
                           "parts that share no sample")
    theirs = other.stats
    merged = {name: record_of(stats.merge(theirs[name])) for name, stats in one.stats.items()}
    return msgspec.structs.replace(one, rows=_joined(runs), tensors=merged)


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Runs that touch become one."""
    joined = [list(runs[0])]
    for first, last in runs[1:]:
        if first == joined[-1][1] + 1:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return tuple(map(tuple, joined))


def write_stats(path: Path, file: StatsFile) -> None:
    """Write the file whole or not at all: JSON, and the sha256 of what stands before it."""
    content = msgspec.json.encode(file)
    sealed = content[:-1] + b',"sha256":"' + hashlib.sha256(content).hexdigest().encode() + b'"}\n'
    with replacing(path) as unfinished:
        unfinished.write_bytes(sealed)


class _Sealed(StatsFile, frozen=True, kw_only=True):
    """A StatsFile as it is on the disk."""

    sha256: str


def read_stats(path: Path) -> StatsFile:
    """A file that `write_stats` made. Raises BadInput where it is none, or is damaged."""
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=_Sealed)
        fields = {name: getattr(sealed, name) for name in StatsFile.__struct_fields__}
        file = StatsFile(**fields)
        _require_whole(file, sealed.sha256)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that calibration wrote") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadInput(f"{path}: no statistics file, or a damaged one: {error}; calibrate again") from None
    return file


def _require_whole(file: StatsFile, sha256: str) -> None:
    """Raise ValueError where the file contradicts itself or was changed."""
    if not file.tensors or not file.rows:
        raise ValueError("it holds no tensors or no rows")
    if observer_of(file.config) != file.observer:
        raise ValueError(f"observer {file.observer.observer} has not just the settings that it reads")
    flat = [row for run in file.rows for row in run]
    if sum(last - first + 1 for first, last in file.rows) > MOST_ROWS or any(
            first > last for first, last in file.rows) or any(
            after <= before + 1 for before, after in zip(flat[1::2], flat[2::2])):
        raise ValueError(f"rows {list(file.rows)[:3]} are not at most {MOST_ROWS:,} in ascending runs")
    for name, stats in file.stats.items():
        if stats.by_row is not None and runs_of(stats.by_row.rows) != file.rows:
            raise ValueError(f"tensor {name}: its rows are not those of the file")
    if hashlib.sha256(msgspec.json.encode(file)).hexdigest() != sha256:
        raise ValueError("its sha256 is another: it was changed since it was written")
