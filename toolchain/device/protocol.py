"""The host's side of the line protocol that targets/*/firmware/main.c speaks; that file defines it.

One command a line, one answer a line, raw bytes with a CRC-32 where they are announced.
"""

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Protocol
import zlib

from toolchain.errors import DeviceUnavailable, InvalidMeasurement

REPLY_S = 10.0
INFER_S = 600.0
HELLO_S = 1.0
HELLOS = 20


class Line(Protocol):
    """What is needed of a pyserial port."""

    timeout: float | None

    def write(self, data: bytes) -> int: ...
    def read(self, size: int) -> bytes: ...
    def read_until(self, expected: bytes) -> bytes: ...


@dataclass(frozen=True)
class Model:
    """What the device says that it runs."""

    name: str
    digest: str
    arena_bytes: int
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]


@dataclass(frozen=True)
class Inference:
    """Ticks of the board's clock around one inference (count.h), and its stack.

    empty_ticks: around a function that returns at once
    """

    ticks: int
    empty_ticks: int
    stack_bytes: int


class Dut:
    """A device under test at the other end of a serial line.

    Every method raises DeviceUnavailable where no answer comes in time, InvalidMeasurement where it is not
    the one expected or bytes were damaged.
    """

    def __init__(self, line: Line, name: str):
        self._line, self._name = line, name

    def greet(self, still_there: Callable[[], None] = lambda: None) -> None:
        """Say hello until the device does; what it said before is dropped.

        still_there: called before each hello; may raise to end the wait
        """
        for attempt in range(HELLOS):
            still_there()
            self._line.write(f"\nhello edge{attempt}\n".encode())
            deadline = time.monotonic() + HELLO_S
            while (answer := self._read_line(deadline - time.monotonic())) is not None:
                if answer == f"ok hello edge{attempt}":
                    return
        raise DeviceUnavailable(f"{self._name} says nothing: {HELLOS} hellos, {HELLO_S:.0f} s apart, went "
                                f"unanswered; is our firmware on it, and is the line free?")

    def model(self) -> Model:
        digest, arena, *rest = self._ask("model").split(" ")
        inputs, rest = _counted(rest)
        outputs, rest = _counted(rest)
        return Model(" ".join(rest), digest, int(arena), inputs, outputs)

    def write_input(self, index: int, data: bytes) -> None:
        self._line.write(f"input {index} {zlib.crc32(data):08x}\n".encode())
        self._line.write(data)
        self._answer(f"input {index}")

    def infer(self) -> Inference:
        return Inference(*map(int, self._ask("infer", INFER_S).split(" ")))

    def read_output(self, index: int) -> bytes:
        _, size, crc = self._ask(f"output {index}").split(" ")
        self._line.timeout = REPLY_S
        data = self._line.read(int(size))
        if len(data) != int(size) or zlib.crc32(data) != int(crc, 16):
            raise InvalidMeasurement(f"{self._name}: output {index} arrived damaged: {len(data):,} of "
                                     f"{int(size):,} bytes, or a wrong checksum")
        return data

    def _ask(self, command: str, seconds: float = REPLY_S) -> str:
        self._line.write(f"{command}\n".encode())
        return self._answer(command, seconds)

    def _answer(self, command: str, seconds: float = REPLY_S) -> str:
        """What follows "ok WORD " in the answer."""
        answer, word = self._read_line(seconds), command.split(" ")[0]
        if answer is None:
            raise DeviceUnavailable(f"{self._name} gave no answer to '{command}' within {seconds:.0f} s")
        if not answer.startswith(f"ok {word} "):
            raise InvalidMeasurement(f"{self._name} answered '{answer}' to '{command}'")
        return answer.removeprefix(f"ok {word} ")

    def _read_line(self, seconds: float) -> str | None:
        """One line without its end; None where it does not end in time."""
        self._line.timeout = max(seconds, 0)
        text = self._line.read_until(b"\n")
        return text[:-1].decode("ascii", "replace") if text.endswith(b"\n") else None


def _counted(words: list[str]) -> tuple[tuple[int, ...], list[str]]:
    """A count, so many numbers, and the rest."""
    count = int(words[0])
    return tuple(map(int, words[1:count + 1])), words[count + 1:]
