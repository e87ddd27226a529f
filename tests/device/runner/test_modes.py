"""Modes of the runners: bounds of a timed run, what is told of it, profiles, comparisons."""

import hashlib
import os
import subprocess
import time

import pytest

from tests.device.runner.running import SUFFIX, random_feeds
from tests.lower.c.nets import residual_net
from tests.random_nets import random_net
from toolchain.device.runner.command import command
from toolchain.device.runner.record import parse
from toolchain.device.runner.samples import pack
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle
RUNTIMES = ("litert", "onnxruntime")


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    return {"litert": write_tflite(residual_net()), "onnxruntime": write_onnx(random_net(3))}


def given(runner, runtime: str, model: bytes, count: int = 1) -> str:
    session = {"litert": LiteRT, "onnxruntime": OnnxRuntime}[runtime](model)
    return runner.file("input", pack(session.inputs, random_feeds(session.inputs, count)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_timed_run_tells_every_inference(runner, runtime, models):
    source = given(runner, runtime, models[runtime], 3)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    record = runner.record(runtime, "time", models[runtime], input=source, seconds=0.05, least=30)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    assert before < record.began_ns < record.ended_ns < after
    assert record.ended_ns - record.began_ns >= 50_000_000 and record.inferences >= 30
    assert record.samples[0].wall_ns == record.first_ns
    assert record.faults[0] >= 0 and sum(record.switches) >= 0


@pytest.mark.parametrize("keys, count", [({"least": 7, "most": 7, "seconds": 60}, 7),
                                         ({"least": 12, "seconds": 0}, 12), ({"most": 5, "seconds": 60}, 5)])
def test_least_and_most_bound_a_run(runner, models, keys, count):
    source = given(runner, "litert", models["litert"])
    record = runner.record("litert", "time", models["litert"], input=source, counted=0, **keys)
    assert record.inferences == len(record.samples) == count
    assert record.instructions is None and record.cycles is None


def test_one_of_several_inferences_is_told_and_all_of_them_count(runner, models):
    source = given(runner, "litert", models["litert"])
    record = runner.record("litert", "time", models["litert"], input=source, least=50, most=50, every=8)
    assert (record.inferences, record.every, len(record.samples)) == (50, 8, 7)
    starts = [sample.start_ns for sample in record.samples]
    assert starts == sorted(starts) and record.samples[0].wall_ns == record.first_ns
    assert runner.refusal("litert", "time", runner.file("m", models["litert"]), f"input={source}",
                          "most=100000000", "every=9")[0] == 2


def test_outputs_of_a_timed_run_are_those_of_each_sample_once(runner, models):
    source = given(runner, "litert", models["litert"], 3)
    first, second = runner.folder / "a", runner.folder / "b"
    runner.record("litert", "run", models["litert"], input=source, output=str(first))
    runner.record("litert", "time", models["litert"], input=source, output=str(second), least=8, seconds=0)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in runner.folder.iterdir() if "unfinished" in path.name) == []


def test_files_are_watched_between_inferences(runner, models):
    value = runner.file("value", b"42 %!\xff\n")
    source = given(runner, "litert", models["litert"])
    record = runner.record("litert", "time", models["litert"], input=source, seconds=0.2, watch_ms=50,
                           watch=[value, "missing", runner.file("empty", b""), str(runner.folder)])
    by_index = {index: [one for one in record.watched if one.index == index] for index in range(4)}
    assert {one.value for one in by_index[0]} == {"42 %!\ufffd"} and len(by_index[0]) in range(4, 8)
    assert {one.errno for one in by_index[1]} == {2} and {one.value for one in by_index[2]} == {""}
    assert {one.errno for one in by_index[3]} == {21}
    times = [one.time_ns for one in record.watched]
    assert times == sorted(times) and times[0] < record.began_ns < record.ended_ns < times[-1]


def test_a_watched_value_is_cut_at_1000_bytes(runner, models):
    source, value = given(runner, "litert", models["litert"]), runner.file("long", b"x" * 5000)
    record = runner.record("litert", "time", models["litert"], input=source, most=1, watch=[value])
    assert {one.value for one in record.watched} == {"x" * 1000}


def test_cpus_and_threads_hold_while_it_runs(runner, models):
    source = given(runner, "litert", models["litert"])
    model = runner.file("model.tflite", models["litert"])
    words = command(runner.program, "litert", "time", model, input=source, seconds=2.0, cpus=[0],
                    library=runner.libraries.get("litert"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 20
        while os.sched_getaffinity(running.pid) != {0} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.sched_getaffinity(running.pid) == {0}
        assert parse(running.communicate(timeout=60)[0], "time").inferences > 1


def test_peak_memory_is_that_of_model_and_runtime(native, models):
    """The C runner takes a few MB, whatever it logs: 24 bytes an inference."""
    source = given(native, "litert", models["litert"])
    few = native.record("litert", "time", models["litert"], input=source, most=10)
    many = native.record("litert", "time", models["litert"], input=source, least=200_000, most=200_000)
    assert 3_000 < few.vm_hwm_kb < 20_000
    assert abs(many.vm_hwm_kb - few.vm_hwm_kb) < 1_000


def test_peak_memory_in_python_is_more(python, native, models):
    source = given(python, "litert", models["litert"])
    record = python.record("litert", "run", models["litert"], input=source)
    assert record.vm_hwm_kb > 2 * native.record("litert", "run", models["litert"], input=source).vm_hwm_kb


def test_profile_of_litert(native, models):
    source = given(native, "litert", models["litert"])
    record = native.record("litert", "profile", models["litert"], input=source, least=50, most=50)
    kinds = [op.kind.lower() for op in record.ops]
    assert record.inferences == 50 and {op.executions for op in record.ops} == {50}
    assert any("conv" in kind for kind in kinds) and any("softmax" in kind for kind in kinds)
    assert 0 < sum(op.ns for op in record.ops) < 50 * 10_000_000


def test_profile_of_onnx_runtime(runner, models):
    source, scratch = given(runner, "onnxruntime", models["onnxruntime"]), runner.folder / "scratch"
    record = runner.record("onnxruntime", "profile", models["onnxruntime"], input=source, least=20, most=20,
                           scratch=str(scratch))
    assert record.inferences == 20 and {op.executions for op in record.ops} == {20}
    assert any(op.kind in ("Conv", "FusedConv") for op in record.ops)
    assert not list(runner.folder.glob("scratch*"))  # what ONNX Runtime wrote is gone


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_blocks_of_two_models_change_places(runner, runtime, models):
    source = given(runner, runtime, models[runtime])
    other = runner.file(f"other{SUFFIX[runtime]}", models[runtime])
    record = runner.record(runtime, "compare", models[runtime], input=source, other=other, other_input=source,
                           pairs=4, block_us=2000, first=1)
    assert [block.model for block in record.blocks] == [1, 0, 0, 1, 1, 0, 0, 1]
    assert all(0 < block.wall_ns < 1_000_000_000 and block.cpu_ns > 0 for block in record.blocks)
    assert record.switches and record.vm_hwm_kb


def test_clock_is_this_kernels(runner):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    done = runner.words("clock")
    assert before < parse(done.stdout, "clock").clock < time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 65_535, 65_536, 65_592, 200_000])
def test_hashes_are_sha256(executable, native, size):
    data = bytes(i * 31 % 251 for i in range(size))
    paths = [native.file("one", data), native.file("two", data[::-1])]
    hashes = parse(native.words("hash", *paths).stdout, "hash").sha256
    assert hashes == tuple(hashlib.sha256(content).hexdigest() for content in (data, data[::-1]))


def test_hashes_in_python(python):
    path = python.file("one", b"abc")
    assert parse(python.words("hash", path).stdout, "hash").sha256 == (hashlib.sha256(b"abc").hexdigest(),)
