"""A Power Profiler Kit II: its calibration, and samples of a known load by the inverse of its equations."""

from collections.abc import Iterator, Sequence

import numpy as np

from tests.device.standins.load import Load

RATE_HZ = 100_000
TOP_MA = (0.05, 0.5, 5.0, 50.0, 1000.0)
"""Of each range; beyond it is the next one's."""
CALIBRATION = {"R": (1000.625, 101.4608, 10.2309, 0.9629, 0.0559),
               "GS": (0.0, 90.4022, 15.3252, 2.0925, 0.0653),
               "GI": (1.0, 0.9752, 0.9671, 0.9599, 0.9632), "O": (160.2, 112.7, 78.1, 58.5, 54.2),
               "S": (-9e-9, -6.4e-8, -5.12e-7, -4.891e-6, 2.4e-4),
               "I": (4.4e-8, 3.64e-7, 6.1e-6, -2.5e-5, -7.7e-4), "UG": (1.0, 1.0, 1.0, 1.0, 1.0)}
"""Plausible ones: of the sizes that kits report."""


class Ppk2StandIn:
    """edges_s: when D0 falls, for 100 us. Its faults, all off at first:

    gain, noise: of the current, relative
    skew:        of its clock, relative
    lose:        share of chunks that it drops a few samples of
    """

    def __init__(self, load: Load, seconds: float, edges_s: Sequence[float] = (), seed: int = 0,
                 millivolts: int = 3000):
        self.load, self.seconds, self.edges_s, self.millivolts = load, seconds, sorted(edges_s), millivolts
        self.rng = np.random.default_rng(seed)
        self.gain = self.noise = self.skew = self.lose = 0.0
        self.streaming, self.commands, self.calibration = "", [], CALIBRATION

    def metadata(self) -> bytes:
        lines = [f"{key}{r}: {value:.10f}" for key, row in self.calibration.items()
                 for r, value in enumerate(row)]
        return "\n".join(["Calibrated: 0", *lines, f"VDD: {self.millivolts}", "HW: 49625", "END"]).encode()

    def answer(self, data: bytes, now: float) -> bytes:
        said, sizes = b"", {0x0D: 3, 0x0C: 2, 0x11: 2}
        while data:
            size = sizes.get(data[0], 1)
            command, data = data[:size], data[size:]
            self.commands.append(tuple(command))
            if command[0] == 0x19:
                said += self.metadata()
            self.streaming = {0x06: "start", 0x07: ""}.get(command[0], self.streaming)
        return said

    def stream(self) -> Iterator[tuple[float, bytes]]:
        """A millisecond of its own at a time, sent with some delay, in pieces that cut samples through."""
        number, rest = 0, b""
        for first in range(0, int(self.seconds * RATE_HZ), 100):
            ends = (np.arange(first, first + 100) + 1) / RATE_HZ / (1 + self.skew)
            words = self._words(ends, number + np.arange(100))
            number += 100
            if self.rng.random() < self.lose:
                words = np.delete(words, slice(10, 10 + int(self.rng.integers(1, 40))))
            data = rest + words.astype("<u4").tobytes()
            whole = len(data) - int(self.rng.integers(0, 4))
            rest = data[whole:]
            yield float(ends[-1]) + self.rng.exponential(0.001), data[:whole]

    def _words(self, ends: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        middle = ends - 0.5 / RATE_HZ
        ma = self.load.mw(middle) / self.millivolts * 1000
        ma = ma * (1 + self.gain) * (1 + self.noise * self.rng.standard_normal(len(ma)))
        ranges = np.searchsorted(TOP_MA[:-1], ma)
        codes = codes_of(ma / 1000, ranges, self.calibration, self.millivolts / 1000)
        codes = np.floor(codes + self.rng.random(len(codes))).clip(0, 0x3FFF).astype(np.int64)
        low = np.any([(edge <= ends) & (ends < edge + 1e-4) for edge in self.edges_s] or [ends < 0], axis=0)
        logic = np.where(low, 0xFE, 0xFF)
        return codes | ranges.astype(np.int64) << 14 | (numbers & 63) << 18 | logic << 24


def codes_of(amperes: np.ndarray, ranges: np.ndarray, calibration: dict, volts: float) -> np.ndarray:
    """The ADC's codes, not yet rounded, for currents: x from GS x^2 + GI x = I / UG - S V - I0."""
    r, gs, gi, o, s, i, ug = (np.array(calibration[key])[ranges] for key in CALIBRATION)
    wanted = amperes / ug - s * volts - i
    x = 2 * wanted / (gi + np.sqrt(gi**2 + 4 * gs * wanted))
    return (x * r * 163840 / 1.8 + o) / 4
