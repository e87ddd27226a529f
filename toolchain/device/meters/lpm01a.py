"""ST's X-NUCLEO-LPM01A, which feeds a board and integrates its energy: MLPerf Tiny's meter in energy mode.

Text lines; commands are answered by "ack COMMAND" (UM2269, "Getting started with PowerShield firmware").
Data: "DDDD-EE" is DDDD * 10^-EE joules of one sample; "event N ris" an edge on D7, between the samples around
it; "TimeStamp: SSSs MMMms, buff NN%" once a second of its clock, by which lost samples are found.
"""

from dataclasses import replace
import re
import time

import numpy as np

from toolchain.device.boards import MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.lines import Lines, printable
from toolchain.device.meters.background import SampleClock, SendingMeter
from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.device.serial_port import SerialLine, connect
from toolchain.errors import BadConfig, BadReply, DeviceTimeout, InvalidMeasurement

BAUD = 3_686_400
RATE_HZ = 1000
SUPPLY_MV = (1800, 3300)
ANSWER_S = 10.0
"""A new voltage takes a calibration."""
QUIET_S = 0.3
PROMPT = "PowerShield > "
SETUP = ("htc", "pwr off", "acqtime inf", "trigdelay 0", "trigsrc sw", "eventsrc d7 fal", "output energy",
         "format ascii_dec", f"freq {RATE_HZ // 1000}k")
"""As MLPerf Tiny's runner sets it up."""
SAMPLES = re.compile(r"(\d{4}[+-]\d\d *)+")
SAMPLE = re.compile(r"(\d{4})([+-]\d\d)")
TIMESTAMP = re.compile(r"TimeStamp:[ ><]*(\d{3})s (\d{3})ms, buff (\d{1,3})%")
EVENT = re.compile(r"event \d+ ris")
WRAP_S = 1000
"""Its seconds have three digits."""
FACTS = Facts(kind="lpm01a", tier="external meter", rails=("supply",), reads="mean", rate_hz=RATE_HZ,
              resolution=0.0, gain_error=0.02, offset_mw=0.0, jitter_s=1 / RATE_HZ, lag_s=0.02,
              source="ST UM2243 section 10: 100 nA to 50 mA, 2 %; resolution: four digits of each sample")
OFFSET_MA = 1e-4
"""The least current of UM2243's range, 100 nA."""


class EnergyStream:
    """What it sends once started: energies of samples by their number, and edges.

    numbers, joules, steps: of the samples that came whole; steps: of one digit, J
    events:                 number of the first sample behind each edge
    dropped:                samples that came damaged or not at all
    """

    def __init__(self):
        self.numbers, self.joules, self.steps, self.events = [], [], [], []
        self.dropped, self.next = 0, 0
        self._stamp: tuple[float, int] | None = None

    def take(self, text: str) -> None:
        """One line. Raises BadReply for an error of the meter's, or more samples than its clock counts."""
        text = text.replace(PROMPT, "").strip()
        if SAMPLES.fullmatch(text):
            for digits, power in SAMPLE.findall(text):
                self._keep(int(digits), 10.0 ** int(power))
        elif EVENT.fullmatch(text):
            self.events.append(self.next)
        elif stamp := TIMESTAMP.fullmatch(text):
            self._align(int(stamp[1]) + int(stamp[2]) / 1000)
        elif text.startswith("error"):
            raise BadReply(f"the LPM01A stopped: {printable(text)}")
        elif re.search(r"\d[+-]|[+-]\d", text):
            self.next += 1
            self.dropped += 1

    def _keep(self, digits: int, step: float) -> None:
        self.numbers.append(self.next)
        self.joules.append(digits * step)
        self.steps.append(step)
        self.next += 1

    def _align(self, stamp_s: float) -> None:
        """Give the next sample the number that the clock says."""
        if self._stamp is not None:
            before_s, number = self._stamp
            expected = number + round((stamp_s - before_s) % WRAP_S * RATE_HZ)
            if expected < self.next:
                raise BadReply(f"the LPM01A sent {self.next - number:,} samples where its clock counts "
                               f"{expected - number:,}")
            self.dropped += expected - self.next
            self.next = expected
        self._stamp = (stamp_s, self.next)


class Lpm01a(SendingMeter):
    """A Meter. It feeds the board from open() to close(), so that the board starts within open()."""

    def __init__(self, config: MeterConfig):
        supply_mv = config.supply_mv or 0
        if not SUPPLY_MV[0] <= supply_mv <= SUPPLY_MV[1]:
            raise BadConfig(f"meter '{config.name}': supply_mv is {supply_mv}; an LPM01A feeds the board: "
                            f"say with how many, {SUPPLY_MV[0]} to {SUPPLY_MV[1]}")
        super().__init__(config.name, ANSWER_S)
        self._address, self._supply_mv = config.address, supply_mv
        self.facts = replace(FACTS, gain_error=config.gain_error or FACTS.gain_error,
                             offset_mw=(abs(config.offset_ma) or OFFSET_MA) * supply_mv / 1000)

    def window(self, begin_s: float, end_s: float) -> Window:
        """The samples of that time, in mW; pins_s: edges on D7, each at the end of the sample before it."""
        self._background.wait(lambda: self._reaches(end_s), end_s - raw_clock_s() + ANSWER_S,
                              f"{self._name}: samples")
        with self._changed:
            stream, times_s = self._stream, self._clock.times_s
            times, mw = times_s(stream.numbers), np.array(stream.joules) * RATE_HZ * 1000
            series = Series.of(times, mw, times_s(np.array(stream.events) - 1), stream.dropped)
            inside = (begin_s <= times) & (times <= end_s)
            step_mw = float(np.array(stream.steps)[inside].max(initial=0)) * RATE_HZ * 1000
        if times[0] > begin_s:
            raise InvalidMeasurement(f"{self._name}: its samples begin {times[0] - begin_s:.3f} s after the "
                                     f"window does; open it earlier")
        return Window(replace(self.facts, resolution=step_mw), begin_s, end_s, series.around(begin_s, end_s))

    def _connect(self) -> SerialLine:
        return connect(self._address, BAUD, self._name)

    def _begin(self) -> None:
        self._lines, self._stream = Lines(self._line, self._name), EnergyStream()
        self._clock = SampleClock(RATE_HZ)
        self._silence()
        for command in (*SETUP, f"volt {self._supply_mv}m", "pwr on nostatus", "start"):
            self._command(command)

    def _stop(self) -> None:
        self._silence()
        for command in ("pwr off", "hrc"):
            self._command(command)

    def _any(self) -> bool:
        return bool(self._stream.numbers)

    def _silence(self) -> None:
        """Stop it, and read until it is silent: what an earlier run left, too."""
        self._line.write(b"stop\r\n")
        deadline = time.monotonic() + ANSWER_S
        while self._line.read(QUIET_S) and time.monotonic() < deadline:
            pass
        self._lines.unread = b""

    def _command(self, command: str) -> None:
        self._line.write(f"{command}\r\n".encode())
        deadline = time.monotonic() + ANSWER_S
        while (text := self._lines.next(deadline)) is not None:
            text = text.replace(PROMPT, "").strip()
            if text == f"ack {command}":
                return
            if text.startswith("error"):
                raise BadReply(f"{self._name} refuses '{command}': {printable(text)}")
        raise DeviceTimeout(f"{self._name} did not acknowledge '{command}' within {ANSWER_S:.0f} s; is it an "
                            f"LPM01A, and is it switched on?")

    def _reaches(self, end_s: float) -> bool:
        return bool(self._stream.numbers) and self._clock.times_s(self._stream.numbers[-1]) > end_s

    def _take(self) -> None:
        text = self._lines.next(time.monotonic() + 0.5)
        if text is None:
            return
        with self._changed:
            self._stream.take(text)
            self._clock.arrived(self._stream.next, raw_clock_s())
