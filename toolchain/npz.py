"""Arrays of .npz files, of which none may be pickled."""

from collections.abc import Mapping
import io
from pathlib import Path
import tokenize
import zipfile
import zlib

import numpy as np

from toolchain.errors import BadSamples

UNREADABLE = (OSError, ValueError, EOFError, MemoryError, TypeError, RuntimeError, SyntaxError,
              tokenize.TokenError, zipfile.BadZipFile, zlib.error)
"""What zipfile and numpy raise for an .npz that is none, or is damaged."""


def read_npz(source: Path | io.BytesIO, name: str = "") -> dict[str, np.ndarray]:
    """Every array. Raises BadSamples, naming `name` or the path, where it is none, damaged or pickled."""
    name = name or str(source)
    try:
        with zipfile.ZipFile(source) as archive:
            return {file.removesuffix(".npy"): _read_array(archive, file) for file in archive.namelist()}
    except FileNotFoundError:
        raise BadSamples(f"{name}: no such file") from None
    except UNREADABLE as error:
        raise BadSamples(f"{name}: not a readable .npz without pickles: {error}; "
                         f"write it with numpy.savez") from None


def packed_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An uncompressed .npz with fixed time stamps: the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()


def _read_array(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
