"""The host's side of the protocol that targets/firmware/main.c speaks: MLPerf Tiny's, and words of our own.

A command ends with '%'; the answer's lines end with CR LF, the last is "m-ready". "e-[...]" is an error.
A board that starts says "m-timestamp-mode-..." and "m-init-done": within an answer, it has been reset.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import re
import secrets
import time
import zlib

from toolchain.device.lines import Line, Lines, printable
from toolchain.device.mlperf import ALIGNMENT
from toolchain.errors import BadReply, DeviceLost, DeviceTimeout, DeviceUnavailable, InvalidMeasurement

REPLY_S = 10.0
INFER_S = 600.0
HELLO_S = 1.0
HELLOS = 20
HEX_BYTES = 31
"""Of a db command, as MLPerf Tiny's runner sends them."""
RAW_BYTES = 256
"""Of a db raw command."""
READY, FAULT = "m-ready", "e-[Fault]"
NUMBER = r"(\d{1,19})"
REAL = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
STARTED = re.compile(r"m-timestamp-mode-|m-init-done")
MOST_LINES = 2**18
"""Of an answer: two megabytes of output."""


@dataclass(frozen=True)
class Model:
    """What the device says that it runs; sizes in bytes, its clock in ticks a second."""

    digest: str
    arena_bytes: int
    hz: int
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


@dataclass(frozen=True)
class InferenceRun:
    """Inferences between two timestamps.

    microseconds: between them; None where the firmware was built for energy and pulses a pin instead
    results:      the first output's reals, to three decimals
    """

    inferences: int
    microseconds: int | None
    results: tuple[float, ...]


class Dut:
    """A device under test at the other end of a serial line.

    Every method raises DeviceTimeout where no answer comes in time, DeviceLost where the line breaks or the
    board restarts, BadReply where the answer is an error or not the one expected.
    """

    most_hex_bytes = HEX_BYTES

    def __init__(self, line: Line, name: str):
        self._line, self._name, self._loaded = line, name, b""
        self._lines = Lines(line, name)

    def greet(self, still_there: Callable[[], None] = lambda: None) -> None:
        """Say a word that nobody said before until the device says that it does not know it; what it said
        before, an answer that comes late included, is dropped. From the second time on, behind as many zeros
        as a host that was interrupted may owe it; else it disregards them.

        still_there: called before each word; may raise to end the wait
        Raises DeviceUnavailable, BadReply for a line that sends back what is sent, or no text.
        """
        self._loaded, heard = b"", ""
        for attempt in range(HELLOS):
            still_there()
            word = f"edge{secrets.token_hex(4)}"
            self._hello(word, attempt)
            deadline, known = time.monotonic() + HELLO_S, False
            while (text := self._lines.next(deadline)) is not None:
                heard = text or heard
                known |= text == f"e-[Unknown command: {word}]"
                if known and text == READY:
                    return
            heard += self._lines.unread.decode("ascii", "replace")
            self._require_no_echo(word, heard)
        raise self._no_hello(heard)

    def _hello(self, word: str, attempt: int) -> None:
        """Behind the end of a command that was not ended."""
        if attempt:
            self._line.write(bytes(RAW_BYTES))
        self._write(f"%{word}")

    def command(self, command: str, seconds: float | None = None, raw: bytes = b"") -> list[str]:
        """Send a command without its '%', and raw bytes behind it; the answer's lines without "m-ready".

        seconds: that it may take, REPLY_S where left out
        """
        self._write(command, raw)
        lines = self._answer(command, seconds or REPLY_S)
        if wrong := [text for text in lines if text.startswith("e-[")]:
            raise self._unexpected(command, wrong)
        return lines

    def _answer(self, command: str, seconds: float) -> list[str]:
        """Lines until "m-ready"."""
        deadline, lines = time.monotonic() + seconds, []
        while (text := self._lines.next(deadline)) != READY:
            if text is None or len(lines) == MOST_LINES:
                raise DeviceTimeout(f"{self._name} gave no answer to '{command}' within {seconds:.0f} s"
                                    + (f"; its last line is '{printable(lines[-1])}'" if lines else ""))
            if text == FAULT:
                raise InvalidMeasurement(f"{self._name} stopped at a fault in '{command}'; was its firmware "
                                         f"built for this core, with cflags that fit it?")
            if STARTED.search(text):
                raise DeviceLost(f"{self._name} restarted in the middle of '{command}'; is its supply "
                                 f"stable, and does nothing else reset it?")
            lines.append(text)
        return lines

    def vendor(self) -> str:
        """The name of the target that the firmware was built for."""
        return self._ask("name", r"m-name-dut-\[(.*)\]")[0]

    def task(self) -> str:
        """kws01, ic01, vww01, ad01, or the artefact's name."""
        return self._ask("profile", r"m-profile-\[.*\]", r"m-model-\[(.*)\]")[0]

    def model(self) -> Model:
        lines = self.command("model")
        digest = self._values(lines, "digest", r"\[(.*)\]")
        arena, hz, inputs, outputs = (tuple(map(int, self._values(lines, word, NUMBER)))
                                      for word in ("arena", "hz", "input", "output"))
        if not (len(digest) == len(arena) == len(hz) == 1 and outputs):
            raise self._unexpected("model", lines)
        return Model(digest[0], arena[0], hz[0], inputs, outputs)

    def load(self, data: bytes) -> None:
        """The input as MLPerf Tiny's runner sends it for this task (db.h)."""
        self._announce("db load", data)
        for piece, last in _pieces(data, self.most_hex_bytes):
            self._fill(f"db {piece.hex()}", b"", last)

    def load_codes(self, inputs: Sequence[bytes]) -> None:
        """Every input's codes, in order; not sent again where the device still holds them."""
        data = b""
        for codes in inputs:
            data += bytes(-len(data) % ALIGNMENT) + codes
        if data == self._loaded and self._checksum() == zlib.crc32(data):
            return
        self._announce("db codes", data)
        for piece, last in _pieces(data, RAW_BYTES):
            self._fill(f"db raw {len(piece)}", piece, last)
        if (found := self._checksum()) != zlib.crc32(data):
            raise BadReply(f"{self._name}: {len(data):,} bytes of input arrived damaged: their checksum is "
                           f"{found:08x}, not {zlib.crc32(data):08x}")
        self._loaded = data

    def infer(self, times: int = 1, warmups: int = 0, seconds: float = INFER_S) -> InferenceRun:
        """Warm-ups, then inferences between two timestamps, all of what is loaded."""
        command = f"infer {times} {warmups}"
        lines = self.command(command, seconds)
        laps = [int(lap) for lap in self._values(lines, "lap-us", NUMBER)]
        results = self._values(lines, "results", r"\[(.*)\]")
        if len(results) != 1 or len(laps) not in (0, 2) or laps != sorted(laps):
            raise self._unexpected(command, lines)
        return InferenceRun(times, laps[1] - laps[0] if laps else None, self._reals(results[0]))

    def results(self) -> tuple[float, ...]:
        """The last inference's."""
        return self._reals(self._ask("results", r"m-results-\[(.*)\]")[0])

    def count(self, seconds: float = INFER_S) -> Inference:
        """One inference of what is loaded, counted."""
        numbers = self._ask("count", *(f"m-{word}-{NUMBER}" for word in ("ticks", "empty", "stack")),
                            seconds=seconds)
        return Inference(*map(int, numbers))

    def layers(self) -> tuple[int, list[tuple[str, int]]]:
        """Ticks of an empty step, and (title, ticks) of each of one inference, that of an empty one in each.

        Only for firmware that was built with TK_LAYERS.
        """
        empty, *lines = self.command("layers", INFER_S) or [""]
        found = [re.fullmatch(rf"m-layer-{NUMBER}-\[(.*)\]", text) for text in lines]
        if not (number := re.fullmatch(f"m-empty-{NUMBER}", empty)) or None in found:
            raise self._unexpected("layers", [empty, *lines])
        return int(number[1]), [(match[2], int(match[1])) for match in found]

    def read_output(self, index: int) -> bytes:
        *lines, last = self.command(f"output {index}") or [""]
        digits = "".join(self._values(lines, "output", "((?:[0-9a-f]{2}-?)+)")).replace("-", "")
        data = bytes.fromhex(digits)
        if last != f"m-crc-{zlib.crc32(data):08x}":
            raise BadReply(f"{self._name}: output {index} arrived damaged: {len(data):,} bytes, "
                           f"whose checksum is {zlib.crc32(data):08x}, not '{printable(last)}'")
        return data

    def _checksum(self) -> int:
        """Of what the device holds."""
        return int(self._ask("db crc", "m-crc-([0-9a-f]{8})")[0], 16)

    def _announce(self, command: str, data: bytes) -> None:
        self._loaded = b""
        self._ask(f"{command} {len(data)}", rf"m-\[Expecting {len(data)} bytes\]()")

    def _fill(self, command: str, raw: bytes, last: bool) -> None:
        if (lines := self.command(command, raw=raw)) != (["m-load-done"] if last else []):
            raise self._unexpected(command, lines)

    def _ask(self, command: str, *patterns: str, seconds: float | None = None) -> list[str]:
        """What the patterns' groups match, one pattern a line."""
        lines = self.command(command, seconds)
        found = [re.fullmatch(pattern, text) for pattern, text in zip(patterns, lines)]
        if len(lines) != len(patterns) or None in found:
            raise self._unexpected(command, lines)
        return [group for match in found for group in match.groups()]

    def _values(self, lines: Sequence[str], word: str, pattern: str) -> list[str]:
        """Of the lines "m-WORD-..."."""
        found = [re.fullmatch(f"m-{word}-{pattern}", text) for text in lines]
        return [match[1] for match in found if match]

    def _reals(self, text: str) -> tuple[float, ...]:
        words = text.split(",")
        if not all(map(REAL.fullmatch, words)):
            raise BadReply(f"{self._name}: results '{printable(text)}' are no numbers")
        return tuple(map(float, words))

    def _unexpected(self, command: str, lines: Sequence[str]) -> BadReply:
        return BadReply(f"{self._name} answered '{printable(' | '.join(lines))}' to '{command}'; is it our "
                        f"firmware, of this version?")

    def _require_no_echo(self, word: str, heard: str) -> None:
        if f"{word}%" in heard:
            raise BadReply(f"{self._name} sends back what it is sent; turn local echo off, and see that TX "
                           f"and RX do not touch")

    def _no_hello(self, heard: str) -> DeviceUnavailable | BadReply:
        if sum(not " " <= c <= "~" for c in heard) * 4 > len(heard):
            return BadReply(f"what {self._name} says is no text; does the baud match its firmware's?")
        said = f"says nothing that we know, but '{printable(heard)}'" if heard else "says nothing"
        return DeviceUnavailable(f"{self._name} {said}: {HELLOS} hellos, {HELLO_S:.0f} s apart, went "
                                 f"unanswered; is our firmware on it, and is the line free?")

    def _write(self, command: str, raw: bytes = b"") -> None:
        self._line.write(f"{command}%".encode() + raw)


def _pieces(data: bytes, size: int) -> Iterator[tuple[bytes, bool]]:
    """The data in pieces of so many bytes, and which is the last."""
    for start in range(0, len(data), size):
        yield data[start:start + size], start + size >= len(data)
