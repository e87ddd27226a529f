"""An LPM01A as its manual describes it: acknowledges commands, integrates a known load, tells of edges."""

from collections.abc import Iterator, Sequence

import numpy as np

from tests.device.standins.load import Load

KNOWN = ("htc", "hrc", "pwr off", "pwr on nostatus", "acqtime inf", "trigdelay 0", "trigsrc sw",
         "eventsrc d7 fal", "output energy", "format ascii_dec", "freq 1k", "volt ", "start", "stop")


class Lpm01aStandIn:
    """edges_s: when D7 falls, in order; more may be added. Its faults, all off at first:

    gain, noise: of its energies, relative; noise as a standard deviation per sample
    skew:        of its clock, relative
    lose:        share of sample lines that are lost on the way; damage: that come with a character missing
    """

    def __init__(self, load: Load, seconds: float, edges_s: Sequence[float] = (), seed: int = 0):
        self.load, self.seconds, self.edges_s = load, seconds, edges_s
        self.rng = np.random.default_rng(seed)
        self.gain = self.noise = self.skew = self.lose = self.damage = 0.0
        self.streaming, self.heard, self._unread = "", [], b""

    def answer(self, data: bytes, now: float) -> bytes:
        self._unread += data
        said = b""
        while b"\r\n" in self._unread:
            command, self._unread = self._unread.split(b"\r\n", 1)
            said += self._obey(command.decode())
        return said

    def _obey(self, command: str) -> bytes:
        self.heard.append(command)
        if not any(command == known or known.endswith(" ") and command.startswith(known) for known in KNOWN):
            return f"PowerShield > error {command}\r\nError detail: unknown command\r\n".encode()
        if command == "start":
            self.streaming = "start"
        if command == "stop":
            ended, self.streaming = self.streaming, ""
            return b"Acquisition completed\r\n" if ended else b"error stop\r\n"
        return f"PowerShield > ack {command}\r\n".encode()

    def stream(self) -> Iterator[tuple[float, bytes]]:
        """A millisecond of its own at a time: sample, edge, timestamp; sent with up to 3 ms of delay."""
        told, step_s, number = 0, 1e-3 / (1 + self.skew), 0
        energies = self.load.mj(0.0)
        while (end_s := (number + 1) * step_s) < self.seconds:
            before, energies = energies, self.load.mj(end_s)
            mj = (energies - before) * (1 + self.gain) * (1 + self.noise * self.rng.standard_normal())
            said = [self._spoilt(ascii_dec(max(mj, 0) * 1e-3))]
            while told < len(self.edges_s) and self.edges_s[told] < end_s:
                told += 1
                said.insert(0, f"event {told} ris")
            number += 1
            if number % 1000 == 0:
                said.append(f"TimeStamp: {number // 1000 % 1000:03d}s 000ms, buff 02%")
            text = "".join(f"{line}\r\n" for line in said if line)
            yield end_s + self.rng.exponential(0.0005), text.encode()

    def _spoilt(self, line: str) -> str:
        chance = self.rng.random()
        if chance < self.lose:
            return ""
        return line[:-1] if chance < self.lose + self.damage else line


def ascii_dec(joules: float) -> str:
    """Four digits and a power of ten."""
    power = -12
    while joules >= 9999.5 * 10.0**power:
        power += 1
    return f"{round(joules / 10.0**power):04d}{power:+03d}"
