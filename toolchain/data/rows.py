"""Samples that are read when they are asked for, so that only the batch in hand is in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import os
from pathlib import Path
import tempfile
from typing import BinaryIO

import numpy as np

from toolchain.errors import BadSamples

Read = Callable[[np.ndarray], np.ndarray]
"""Positions in the source (n,) int64 -> those samples (n, ...)."""
CHUNK = 64
"""Samples read at a time where all of them are looked at."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N samples that look like an array (N, ...) and are read when they are indexed.

    one:     shape of a sample
    dtype:   of what `read` gives
    read:    how samples at given positions of the source are read
    at:      (N,) int64, position of each sample in the source
    resized: shape of a sample -> how samples are read padded or cut to it, None where they cannot be; only of
             sources whose samples may have any length
    """

    one: tuple[int, ...]
    dtype: np.dtype
    read: Read
    at: np.ndarray
    resized: Callable[[tuple[int, ...]], Read | None] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.at), *self.one)

    @property
    def ndim(self) -> int:
        return 1 + len(self.one)

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        at = self.at[index]
        return self.read(at) if at.ndim else self.read(at[None])[0]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All of it: for what is known to be small."""
        found = self.read(self.at)
        return found if dtype is None else found.astype(dtype, copy=False)

    def picked(self, index: slice | np.ndarray) -> "Rows":
        """Those samples, still unread."""
        return replace(self, at=self.at[index])

    def mapped(self, function: Callable[[np.ndarray], np.ndarray]) -> "Rows":
        """What `function` makes of each batch, which keeps shape and dtype; still unread."""
        return replace(self, read=lambda at: function(self.read(at)), resized=None)


Array = np.ndarray | Rows


def pick(array: Array, index: slice | np.ndarray) -> Array:
    """Some samples of an array; those of Rows stay unread."""
    return array.picked(index) if isinstance(array, Rows) else array[index]


def mapped(array: Array, function: Callable[[np.ndarray], np.ndarray]) -> Array:
    """`function` of an array of samples; of Rows, batch by batch when they are read."""
    return array.mapped(function) if isinstance(array, Rows) else function(array)


def reshaped(array: Array, one: tuple[int, ...]) -> Array:
    """Each sample in another shape of as many elements."""
    if isinstance(array, Rows):
        return replace(array, one=one, read=lambda at: array.read(at).reshape(-1, *one), resized=None)
    return array.reshape(-1, *one)


def chunks(array: Array, size: int = CHUNK) -> Iterator[np.ndarray]:
    """All samples, `size` at a time."""
    return (array[start:start + size] for start in range(0, len(array), size))


def value_range(array: Array) -> tuple[float, float]:
    """Lowest and highest value, read in chunks."""
    edges = [(chunk.min(), chunk.max()) for chunk in chunks(array)]
    return float(min(low for low, _ in edges)), float(max(high for _, high in edges))


def file_rows(stream: BinaryIO, offset: int, shape: tuple[int, ...], dtype: np.dtype, name: str) -> Rows:
    """Rows of an array (N, ...) in C order that begins at `offset` of an open file.

    They are read, not mapped: pages of a mapped file would count as this process's memory.
    name: of the file, for messages
    """
    size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize

    def read(at: np.ndarray) -> np.ndarray:
        found = np.empty((len(at), *shape[1:]), dtype)
        flat = memoryview(found.reshape(-1).view(np.uint8))
        runs = np.flatnonzero(np.diff(at, prepend=at[:1] - 2) != 1)
        for first, last in zip(runs, (*runs[1:], len(at))):
            _fill(stream, flat[first * size:last * size], offset + int(at[first]) * size, name)
        return found

    return Rows(shape[1:], dtype, read, np.arange(shape[0], dtype=np.int64))


def rows_of_files(files: list[Path], sample_of: Callable[[Path], np.ndarray], dtype: type[np.number],
                  remedy: str) -> Rows:
    """A sample from each file; only the first is read yet.

    sample_of: raises BadSamples for a file that it cannot read;  dtype: of what it gives
    remedy:    for samples of unlike shapes. Raises BadSamples for the first file, and later for one that
               cannot be read or has another shape.
    """
    one = sample_of(files[0]).shape

    def read(at: np.ndarray) -> np.ndarray:
        found = np.empty((len(at), *one), dtype)
        for i, position in enumerate(at):
            sample = sample_of(files[position])
            if sample.shape != one:
                raise BadSamples(f"{files[position]}: becomes {sample.shape}, but {files[0].name} {one}; "
                                 f"{remedy}")
            found[i] = sample
        return found

    return Rows(one, np.dtype(dtype), read, np.arange(len(files)))


def windows(rows: Rows, starts: np.ndarray, length: int) -> Rows:
    """`length` neighbours at each of `starts`, (N, length, ...)."""
    def read(at: np.ndarray) -> np.ndarray:
        return rows.read((at[:, None] + np.arange(length)).reshape(-1)).reshape(-1, length, *rows.one)

    return Rows((length, *rows.one), rows.dtype, read, starts)


def _fill(stream: BinaryIO, target: memoryview, offset: int, name: str) -> None:
    """Read as many bytes as `target` holds; at a position, so that processes may share the open file."""
    while len(target):
        got = os.preadv(stream.fileno(), [target], offset)
        if not got:
            raise BadSamples(f"{name}: ends early; it became shorter while it was read")
        target, offset = target[got:], offset + got


class Spool:
    """Samples of one shape and dtype, written one after the other to a temporary file that has no name."""

    def __init__(self, one: tuple[int, ...], dtype: np.dtype):
        self.one, self.dtype, self.count = one, dtype, 0
        self._stream = tempfile.TemporaryFile()

    def append(self, sample: np.ndarray) -> None:
        """One sample of shape `one`."""
        self._stream.write(np.ascontiguousarray(sample, self.dtype).data)
        self.count += 1

    @property
    def nbytes(self) -> int:
        return self.count * int(np.prod(self.one, dtype=np.int64)) * self.dtype.itemsize

    def write(self, data: bytes) -> None:
        """The bytes of some more samples."""
        self._stream.write(data)

    def rows(self, count: int | None = None) -> Rows:
        """All samples, to be read."""
        self._stream.flush()
        shape = (self.count if count is None else count, *self.one)
        return file_rows(self._stream, 0, shape, self.dtype, "a temporary file of samples")
