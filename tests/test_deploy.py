"""Artefacts on devices: the ways that are taken, what is kept of each, and who has the device meanwhile."""

from contextlib import contextmanager
import json
import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.device.artifacts import residual, vectors
from tests.device.scripted import Runner, answering
from tests.test_cli import edge
from toolchain import deploy
from toolchain.deploy import Wish, bench, deployed, evaluate, held, ways_of
from toolchain.device import programs
from toolchain.device.boards import HOST
from toolchain.device.measure_programs import bench_feeds
from toolchain.device.place import open_place
from toolchain.device.programs import ProgramSession
from toolchain.device.transports.transport import Finished
from toolchain.device.ways import PYTHON
from toolchain.errors import (
    BadInput,
    BadModel,
    DeviceBusy,
    DeviceLost,
    DeviceUnavailable,
    RuntimeMissing,
    Unsupported,
)
from toolchain.examination import set_exam
from toolchain.ledger import locks
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.runs import Filter
from toolchain.profile import load_target

BOARD = """[boards.far]
target = "raspberry_pi_4"
transport = "ssh"
address = "pi@10.9.8.7"
"""

ARM64 = load_target("android_arm64")


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Locks, a ledger and boards of our own."""
    monkeypatch.setattr(locks, "PLACES", (str(tmp_path),))
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    monkeypatch.delenv("EDGE_ACCEPT_INVALID", raising=False)
    (tmp_path / "boards.toml").write_text(BOARD)


@pytest.fixture
def runner(alone, monkeypatch) -> Runner:
    """Of the board "far", whose wire leads nowhere: it says what the test vectors say, at 100 us each."""
    scripted = answering(residual("raspberry_pi_4"), "tflite")

    @contextmanager
    def reached(board):
        yield scripted

    monkeypatch.setattr("toolchain.device.place.reached", reached)
    monkeypatch.setattr(programs, "CLOCK_STEP_S", math.inf)  # a script tells of time that did not pass
    return scripted


@pytest.fixture
def folder(tmp_path):
    return residual("raspberry_pi_4").write(tmp_path / "artifact")


@pytest.fixture
def labelled(tmp_path) -> str:
    """Samples whose classes are those that the reference gives."""
    codes, answers = (vectors(residual(), kind) for kind in ("input", "output"))
    x = 0.05 * (codes["x"].astype(np.float32) - 3)
    np.savez(tmp_path / "labelled.npz", x=x, y=answers["probability"].argmax(1))
    return str(tmp_path / "labelled.npz")


PYTHON_ONLY = Wish("tflite", "litert", PYTHON, seconds=0.5)


def refusing(code: int, *words: str):
    """A runner whose processes with one of these words end so."""
    usual = Runner.start

    def start(self, argv, **how) -> Finished:
        if set(words) & set(argv):
            return Finished(code, b"", b"edge-runner: not here\n")
        return usual(self, argv, **how)
    return start


def test_the_best_way_alone_or_all_of_them(runner):
    artifact = residual("raspberry_pi_4")
    with open_place(load_target("raspberry_pi_4"), "far") as place:
        ways = ways_of(artifact, place)
        assert [way.fmt for way in ways] == ["tflite"] * 3 + ["onnx"] * 2
        assert ways_of(artifact, place, "onnx", runner=PYTHON) == [ways[-1]]
        with pytest.raises(Unsupported, match="nothing there runs fmt tflite, runtime onnxruntime; there is"):
            ways_of(artifact, place, "tflite", "onnxruntime")
        with pytest.raises(BadInput, match="has no 'c' file; it has tflite, onnx"):
            ways_of(artifact, place, "c")


def test_a_runtime_that_is_missing_is_an_error_of_the_only_way(runner, monkeypatch):
    monkeypatch.setattr(Runner, "start", refusing(5, "litert"))
    with pytest.raises(RuntimeMissing, match="not here"):
        list(bench(residual("raspberry_pi_4"), "far", PYTHON_ONLY))


@pytest.mark.parametrize("code", [3, 5])
def test_of_all_ways_those_that_do_not_apply_are_told_and_left_out(runner, monkeypatch, code):
    monkeypatch.setattr(Runner, "start", refusing(code, "tflite-runtime"))
    found = list(bench(residual("raspberry_pi_4"), "far", Wish("tflite", runner=PYTHON, every=True)))
    assert [(one.way.runtime, bool(one.records), bool(one.missing)) for one in found] == [
        ("litert", True, False), ("tflite-runtime", False, True)]
    assert found[0].where == "far.litert.python" and "not here" in found[1].missing


def test_where_no_way_is_left_the_last_error_is_raised(runner, monkeypatch):
    monkeypatch.setattr(Runner, "start", refusing(3, "time", "run"))
    with pytest.raises(BadModel):
        list(bench(residual("raspberry_pi_4"), "far", Wish("tflite", runner=PYTHON, every=True)))


def test_a_device_that_is_lost_ends_all_ways(runner, monkeypatch):
    def lost(self, argv, **how):
        raise DeviceLost("far: gone")

    monkeypatch.setattr(Runner, "start", lost)
    with pytest.raises(DeviceLost):
        list(bench(residual("raspberry_pi_4"), "far", Wish("tflite", every=True, runner=PYTHON)))


def test_each_way_gives_its_own_answers(runner, labelled):
    exam = set_exam(residual("raspberry_pi_4"), labelled, "top1")
    found, = bench(residual("raspberry_pi_4"), "far", Wish("tflite", "litert", PYTHON, exam=exam))
    assert found.evaluation.value == 1.0 and found.evaluation.device == "far"
    runner.outputs = bytes(np.roll(np.frombuffer(runner.outputs, np.int8).reshape(4, 5), 1, 1))
    wrong, = bench(residual("raspberry_pi_4"), "far", Wish("tflite", "litert", PYTHON, exam=exam))
    assert wrong.evaluation.value == 0.0 and wrong.measurement.problems


def test_answers_of_this_computer_come_from_this_process(alone, labelled, monkeypatch):
    def started(*_, **__):
        raise AssertionError("a runner was started")

    monkeypatch.setattr(ProgramSession, "run", started)
    artifact = residual()
    with deployed(artifact, None, "tflite") as session:
        assert session.run(bench_feeds(artifact, "tflite"))["probability"].shape == (4, 5)
    found = evaluate(artifact, None, "onnx", set_exam(artifact, labelled, "top1"))
    assert found.evaluation.device == HOST and found.where == "" and found.measurement is None


def test_an_artefact_goes_to_the_kind_of_device_it_was_built_for(runner):
    with pytest.raises(DeviceUnavailable, match="built for android_arm64 and 'far' is a raspberry_pi_4"):
        list(bench(residual(), "far", PYTHON_ONLY))
    with pytest.raises(DeviceUnavailable, match="cannot run on 'nowhere'; build it for that target"):
        list(bench(residual(), "nowhere", PYTHON_ONLY))


# The command

def benched(folder, *more) -> tuple[int, str, str]:
    return edge("bench", folder, "--device", "far", "--format", "tflite", "--runner", "python", "--seconds",
                "0.5", *more)


def runs() -> list:
    with Ledger.open() as ledger:
        return [ledger.run(run.id) for run in ledger.runs(Filter())]


def test_a_measurement_is_in_the_ledger_and_beside_the_artefact(runner, folder):
    code, out, _ = benched(folder, "--json")
    assert code == 0 and json.loads(out)["latency_us"]["median"] == 100
    run, = runs()
    assert run.valid and run.device == "far" and len(run.record.latency_samples_us) == 60
    assert json.loads((folder / "measurement.tflite.far.litert.python.json").read_text()) == json.loads(out)
    report = json.loads(edge("report", folder, "--json")[1])
    assert [row["measurement"] and row["measurement"]["device"] for row in report["rows"]] == [None, "far"]
    assert "run on this host" not in " ".join(report["notes"])


def test_figures_that_do_not_stand_are_kept_marked_and_exit_6(runner, folder):
    runner.outputs = bytes(len(runner.outputs))
    code, out, err = benched(folder)
    assert code == 6 and "INVALID: output 'probability' is off by up to" in out.replace("\n", " ")
    assert "the figures do not stand: output 'probability' is off by up to" in err
    run, = runs()
    assert not run.valid and len(run.record.latency_samples_us) == 60 and run.problems == run.record.problems
    assert benched(folder, "--accept-invalid", "-q")[0] == 0
    assert [run.valid for run in runs()] == [False, False]


def test_the_environment_may_accept_what_does_not_stand(runner, folder, monkeypatch):
    runner.outputs = bytes(len(runner.outputs))
    monkeypatch.setenv("EDGE_ACCEPT_INVALID", "1")
    assert benched(folder)[0] == 0


def test_accuracy_beside_it_is_told_and_kept(runner, folder, labelled):
    code, out, _ = benched(folder, "--data", labelled, "--json")
    told = json.loads(out)
    assert code == 0 and told["evaluation"]["value"] == 1.0 and told["measurement"]["device"] == "far"
    measurement, evaluation = runs()
    assert (evaluation.kind, evaluation.artifact, evaluation.device) == ("evaluation", "residual", "far")
    assert "top1 100" in benched(folder, "--data", labelled)[1]


def test_an_evaluation_says_in_the_ledger_what_it_is_of(runner, folder, labelled):
    code, out, _ = edge("eval", folder, "--device", "far", "--format", "tflite", "--data", labelled, "--json")
    assert code == 0 and json.loads(out)["device"] == "far"
    run, = runs()
    assert (run.artifact, run.artifact_digest) == ("residual", residual("raspberry_pi_4").digest)
    assert (folder / "evaluation.tflite.far.litert.native.json").exists()


def test_all_ways_are_one_table_and_what_is_left_out_is_said(runner, folder, monkeypatch):
    monkeypatch.setattr(Runner, "start", refusing(5, "tflite-runtime"))
    code, out, _ = benched(folder, "--all")
    assert code == 0 and "tflite in litert, python runner" in out
    assert "not run, tflite in tflite-runtime, python runner: residual as" in " ".join(out.split())
    told = json.loads(benched(folder, "--all", "--json")[1])["outcomes"]
    assert [bool(one["missing"]) for one in told] == [False, True]


def test_minutes_are_told_how_speed_lasted(runner, folder):
    runner.times_us, runner.every, runner.gap_us = [50_000.0] * 60, 50, 0.0
    code, out, _ = benched(folder, "--minutes", "2.5")
    assert code == 0 and "over 140 s: inferences took +0.0 % in the last minute" in " ".join(out.split())
    assert any("seconds=150.000" in words for words in runner.asked)


def test_what_a_board_says_is_harmless_to_a_terminal(runner, folder, monkeypatch):
    monkeypatch.setattr(Runner, "start", lambda self, argv, **how: Finished(
        2, b"", b"edge-runner: [red]\x1b[2J\xff pi@10.9.8.7\n"))
    code, out, err = benched(folder)
    assert code == 6 and "\x1b" not in out + err


# Leases

def test_one_at_a_time_whatever_the_ledger(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "WAIT_S", 0.3)
    ledgers = [Ledger.open(str(tmp_path / name)) for name in ("ledger.db", "ledger.db", "another.db")]
    with held(ledgers[0], load_target("raspberry_pi_4"), "far"):
        for ledger in ledgers[1:]:
            with pytest.raises(DeviceBusy, match="device:far is in use by process"):
                with held(ledger, load_target("raspberry_pi_4"), "far"):
                    raise AssertionError("two have it")
    for ledger in ledgers:
        ledger.close()


def test_the_second_waits_for_the_first(alone, tmp_path):
    order = []
    with Ledger.open(str(tmp_path / "a.db")) as first, Ledger.open(str(tmp_path / "b.db")) as second:
        def other() -> None:
            with held(second, ARM64, None):
                order.append("second")

        with held(first, ARM64, HOST):
            thread = threading.Thread(target=other)
            thread.start()
            time.sleep(0.6)
            order.append("first")
        thread.join(10)
    assert order == ["first", "second"]


def test_this_computer_by_another_name_is_the_same(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "WAIT_S", 0.0)
    (tmp_path / "boards.toml").write_text('[boards.here]\ntarget = "host"\ntransport = "local"\n')
    host = load_target(HOST)
    with Ledger.open(str(tmp_path / "a.db")) as first, Ledger.open(str(tmp_path / "b.db")) as second:
        with held(first, host, "here"), pytest.raises(DeviceBusy, match="device:host"):
            with held(second, host, None):
                raise AssertionError("two have it")


def test_a_killed_process_has_let_go(alone, tmp_path):
    code = (f"from toolchain.ledger import locks\nlocks.PLACES = ({str(tmp_path)!r},)\n"
            "from toolchain.ledger.ledger import Ledger\nimport time\n"
            "with Ledger.open() as ledger, ledger.lease(['device:host'], ttl_s=1.0):\n"
            "    print('held', flush=True)\n    time.sleep(60)\n")
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    with Ledger.open() as ledger:
        with pytest.raises(DeviceBusy, match=f"process {child.pid}"), ledger.lease(["device:host"]):
            raise AssertionError("two have it")
        child.kill(), child.wait(), child.stdout.close()
        began = time.monotonic()
        with held(ledger, ARM64, None):
            assert time.monotonic() - began < 5


def test_an_emulated_board_is_everyones(alone):
    with Ledger.open() as ledger, held(ledger, ARM64, "android-virt") as lease:
        assert lease is None
