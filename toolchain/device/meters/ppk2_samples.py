"""What a Power Profiler Kit II sends: its calibration, and samples that become currents by it.

A sample is 32 bits, little-endian: ADC code in bits 0 to 13, range in 14 to 16, counter in 18 to 23, logic
inputs D0 to D7 in 24 to 31. The equations are those of Nordic's Power Profiler app (pc-nrfconnect-ppk,
src/device/serialDevice.ts, getAdcResult), x being the current before correction, r the range, V the supply:

    x = (4 code - O_r) (1.8 / 163840) / R_r
    I = UG_r (x (GS_r x + GI_r) + S_r V + I_r)                                  amperes
"""

from dataclasses import dataclass
import re

import numpy as np

from toolchain.errors import BadReply, InvalidMeasurement

RATE_HZ = 100_000
RANGES = 5
ADC_VOLTS = 1.8 / 163840
FULL_SCALE, MOST_AMPERES = 0x3FFF, 1.0
KEYS = ("R", "GS", "GI", "O", "S", "I", "UG")
NOMINAL_OHM = (1031.64, 101.65, 10.15, 0.94, 0.043)
"""The app's own, where a kit tells none; a calibration more than twice or less than half of it is damaged."""
RESOLUTION_MA = np.array([0.0002, 0.0005, 0.005, 0.05, 1.0])
GAIN_ERROR = np.array([0.10, 0.10, 0.10, 0.10, 0.15])
"""Typical, of each range: Nordic, Power Profiler Kit II, "Measurement ranges and accuracy"."""
PIN = 0
"""The logic input D0 takes the board's timestamp pin, which falls."""
MOST_SECONDS = 600
"""Of samples that are kept: 240 MB."""
ALPHA, ALPHA_TOP, SPIKE = 0.18, 0.06, 3
"""The app's spike filter: weights of its two running means, and samples behind a change of range."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of each range, (5,) each, by KEYS."""

    values: dict[str, np.ndarray]

    @classmethod
    def of(cls, text: str) -> "Calibration":
        """From the kit's lines "KEY: VALUE", until "END". Raises BadReply where one is missing or absurd."""
        told = dict(re.findall(r"^([A-Za-z]+\d?): *(\S+)\s*$", text, re.MULTILINE))
        try:
            values = {key: np.array([float(told[f"{key}{r}"]) for r in range(RANGES)]) for key in KEYS}
        except (KeyError, ValueError) as error:
            raise BadReply(f"the PPK2's calibration lacks a number: {error}") from None
        shares = np.concatenate((values["R"] / NOMINAL_OHM, values["GI"]))
        if not (np.isfinite(list(values.values())).all() and ((0.5 < shares) & (shares < 2)).all()):
            raise BadReply("the PPK2's calibration is damaged: a resistance or gain is far from any kit's; "
                           "have it calibrated again")
        return cls(values)

    def amperes(self, codes: np.ndarray, ranges: np.ndarray, volts: float) -> np.ndarray:
        """Of samples (n,), without the spike filter."""
        r, gs, gi, o, s, i, ug = (self.values[key][ranges] for key in KEYS)
        x = (4.0 * codes - o) * (ADC_VOLTS / r)
        return ug * (x * (gs * x + gi) + s * volts + i)


class SampleStream:
    """Samples as they come, by number; those that the counter tells of as lost have numbers too.

    next:    number of the next one
    dropped: lost ones
    """

    def __init__(self):
        self.next, self.dropped = 0, 0
        self._rest, self._counter, self._runs = b"", None, []

    def take(self, data: bytes) -> None:
        """Bytes of the stream. The last sample is held back until what follows shows that it is whole.

        Raises BadReply where bytes were lost, so that samples cannot be told from each other any more.
        """
        self._rest += data
        count = len(self._rest) // 4 - 1
        if count < 1:
            return
        words = np.frombuffer(self._rest, "<u4", count + 1)
        self._rest = self._rest[4 * count:]
        counters = (words >> 18).astype(np.int64) & 63
        self._counter = counters[0] if self._counter is None else self._counter
        self._keep(words[:-1], (counters - self._counter - np.arange(count + 1)) & 63)

    def between(self, first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and words of the samples first to last."""
        near = [(number, words) for number, words in self._runs
                if number <= last and number + len(words) > first]
        if not near:
            return np.empty(0, np.int64), np.empty(0, np.uint32)
        numbers = np.concatenate([number + np.arange(len(words)) for number, words in near])
        chosen = (first <= numbers) & (numbers <= last)
        return numbers[chosen], np.concatenate([words for _, words in near])[chosen]

    def _keep(self, words: np.ndarray, ahead: np.ndarray) -> None:
        """ahead: by how much each counter, and the one behind, modulo 64, is beyond one that goes on.

        A counter that is so for one sample only was damaged, and its sample with it.
        """
        before = np.concatenate(([0], ahead[:-2]))
        damaged = (ahead[:-1] != before) & (ahead[1:] == before)
        ahead = np.where(damaged, before, ahead[:-1])
        steps = np.diff(ahead, prepend=0) & 63
        if len(words) >= 16 and np.count_nonzero(steps) > len(words) / 4:
            raise BadReply("the PPK2's samples lost their beat: bytes were lost on the way; try another port")
        numbers = self.next + np.arange(len(words)) + np.cumsum(steps)
        whole = ~damaged & ((words >> 14 & 7) < RANGES)
        self.dropped += int(steps.sum()) + int(np.count_nonzero(~whole))
        cuts = np.flatnonzero(np.diff(numbers[whole]) != 1) + 1
        for run, own in zip(np.split(numbers[whole], cuts), np.split(words[whole], cuts)):
            if len(run):
                self._runs.append((int(run[0]), own))
        self.next = int(numbers[-1]) + 1
        self._counter = (self._counter + len(words) + ahead[-1]) & 63
        while self._runs and self.next - self._runs[0][0] > MOST_SECONDS * RATE_HZ:
            self._runs.pop(0)


def falling_edges(words: np.ndarray) -> np.ndarray:
    """Indices of samples in which the logic input is low after it was high."""
    level = words >> (24 + PIN) & 1
    return np.flatnonzero((level[1:] == 0) & (level[:-1] == 1)) + 1


def require_within_range(amperes: np.ndarray, codes: np.ndarray) -> None:
    """Raises InvalidMeasurement for more than the kit is made for, or its converter can tell."""
    if beyond := np.count_nonzero((amperes > MOST_AMPERES) | (codes == FULL_SCALE)):
        raise InvalidMeasurement(f"the PPK2 saw more than it can, {MOST_AMPERES:g} A, in {beyond:,} samples; "
                                 f"use another meter")


def spikes_smoothed(amperes: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Behind each change of range, SPIKE samples become a running mean, as the app's filter has it.

    Of the top range it is a slower mean, which the first two samples behind a change are left out of.
    """
    if len(ranges) == 0 or (ranges == ranges[0]).all():
        return amperes
    smoothed, mean, slow, left, since = amperes.tolist(), float(amperes[0]), float(amperes[0]), 0, 0
    before = int(ranges[0])
    for n, (value, now) in enumerate(zip(amperes.tolist(), ranges.tolist())):
        old = (mean, slow)
        mean += ALPHA * (value - mean)
        slow += ALPHA_TOP * (value - slow)
        if now != before:
            left, since = SPIKE, 0
        if left:
            if now == RANGES - 1 and since < 2:
                mean, slow = old
            smoothed[n] = slow if now == RANGES - 1 else mean
            left, since = left - 1, since + 1
        before = now
    return np.array(smoothed)
