"""Stand-ins for what stands around a device in MLPerf Tiny: MLCommons' runner, and its interface board.

The exchanges are those of the runner in the benchmark's repository (`benchmark/runner`): the same commands in
the same order, sizes and bauds, and answers read by the same rules. Nothing here knows our Dut.
"""

from dataclasses import dataclass
import os
import re
import threading
import time
import tty

import serial

REPLY_S = 30.0
SETTLE_S = 0.5
"""A board is started, and says so, before the runner opens its line; an emulated one about then."""


class Port:
    """A serial line whose commands end with '%' and whose answers end with a line that holds "m-ready"."""

    def __init__(self, device: str, baud: int):
        self._port = serial.Serial(device, baud, timeout=REPLY_S)
        time.sleep(SETTLE_S)
        self._port.reset_input_buffer()

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, *error) -> None:
        self._port.close()

    def write(self, text: str) -> None:
        self._port.write(text.encode())

    def read_line(self) -> str:
        line = self._port.read_until(b"\n").decode("ascii")
        assert line.endswith("\r\n"), f"a line that does not end: {line!r}"
        return line[:-2]

    def send(self, command: str) -> list[str]:
        self.write(f"{command}%")
        lines = [self.read_line()]
        while "m-ready" not in lines[-1]:
            lines.append(self.read_line())
        return lines


class ThroughInterface(Port):
    """A device behind an interface board: two lines for "dut CMD", and then what the device answers."""

    def send(self, command: str) -> list[str]:
        answer = super().send(f"dut {command}")
        assert len(answer) == 2 and answer[1] == "m-ready"
        lines = [self.read_line().replace("[dut]: ", "")]
        while lines[-1] != "m-ready":
            lines.append(self.read_line().replace("[dut]: ", ""))
        return lines


@dataclass(frozen=True)
class Inferences:
    """Of one `infer`: laps in microseconds, none in energy mode; results as they were printed."""

    laps: list[int]
    results: list[str]

    def throughput(self, count: int) -> float:
        """Inferences a second."""
        first, second = self.laps
        return count / ((second - first) * 1e-6)


class Runner:
    """What the runner does with a device. most_bytes: of a db command, 26 where there is a power manager."""

    def __init__(self, port: Port, most_bytes: int = 31):
        self._port, self._most = port, most_bytes

    def identify(self) -> dict[str, str]:
        """name, model and profile."""
        found = {}
        for command in ("name", "profile", "profile"):
            for line in self._port.send(command):
                if match := re.match(r"^m-(?:(name)-dut|(model|profile))-\[([^]]+)]$", line):
                    found[match[1] or match[2]] = match[3]
        return found

    def load(self, data: bytes) -> list[str]:
        """Returns the last answer."""
        lines = self._port.send(f"db load {len(data)}")
        for start in range(0, len(data), self._most):
            lines = self._port.send("db " + data[start:start + self._most].hex())
        return lines

    def infer(self, count: int, warmups: int) -> Inferences:
        lines = self._port.send(f"infer {count} {warmups}")
        laps = [int(m[1]) for line in lines if (m := re.match(r"^m-lap-us-([0-9]+)$", line))]
        results, = (m[1] for line in lines if (m := re.match(r"^m-results-\[([^]]+)]$", line)))
        return Inferences(laps, results.split(","))


class InterfaceBoard:
    """The board between host and device in energy mode: passes commands and answers on, at 9600 baud."""

    def __init__(self, device: str):
        self._dut = Port(device, 9600)
        self._host, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.device = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "InterfaceBoard":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        os.close(self._slave)
        self._thread.join(REPLY_S)
        os.close(self._host)
        self._dut.__exit__()

    def _serve(self) -> None:
        waiting = b""
        while True:
            try:
                waiting += os.read(self._host, 4096)
            except OSError:
                return
            while b"%" in waiting:
                command, waiting = waiting.split(b"%", 1)
                self._answer(command.decode())

    def _answer(self, command: str) -> None:
        if not command.startswith("dut "):
            return self._say("tinyML Enhanced Interface Board", "m-ready")
        inner = command.removeprefix("dut ")
        self._say(f"m-dut-passthrough({inner})", "m-ready")
        return self._say(*(f"[dut]: {line}" for line in self._dut.send(inner)))

    def _say(self, *lines: str) -> None:
        os.write(self._host, "".join(f"{line}\r\n" for line in lines).encode())
