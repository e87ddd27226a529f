"""The meter of a board around one run: idle before, the run between its own timestamps, idle after."""

from collections.abc import Callable
import time

from toolchain.device.boards import load_boards
from toolchain.device.clock import ask_clock, map_clock, raw_clock_s
from toolchain.device.energy import measure_energy
from toolchain.device.meters.kinds import meter_for
from toolchain.device.meters.meter import Meter, Reading, Watched, Window
from toolchain.device.meters.place import Host, Remote
from toolchain.device.place import HOST
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import Record
from toolchain.errors import InvalidMeasurement
from toolchain.measurement import Energy

IDLE_S = 3.0
"""Before the run, and after it."""
LEAST_S = 10.0
"""Of a metered run (MLPerf Tiny's rules: windows of ten seconds at least)."""
NO_METER = "no meter"


class Metering:
    """A context in which the board's first meter is open; without one, nothing is done.

    files:      of the device, that the runner is to read while it runs
    energy:     of one inference, after `run`
    problems:   why there is none though there is a meter
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
            self.files = self._meter.files if isinstance(self._meter, Watched) else ()
        return self

    def __exit__(self, *_) -> None:
        if self._meter is not None:
            self._meter.close()

    def seconds(self, asked: float) -> float:
        """How long the run is to be."""
        return asked if self._meter is None else max(asked, LEAST_S)

    @property
    def conditions(self) -> dict[str, str]:
        """Why there is no energy, where there is no meter."""
        return {} if self._meter else {"energy": NO_METER}

    def run(self, measured: Callable[[], Record]) -> Record:
        """The record of a run, its energy found. Raises what `measured` and the meter's line raise."""
        if self._meter is None:
            return measured()
        if isinstance(self._meter, Watched):
            return self._watched(self._meter, measured)
        return self._beside(self._meter, measured)

    def _watched(self, meter: Watched, measured: Callable[[], Record]) -> Record:
        """A meter of files that the runner reads, in the device's time."""
        before = meter.idle(IDLE_S)
        record = measured()
        after = meter.idle(IDLE_S)
        self._judge(lambda: self._taken(meter, record), record, before, after)
        return record

    def _taken(self, meter: Watched, record: Record) -> Window:
        meter.take({path: [Reading(seen.time_ns / 1e9, seen.value or "") for seen in record.watched
                           if seen.index == index] for index, path in enumerate(meter.files)})
        return meter.window(record.began_ns / 1e9, record.ended_ns / 1e9)

    def _beside(self, meter: Meter, measured: Callable[[], Record]) -> Record:
        """A meter that this host reads: the run's timestamps are mapped to this host's clock."""
        before = _idle(meter)
        first = ask_clock(self._session.clock_s)
        record = measured()
        clock = map_clock(first, ask_clock(self._session.clock_s))
        after = _idle(meter)
        ends = (clock.to_host(record.began_ns / 1e9), clock.to_host(record.ended_ns / 1e9))
        self._judge(lambda: meter.window(*ends), record, before, after, clock.limits_s)
        return record

    def _judge(self, window: Callable[[], Window], record: Record, before: Window, after: Window,
               edge_s: float = 0.0) -> None:
        try:
            self.energy = measure_energy(window(), record.inferences, (before, after), edge_s=edge_s)
        except InvalidMeasurement as error:
            self.problems = (str(error),)


def _meter(session: ProgramSession) -> Meter | Watched | None:
    board = session.place.board
    if board is None or not board.meters:
        return None
    place = Host() if session.place.name == HOST or board.transport == "local" else Remote(session.transport)
    return meter_for(board, load_boards().meters[board.meters[0]], place)


def _idle(meter: Meter) -> Window:
    """The board waits meanwhile: nothing of ours runs there."""
    began = raw_clock_s()
    time.sleep(IDLE_S)
    return meter.window(began, raw_clock_s())
