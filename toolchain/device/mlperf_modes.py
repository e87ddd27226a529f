"""MLPerf Tiny's three modes on a device with our firmware: performance, accuracy and energy.

As MLCommons' runner (benchmark/runner) has them: throughput is the median over five windows of ten seconds
or more, each of one input, N / (second lap - first lap); accuracy compares results of single inferences with
labels; energy is what a meter sees between two pulses of the device's pin, over N, the median of five such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import median

import numpy as np

from toolchain.device.clock import raw_clock_s
from toolchain.device.energy import between_pins, measure_energy
from toolchain.device.meters.meter import Meter, Window, idle_window
from toolchain.device.protocol import INFER_S, Dut, InferenceRun
from toolchain.device.session import persistently
from toolchain.errors import BadReply, InvalidMeasurement
from toolchain.measurement import Energy

WINDOWS, WINDOW_S, WARMUPS = 5, 10.0, 10
MARGIN = 1.05
"""More inferences than ten seconds take by the first measurement of one."""
TRIAL = 0.1
"""Of a window of energy, a trial that tells how many inferences it takes."""
ROUNDS = 3
"""Until every window is long enough."""
LATE_S = 0.5
"""Behind an answer: a meter may tell of the last pulse so much later, and no other comes meanwhile."""
MOST_INFERENCES = 999_999_999
"""Nine digits (line.c)."""


@dataclass(frozen=True)
class Performance:
    """Of one device and model.

    windows:  their microseconds are those of the board's clock; of an emulated one, virtual
    emulated: microseconds count instructions; there is no throughput
    """

    windows: tuple[InferenceRun, ...]
    emulated: bool

    @property
    def throughput(self) -> float | None:
        """Inferences a second, the median over the windows."""
        if self.emulated:
            return None
        return median(window.inferences / window.microseconds * 1e6 for window in self.windows)

    @property
    def label(self) -> str:
        """What is said beside the figures."""
        count = len(self.windows)
        if self.emulated:
            return f"emulated: {count} windows of {self.windows[0].inferences:,} inferences; no time"
        shortest_s = min(window.microseconds for window in self.windows) / 1e6
        return f"median of {count} windows of {shortest_s:.1f} s and more"


def run_performance(dut: Dut, inputs: Sequence[bytes], *,
                    emulated_inferences: int | None = None) -> Performance:
    """Five windows, each of one input in turn, as the runner sends it (mlperf.sent_bytes).

    emulated_inferences: in a window of an emulated board, whose time tells nothing
    Raises InvalidMeasurement for firmware built for energy, or windows that stay too short.
    """
    inferences = emulated_inferences or _enough(_infer(dut, inputs[0], 1, WARMUPS))
    for _ in range(ROUNDS):
        windows = [_infer(dut, inputs[i % len(inputs)], inferences, WARMUPS) for i in range(WINDOWS)]
        shortest = min(windows, key=_microseconds)
        if emulated_inferences or _microseconds(shortest) >= WINDOW_S * 1e6:
            return Performance(tuple(windows), bool(emulated_inferences))
        inferences = _enough(shortest)
    raise InvalidMeasurement(f"a window of {shortest.inferences:,} inferences lasts "
                             f"{_microseconds(shortest) / 1e6:.1f} s, not {WINDOW_S:.0f} s as windows before "
                             f"let expect: the board's clock or speed changes")


def run_accuracy(dut: Dut, inputs: Iterable[bytes]) -> np.ndarray:
    """The results of one inference of each input: (N, classes) float64, to three decimals; (N, 1) of ad01."""
    results = [_infer(dut, data, 1, 0).results for data in inputs]
    if len({len(row) for row in results}) > 1:
        raise BadReply("results of some samples have more numbers than those of others")
    return np.array(results)


def run_energy(dut: Dut, meter: Meter, inputs: Sequence[bytes], *, window_s: float = WINDOW_S,
               idle_s: float = 1.0) -> list[Energy]:
    """Five windows, each of one input in turn, between the last two pulses of the device's pin.

    dut:    through the interface board, so that no other supply feeds it; its firmware built with -DTK_ENERGY
    meter:  open, with the pin on its logic input
    idle_s: before and behind, in which the device waits, for energy net of idle
    Raises InvalidMeasurement where pulses are missing, or the uncertainty is above 5 %.
    """
    inferences = _lasting(dut, meter, inputs[0], window_s)
    idle = [idle_window(meter, idle_s)]
    windows = [_between_pulses(dut, meter, inputs[i % len(inputs)], inferences) for i in range(WINDOWS)]
    idle.append(idle_window(meter, idle_s))
    return [measure_energy(window, inferences, idle) for window in windows]


def median_energy(energies: Sequence[Energy]) -> Energy:
    """The window whose energy of an inference is in the middle: MLPerf Tiny's result."""
    return sorted(energies, key=lambda energy: energy.gross_uj)[len(energies) // 2]


def _infer(dut: Dut, data: bytes, inferences: int, warmups: int) -> InferenceRun:
    """Load and infer; both again where the line or a reset spoilt it."""
    def ask() -> InferenceRun:
        dut.load(data)
        return dut.infer(inferences, warmups, INFER_S)
    return persistently(ask, dut.greet)


def between_pulses(meter: Meter, begin_s: float, end_s: float) -> Window:
    """What the meter saw between the last two pulses of the board's pin from begin_s to end_s.

    However late the host hears of it, pulses and samples are of one clock: the meter's.
    Raises InvalidMeasurement where there are no two.
    """
    window = between_pins(meter.window(begin_s, end_s + LATE_S))
    return replace(window, facts=replace(window.facts, lag_s=0.0))


def _between_pulses(dut: Dut, meter: Meter, data: bytes, inferences: int) -> Window:
    """Of so many inferences; none of an attempt that was spoilt."""
    def ask() -> tuple[float, float]:
        dut.load(data)
        begin_s = raw_clock_s()
        dut.infer(inferences, WARMUPS, INFER_S)
        return begin_s, raw_clock_s()
    return between_pulses(meter, *persistently(ask, dut.greet))


def _lasting(dut: Dut, meter: Meter, data: bytes, window_s: float) -> int:
    """Inferences that last so long, by trials of more and more until the meter's steps of time are small."""
    inferences = 1
    while (trial := _between_pulses(dut, meter, data, inferences)).seconds < window_s * TRIAL:
        if inferences == MOST_INFERENCES:
            break
        seconds = max(trial.seconds, meter.facts.period_s)
        inferences = _capped(inferences * max(2.0, 2 * window_s * TRIAL / seconds))
    return _capped(MARGIN * window_s * inferences / trial.seconds)


def _microseconds(window: InferenceRun) -> int:
    if window.microseconds is None:
        raise InvalidMeasurement("the firmware pulses a pin where it should tell the time: it was built for "
                                 "energy (-DTK_ENERGY); build it without for performance")
    return window.microseconds


def _enough(window: InferenceRun) -> int:
    """Inferences that last ten seconds."""
    return _capped(MARGIN * WINDOW_S * 1e6 * window.inferences / max(_microseconds(window), 1))


def _capped(inferences: float) -> int:
    return min(max(ceil(inferences), 1), MOST_INFERENCES)
