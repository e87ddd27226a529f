"""This host as a device: the same folder and the same programs, with no wire in between."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from toolchain.device.cache import cache_folder, locked
from toolchain.device.transports.bounded import run_here
from toolchain.device.transports.folder import DeviceFolder, open_folder
from toolchain.device.transports.transport import MOST_BYTES, Finished


class LocalWire:
    """Runs command lines on this host. Source: folder.py's Wire."""

    def __init__(self, name: str = "local"):
        self.name = name

    def run(self, argv: Sequence[str], *, seconds: float, stdin: bytes | None = None,
            most_bytes: int = MOST_BYTES) -> Finished:
        """As Wire."""
        return run_here(self.name, argv, seconds=seconds, stdin=stdin, most_bytes=most_bytes)

    def close(self) -> None:
        """As Wire: there is nothing to let go of."""


class LocalFolder(DeviceFolder):
    """Of this host, where several processes may push at a time; a board has one that holds its lease."""

    def push(self, files: Mapping[str, bytes], executable: Collection[str] = ()) -> dict[str, str]:
        """As Transport."""
        with locked(Path(self.folder)):
            return super().push(files, executable)


@contextmanager
def open_local(folder: Path | None = None, name: str = "local") -> Iterator[DeviceFolder]:
    """This host, with a folder in the cache unless named. Raises DeviceRefused, DeviceExhausted."""
    place = (folder or cache_folder() / "local").absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    wire = LocalWire(name)
    with locked(place):
        path = open_folder(wire, str(place)).folder
    yield LocalFolder(wire, path)
