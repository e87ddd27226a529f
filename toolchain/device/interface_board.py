"""A device behind MLPerf Tiny's interface board, as it is in energy mode, where its USB would feed it.

The board passes "dut COMMAND%" on at 9600 baud, answers "m-dut-passthrough(COMMAND)" and "m-ready" itself,
and then what the device says, each line behind "[dut]: ".
"""

from toolchain.device.lines import Line, Lines
from toolchain.device.protocol import REPLY_S, Dut

BAUD = 115_200
"""Of the board's own line to the host."""
PREFIX = "[dut]: "


class InterfacedDut(Dut):
    """A Dut that takes no raw bytes: neither load_codes nor what needs it. Inputs come by load()."""

    most_hex_bytes = 26

    def __init__(self, line: Line, name: str):
        super().__init__(line, name)
        self._lines = _Forwarded(line, name)

    def _hello(self, word: str, attempt: int) -> None:
        self._write(word)

    def _write(self, command: str, raw: bytes = b"") -> None:
        self._line.write(f"dut {command}%".encode())

    def _answer(self, command: str, seconds: float) -> list[str]:
        passed_on = super()._answer(command, REPLY_S)
        if passed_on != [f"m-dut-passthrough({command})"]:
            raise self._unexpected(f"dut {command}", passed_on)
        return super()._answer(command, seconds)


class _Forwarded(Lines):
    def next(self, deadline: float) -> str | None:
        text = super().next(deadline)
        return text and text.removeprefix(PREFIX)
