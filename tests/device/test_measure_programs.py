"""Figures of a model on a device that runs programs: this computer, and a board whose runner is scripted."""

import math

import msgspec
import numpy as np
import pytest

from tests.device.artifacts import residual
from tests.device.scripted import answering, far
from toolchain.artifact import Artifact
from toolchain.device import programs
from toolchain.device.measure import measure
from toolchain.device.measure_programs import LEAST, MOST_TOLD, bench_feeds
from toolchain.device.metering import NO_METER
from toolchain.device.place import open_place
from toolchain.device.ways import LINUX, NATIVE, PYTHON, Way
from toolchain.port import Port
from toolchain.profile import load_target

LITERT, LITERT_PYTHON = Way("tflite", "litert", NATIVE), Way("tflite", "litert", PYTHON)
HERE = [way for way in LINUX if way.runtime != "tflite-runtime"]


@pytest.mark.parametrize("way", HERE, ids=lambda way: f"{way.fmt}-{way.runtime}-{way.runner}")
def test_this_computer(way):
    with open_place(load_target("host"), None) as place:
        found = measure(residual(), place, way, seconds=0.05)
    assert (found.device, found.target, found.emulated, found.runner) == ("host", "android_arm64", False,
                                                                          way.runner)
    assert found.latency_us.median > 0 and found.cold_us.load > 0 and found.cold_us.first > 0
    assert len(found.latency_samples_us) == len(found.cpu_samples_us) >= LEAST
    assert found.latency_us.samples + found.latency_us.warm_up == len(found.latency_samples_us)
    assert found.peak_rss_bytes > 100_000 and found.flash_bytes > 1000
    assert found.parity.checked == 20 and (way.fmt != "c" or found.parity.mismatched == 0)
    assert (len(found.ops) >= 5) == way.profiles == ("ops" not in found.conditions)
    assert found.conditions["threads"] == 1 and found.conditions["energy"] == NO_METER
    assert found.conditions["machine"] not in ("", "not there") and found.conditions["load_before"] >= 0
    assert found.conditions["inferences"] == len(found.latency_samples_us)
    assert "built for android_arm64, run on this host" in found.conditions["note"]
    assert found.energy is found.sustained is None


def test_a_board_in_full():
    runner = answering(residual(), "tflite", own={"instructions": 12345, "cycles": 999})
    found = measure(residual(), far(runner), LITERT_PYTHON, threads=2, seconds=0.5)
    assert found.problems == () and found.latency_us.median == 100 and found.cold_us.load == 2000
    assert (found.instructions, found.cycles, found.peak_rss_bytes) == (12345, 999, 4 * 2**20)
    assert found.parity.mismatched == 0 and found.runtime == "Scripted 1.0" and found.device == "far"
    assert found.conditions["note"] == "" and found.conditions["ops"].startswith("not told: litert has no")
    timed = next(words for words in runner.asked if "time" in words)
    assert {"threads=2", "seconds=0.500", f"least={LEAST}", "every=1"} <= set(timed)


def test_no_address_is_in_what_is_kept():
    runner = answering(residual(), "tflite")
    found = measure(residual(), far(runner, host_key="ssh-ed25519 AAAAsecret", identity="/home/me/key"),
                    LITERT_PYTHON, seconds=0.5)
    kept = msgspec.json.encode(found).decode()
    assert not [word for word in ("10.9.8.7", "AAAAsecret", "/home/me") if word in kept]


def test_an_emulated_board_counts_and_has_no_time_and_no_energy():
    runner = answering(residual(), "tflite", own={"instructions": 12345, "cycles": 999})
    found = measure(residual(), far(runner, emulated=True), LITERT_PYTHON, seconds=5.0)
    assert found.emulated and found.instructions == 12345 and found.peak_rss_bytes == 4 * 2**20
    assert found.latency_us is found.cold_us is found.energy is found.cycles is found.sustained is None
    assert found.latency_samples_us == found.cpu_samples_us == [] and found.ops == ()
    assert found.conditions["time"] == found.conditions["energy"] == "emulated: none"
    assert "seconds=0.000" in next(words for words in runner.asked if "time" in words)


def test_wrong_answers_break_a_measurement():
    runner = answering(residual(), "tflite")
    runner.outputs = bytes(len(runner.outputs))
    found = measure(residual(), far(runner), LITERT_PYTHON)
    problem, = found.problems
    assert problem.startswith("output 'probability' is off by up to ") and found.parity.mismatched > 0
    assert found.latency_us is not None


@pytest.fixture(autouse=True)
def hours_in_a_moment(monkeypatch):
    """A script tells of time that did not pass."""
    monkeypatch.setattr(programs, "CLOCK_STEP_S", math.inf)


def test_what_is_not_steady_breaks_a_measurement():
    runner = answering(residual(), "tflite", times_us=np.linspace(100, 200, 400))
    problem, = measure(residual(), far(runner), LITERT_PYTHON).problems
    assert problem.startswith("no steady state: times change by +")


def test_garbage_of_a_profiler_is_told_and_costs_no_figure():
    runner = answering(residual(), "onnx", ops="op 0 CONV\n")
    found = measure(residual(), far(runner), Way("onnx", "onnxruntime", PYTHON))
    assert found.problems == () and found.ops == () and "of the runner's record" in found.conditions["ops"]
    assert found.latency_us.median == 100


def test_a_long_run_is_planned_by_a_trial_and_tells_some_of_its_inferences():
    runner = answering(residual(), "tflite", times_us=(99.0,) * 60)
    found = measure(residual(), far(runner), LITERT_PYTHON, seconds=30.0)
    trial, timed = (words for words in runner.asked if "time" in words)
    assert "seconds=0.500" in trial and "every=1" in trial and "seconds=30.000" in timed
    every = -(-30_000_000 // 100 // MOST_TOLD)  # 100 us each, the time between two included
    assert f"every={every}" in timed and "one_told_of" not in found.conditions  # the script tells all


@pytest.fixture
def throttling():
    """Ten minutes of 50 ms, from the fifth on 60 ms."""
    return answering(residual(), "tflite", every=100, gap_us=0.0,
                     times_us=[50_000.0] * 48 + [60_000.0] * 60)


def test_how_speed_lasts_over_minutes(throttling):
    found = measure(residual(), far(throttling), LITERT_PYTHON, seconds=600.0)
    assert found.sustained.slowdown == pytest.approx(0.2) and found.sustained.window_s == 10
    assert found.sustained.slower_after_s == pytest.approx(240, abs=20)
    assert found.conditions["one_told_of"] == 100 and found.conditions["inferences"] == 10800
    assert len(found.latency_samples_us) == 108


def test_a_run_that_ended_early_does_not_tell_how_speed_lasts():
    found = measure(residual(), far(answering(residual(), "tflite")), LITERT_PYTHON, seconds=600.0)
    assert found.sustained is None
    assert "two minutes are needed to tell how speed lasts" in found.problems[-1]


def bare(*inputs: Port) -> Artifact:
    """One that has no test vectors."""
    manifest = residual().manifest
    return Artifact(msgspec.structs.replace(manifest, inputs={"tflite": inputs}), {})


def test_somebodys_model_is_fed_with_noise_over_the_range_of_its_types():
    feeds = bench_feeds(bare(Port("a", (1, 500), "int8"), Port("b", (1, 500), "uint8"),
                             Port("c", (1, 500), "bool"), Port("d", (1, 500), "float32")), "tflite")
    assert feeds["a"].min() < -120 and feeds["a"].max() > 120 and feeds["b"].max() > 250
    assert feeds["c"].any() and not feeds["c"].all() and abs(feeds["d"]).max() > 2
    assert {name: value.dtype.name for name, value in feeds.items()} == {
        "a": "int8", "b": "uint8", "c": "bool", "d": "float32"}
    again = bench_feeds(bare(Port("a", (1, 500), "int8")), "tflite")
    np.testing.assert_array_equal(feeds["a"], again["a"])


def test_somebodys_tokens_are_such_that_every_table_has():
    feeds = bench_feeds(bare(Port("tokens", (1, 64), "int32")), "tflite")
    assert feeds["tokens"].dtype == np.int32 and set(feeds["tokens"].ravel()) == {0, 1}
