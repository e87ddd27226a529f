"""Energy beside latency of a board on a serial line: what a meter saw while the host waited for an answer."""

from collections.abc import Iterator
from contextlib import contextmanager
import time

import msgspec
import pytest

from tests.device.standins.dut import ScriptedDut
from tests.device.standins.pty_server import PtyServer
from tests.device.test_mlperf import PROFILE
from tests.device.test_mlperf_modes import Bench
from toolchain.artifact import Artifact, Manifest
from toolchain.device import board_meter, measure_firmware, metering
from toolchain.device.board_meter import open_meter
from toolchain.device.boards import Board, Boards, MeterConfig
from toolchain.device.measure import measure
from toolchain.device.place import Place
from toolchain.device.protocol import InferenceRun
from toolchain.device.ways import FIRMWARE, Way
from toolchain.errors import BadConfig, InvalidMeasurement
from toolchain.measurement import Measurement
from toolchain.port import Port

SIZES = {kind: 64 for kind in ("flash", "code_flash", "static", "stack", "arena", "ram")}
MANIFEST = Manifest(name="scripted", target=PROFILE.name, formats=("c",), static_bytes=SIZES, profile=PROFILE,
                    graph_digest=ScriptedDut.digest, inputs={"c": (Port("x", (1, 40), "int8", 1.0, 0),)},
                    outputs={"c": (Port("y", (1, 5), "int8", 1 / 256, 0),)})
WAY = Way("c", "c", FIRMWARE)
BOARD = Board(target=PROFILE.name, transport="serial", address="/dev/null", name="bench")
INFER_S = 0.005


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(metering, "RUN_S", 3.0)
    monkeypatch.setattr(metering, "IDLE_S", 0.3)


class Powered:
    """A board on a Bench, active while it infers. pulses: its firmware is for energy"""

    def __init__(self, pulses: bool):
        self.bench = Bench()
        self.dut = ScriptedDut(infer_s=INFER_S, sleep=time.sleep if pulses else self._infer,
                               pulse=self.bench.pulse if pulses else None)
        self.dut.ticks = int(INFER_S * self.dut.hz)

    def _infer(self, seconds: float) -> None:
        self.bench.pulse()
        time.sleep(seconds)
        self.bench.pulse()

    @property
    def true_uj(self) -> float:
        """Of the last run."""
        inferences = int(self.dut.commands[-1].split()[1])
        begin_s, end_s = self.bench.edges[-2:]
        return Bench.ACTIVE_MW * (end_s - begin_s) * 1000 / inferences


@contextmanager
def place_of(powered: Powered, monkeypatch, **more) -> Iterator[Place]:
    with (PtyServer(powered.dut.answer) as wire,
          PtyServer(lambda data: powered.bench.meter.answer(data, 0.0), powered.bench.tick) as meter):
        config = MeterConfig(kind="lpm01a", address=meter.path, supply_mv=1800, name="shield")
        monkeypatch.setattr(measure_firmware, "load_boards", lambda: Boards(meters={"shield": config}))
        board = msgspec.structs.replace(BOARD, address=wire.path, meters=("shield",), **more)
        yield Place(board.name, msgspec.structs.replace(PROFILE, transport="serial", port=wire.path), board)


def measured(place: Place) -> Measurement:
    return measure(Artifact(MANIFEST, {}), place, WAY, seconds=0.1)


@pytest.mark.parametrize("pulses", [False, True])
def test_energy_beside_latency(monkeypatch, pulses):
    """By the host's timestamps, or by the pin of firmware that pulses it."""
    powered = Powered(pulses)
    with place_of(powered, monkeypatch) as place:
        found = measured(place)
    energy, true_uj = found.energy, powered.true_uj
    assert energy.gross_uj == pytest.approx(true_uj, rel=0.01 if pulses else energy.uncertainty)
    assert (energy.meter, energy.inferences) == ("lpm01a", 601) and 2.9 < energy.window_s < 3.4
    assert energy.net_uj == pytest.approx(true_uj * 15 / 18, rel=energy.net_uncertainty)
    assert "energy" not in found.conditions and found.latency_us.median == pytest.approx(4996)


def test_a_run_that_is_known_too_badly(monkeypatch):
    """Latency stands, energy does not, and the measurement says why."""
    powered = Powered(pulses=False)
    monkeypatch.setattr(board_meter, "LINE_S", 0.5)
    with place_of(powered, monkeypatch) as place:
        found = measured(place)
    assert found.energy is None and found.latency_us is not None
    assert [line for line in found.problems if "lpm01a: the energy of 601 inferences" in line]


def test_no_meter_and_an_emulated_board(monkeypatch):
    powered = Powered(pulses=False)
    with place_of(powered, monkeypatch, emulated=True) as place:
        with pytest.raises(BadConfig, match="'bench' is emulated: .*; take 'shield' out of its meters"):
            measured(place)
        bare = msgspec.structs.replace(place.board, meters=())
        emulated = measured(Place(place.name, place.profile, bare))
        real = measured(Place(place.name, place.profile, msgspec.structs.replace(bare, emulated=False)))
    assert emulated.energy is real.energy is None and emulated.latency_us is None
    assert (emulated.conditions["energy"], real.conditions["energy"]) == ("emulated: none", "no meter")


def test_a_board_whose_clock_is_fast():
    with pytest.raises(InvalidMeasurement, match="inferences took 3.10 s, by the host's all of it 3.00 s"):
        board_meter._slack_s(InferenceRun(100, 3_100_000, ()), 3.0)
    assert board_meter._slack_s(InferenceRun(100, 2_900_000, ()), 3.0) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["rapl", "pmic", "odpm", "power_supply", "charge_counter", "hwmon"])
def test_meters_of_devices_that_run_programs(kind):
    config = MeterConfig(kind=kind, address="/sys/class/hwmon/hwmon0", name="inside")
    with pytest.raises(BadConfig, match=f"'inside': a {kind} is part of a device .*beside 'bench' stand "):
        with open_meter(BOARD, config):
            pass
