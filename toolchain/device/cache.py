"""What is made once and kept in the user's cache: found by its content, made by one process at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import fcntl
from pathlib import Path
import re
import shutil
import tempfile

from toolchain.atomic import cache_folder, full_disk_named

__all__ = ["cache_folder", "kept", "locked"]


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """No other process is in here with the same place; the lock falls with the process that held it.

    The lock is on a file beside the place, whose folder is made.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept(place: Path, make: Callable[[Path], None]) -> Path:
    """The folder at `place`; where there is none, `make` fills an empty one, which takes its name when done.

    What `make` raises passes through, and nothing is left of what it wrote.
    """
    if place.is_dir():
        return place
    with locked(place):
        if not place.is_dir():
            _clear(place)
            _make(place, make)
    return place


def _clear(place: Path) -> None:
    """Take away what processes left that were killed while they made it."""
    for path in place.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(place.name)}\.\w{{8}}", path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _make(place: Path, make: Callable[[Path], None]) -> None:
    unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        with full_disk_named(place):
            make(unfinished)
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
