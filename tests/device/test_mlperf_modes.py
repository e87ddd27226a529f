"""MLPerf Tiny's modes: with a scripted board in time of its own, and once on an emulated board over ptys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import threading
import time

import numpy as np
import pytest

from tests.device.mlperf_runner import InterfaceBoard
from tests.device.standins.bench import config
from tests.device.standins.dut import ScriptedDut
from tests.device.standins.faults import FaultyLine, half_a_line, reset
from tests.device.standins.lpm01a import Lpm01aStandIn
from tests.device.standins.pty_server import PtyServer
from tests.device.test_mlperf import ENERGY, PROFILE, answer, artifact, autoencoder, classifier, random_codes
from toolchain.device import mlperf_modes, protocol, qemu
from toolchain.device.firmware import build_firmware
from toolchain.device.interface_board import InterfacedDut
from toolchain.device.meters.lpm01a import Lpm01a
from toolchain.device.mlperf import sent_bytes
from toolchain.device.mlperf_modes import (
    WINDOWS,
    Performance,
    median_energy,
    run_accuracy,
    run_energy,
    run_performance,
)
from toolchain.device.protocol import Dut, InferenceRun
from toolchain.device.serial_port import open_line
from toolchain.errors import BadReply, DeviceUnavailable, InvalidMeasurement

INPUTS = [bytes([i]) * 40 for i in range(3)]


class Time:
    """Of its own: only what sleeps moves it."""

    def __init__(self):
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def scripted(infer_s: float, **more) -> tuple[ScriptedDut, Dut]:
    own = Time()
    board = ScriptedDut(infer_s=infer_s, clock=own.clock, sleep=own.sleep, **more)
    return board, Dut(FaultyLine(board), "board")


def infers(board: ScriptedDut) -> list[str]:
    return [command for command in board.commands if command.startswith("infer")]


def test_performance_takes_five_windows_of_ten_seconds_of_an_input_each():
    board, dut = scripted(0.0123)
    found = run_performance(dut, INPUTS)
    assert found.throughput == pytest.approx(1 / 0.0123, rel=1e-4)
    assert infers(board) == ["infer 1 10"] + ["infer 854 10"] * 5
    assert [window.results[0] for window in found.windows] == pytest.approx([
        round(board.computed(INPUTS[i % 3])[0] / 256, 3) for i in range(WINDOWS)])
    assert found.label == "median of 5 windows of 10.5 s and more"


def test_windows_that_turn_out_too_short_are_taken_again():
    """A cache that is cold at first: the trial took twice as long."""
    board, dut = scripted(0.02)
    board._do_infer = slowly_at_first(board, board._do_infer)
    found = run_performance(dut, INPUTS)
    assert min(window.microseconds for window in found.windows) >= 10_000_000
    assert infers(board) == ["infer 1 10"] + ["infer 525 10"] * 5 + ["infer 1050 10"] * 5


def slowly_at_first(board: ScriptedDut, infer: Callable) -> Callable:
    def faster(*words: str) -> list[str]:
        said = infer(*words)
        board.infer_s = 0.01
        return said
    return faster


def test_a_clock_that_changes_is_no_measurement():
    board, dut = scripted(0.01)
    infer = board._do_infer

    def ever_faster(*words: str) -> list[str]:
        said = infer(*words)
        board.infer_s *= 0.8
        return said

    board._do_infer = ever_faster
    with pytest.raises(InvalidMeasurement, match="not 10 s as windows before let expect: the board's clock"):
        run_performance(dut, INPUTS)


def test_an_emulated_board_has_no_throughput():
    board, dut = scripted(0.001)
    found = run_performance(dut, INPUTS, emulated_inferences=7)
    assert found.throughput is None and infers(board) == ["infer 7 10"] * 5
    assert found.label == "emulated: 5 windows of 7 inferences; no time"


def test_firmware_for_energy_tells_no_time():
    _, dut = scripted(0.01, pulse=lambda: None)
    with pytest.raises(InvalidMeasurement, match="it was built for energy \\(-DTK_ENERGY\\); build it"):
        run_performance(dut, INPUTS)


def test_the_median_is_of_five():
    lasting_us = (10**7, 2 * 10**7, 10**9, 1.1 * 10**7, 10**8)
    windows = tuple(InferenceRun(100, each_us, (1.0,)) for each_us in lasting_us)
    assert Performance(windows, False).throughput == pytest.approx(5.0)


@pytest.fixture
def hurried(monkeypatch):
    for name in ("REPLY_S", "HELLO_S"):
        monkeypatch.setattr(protocol, name, 0.005)
    monkeypatch.setattr(mlperf_modes, "INFER_S", 0.005)


@pytest.mark.parametrize("fault", [reset, half_a_line])
def test_accuracy_over_a_line_that_is_disturbed(hurried, fault):
    """Every result belongs to its input, whatever was asked again."""
    board = ScriptedDut()
    inputs = [np.random.default_rng(i).bytes(40) for i in range(12)]
    expected = np.array([list(board.computed(data)) for data in inputs]) / 256
    for at in range(3, 40):
        got = run_accuracy(Dut(FaultyLine(ScriptedDut(), fault, at, seed=at), "board"), inputs)
        assert np.abs(got - expected).max() <= 0.0005


def test_results_of_different_lengths():
    board, dut = scripted(0.0)
    board.computed = lambda data: bytes(data[:1 + data[0]])
    with pytest.raises(BadReply, match="results of some samples have more numbers than those of others"):
        run_accuracy(dut, INPUTS)


def test_what_is_sent_for_a_sample():
    """Codes for sounds, pixels for pictures, reals for the autoencoder."""
    scale = float(np.float32(0.39101523))
    for graph, made in ((classifier(49, 10, 1, classes=12), lambda codes: codes.astype(np.int8)),
                        (classifier(32, 32, 3, classes=10), lambda codes: (codes + 128).astype(np.uint8)),
                        (autoencoder(), lambda codes: ((codes - 89) * scale).astype("<f4"))):
        codes = random_codes(graph)
        assert sent_bytes(artifact(graph).manifest, codes) == made(codes.astype(int)).tobytes()


class Bench:
    """What stands around a board in energy mode: its pin, and a meter that integrates the power it takes,
    which is active between the first edge of a pair and the second. Time begins when the meter is started.
    """

    ACTIVE_MW, IDLE_MW = 18.0, 3.0

    def __init__(self):
        self.edges: list[float] = []
        self.meter = Lpm01aStandIn(self, 1e9)
        self.meter.edges_s = self.edges
        self._began = time.monotonic()
        self._changed = threading.Lock()
        self._samples: Iterator[tuple[float, bytes]] | None = None

    def pulse(self) -> None:
        with self._changed:
            self.edges.append(time.monotonic() - self._began)

    def mj(self, until_s: float) -> float:
        """Energy since the beginning."""
        with self._changed:
            edges = [min(edge, until_s) for edge in self.edges] + [until_s] * (len(self.edges) % 2)
        active_s = sum(end - begin for begin, end in zip(edges[::2], edges[1::2]))
        return self.IDLE_MW * until_s + (self.ACTIVE_MW - self.IDLE_MW) * active_s

    def tick(self) -> bytes:
        """The meter's samples up to 50 ms ago: an edge is known by then."""
        if not self.meter.streaming:
            self._samples = None
            return b""
        if self._samples is None:
            self._samples, self._last, self._began = self.meter.stream(), 0.0, time.monotonic()
            self.edges.clear()
        said, until_s = b"", time.monotonic() - self._began - 0.05
        while self._last < until_s:
            self._last, data = next(self._samples)
            said += data
        return said


@contextmanager
def measured_by(bench: Bench) -> Iterator[Lpm01a]:
    with PtyServer(lambda data: bench.meter.answer(data, 0.0), bench.tick) as server:
        lpm01a = Lpm01a(config("lpm01a", 1800))
        lpm01a._address = server.path
        lpm01a.open()
        try:
            yield lpm01a
        finally:
            lpm01a.close()


def test_energy_of_a_scripted_board():
    """Board, interface board and meter on three ptys; the known power times the known time, per inference."""
    bench = Bench()
    board = ScriptedDut(infer_s=0.002, pulse=bench.pulse)
    with (PtyServer(board.answer) as wire, InterfaceBoard(wire.path) as interface,
          measured_by(bench) as lpm01a, open_line(interface.device, 115200, "board") as line):
        dut = InterfacedDut(line, "board")
        dut.greet()
        assert dut.task() == "kws01"
        energies = run_energy(dut, lpm01a, INPUTS, window_s=0.4, idle_s=0.3)
    assert len(set(infers(board)[-WINDOWS:])) == 1 and len({energy.inferences for energy in energies}) == 1
    last = bench.edges[-2 * WINDOWS:]
    for energy, begin_s, end_s in zip(energies, last[::2], last[1::2]):
        true_uj = Bench.ACTIVE_MW * (end_s - begin_s) * 1000 / energy.inferences
        assert energy.gross_uj == pytest.approx(true_uj, rel=0.01)
        assert energy.net_uj == pytest.approx(true_uj * 15 / 18, rel=0.02)
    assert median_energy(energies).gross_uj == sorted(energy.gross_uj for energy in energies)[2]


def test_a_pin_that_is_not_wired():
    bench = Bench()
    board = ScriptedDut(infer_s=0.01, pulse=lambda: None)
    with (PtyServer(board.answer) as wire, InterfaceBoard(wire.path) as interface,
          measured_by(bench) as lpm01a, open_line(interface.device, 115200, "board") as line):
        with pytest.raises(InvalidMeasurement, match="its logic input saw 0 edges .* pin wired to"):
            run_energy(InterfacedDut(line, "board"), lpm01a, INPUTS, window_s=0.1)


def test_an_interface_board_that_is_none():
    with PtyServer(ScriptedDut().answer) as wire, open_line(wire.path, 115200, "board") as line:
        dut = InterfacedDut(line, "board")
        with pytest.raises(BadReply, match="board answered .* to 'dut name'; is it our firmware"):
            dut.vendor()


def test_a_board_behind_the_interface_that_says_nothing(monkeypatch):
    monkeypatch.setattr(protocol, "HELLOS", 2)
    monkeypatch.setattr(protocol, "HELLO_S", 0.05)
    with (PtyServer(lambda data: b"") as wire, open_line(wire.path, 115200, "board") as line):
        with pytest.raises(DeviceUnavailable, match="board says nothing: 2 hellos"):
            InterfacedDut(line, "board").greet()


@pytest.mark.emulated
def test_performance_and_accuracy_on_an_emulated_board():
    graph = classifier(49, 10, 1, classes=12)
    built = artifact(graph)
    codes = [random_codes(graph, seed) for seed in range(6)]
    sent = [sent_bytes(built.manifest, sample) for sample in codes]
    with qemu.running(build_firmware(built, PROFILE).elf, PROFILE) as dut:
        found = run_performance(dut, sent, emulated_inferences=3)
        results = run_accuracy(dut, sent)
    assert found.throughput is None and len({window.microseconds for window in found.windows}) <= 3
    assert np.abs(results - np.array([answer(graph, sample) for sample in codes])).max() <= 0.0005


class PinsOfTrace:
    """The emulated board's pin: a light of its, whose changes QEMU writes to a pipe. Falls are pulses."""

    def __init__(self, path: Path, pulse: Callable[[], None]):
        os.mkfifo(path)
        self.options = ("-trace", "mps2_fpgaio_write", "-D", str(path))
        self._thread = threading.Thread(target=self._follow, args=(path, pulse), daemon=True)
        self._thread.start()

    @staticmethod
    def _follow(path: Path, pulse: Callable[[], None]) -> None:
        with open(path) as log:
            for line in log:
                if "data 0x0 " in line:
                    pulse()


@pytest.mark.emulated
def test_energy_on_an_emulated_board(tmp_path):
    """MLCommons' protocol end to end over ptys: the board pulses, the interface board passes commands on, the
    meter's stand-in tells of the edges and integrates a known power. What comes out is the stand-in's energy:
    an emulated board has none.
    """
    graph, bench = classifier(49, 10, 1, classes=12), Bench()
    built, pins = artifact(graph), PinsOfTrace(tmp_path / "pins", bench.pulse)
    codes = random_codes(graph)
    with (qemu.powered(build_firmware(built, ENERGY).elf, ENERGY, pins.options) as (device, _),
          InterfaceBoard(device) as interface, measured_by(bench) as lpm01a,
          open_line(interface.device, 115200, "board") as line):
        dut = InterfacedDut(line, "board")
        dut.greet()
        assert dut.task() == "kws01"
        energies = run_energy(dut, lpm01a, [sent_bytes(built.manifest, codes)], window_s=0.5, idle_s=0.3)
    last = bench.edges[-2 * WINDOWS:]
    for energy, begin_s, end_s in zip(energies, last[::2], last[1::2]):
        true_uj = Bench.ACTIVE_MW * (end_s - begin_s) * 1000 / energy.inferences
        assert energy.gross_uj == pytest.approx(true_uj, rel=0.01) and energy.uncertainty < 0.05
