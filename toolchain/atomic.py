"""Files that are there whole or not at all, and the user's own folders."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import hashlib
import os
from pathlib import Path
import shutil
import tempfile

from toolchain.errors import BadInput


def user_folder(variable: str, *usual: str) -> Path:
    """Where XDG's variable says, else a folder at home. Raises BadInput for a user who has no home."""
    if chosen := os.environ.get(variable):
        return Path(chosen).absolute()
    try:
        return Path.home().joinpath(*usual)
    except RuntimeError:
        raise BadInput(f"this user has no home folder: HOME is not set and the system knows none; set HOME "
                       f"or {variable}") from None


def cache_folder() -> Path:
    """EDGE_CACHE, else `edge` in XDG_CACHE_HOME, else ~/.cache/edge. Not made here. Raises BadInput."""
    if chosen := os.environ.get("EDGE_CACHE"):
        return Path(chosen).absolute()
    return user_folder("XDG_CACHE_HOME", ".cache") / "edge"


def require_place(path: Path) -> None:
    """A look whether a file may be written there, before the work that it is to hold.

    Raises BadInput where it is a folder, or lies where nothing can be written.
    """
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name the file to write")
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    if not nearest.is_dir():
        raise BadInput(f"{path}: {nearest} is a file; name another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"{path}: no permission to write in {nearest}; name another place")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, which takes its name when all went well; its folder is made.

    Raises BadInput as `require_place`.
    """
    require_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder,
          full_disk_named(path)):
        unfinished = Path(folder, f"unfinished{path.suffix}")
        yield unfinished
        unfinished.replace(path)


def swap(staging: Path, folder: Path) -> None:
    """A folder takes the place of another, or of none; one that was there before is deleted."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)  # of a swap that was interrupted
        folder.rename(old)
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


SEAL = 65
"""Bytes of a seal: sha256 in hex, a line end."""


def write_sealed(path: Path, content: bytes | memoryview) -> None:
    """Write the file whole or not at all: the sha256 of its content, and the content.

    Raises BadInput as `require_place`.
    """
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(_seal(content))
        file.write(content)


def read_sealed(path: Path) -> memoryview:
    """The content that `write_sealed` wrote. Raises ValueError where it is another, OSError."""
    sealed = memoryview(path.read_bytes())
    if sealed[:SEAL] != _seal(sealed[SEAL:]):
        raise ValueError("its sha256 is not the one that it says")
    return sealed[SEAL:]


def _seal(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """An OSError of a full disk says what was written: of a file that is open the system does not tell."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            error.filename = str(path)
        raise
