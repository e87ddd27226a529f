"""Samples from CSV files of sensor readings: rows are readings, columns channels, windows of rows samples.

Readings go to a temporary file while they are parsed; memory holds one window's worth.
"""

from collections.abc import Iterator
import csv
from dataclasses import dataclass
import itertools
from pathlib import Path

import numpy as np

from toolchain.data.manifest import (
    SPLITS,
    FilesManifest,
    Preprocessing,
    Table,
    class_numbers,
    require_per_channel,
)
from toolchain.data.rows import Spool, windows
from toolchain.data.samples import Samples
from toolchain.errors import BadConfig, BadSamples

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t"
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Run:
    """Readings begin..end-1, one behind the other in a file, of one label, group and split."""

    begin: int
    end: int
    file: str
    label: str
    group: str
    split: str


def load_table(files: list[Path], manifest: FilesManifest, about: Path) -> Samples:
    """Windows of all files, (N, window, channels) float32, (N, channels) where `window` is 1.

    No window spans two files, labels, groups or splits. Raises BadSamples naming line and column of a bad
    cell, or where no run is as long as a window; BadConfig where the manifest names columns that are not
    there.
    """
    config = manifest.table
    spool, channels, runs = _parsed(files, config)
    step = config.step or config.window
    found = [(start, run) for run in runs for start in range(run.begin, run.end - config.window + 1, step)]
    if not spool.count:
        raise BadSamples(f"{files[0]}: holds no rows but the names of its columns; drop it")
    if not found:
        longest = max((run.end - run.begin for run in runs), default=0)
        raise BadSamples(f"{files[0]}: at most {longest} rows belong together, fewer than a window of "
                         f"{config.window}; lower [table] window")
    starts, owners = np.array([start for start, _ in found], np.int64), [run for _, run in found]
    _check_groups(files[0], owners)
    x = windows(spool.rows(), starts, config.window) if config.window > 1 else spool.rows().picked(starts)
    y, classes = _labels(owners, manifest.classes, about) if config.label else (None, manifest.classes)
    splits = np.array([run.split for run in owners]) if config.split else None
    steps = manifest.preprocessing
    require_per_channel(steps, len(channels), about)
    return Samples(files[0].name, {"x": x}, y, splits, np.arange(len(starts)),
                   Preprocessing(steps.mean, steps.scale), "channels_last", classes, channels,
                   groups=[run.group or run.file for run in owners],
                   remedy="write [table] columns and window in its manifest")


def _parsed(files: list[Path], config: Table) -> tuple[Spool, tuple[str, ...], list[Run]]:
    """All readings, the names of their channels, and which belong together."""
    tables = [_Lines(file, config) for file in files]
    channels = tables[0].channels
    spool, runs = Spool((len(channels),), np.dtype(np.float32)), []
    for lines in tables:
        if lines.channels != channels:
            raise BadSamples(f"{lines.file}: has columns {', '.join(lines.channels)}, but {files[0].name} "
                             f"{', '.join(channels)}; name those that both have in [table] columns")
        for keys, readings in itertools.groupby(lines, key=lambda line: line[0]):
            begin = spool.count
            for _, reading in readings:
                spool.append(reading)
            runs.append(Run(begin, spool.count, lines.file.name, *keys))
    return spool, channels, runs


class _Lines:
    """The readings of a file: ((label, group, split), (channels,) float32) of each line."""

    def __init__(self, file: Path, config: Table):
        self.file, self.config = file, config
        first = self._first()
        self.delimiter = max(DELIMITERS, key=first.count)
        cells = next(csv.reader([first], delimiter=self.delimiter))
        self.headed = not all(_is_reading(cell) for cell in cells)
        self.names = [cell.strip() for cell in cells] if self.headed else [str(i) for i in range(len(cells))]
        named = (config.label, config.group, config.split)
        left_out = {*named, *config.ignore}
        self.channels = config.columns or tuple(name for name in self.names if name not in left_out)
        self.place = {name: i for i, name in enumerate(self.names)}
        if missing := [name for name in (*self.channels, *filter(None, named)) if name not in self.place]:
            raise BadConfig(f"{file}: has no column '{missing[0]}', which [table] names, only "
                            f"{', '.join(self.names)}")
        if twice := [name for name in (*self.channels, *filter(None, named)) if self.names.count(name) > 1]:
            raise BadSamples(f"{file}: has two columns '{twice[0]}'; give each a name of its own, or leave "
                             f"them out with [table] ignore")

    def _first(self) -> str:
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as stream:
                line = stream.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSamples(f"{self.file}: cannot be read: {error}; write it in UTF-8") from None
        if not line.strip():
            raise BadSamples(f"{self.file}: its first line is empty; write the names of the columns there")
        return line.rstrip("\r\n")

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], np.ndarray]]:
        keys = [self.place.get(name) for name in (self.config.label, self.config.group, self.config.split)]
        columns = [self.place[name] for name in self.channels]
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.reader(stream, delimiter=self.delimiter)
                for cells in reader:
                    if not cells or (self.headed and reader.line_num == 1):
                        continue
                    self._require_cells(reader.line_num, cells)
                    reading = np.array([self._number(reader.line_num, cells, i) for i in columns], np.float32)
                    yield tuple("" if i is None else cells[i].strip() for i in keys), reading
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadSamples(f"{self.file}: not a readable table: {error}; write it in UTF-8") from None

    def _require_cells(self, line: int, cells: list[str]) -> None:
        if len(cells) != len(self.names):
            raise BadSamples(f"{self.file}: line {line} has {len(cells)} cells, but the first has "
                             f"{len(self.names)}; repair it or drop it")

    def _number(self, line: int, cells: list[str], column: int) -> float:
        if not _is_number(cells[column]):
            raise BadSamples(f"{self.file}: line {line}, column '{self.names[column]}': {cells[column]!r} is "
                             f"no finite number; repair it, drop the line, or leave the column out with "
                             f"[table] ignore")
        return float(cells[column])


def _is_number(cell: str) -> bool:
    """Whether it is finite in float32."""
    try:
        return abs(float(cell)) <= LARGEST
    except ValueError:
        return False


def _is_reading(cell: str) -> bool:
    """Whether it is a number, or stands where one is missing."""
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True


def _labels(owners: list[Run], classes: tuple[str, ...], about: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers: as they are where all are whole numbers, else their place among the classes."""
    names = [run.label for run in owners]
    if not classes and all(name.isdecimal() for name in names):
        return np.array(names).astype(np.int64), ()
    return class_numbers(names, classes, about)


def _check_groups(file: Path, owners: list[Run]) -> None:
    split_of: dict[str, str] = {}
    for run in owners:
        if run.split and run.split not in SPLITS:
            raise BadSamples(f"{file}: split {run.split!r} is none of {', '.join(SPLITS)}; rename it")
        if run.group and split_of.setdefault(run.group, run.split) != run.split:
            raise BadSamples(f"{file}: group {run.group} is in more than one split: samples leak")
