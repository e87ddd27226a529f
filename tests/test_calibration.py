"""`edge calibrate`: the same bytes however the samples are shared out, stopped and gone on with."""

from dataclasses import replace
import itertools
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain import calibration
from toolchain.calibration import ALL, calibrate_model, calibration_text, config_of
from toolchain.data import load_samples
from toolchain.errors import BadInput, BadSamples
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.stats_file import merge_stats, read_stats
from toolchain.recipe import CalibrateConfig

ROOT = Path(__file__).parent.parent
COUNT = 150


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    net = Net()
    x = net.conv(net.input("x", (1, 12, 12, 3)), 8, "conv", activation="relu")
    x = net.op("average_pool2d", [x], "pool", kernel=(12, 12))
    x = net.dense(net.op("reshape", [x], "flat", shape=(1, 8)), 5, "dense")
    path = tmp_path_factory.mktemp("model") / "net.tflite"
    path.write_bytes(write_tflite(net.graph(x)))
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    x = np.random.default_rng(0).standard_normal((COUNT, 12, 12, 3)).astype(np.float32)
    np.savez(path, x=x * np.linspace(1, 3, COUNT, dtype=np.float32)[:, None, None, None])
    return str(path)


def run(model, data, out, observer="percentile", samples=COUNT, runtime=None, **options):
    return calibrate_model(model, data, out, CalibrateConfig(
        observer=observer, samples=samples, runtime=runtime or "fastest"), **options)


@pytest.mark.parametrize("observer", ["moving_average", "mse"])
def test_any_number_of_workers_writes_the_same_bytes(model, data, tmp_path, observer):
    files = [tmp_path / f"{workers}.json" for workers in (1, 2, 3)]
    for workers, out in enumerate(files, 1):
        record = run(model, data, out, observer, workers=workers)
        assert (record.samples, record.workers, record.resumed) == (COUNT, workers, 0)
    assert len({out.read_bytes() for out in files}) == 1


@pytest.mark.parametrize("observer, workers", [("moving_average", 1), ("percentile", 1), ("minmax", 2)])
def test_going_on_from_fewer_samples_ends_with_the_same_bytes(model, data, tmp_path, observer, workers):
    """50 of 150 evenly spaced samples are every third one: other batches than in one run, so one by one."""
    whole, some, out = (tmp_path / f"{name}.json" for name in ("whole", "some", "out"))
    run(model, data, whole, observer, batch=1)
    run(model, data, some, observer, samples=50, batch=1)
    record = run(model, data, out, observer, batch=1, resume=some, workers=workers)
    assert record.resumed == 50 and out.read_bytes() == whole.read_bytes()
    assert run(model, data, out, observer, batch=1, resume=out).resumed == COUNT
    assert out.read_bytes() == whole.read_bytes()


def test_parts_merge_in_any_order_to_the_same_file(model, data, tmp_path, monkeypatch):
    whole = tmp_path / "whole.json"
    run(model, data, whole)
    parts = []
    monkeypatch.setattr(calibration, "chosen", lambda graph, config, samples: replace(
        samples.fit_to(graph).pick(np.arange(len(parts) * 32, min(len(parts) * 32 + 32, COUNT)))))
    while len(parts) * 32 < COUNT:
        out = tmp_path / f"{len(parts)}.json"
        run(model, data, out)
        parts.append(read_stats(out))
    for order in itertools.islice(itertools.permutations(parts), 0, None, 17):
        merged, *rest = order
        for part in rest:
            merged = merge_stats(part, merged)
        assert merged == read_stats(whole)


SLOW = """
import sys, time
from pathlib import Path
from toolchain import calibration
from toolchain.recipe import CalibrateConfig
calibration.SNAPSHOT_S = 0.0
tick = calibration.Grown
calibration.Grown = lambda *grown: time.sleep(0.05) or tick(*grown)
model, data, out, workers, stable = sys.argv[1:]
calibration.calibrate_model(model, data, Path(out), CalibrateConfig(observer="percentile", samples=150),
                            workers=int(workers), until_stable=stable == "yes")
"""
"""A calibration that snapshots after each step and takes its time."""


@pytest.mark.parametrize("workers, stable", [(1, "no"), (2, "no"), (1, "yes")])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(model, data, tmp_path, workers, stable):
    whole, out, snapshot = (tmp_path / f"{name}.json" for name in ("whole", "out", "out.partial"))
    run(model, data, whole, until_stable=stable == "yes")
    child = subprocess.Popen([sys.executable, "-c", SLOW, model, data, out, str(workers), stable], cwd=ROOT,
                             stderr=subprocess.DEVNULL, start_new_session=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    wait_for(snapshot, child)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not out.exists()
    seen = len(read_stats(snapshot).seen_rows)
    assert 0 < seen < len(read_stats(whole).seen_rows)
    record = run(model, data, out, resume=snapshot, until_stable=stable == "yes")
    assert record.resumed == seen
    assert out.read_bytes() == whole.read_bytes() and not snapshot.exists()


def wait_for(path: Path, child: subprocess.Popen) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert child.poll() is None and time.monotonic() < end, "no snapshot was written"
        time.sleep(0.005)


def test_an_interrupted_run_leaves_what_it_has(model, data, tmp_path, monkeypatch):
    told = []

    def tell(count):
        told.append(count)
        if len(told) > 2:
            raise KeyboardInterrupt

    def interrupts(label, total, **shown):
        class Bar:
            def __enter__(self):
                return tell

            def __exit__(self, *error):
                pass
        return Bar()

    monkeypatch.setattr(calibration, "progress_bar", interrupts)
    with pytest.raises(KeyboardInterrupt, match="go on with --resume .*partial.json"):
        run(model, data, tmp_path / "out.json")
    assert len(read_stats(tmp_path / "out.partial.json").seen_rows) == told[-1] == 96


@pytest.mark.parametrize("observer", ["moving_average", "percentile"])
def test_batches_change_no_bit_in_the_reference_and_little_elsewhere(model, data, tmp_path, observer):
    files = {}
    for batch in (1, 7, 32):
        run(model, data, tmp_path / "reference.json", observer, runtime="reference", batch=batch)
        files[batch] = (tmp_path / "reference.json").read_bytes()
        for runtime in ("litert", "onnxruntime"):
            run(model, data, tmp_path / f"{runtime}-{batch}.json", observer, runtime=runtime, batch=batch)
    assert len(set(files.values())) == 1
    for runtime in ("litert", "onnxruntime"):
        first, *others = (read_stats(tmp_path / f"{runtime}-{batch}.json").tensors for batch in (1, 7, 32))
        for other, name in itertools.product(others, first):
            np.testing.assert_allclose(other[name].range, first[name].range, rtol=1e-5)


def test_until_stable_stops_says_when_and_names_the_last_tensor(model, data, tmp_path):
    record = run(model, data, tmp_path / "out.json", "minmax", until_stable=True, samples=ALL)
    found = record.settled
    assert found.over == 32 and record.samples == found.samples
    assert found.stable and found.samples < COUNT or not found.stable and found.samples == COUNT
    assert found.last in read_stats(tmp_path / "out.json").tensors
    assert found.last in calibration_text(record)


def test_constant_samples_are_stable_at_once(model, tmp_path):
    np.savez(tmp_path / "same.npz", x=np.ones((200, 12, 12, 3), np.float32))
    record = run(model, str(tmp_path / "same.npz"), tmp_path / "out.json", until_stable=True)
    assert record.settled.stable and record.samples == 64 and record.settled.last == ""
    assert "stable after 64 samples: no range moved by more than 1% over" in calibration_text(record)


def test_until_stable_takes_all_samples_unless_told():
    assert config_of(True, observer="mse", samples=None).samples == ALL
    assert config_of(True, samples=7).samples == 7
    assert config_of(False, samples=None, runtime=None) == CalibrateConfig()


def test_a_sample_that_makes_nan_is_named_from_any_process(model, data, tmp_path):
    x = np.array(load_samples(data).x["x"])
    x[61] = 3e38
    np.savez(tmp_path / "huge.npz", x=x)
    for workers in (1, 2):
        with pytest.raises(BadSamples, match=r"huge.npz: sample 61 makes \w+ NaN or Inf"):
            run(model, str(tmp_path / "huge.npz"), tmp_path / "out.json", workers=workers)
    assert not (tmp_path / "out.json").exists()


def test_a_process_that_is_killed_is_an_error(model, data, tmp_path, monkeypatch):
    parent = os.getpid()
    monkeypatch.setattr(calibration, "watch", lambda *what, **how: os.getpid() != parent and os.kill(
        os.getpid(), signal.SIGKILL))
    with pytest.raises(BadInput, match="a process of --workers 2 was killed"):
        run(model, data, tmp_path / "out.json", workers=2)


@pytest.mark.parametrize("change, told", [
    ({"observer": "minmax"}, "some.json: cannot be resumed: its observer is 'percentile, 99.99', of this run "
                             "'minmax'"),
    ({"observer": "mse", "samples": 50}, "some.json: cannot be resumed: its observer is 'percentile, 99.99'"),
    ({"samples": 20}, "cannot be resumed: it has seen .* samples, row .* that are none of the 20"),
    ({"runtime": "reference"}, "cannot be resumed: its runtime is 'litert', of this run 'reference'"),
])
def test_another_calibration_cannot_be_gone_on_with(model, data, tmp_path, change, told):
    run(model, data, tmp_path / "some.json", samples=50)
    with pytest.raises(BadInput, match=told):
        run(model, data, tmp_path / "out.json", resume=tmp_path / "some.json", **change)


def test_other_samples_of_the_same_name_cannot_be_gone_on_with(model, data, tmp_path):
    run(model, data, tmp_path / "some.json", samples=50)
    other = tmp_path / Path(data).name
    np.savez(other, x=np.zeros((COUNT, 12, 12, 3), np.float32))
    with pytest.raises(BadInput, match="samples_sha256"):
        run(model, str(other), tmp_path / "out.json", resume=tmp_path / "some.json")


def test_where_nothing_can_be_written_is_said_before_anything_runs(data, tmp_path):
    (tmp_path / "file").touch()
    for out, told in ((tmp_path, "is a folder; name"), (tmp_path / "file" / "out.json", "is a file")):
        with pytest.raises(BadInput, match=told):
            run("no_model.tflite", data, out)


def test_until_stable_goes_with_one_process(model, data, tmp_path):
    with pytest.raises(BadInput, match="leave out --workers"):
        run(model, data, tmp_path / "out.json", until_stable=True, workers=2)


def test_the_record_is_json(model, data, tmp_path):
    record = run(model, data, tmp_path / "out.json", until_stable=True)
    assert msgspec.json.decode(msgspec.json.encode(record))["settled"]["over"] == 32
