"""Nordic's Power Profiler Kit II: the board's current at 100 kHz, and eight logic inputs beside it.

Commands are single bytes and their arguments, as in Nordic's Power Profiler app (pc-nrfconnect-ppk,
src/constants.ts): nothing answers them but a text for METADATA, and samples from START on. It either feeds
the board ("ppk2"), or stands in the way of another supply ("ppk2-ampere"), whose voltage it does not see.
"""

from dataclasses import replace
import time

import numpy as np

from toolchain.device.boards import MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.meters import ppk2_samples as samples
from toolchain.device.meters.background import SampleClock, SendingMeter
from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.device.serial_port import SerialLine, connect
from toolchain.errors import BadConfig, BadReply, DeviceTimeout, InvalidMeasurement

BAUD = 115_200
START, STOP, POWER, REGULATOR, MODE, METADATA = 0x06, 0x07, 0x0C, 0x0D, 0x11, 0x19
AMPERE, SOURCE = 1, 2
SUPPLY_MV = (800, 5000)
ANSWER_S, QUIET_S, MOST_METADATA_BYTES = 3.0, 0.2, 8192
SETTLE_SAMPLES = 1000
"""In front of a window, for the running means of the spike filter."""
FACTS = Facts(kind="ppk2", tier="external meter", rails=("supply",), reads="mean", rate_hz=samples.RATE_HZ,
              resolution=0.0, gain_error=float(samples.GAIN_ERROR[0]), offset_mw=0.0, jitter_s=2e-5,
              lag_s=0.005, source="Nordic, Power Profiler Kit II, measurement ranges and accuracy (typical)")


class Ppk2(SendingMeter):
    """A Meter. As "ppk2" it feeds the board from open() to close(): the board starts within open()."""

    def __init__(self, config: MeterConfig):
        supply_mv = config.supply_mv or 0
        if not SUPPLY_MV[0] <= supply_mv <= SUPPLY_MV[1]:
            raise BadConfig(f"meter '{config.name}': supply_mv is {supply_mv}; say how many the board is fed "
                            f"with, {SUPPLY_MV[0]} to {SUPPLY_MV[1]}: a PPK2 sees its current only")
        super().__init__(config.name, ANSWER_S)
        self._config, self._supply_mv = config, supply_mv
        self._feeds = config.kind == FACTS.kind
        note = "" if self._feeds else f"the current only; the supply is taken as {supply_mv} mV"
        self.facts = replace(FACTS, kind=config.kind, note=note,
                             offset_mw=abs(config.offset_ma) * supply_mv / 1000,
                             gain_error=config.gain_error or FACTS.gain_error)

    def window(self, begin_s: float, end_s: float) -> Window:
        """The samples of that time, in mW; pins_s: when D0 fell."""
        self._background.wait(lambda: self._reaches(end_s), end_s - raw_clock_s() + ANSWER_S,
                              f"{self._name}: samples")
        with self._changed:
            first, last = (self._clock.number_at(edge_s) for edge_s in (begin_s, end_s))
            numbers, words = self._stream.between(first - SETTLE_SAMPLES, last + 2)
            times, dropped = self._clock.times_s(numbers), self._stream.dropped
        if not len(numbers) or times[0] > begin_s:
            raise InvalidMeasurement(f"{self._name}: its samples begin after the window; open it earlier")
        codes, ranges = words & samples.FULL_SCALE, words >> 14 & 7
        amperes = self._calibration.amperes(codes.astype(np.float64), ranges, self._supply_mv / 1000)
        amperes = samples.spikes_smoothed(amperes, ranges)
        samples.require_within_range(amperes, codes)
        mw = amperes * self._supply_mv
        series = Series.of(times, mw, times[samples.falling_edges(words)], dropped)
        return Window(self._facts_of(mw, ranges), begin_s, end_s, series.around(begin_s, end_s))

    def _connect(self) -> SerialLine:
        return connect(self._config.address, BAUD, self._name)

    def _begin(self) -> None:
        self._stream, self._clock = samples.SampleStream(), SampleClock(samples.RATE_HZ)
        self._silence()
        self._calibration = samples.Calibration.of(self._metadata())
        self._line.write(bytes([MODE, SOURCE if self._feeds else AMPERE]))
        if self._feeds:
            self._line.write(bytes([REGULATOR, *self._supply_mv.to_bytes(2, "big")]))
        self._line.write(bytes([POWER, 1, START]))

    def _stop(self) -> None:
        self._line.write(bytes([STOP, POWER, 0]))

    def _any(self) -> bool:
        return self._stream.next > 0

    def _facts_of(self, mw: np.ndarray, ranges: np.ndarray) -> Facts:
        """Limits by the ranges that the samples were taken in."""
        step_mw = float(samples.RESOLUTION_MA[ranges].mean()) * self._supply_mv / 1000
        typical = float(np.average(samples.GAIN_ERROR[ranges], weights=np.abs(mw) + 1e-12))
        return replace(self.facts, resolution=step_mw, gain_error=self._config.gain_error or typical)

    def _silence(self) -> None:
        """Stop it, and read until it is silent: what an earlier run left, too."""
        self._line.write(bytes([STOP]))
        deadline = time.monotonic() + ANSWER_S
        while self._line.read(QUIET_S):
            if time.monotonic() > deadline:
                raise BadReply(f"{self._name} goes on sending after it was stopped; is it a PPK2?")

    def _metadata(self) -> str:
        self._line.write(bytes([METADATA]))
        told, deadline = b"", time.monotonic() + ANSWER_S
        while b"END" not in told:
            more = self._line.read(max(deadline - time.monotonic(), 0))
            told += more
            if not more or len(told) > MOST_METADATA_BYTES:
                raise DeviceTimeout(f"{self._name} told no calibration in {ANSWER_S:.0f} s; is it a PPK2, "
                                    f"and the first of its two ports?")
        return told.decode("ascii", "replace")

    def _reaches(self, end_s: float) -> bool:
        return self._stream.next > 0 and self._clock.number_at(end_s) < self._stream.next - 1

    def _take(self) -> None:
        data = self._line.read(0.5)
        if data:
            with self._changed:
                self._stream.take(data)
                self._clock.arrived(self._stream.next, raw_clock_s())
