"""Real meters around real runs here: files that a thread rewrites tell of a power that is known."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import re
import threading

import pytest

from tests.device.artifacts import residual
from toolchain.device import metering
from toolchain.device.boards import Board, find_board
from toolchain.device.clock import raw_clock_s
from toolchain.device.measure_programs import bench_feeds, program_figures
from toolchain.device.metering import NO_METER, Metering
from toolchain.device.place import Place, reached
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import Record
from toolchain.device.ways import NATIVE, Way
from toolchain.errors import BadConfig, BadReply, DeviceUnavailable
from toolchain.profile import load_target

LITERT = Way("tflite", "litert", NATIVE)
IDLE_MW, ACTIVE_MW = 1500.0, 6000.0
WIDTH = 14
"""Digits of a number that is written over another one at once."""


class Supply(threading.Thread):
    """Rewrites a file of sysfs every half millisecond.

    text: seconds since it began -> what the file holds;  active: whether the board works
    """

    def __init__(self, path: Path):
        super().__init__(daemon=True)
        self.active, self.mj, self._ended = False, 0.0, threading.Event()
        self._last_s = raw_clock_s()
        self.path = path
        self.write()

    @property
    def mw(self) -> float:
        return ACTIVE_MW if self.active else IDLE_MW

    def run(self) -> None:
        file = os.open(self.path, os.O_WRONLY)
        while not self._ended.wait(0.0005):
            now = raw_clock_s()
            self.mj, self._last_s = self.mj + self.mw * (now - self._last_s), now
            os.pwrite(file, self.text().encode(), 0)
        os.close(file)

    def write(self) -> None:
        self.path.write_text(self.text())

    def text(self) -> str:
        raise NotImplementedError

    def end(self) -> None:
        self._ended.set()
        self.join()


class Package(Supply):
    """RAPL: microjoules."""

    def text(self) -> str:
        return f"{round(self.mj * 1000):0{WIDTH}d}\n"


class Monitor(Supply):
    """An INA226: microwatts."""

    def text(self) -> str:
        return f"{round(self.mw * 1000):0{WIDTH}d}\n"


METERS = {"rapl": (Package, "energy_uj", {"name": "package-0", "max_energy_range_uj": "262143328850"}),
          "hwmon": (Monitor, "power1_input", {"name": "ina226", "shunt_resistor": "10000",
                                              "update_interval": "2", "in1_input": "5000"})}


@pytest.fixture
def short(monkeypatch):
    """Idle windows and runs as short as these supplies allow."""
    monkeypatch.setattr(metering, "IDLE_S", 0.3)
    monkeypatch.setattr(metering, "RUN_S", 1.2)
    monkeypatch.setattr(metering, "IDLE_PERIODS", 4)
    monkeypatch.setattr(metering, "RUN_PERIODS", 12)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """bench(kind) -> its supply; boards.toml has the board "here" with a meter of this kind."""
    supplies = []

    def plug(kind: str, **more) -> Supply:
        supply_of, changing, fixed = METERS[kind]
        folder = tmp_path / kind
        folder.mkdir()
        for name, text in fixed.items():
            (folder / name).write_text(f"{text}\n")
        facts = {"kind": f'"{kind}"', "address": f'"{folder}"', "gain_error": 0.01, **more}
        (tmp_path / "boards.toml").write_text(
            '[boards.here]\ntarget = "host"\ntransport = "local"\nmeters = ["mine"]\n[meters.mine]\n'
            + "".join(f"{key} = {value}\n" for key, value in facts.items()))
        monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
        supplies.append(supply_of(folder / changing))
        supplies[-1].start()
        return supplies[-1]

    yield plug
    for supply in supplies:
        supply.end()


@contextmanager
def session_here() -> Iterator[ProgramSession]:
    board = find_board("here")
    with reached(board) as transport:
        place = Place("here", load_target("host"), board, transport, (LITERT,))
        yield ProgramSession(place, residual(), LITERT)


def metered(session: ProgramSession, supply: Supply, seconds: float = 0.0) -> tuple[Metering, Record]:
    """A run during which the board takes more."""
    feeds = bench_feeds(residual(), "tflite")
    with Metering(session) as meter:
        def run() -> Record:
            supply.active = True
            try:
                return session.time(feeds, meter.seconds(seconds), 30, meter.files, every=10)
            finally:
                supply.active = False

        return meter, meter.run(run)


@pytest.mark.parametrize("kind", METERS)
def test_energy_is_that_of_the_run_and_covers_the_truth(bench, short, kind):
    supply = bench(kind)
    with session_here() as session:
        meter, record = metered(session, supply, seconds=4.0)  # edges of a busy machine are 60 ms
    energy, window_s = meter.energy, (record.ended_ns - record.began_ns) / 1e9
    assert meter.problems == () and meter.conditions == {}
    truth_uj = ACTIVE_MW * window_s / record.inferences * 1000
    assert energy.gross_uj == pytest.approx(truth_uj, rel=energy.uncertainty) and energy.uncertainty <= 0.05
    assert energy.idle_mw == pytest.approx(IDLE_MW, rel=0.1)
    net_uj = (ACTIVE_MW - IDLE_MW) * window_s / record.inferences * 1000
    assert energy.net_uj == pytest.approx(net_uj, rel=energy.net_uncertainty + 0.05)
    assert (energy.meter, energy.tier, energy.inferences) == (kind, "rail monitor", record.inferences)
    assert energy.window_s == pytest.approx(window_s, abs=0.03) and window_s >= 4.0
    assert str(supply.path.parent) not in repr(energy)


def test_a_measurement_has_it(bench, short):
    bench("rapl").active = True
    board = find_board("here")
    with reached(board) as transport:
        figures = program_figures(residual(), Place("here", load_target("host"), board, transport), LITERT, 1,
                                  0.0)
    assert figures["energy"].gross_uj == pytest.approx(
        ACTIVE_MW * figures["energy"].window_s / figures["energy"].inferences * 1000, rel=0.05)
    assert "energy" not in figures["conditions"]


def test_a_run_that_is_too_short_says_how_many_inferences_it_takes(bench, short, monkeypatch):
    monkeypatch.setattr(metering, "RUN_S", 0.05)
    monkeypatch.setattr(metering, "RUN_PERIODS", 0)
    supply = bench("hwmon")
    with session_here() as session:
        meter, record = metered(session, supply)
    problem, = meter.problems
    assert meter.energy is None and record.inferences > 0
    needed = re.fullmatch(r"hwmon: the energy of .*; measure ([0-9,]+) inferences or more: --seconds (\d+)",
                          problem)
    inferences_hz = record.inferences / (record.ended_ns - record.began_ns) * 1e9
    assert int(needed[2]) == pytest.approx(int(needed[1].replace(",", "")) / inferences_hz, abs=2)


def test_a_meter_without_a_calibration_is_refused_before_the_run(bench):
    bench("rapl", gain_error=0.0)
    with session_here() as session, pytest.raises(BadConfig, match="states no accuracy"):
        with Metering(session):
            raise AssertionError("it is not open")


@pytest.mark.parametrize("kind, error", [("rapl", DeviceUnavailable), ("hwmon", DeviceUnavailable)])
def test_a_meter_that_goes_away_during_the_run(bench, short, kind, error):
    supply = bench(kind)
    with session_here() as session, pytest.raises(error, match=f"{supply.path.name}: no such file"):
        threading.Timer(0.8, supply.path.unlink).start()
        metered(session, supply)


def test_a_meter_that_says_what_no_meter_says(bench, short):
    supply = bench("rapl")
    with session_here() as session:
        with Metering(session) as meter:
            supply.text = lambda: "garbage!\n"
            with pytest.raises(BadReply, match="where a whole number is expected"):
                meter.run(lambda: session.time(bench_feeds(residual(), "tflite"), 0.1, 3, meter.files))


def test_a_board_without_a_meter_is_measured_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "boards.toml").write_text('[boards.here]\ntarget = "host"\ntransport = "local"\n')
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    with session_here() as session, Metering(session) as meter:
        record = meter.run(lambda: session.time(bench_feeds(residual(), "tflite"), meter.seconds(0.0), 3))
    assert record.inferences == 3 and (meter.energy, meter.problems) == (None, ())
    assert meter.conditions == {"energy": NO_METER} and meter.files == () and meter.seconds(7.0) == 7.0


def test_an_emulated_board_has_no_energy_whatever_boards_toml_says(bench):
    bench("rapl")
    board = Board(target="host", transport="local", name="here", emulated=True, meters=("mine",))
    with reached(board) as transport:
        session = ProgramSession(Place("here", load_target("host"), board, transport), residual(), LITERT)
        with pytest.raises(BadConfig, match="'here' is emulated: it counts instructions and has no energy"):
            Metering(session)
