"""Lines from a device that is not trusted."""

import time

import pytest

from toolchain.device.lines import MOST_LINE_BYTES, Lines, printable
from toolchain.errors import BadReply


class Sent:
    """A line on which these pieces come."""

    def __init__(self, *pieces: bytes):
        self._pieces = list(pieces)

    def write(self, data: bytes) -> None:
        pass

    def read(self, seconds: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def test_lines_are_cut_wherever_pieces_end():
    lines = Lines(Sent(b"on", b"e\r", b"\ntwo\nth", b"ree\n", b"half"), "board")
    deadline = time.monotonic() + 5
    assert [lines.next(deadline) for _ in range(4)] == ["one", "two", "three", None]
    assert lines.unread == b"half"


def test_a_line_without_an_end_is_not_kept():
    lines = Lines(Sent(*[b"x" * 4096] * 100), "board")
    with pytest.raises(BadReply, match="board sends a line without an end: 2.*,... bytes so far; is"):
        lines.next(time.monotonic() + 60)
    assert lines.unread == b"" and MOST_LINE_BYTES < 100 * 4096


def test_a_trickle_is_not_waited_for():
    class Trickle(Sent):
        def read(self, seconds: float) -> bytes:
            time.sleep(0.01)
            return b"x"

    assert Lines(Trickle(), "board").next(time.monotonic() + 0.05) is None


def test_what_a_device_says_is_shown_without_its_commands_to_a_terminal():
    assert printable("a\x1b[2J\u20acb") == "a?[2J?b" and printable("x" * 300) == "x" * 200 + "..."
