"""The system that has a meter's files and commands: this host's, or that at a Transport's other end."""

from collections.abc import Sequence
from pathlib import Path
import subprocess
from typing import Protocol

from toolchain.device.transports.transport import Finished, Transport
from toolchain.errors import BadReply, DeviceUnavailable

MOST_BYTES = 65536
"""Of a file of sysfs (a page has 4096 or 16384), or of what a command writes."""
SECONDS = 10.0


class System(Protocol):
    """Its files are read, its commands run."""

    def run(self, argv: Sequence[str]) -> Finished:
        """A command, to its end. Raises DeviceUnavailable where it cannot be started."""

    def read(self, path: str) -> str:
        """A small text file, without the blanks around it. Raises DeviceUnavailable where there is none."""

    def names(self, folder: str) -> list[str]:
        """Of what lies in a folder, sorted; none where there is no such folder."""


class Host:
    """This machine."""

    def run(self, argv: Sequence[str]) -> Finished:
        try:
            done = subprocess.run(list(argv), capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeviceUnavailable(f"{argv[0]} cannot be run here: {error}") from None
        return Finished(done.returncode, done.stdout[:MOST_BYTES], done.stderr[:MOST_BYTES])

    def read(self, path: str) -> str:
        try:
            with open(path, "rb") as file:
                return text_of(path, file.read(MOST_BYTES))
        except PermissionError:
            raise _unreadable(path, True) from None
        except OSError:
            raise _unreadable(path, False) from None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in Path(folder).iterdir())
        except OSError:
            return []


class Remote:
    """A device. `transport` must take a command while another runs, or be a connection of its own."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def run(self, argv: Sequence[str]) -> Finished:
        return self._transport.start(argv, seconds=SECONDS, most_bytes=MOST_BYTES)

    def read(self, path: str) -> str:
        done = self.run(["cat", path])
        if done.code:
            raise _unreadable(path, b"ermission denied" in done.stderr)
        return text_of(path, done.stdout)

    def names(self, folder: str) -> list[str]:
        done = self.run(["ls", folder])
        return [] if done.code else sorted(text_of(folder, done.stdout).split())


def text_of(path: str, content: bytes) -> str:
    """Raises BadReply for what is not text."""
    try:
        return content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise BadReply(f"{path}: not ASCII") from None


def number_of(path: str, text: str) -> int:
    """A file of sysfs that holds one whole number. Raises BadReply."""
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise BadReply(f"{path}: {text[:40]!r} where a whole number is expected")
    return int(text)


def _unreadable(path: str, forbidden: bool) -> DeviceUnavailable:
    return DeviceUnavailable(f"{path}: {'permission denied' if forbidden else 'no such file'}")
