"""Lines of text from a device that is not trusted: bounded in time and size, and fit to be shown."""

import time
from typing import Protocol

from toolchain.errors import BadReply

MOST_LINE_BYTES = 2**18
"""Before a line ends: results of 30,000 numbers."""
MOST_SHOWN = 200


class Line(Protocol):
    """Both directions of a serial line. Both raise DeviceLost."""

    def write(self, data: bytes) -> None: ...
    def read(self, seconds: float) -> bytes: ...


class Lines:
    """What comes from a line, cut at line feeds.

    name: of what sends them, for messages
    """

    def __init__(self, line: Line, name: str):
        self._line, self._name, self.unread = line, name, b""

    def next(self, deadline: float) -> str | None:
        """One line without its end; None where it does not end by time.monotonic() = deadline.

        Raises BadReply where it is longer than MOST_LINE_BYTES, DeviceLost.
        """
        searched = 0
        while (end := self.unread.find(b"\n", searched)) < 0:
            searched, left_s = len(self.unread), deadline - time.monotonic()
            more = self._line.read(max(left_s, 0))
            if not more or left_s < 0 and b"\n" not in more:
                self.unread += more
                return None
            self.unread += more
            if len(self.unread) > MOST_LINE_BYTES and b"\n" not in more:
                self.unread = b""
                raise BadReply(f"{self._name} sends a line without an end: {searched:,} bytes so far; is the "
                               f"baud right, and is it our firmware?")
        text, self.unread = self.unread[:end], self.unread[end + 1:]
        return text.rstrip(b"\r").decode("ascii", "replace")


def printable(text: str) -> str:
    """The first of a device's words, without what a terminal would obey."""
    seen = "".join(c if " " <= c <= "~" else "?" for c in text[:MOST_SHOWN])
    return seen + "..." * (len(text) > MOST_SHOWN)
