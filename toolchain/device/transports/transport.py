"""What every transport offers, and what may pass through one.

Models, devices and replies are untrusted. What goes into a command line is of a small alphabet that no shell
reads anything into; what comes back is bounded in size and time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
import re
from typing import Protocol

from toolchain.errors import BadInput

MOST_BYTES = 256 * 2**20
"""Of a file read back, or of what a program writes."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
WORD = re.compile(r"[A-Za-z0-9._/=,:+@%-]+")


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its exit code (128 + signal where one killed it) and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


class Transport(Protocol):
    """A device that runs programs.

    name:   for messages: the board's, never an address, key or serial number
    folder: of ours on the device, absolute; everything pushed lies in it

    Every method raises DeviceUnavailable or one of its kinds: DeviceLost where the connection broke,
    DeviceRefused, DeviceExhausted where the disk or the memory is full, DeviceTimeout; BadReply where more
    comes than allowed.
    """

    name: str
    folder: str

    def push(self, files: Mapping[str, bytes], executable: Collection[str] = ()) -> dict[str, str]:
        """Put files (plain names -> contents) there; name -> its path on the device.

        A file lies in a folder named by its content, so that what is there already is not sent again. An
        interrupted transfer goes on where it stopped. The device's own sha256 of each file is checked before
        this returns; half a file is never at its final path.
        """

    def start(self, argv: Sequence[str], *, seconds: float, most_bytes: int = MOST_BYTES) -> Finished:
        """Run a program to its end, at most so many seconds; then it is killed, on the device too."""

    def read(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The whole of a file in `folder`."""

    def remove(self) -> None:
        """Take away `folder` and everything in it."""

    def close(self) -> None:
        """Let go of the device."""


def safe_name(name: str) -> str:
    """A file's name without any path. Raises BadInput."""
    if not NAME.fullmatch(name):
        raise BadInput(f"file name {name!r} is not sent to a device; letters, digits and ._+- only, "
                       f"no path, 100 characters at most")
    return name


def safe_words(argv: Sequence[str]) -> list[str]:
    """A command line in which no shell finds anything to expand. Raises BadInput."""
    for word in argv:
        if not WORD.fullmatch(word):
            raise BadInput(f"argument {word!r} is not sent to a device; letters, digits and ._/=,:+@%- only")
    return list(argv)
