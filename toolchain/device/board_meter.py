"""The meter of a board on a serial line, and an inference's energy beside its latency: `edge bench`.

MLPerf Tiny's energy mode is device/mlperf_modes.py's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from toolchain.device.board import BoardSession
from toolchain.device.boards import Board, MeterConfig
from toolchain.device.energy import measure_energy
from toolchain.device.metering import idle_s, run_s
from toolchain.device.meters.kinds import METER, ON_HOST, meter_for
from toolchain.device.meters.meter import Meter, idle_window
from toolchain.device.meters.system import Host
from toolchain.device.mlperf_modes import MOST_INFERENCES, between_pulses
from toolchain.device.protocol import INFER_S, InferenceRun
from toolchain.errors import BadConfig, InvalidMeasurement
from toolchain.measurement import Energy

INSTRUMENTS = {"joulescope", "lpm01a", "ppk2", "ppk2-ampere", "tc66c"}
"""Kinds that stand beside a board; the others are part of a device that runs programs."""
LINE_S = 0.02
"""At least so well is known when the board began: USB converters keep bytes for 16 ms (FTDI AN232B-04)."""


@contextmanager
def open_meter(board: Board, config: MeterConfig) -> Iterator[Meter]:
    """Measuring, and feeding the board where it does that.

    Raises BadConfig for what stands beside no board, DeviceUnavailable and its kinds.
    """
    if config.kind in METER.keys() - INSTRUMENTS and not config.address.startswith(ON_HOST):
        raise BadConfig(f"meter '{config.name}': a {config.kind} is part of a device with an operating "
                        f"system; beside '{board.name}' stand {', '.join(sorted(INSTRUMENTS))}, or hwmon of "
                        f"this host: address = \"{ON_HOST}/sys/class/hwmon/hwmon2\"")
    meter = meter_for(board, config, Host())
    meter.open()
    try:
        yield meter
    finally:
        meter.close()


def bench_energy(session: BoardSession, meter: Meter, inference_us: float, seconds: float = 0.0) -> Energy:
    """Of an inference, from a run of ten seconds, or of `seconds` where those are more.

    Between the pulses of the board's pin where its firmware gives them, else between when the host asked and
    when it was answered, of which the board's own clock tells how much was inferences: the rest, half of it
    on each side, is how well the edges are known.
    Raises InvalidMeasurement where the uncertainty is above 5 %.
    """
    facts = meter.facts
    if inference_us <= 0:
        raise InvalidMeasurement("no energy: the board's clock is too coarse for one inference")
    seconds = min(run_s(facts, seconds), INFER_S / 2)
    before = idle_window(meter, idle_s(facts))
    run, begin_s, end_s = session.window(min(ceil(seconds * 1e6 / inference_us), MOST_INFERENCES))
    after = idle_window(meter, idle_s(facts))
    if run.microseconds is None:
        return measure_energy(between_pulses(meter, begin_s, end_s), run.inferences, (before, after))
    slack_s = _slack_s(run, end_s - begin_s)
    window = meter.window(begin_s + slack_s / 2, end_s - slack_s / 2)
    return measure_energy(window, run.inferences, (before, after), edge_s=max(slack_s / 2, LINE_S))


def _slack_s(run: InferenceRun, asked_s: float) -> float:
    """What was no inference of the time between question and answer. Raises InvalidMeasurement."""
    slack_s = asked_s - run.microseconds / 1e6
    if slack_s < 0:
        raise InvalidMeasurement(f"by the board's clock {run.inferences:,} inferences took "
                                 f"{run.microseconds / 1e6:.2f} s, by the host's all of it {asked_s:.2f} s; "
                                 f"is board_hz in its board.c right?")
    return slack_s
