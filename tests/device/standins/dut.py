"""A board with our firmware, in Python: what it says, and nothing of how it computes."""

from collections.abc import Callable, Sequence
import time
import zlib

BANNER = ["m-timestamp-mode-performance", "m-lap-us-12", "m-init-done", "m-ready"]
ENERGY_BANNER = ["m-timestamp-mode-energy", "m-init-done", "m-ready"]


class ScriptedDut:
    """A network of one int8 input and one int8 output: each code of the output is a sum over the input.

    infer_s: what an inference takes; pulse: called at a timestamp where it is built for energy
    """

    digest, name, task = "d16e57" * 10 + "abcd", "my_board", "kws01"
    hz, ticks, arena_bytes, output_bytes = 1_000_000, 5000, 64, 5

    def __init__(self, input_bytes: int = 40, infer_s: float = 0.0, pulse: Callable[[], None] | None = None,
                 clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self.input_bytes, self.infer_s, self.pulse = input_bytes, infer_s, pulse
        self.clock, self.sleep = clock, sleep
        self.restart()
        self.commands: list[str] = []

    def restart(self) -> bytes:
        """What it says then."""
        self._unread, self._raw, self._size, self._data = b"", 0, 0, b""
        self._output, self._begin = bytes(self.output_bytes), self.clock()
        return self._lines(ENERGY_BANNER if self.pulse else BANNER)

    def computed(self, data: bytes) -> bytes:
        """The output's codes for an input's."""
        return bytes(sum(data[i::self.output_bytes]) & 0xFF for i in range(self.output_bytes))

    def answer(self, data: bytes) -> bytes:
        said = b""
        for byte in data:
            if self._raw:
                said += self._put(bytes([byte]))
                self._raw -= 1
                said += b"" if self._raw else self._lines(["m-ready"])
            elif byte == 0x25:
                command, self._unread = self._unread.decode("latin-1"), b""
                said += self._lines(self._obey(command))
                said += b"" if self._raw else self._lines(["m-ready"])
            elif byte >= 0x20:
                self._unread += bytes([byte])
        return said

    def _lines(self, lines: Sequence[str]) -> bytes:
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def _obey(self, command: str) -> list[str]:
        self.commands.append(command)
        if len(command) > 80:
            return ["e-[More than 80 characters]"]
        word, *rest = command.strip().split(" ")
        return getattr(self, f"_do_{word}", lambda *_: [f"e-[Unknown command: {word}]"])(*rest)

    def _do_name(self) -> list[str]:
        return [f"m-name-dut-[{self.name}]"]

    def _do_profile(self) -> list[str]:
        return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self.task}]"]

    def _do_model(self) -> list[str]:
        return [f"m-digest-[{self.digest}]", f"m-arena-{self.arena_bytes}", f"m-hz-{self.hz}",
                f"m-input-{self.input_bytes}", f"m-output-{self.output_bytes}"]

    def _do_db(self, word: str = "", count: str = "") -> list[str]:
        if word in ("load", "codes"):
            self._size, self._data = int(count), b""
            return [f"m-[Expecting {self._size} bytes]"]
        if word == "crc":
            return [f"m-crc-{zlib.crc32(self._data):08x}"]
        if word == "raw":
            if not count.isdigit() or len(self._data) + int(count) > self._size:
                return ["e-[Not hexadecimal, or too much: load again]"]
            self._raw = int(count)
            return []
        try:
            return self._put(bytes.fromhex(word)).decode().split()
        except ValueError:
            self._size = 0
            return ["e-[Not hexadecimal, or too much: load again]"]

    def _put(self, data: bytes) -> bytes:
        self._data += data
        return b"m-load-done\r\n" if len(self._data) == self._size else b""

    def _compute(self) -> bool:
        if len(self._data) != self.input_bytes or self._size != self.input_bytes:
            return False
        self._output = self.computed(self._data)
        return True

    def _timestamp(self) -> list[str]:
        if self.pulse:
            self.pulse()
            return []
        return [f"m-lap-us-{round((self.clock() - self._begin) * 1e6)}"]

    def _do_infer(self, times: str = "1", warmups: str = "10") -> list[str]:
        if not self._compute():
            return [f"e-[Load first: bytes {self.input_bytes}]"]
        said = [f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{times}", *self._timestamp()]
        self.sleep(int(times) * self.infer_s)
        return [*said, *self._timestamp(), "m-infer-done", *self._do_results()]

    def _do_results(self) -> list[str]:
        return [f"m-results-[{','.join(f'{code / 256:.3f}' for code in self._output)}]"]

    def _do_count(self) -> list[str]:
        if not self._compute():
            return [f"e-[Load first: bytes {self.input_bytes}]"]
        return [f"m-ticks-{self.ticks}", "m-empty-4", "m-stack-100"]

    def _do_output(self, index: str = "") -> list[str]:
        if index != "0":
            return ["e-[No such output]"]
        said = [f"m-output-{self._output[at:at + 8].hex('-')}" for at in range(0, len(self._output), 8)]
        return [*said, f"m-crc-{zlib.crc32(self._output):08x}"]
