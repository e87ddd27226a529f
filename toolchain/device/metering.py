"""The meter of a board around one run: idle before, the run between its own timestamps, idle after."""

from collections.abc import Callable
from math import ceil

import numpy as np

from toolchain.device.boards import load_boards
from toolchain.device.clock import ClockMap, ask_clock, map_clock
from toolchain.device.energy import measure_energy
from toolchain.device.meters.counter import readings_of
from toolchain.device.meters.kinds import meter_for
from toolchain.device.meters.meter import Facts, FileMeter, Meter, idle_window
from toolchain.device.meters.system import Host, Remote
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import Record
from toolchain.errors import InvalidMeasurement, TooShort
from toolchain.measurement import Energy

IDLE_S, IDLE_PERIODS = 3.0, 30
"""Before the run and after it: so long, and so many readings, at least."""
RUN_S, RUN_PERIODS = 10.0, 100
"""Of a metered run (MLPerf Tiny's rules: windows of ten seconds at least)."""
NO_METER = "no meter"


class Metering:
    """A context in which the board's first meter is open; without one, nothing is done.

    files:    of the device, that the runner is to read while it runs
    energy:   of one inference, after `run`
    problems: why there is none though there is a meter
    """

    def __init__(self, session: ProgramSession):
        self._session = session
        self._meter = _meter(session)
        self.files: tuple[str, ...] = ()
        self.energy: Energy | None = None
        self.problems: tuple[str, ...] = ()

    def __enter__(self) -> "Metering":
        if self._meter is not None:
            self._meter.open()
            self.files = self._meter.files if isinstance(self._meter, FileMeter) else ()
        return self

    def __exit__(self, *_) -> None:
        if self._meter is not None:
            self._meter.close()

    @property
    def conditions(self) -> dict[str, str]:
        """That there is no meter, where there is none."""
        return {} if self._meter else {"energy": NO_METER}

    def seconds(self, asked: float) -> float:
        """How long the run is to be."""
        return asked if self._meter is None else run_s(self._meter.facts, asked)

    def run(self, measured: Callable[[], Record]) -> Record:
        """The record of a run, its energy found. Raises what `measured` and the lines to the meter raise."""
        if self._meter is None:
            return measured()
        kept: list[Record] = []

        def once() -> Record:
            kept.append(measured())
            return kept[0]

        try:
            meter = self._meter
            self.energy = _watched(meter, once) if self.files else _beside(meter, self._session, once)
        except InvalidMeasurement as error:
            if not kept:
                raise
            self.problems = (f"{error}{_longer(error, kept[0])}",)
        return kept[0]


def _longer(error: InvalidMeasurement, record: Record) -> str:
    """How to have as many inferences as a run is short of."""
    needed = error.inferences if isinstance(error, TooShort) else None
    if needed is None:
        return ""
    return f": --seconds {ceil(needed / record.inferences * (record.ended_ns - record.began_ns) / 1e9)}"


def _watched(meter: FileMeter, measured: Callable[[], Record]) -> Energy:
    """By files that the runner reads, in the device's time."""
    seconds = idle_s(meter.facts)
    before = meter.idle(seconds)
    record = measured()
    after = meter.idle(seconds)
    ours = [seen for seen in record.watched if seen.index < len(meter.files)]
    meter.take(readings_of(ours, meter.files))
    window = meter.window(record.began_ns / 1e9, record.ended_ns / 1e9)
    return measure_energy(window, record.inferences, (before, after), cycles_s=_cycles_s(record))


def _beside(meter: Meter, session: ProgramSession, measured: Callable[[], Record]) -> Energy:
    """By a meter that this host reads: the run's timestamps are mapped to this host's clock."""
    before = idle_window(meter, idle_s(meter.facts))
    first = ask_clock(session.clock_s)
    record = measured()
    clock = map_clock(first, ask_clock(session.clock_s))
    after = idle_window(meter, idle_s(meter.facts))
    window = meter.window(clock.to_host(record.began_ns / 1e9), clock.to_host(record.ended_ns / 1e9))
    return measure_energy(window, record.inferences, (before, after), edge_s=clock.limits_s,
                          cycles_s=_cycles_s(record, clock))


def _cycles_s(record: Record, clock: ClockMap | None = None) -> np.ndarray | None:
    """When each inference began and the last one ended; of the host's clock where a map to it is given.

    None where not every inference is told.
    """
    if record.every > 1:
        return None
    starts = [record.began_ns + sample.start_ns for sample in record.samples]
    times = np.array([*starts, record.ended_ns]) / 1e9
    return times if clock is None else np.array([clock.to_host(moment) for moment in times])


def _meter(session: ProgramSession) -> Meter | FileMeter | None:
    board = session.place.board
    if board is None or not board.meters:
        return None
    system = Host() if session.place.here else Remote(session.transport)
    return meter_for(board, load_boards().meters[board.meters[0]], system)


def idle_s(facts: Facts) -> float:
    """How long the board is to wait before a run, and after it."""
    return max(IDLE_S, IDLE_PERIODS * facts.period_s)


def run_s(facts: Facts, asked: float) -> float:
    """How long a run is to be, for which so many seconds were asked."""
    return max(asked, RUN_S, RUN_PERIODS * facts.period_s)
