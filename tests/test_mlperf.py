"""`edge mlperf` as a person types it: scripted boards and meters on ptys, and all three modes on QEMU."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.device.mlperf_runner import InterfaceBoard
from tests.device.standins.dut import ScriptedDut
from tests.device.standins.ppk2 import Ppk2StandIn
from tests.device.standins.pty_server import PtyServer
from tests.device.test_mlperf import ENERGY, PROFILE, answer, artifact, classifier, random_codes
from tests.device.test_mlperf_modes import Bench, PinsOfTrace
from toolchain import mlperf
from toolchain.artifact import Artifact, Manifest
from toolchain.cli import app
from toolchain.device import mlperf_modes, qemu
from toolchain.device.firmware import build_firmware
from toolchain.ir.graph import Graph
from toolchain.measurement import Evaluation, Measurement
from toolchain.port import Port
from toolchain.profile import load_target
from toolchain.runtime import reference

SIZES = {kind: 64 for kind in ("flash", "code_flash", "static", "stack", "arena", "ram")}
DATA = np.random.default_rng(3).integers(-128, 128, (12, 40)).astype(np.int8)


def edge(*arguments) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    result = CliRunner().invoke(app, ["mlperf", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def record(kind: type, *arguments):
    code, out, err = edge(*arguments, "--json")
    assert code == 0, err
    return msgspec.json.decode(out, type=kind)


def kept_runs() -> list[dict]:
    """What the ledger has."""
    result = CliRunner().invoke(app, ["runs", "list", "--json"])
    return json.loads(result.stdout)["runs"]


class Plugged:
    """A boards.toml that EDGE_BOARDS names."""

    def __init__(self, path: Path):
        self._path = path

    def write(self, boards: Mapping[str, Mapping], meters: Mapping[str, Mapping] = {}) -> None:
        tables = [(f"boards.{name}", {"target": PROFILE.name, "transport": "serial", **board})
                  for name, board in boards.items()]
        tables += [(f"meters.{name}", meter) for name, meter in meters.items()]
        self._path.write_text("".join(
            f"[{title}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
            for title, table in tables))


@pytest.fixture
def plugged(tmp_path, monkeypatch) -> Plugged:
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    return Plugged(tmp_path / "boards.toml")


def folder_of(made: Artifact, path: Path, **changes) -> Path:
    """As read again: a manifest does not tell where the target's sources are."""
    profile = msgspec.structs.replace(PROFILE, folder="")
    manifest = msgspec.structs.replace(made.manifest, **{"profile": profile, **changes})
    Artifact(manifest, made.files, made.vectors).write(path)
    return path


def scripted_artifact(path: Path, energy: bytes = b"image", **changes) -> Path:
    """Of the network that ScriptedDut has; its firmware for energy is there already."""
    ports = {"inputs": {"c": (Port("x", (1, 40), "int8", 1.0, 0),)},
             "outputs": {"c": (Port("y", (1, 5), "int8", 1 / 256, 0),)}}
    manifest = Manifest(name="scripted", target=PROFILE.name, formats=("c",), static_bytes=SIZES,
                        graph_digest=ScriptedDut.digest, **ports)
    folder = folder_of(Artifact(manifest, {"model.c": b"", "model.h": b""}), path, **changes)
    (folder / mlperf.ENERGY_FILE).write_bytes(energy)
    return folder


class Hurried:
    """Time that only what sleeps moves."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def hurried(infer_s: float, **more) -> ScriptedDut:
    own = Hurried()
    return ScriptedDut(infer_s=infer_s, clock=own.clock, sleep=own.sleep, **more)


def labelled(path: Path, outputs: np.ndarray, wrong: int) -> Path:
    """The set with the board's own answers for labels, but the first `wrong`."""
    labels = outputs.argmax(axis=1)
    labels[:wrong] = (labels[:wrong] + 1) % outputs.shape[1]
    np.savez(path, x=DATA, y=labels, split=np.full(len(DATA), "test"))
    return path


def test_performance(plugged, tmp_path):
    """Throughput of the board's own clock, kept in the ledger and beside the artefact."""
    folder = scripted_artifact(tmp_path / "net")
    with PtyServer(hurried(0.0123).answer) as wire:
        plugged.write({"bench": {"address": wire.path}})
        found = record(Measurement, folder, "--device", "bench")
        code, out, _ = edge(folder, "--device", "bench", "--mode", "performance")
    assert found.latency_us.median == pytest.approx(12300, rel=1e-4) and not found.emulated
    conditions = found.conditions
    assert conditions["inferences_per_s"] == pytest.approx(1 / 0.0123, rel=1e-4)
    assert (conditions["mode"], conditions["windows"], conditions["inferences"]) == ("performance", 5, 854)
    assert min(map(int, conditions["windows_us"].split())) >= 10_000_000 and found.energy is None
    assert code == 0 and "81.3 inferences a second" in out and "median of 5 windows of 10.5 s" in out
    kept = json.loads((folder / "measurement.c.bench.mlperf-performance.json").read_bytes())
    assert kept["conditions"]["mode"] == "performance"
    assert [(run["kind"], run["device"], run["valid"]) for run in kept_runs()] == [
        ("measurement", "bench", True)] * 2


def test_an_emulated_board_has_no_throughput(plugged, tmp_path):
    folder = scripted_artifact(tmp_path / "net")
    with PtyServer(hurried(0.001).answer) as wire:
        plugged.write({"bench": {"address": wire.path, "emulated": True}})
        found = record(Measurement, folder, "--device", "bench")
    assert (found.latency_us, found.instructions, found.emulated) == (None, None, True)
    assert found.conditions["time"] == found.conditions["energy"] == "emulated: none"
    assert "inferences_per_s" not in found.conditions and "windows_us" not in found.conditions


@pytest.mark.parametrize(("limit", "wrong"), [(None, 2), (5, 0)])
def test_accuracy(plugged, tmp_path, limit, wrong):
    """Every sample goes out once, in order, and the largest result counts."""
    folder, board = scripted_artifact(tmp_path / "net"), ScriptedDut()
    outputs = np.array([np.frombuffer(board.computed(codes.tobytes()), np.uint8) for codes in DATA])
    data = labelled(tmp_path / "set.npz", outputs, wrong)
    with PtyServer(board.answer) as wire:
        plugged.write({"bench": {"address": wire.path}})
        found = record(Evaluation, folder, "--device", "bench", "--mode", "accuracy", "--data", data,
                       *(("--limit", limit) if limit else ()))
    n = limit or len(DATA)
    assert (found.metric, found.n, found.value) == ("top1", n, pytest.approx((n - wrong) / n))
    assert (found.device, found.runtime, found.split) == ("bench", "generated C", "test")
    assert (folder / "evaluation.c.bench.mlperf-accuracy.json").is_file()
    run, = kept_runs()
    assert (run["kind"], run["artifact"], run["target"]) == ("evaluation", "scripted", PROFILE.name)
    assert run["artifact_digest"] == json.loads((folder / "evaluation.c.bench.mlperf-accuracy.json")
                                                .read_bytes())["artifact_digest"] != ""


@contextmanager
def on_the_bench(plugged: Plugged, bench: Bench, wire: str, meter: str = "lpm01a") -> Iterator[None]:
    """A board behind the interface board, and the meter's stand-in, as boards.toml has them."""
    with (InterfaceBoard(wire) as interface,
          PtyServer(lambda data: bench.meter.answer(data, 0.0), bench.tick) as server):
        plugged.write({"bench": {"address": wire, "interface": interface.device, "meters": [meter]}},
                      {meter: {"kind": meter, "address": server.path, "supply_mv": 1800, "gain_error": 0.02}})
        yield


@pytest.fixture
def short_windows(monkeypatch):
    monkeypatch.setattr(mlperf, "WINDOW_S", 0.4)
    monkeypatch.setattr(mlperf, "IDLE_S", 0.3)
    monkeypatch.setattr(mlperf_modes, "LATE_S", 0.2)


def require_known(bench: Bench, found: Measurement) -> None:
    """Every window within 1 % of the energy that the stand-in took, the figure's uncertainty around it."""
    edges, energy = bench.edges[-10:], found.energy
    truth = [Bench.ACTIVE_MW * (end - begin) * 1000 / energy.inferences
             for begin, end in zip(edges[::2], edges[1::2])]
    told = [float(word) for word in found.conditions["windows_gross_uj"].split()]
    assert told == pytest.approx(truth, rel=0.01)
    middle = int(np.argsort(told)[2])
    assert energy.gross_uj == pytest.approx(told[middle], rel=1e-5)
    assert abs(energy.gross_uj / truth[middle] - 1) <= energy.uncertainty < 0.05


class KitBench(Bench):
    """With a Power Profiler Kit II that feeds the board, its D0 at the pin."""

    def __init__(self):
        super().__init__()
        self.meter = Ppk2StandIn(self, 1e6, millivolts=1800)
        self.meter.edges_s = self.edges

    def mw(self, times_s: np.ndarray) -> np.ndarray:
        """Power then."""
        with self._changed:
            between = np.searchsorted(np.array(self.edges), times_s) % 2
        return np.where(between, self.ACTIVE_MW, self.IDLE_MW)


@pytest.mark.parametrize(("meter", "bench_of"), [("lpm01a", Bench), ("ppk2", KitBench)])
def test_energy(plugged, tmp_path, short_windows, meter, bench_of):
    folder, bench = scripted_artifact(tmp_path / "net"), bench_of()
    with PtyServer(ScriptedDut(infer_s=0.002, pulse=bench.pulse).answer) as board:
        with on_the_bench(plugged, bench, board.path, meter):
            code, out, err = edge(folder, "--device", "bench", "--mode", "energy", "--json")
    assert code == 0, err
    found = msgspec.json.decode(out, type=Measurement)
    require_known(bench, found)
    assert f"edge: {folder}/firmware_energy.elf is the firmware for energy" in err
    assert (found.conditions["mode"], found.conditions["interface"]) == ("energy", "interface board")
    assert (found.energy.tier, found.energy.meter) == ("external meter", meter)
    assert found.latency_us is None and found.energy.net_uj < found.energy.gross_uj
    assert (folder / "measurement.c.bench.mlperf-energy.json").is_file()


def test_firmware_that_tells_the_time_has_no_pulses(plugged, tmp_path, short_windows):
    folder, bench = scripted_artifact(tmp_path / "net"), Bench()
    with PtyServer(ScriptedDut(infer_s=0.001).answer) as board, on_the_bench(plugged, bench, board.path):
        code, _, err = edge(folder, "--device", "bench", "--mode", "energy", "--quiet")
    assert code == 6 and "tells the time instead of pulsing a pin; put the one for energy on it" in err
    assert not list(folder.glob("measurement.*")) and not kept_runs()


def test_another_model_on_the_board(plugged, tmp_path):
    folder, board = scripted_artifact(tmp_path / "net"), ScriptedDut()
    board.digest = "0" * 64
    with PtyServer(board.answer) as wire:
        plugged.write({"bench": {"address": wire.path}})
        code, _, err = edge(folder, "--device", "bench")
    assert code == 6 and "runs the model 000000000000, the artefact is d16e57d16e57; build it again" in err


@pytest.mark.parametrize(("words", "exit_code", "message"), [
    (["--mode", "speed"], 2, "no mode is called 'speed'; MLPerf Tiny's are performance, accuracy, energy"),
    (["--mode", "accuracy"], 2, "--data, a labelled set, goes with --mode accuracy, which needs it"),
    (["--data", "x.npz"], 2, "--data, a labelled set, goes with --mode accuracy"),
    (["--mode", "energy"], 4, "cortex_m4_qemu is emulated: it counts instructions and has no energy"),
    (["--mode", "energy", "--device", "virtual"], 4, "virtual is emulated: it counts instructions"),
    (["--mode", "energy", "--device", "bare"], 2, "bare has no meter with a logic input .*lpm01a or ppk2"),
    (["--mode", "energy", "--device", "cable"], 2, "cable has no meter with a logic input"),
    (["--mode", "energy", "--device", "nobody"], 5, "cannot run on 'nobody'")])
def test_what_cannot_be(plugged, tmp_path, words, exit_code, message):
    folder = scripted_artifact(tmp_path / "net")
    plugged.write({"virtual": {"address": "/dev/null", "emulated": True}, "bare": {"address": "/dev/null"},
                   "cable": {"address": "/dev/null", "meters": ["usb"]}},
                  {"usb": {"kind": "tc66c", "address": "/dev/null"}})
    code, _, err = edge(folder, *words)
    assert code == exit_code, err
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def test_the_autoencoder_has_no_accuracy_here(tmp_path):
    port = Port("x", (1, 640), "int8", 0.4, 89)
    folder = scripted_artifact(tmp_path / "net", inputs={"c": (port,)}, outputs={"c": (port,)})
    code, _, err = edge(folder, "--mode", "accuracy", "--data", "x.npz")
    assert code == 4 and "area under the ROC curve of its scores, which is not told here" in err


def test_several_inputs(tmp_path):
    ports = (Port("x", (1, 20), "int8", 1.0, 0), Port("z", (1, 20), "int8", 1.0, 0))
    code, _, err = edge(scripted_artifact(tmp_path / "net", inputs={"c": ports}))
    assert code == 4 and "scripted has several inputs; MLPerf Tiny's modes send one" in err


def test_a_file_that_is_no_firmware(tmp_path):
    folder = scripted_artifact(tmp_path / "net")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["profile"] = msgspec.to_builtins(msgspec.structs.replace(PROFILE, transport="none"))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    code, _, err = edge(folder)
    assert code == 4 and "cortex_m4_qemu runs no firmware of ours" in err


@pytest.mark.parametrize(("device", "exit_code", "words"), [
    ("mine", 2, "mine has no meter with a logic input"), (None, 4, "made from nucleo_l4r5zi's folder, ")])
def test_sources_of_a_target_of_ones_own(plugged, tmp_path, monkeypatch, device, exit_code, words):
    """A manifest has the target's name only; the board's entry says where it lies."""
    own = load_target("docs/examples/nucleo_l4r5zi")
    folder = scripted_artifact(tmp_path / "net", target=own.name,
                               profile=msgspec.structs.replace(own, folder=""))
    image = folder / mlperf.ENERGY_FILE
    image.unlink()
    monkeypatch.setattr(mlperf, "energy_firmware", lambda _, profile: profile.folder.encode())
    plugged.write({"mine": {"target": "docs/examples/nucleo_l4r5zi", "address": "/dev/null"}})
    code, _, err = edge(folder, "--mode", "energy", *(("--device", device) if device else ()))
    assert code == exit_code and words in err
    assert image.read_bytes() == own.folder.encode() if device else not image.exists()


@pytest.fixture(scope="module")
def graph() -> Graph:
    return classifier(49, 10, 1, classes=12)


@pytest.fixture(scope="module")
def keyword_spotter(graph, tmp_path_factory) -> Path:
    """Built for the emulated Cortex-M4, firmware and sizes as of a build."""
    plain = artifact(graph)
    firmware = build_firmware(plain, PROFILE)
    codes = np.stack([random_codes(graph, seed) for seed in range(6)])
    said = {f"output/{name}": values for name, values in reference.run(graph, {"x": codes}).items()}
    made = Artifact(plain.manifest, {**plain.files, "firmware.elf": firmware.elf}, {"input/x": codes, **said})
    ports = {key: {"c": found["c"], "graph": found["c"]} for key, found in
             (("inputs", plain.manifest.inputs), ("outputs", plain.manifest.outputs))}
    return folder_of(made, tmp_path_factory.mktemp("built") / "kws", static_bytes=firmware.sizes, **ports)


@pytest.mark.emulated
def test_performance_and_accuracy_on_an_emulated_board(graph, keyword_spotter, tmp_path):
    """On the target's own emulator: instructions of windows, labels by the reference's answers."""
    found = record(Measurement, keyword_spotter)
    counts = [int(word) for word in found.conditions["windows_instructions"].split()]
    assert len(counts) == 5 and found.conditions["inferences"] == mlperf.EMULATED_INFERENCES
    words = [count - mlperf.EMULATED_INFERENCES * found.instructions for count in counts]
    assert 0 < min(words) and max(words) < 10_000
    assert (found.emulated, found.latency_us, found.energy) == (True, None, None)
    codes = np.stack([random_codes(graph, seed) for seed in range(8)])
    data = tmp_path / "set.npz"
    labels = np.array([answer(graph, sample).argmax() for sample in codes])
    np.savez(data, x=codes, y=labels, split=np.full(8, "test"))
    accuracy = record(Evaluation, keyword_spotter, "--mode", "accuracy", "--data", data)
    assert (accuracy.value, accuracy.n, accuracy.device) == (1.0, 8, PROFILE.name)


@pytest.mark.emulated
def test_energy_on_an_emulated_board(plugged, keyword_spotter, tmp_path, short_windows):
    """The firmware that the command made runs on QEMU, its pulses reach the meter's stand-in, which takes a
    known power: what comes out is the stand-in's energy, an emulated board has none.
    """
    (keyword_spotter / mlperf.ENERGY_FILE).unlink(missing_ok=True)
    assert edge(keyword_spotter, "--mode", "energy")[0] == 4
    image = (keyword_spotter / mlperf.ENERGY_FILE).read_bytes()
    bench = Bench()
    pins = PinsOfTrace(tmp_path / "pins", bench.pulse)
    with (qemu.powered(image, ENERGY, pins.options) as (device, _), on_the_bench(plugged, bench, device)):
        found = record(Measurement, keyword_spotter, "--device", "bench", "--mode", "energy")
    require_known(bench, found)
    assert found.energy.meter == "lpm01a" and found.conditions["firmware"] == PROFILE.name
