"""Arrays of .npz and .npy files, of which none may be pickled. Large ones are read row by row.

An array that is stored as it is is read where it lies; a compressed one is decoded once, when it is first
asked for, to a temporary file on the disk. Either way memory does not grow with the number of samples.
"""

from collections.abc import Callable
from contextlib import contextmanager
import functools
from pathlib import Path
import shutil
import struct
import tempfile
from typing import BinaryIO
import zipfile

import numpy as np
from numpy.lib import format as npy

from toolchain.data.rows import Array, Rows, Spool, file_rows
from toolchain.errors import BadSamples
from toolchain.npz import UNREADABLE

IN_MEMORY = 1 << 22
"""Bytes of an array that is read whole."""
BLOCK = 1 << 20
HEADERS: dict[tuple[int, int], Callable] = {(1, 0): npy.read_array_header_1_0,
                                            (2, 0): npy.read_array_header_2_0}


def open_archive(path: Path) -> dict[str, Array]:
    """Every array of an .npz. Raises BadSamples, naming the path, where it is none, damaged or pickled."""
    with _readable(path, ".npz", "savez"), zipfile.ZipFile(path) as archive:
        return {member.filename.removesuffix(".npy"): _member(path, archive, member)
                for member in archive.infolist()}


def open_array(path: Path) -> Array:
    """The array of an .npy. Raises BadSamples as `open_archive`."""
    with _readable(path, ".npy", "save"):
        stream = path.open("rb")
        shape, dtype, large = _header(stream)
        if large:
            _require_length(path.stat().st_size - stream.tell(), shape, dtype)
            return file_rows(stream, stream.tell(), shape, dtype, str(path))
        with stream:
            stream.seek(0)
            return npy.read_array(stream, allow_pickle=False)


@contextmanager
def _readable(path: Path, kind: str, writer: str):
    try:
        yield
    except FileNotFoundError:
        raise BadSamples(f"{path}: no such file") from None
    except (*UNREADABLE, struct.error) as error:
        raise BadSamples(f"{path}: not a readable {kind} without pickles: {error}; "
                         f"write it with numpy.{writer}") from None


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as stream:
        shape, dtype, large = _header(stream)
        begin = stream.tell()
    if not large:
        with archive.open(member) as stream:
            return npy.read_array(stream, allow_pickle=False)
    _require_length(member.file_size - begin, shape, dtype)
    if member.compress_type == zipfile.ZIP_STORED:
        return file_rows(path.open("rb"), _data_of(archive.fp, member) + begin, shape, dtype, str(path))
    return _decoded_when_asked(path, member, begin, shape, dtype)


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Shape, dtype, and whether it is large: then `stream` is where its C-ordered samples begin."""
    read = HEADERS.get(npy.read_magic(stream))
    if read is None:
        return (), np.dtype("O"), False
    shape, fortran_order, dtype = read(stream)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    return shape, dtype, not fortran_order and not dtype.hasobject and len(shape) > 0 and size > IN_MEMORY


def _require_length(got: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
    want = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if got < want:
        raise ValueError(f"{shape} of {dtype} takes {want} bytes, but there are {got}")


def _data_of(stream: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where the member's bytes begin: behind its local header (APPNOTE.TXT 4.3.7), name and extra field."""
    stream.seek(member.header_offset + 26)
    name, extra = struct.unpack("<HH", stream.read(4))
    return member.header_offset + 30 + name + extra


def _decoded_when_asked(path: Path, member: zipfile.ZipInfo, begin: int, shape: tuple[int, ...],
                        dtype: np.dtype) -> Rows:
    @functools.cache
    def decoded() -> Rows:
        with _readable(path, ".npz", "savez"):
            return _decoded(path, member, begin, shape, dtype)

    return Rows(shape[1:], dtype, lambda at: decoded().read(at), np.arange(shape[0], dtype=np.int64))


def _decoded(path: Path, member: zipfile.ZipInfo, begin: int, shape: tuple[int, ...],
             dtype: np.dtype) -> Rows:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if member.file_size > free:
        raise BadSamples(f"{path}: '{member.filename}' takes {member.file_size:,} bytes decoded, but "
                         f"{tempfile.gettempdir()} has {free:,}; set TMPDIR to a larger disk, or store it "
                         f"uncompressed with numpy.savez")
    spool = Spool(shape[1:], dtype)
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        stream.read(begin)
        for block in iter(lambda: stream.read(BLOCK), b""):
            spool.write(block)
    return spool.rows(shape[0])
