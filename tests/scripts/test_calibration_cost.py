"""The figures of benchmark_calibration_cost.py: ratios within a round, and what counts as too much."""

import json
import os
from pathlib import Path
import subprocess
import sys

import benchmark_calibration_cost as cost
import calibration_crops
import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.data import load_samples
from toolchain.lower.tflite import write_tflite

ROOT = Path(__file__).resolve().parents[2]


def rounds(*seconds, peak=100e6):
    return [{"work": work, "peak_bytes": peak} for work in seconds]


def runs(own=(0.7, 1.4), peak=100e6):
    plain, other = (tool.name for tool in cost.PLAIN)
    return {plain: rounds(0.5, 1.0), other: rounds(0.4, 1.5),
            **{tool.name: rounds(*own, peak=peak) for tool in cost.OWN},
            cost.PEERS[0].name: rounds(2.0)}


def test_a_ratio_is_to_the_same_round_of_the_cheaper_plain_inference():
    found = cost.costs(runs())
    own = found[cost.OWN[0].name]
    assert (own.ratio, own.lowest, own.highest) == (1.4, 1.4, 1.4) and own.seconds == pytest.approx(1.05)
    assert found[cost.PEERS[0].name].ratio == 4.0
    assert found[cost.PLAIN[0].name].ratio == 1.0 and found[cost.PLAIN[1].name].lowest == 0.8


def test_what_costs_too_much_or_grows_is_told():
    assert not list(cost.broken({count: cost.costs(runs()) for count in cost.COUNTS}))
    slow = list(cost.broken({100: cost.costs(runs(own=(0.8, 1.6)))}))
    assert slow == ["ours, minmax, 100 images: 1.60x; 1.5x is promised",
                    "ours, moving_average, 100 images: 1.60x; 1.5x is promised"]
    grown = list(cost.broken({100: cost.costs(runs()), 400: cost.costs(runs(peak=106e6))}))
    assert grown[0] == "ours, minmax: memory grows from 100 to 106 MB" and len(grown) == len(cost.OWN)
    assert "ours, mse, 400 images: 401 MB" in list(cost.broken({400: cost.costs(runs(peak=401e6))}))


def test_the_table_has_a_row_for_each_tool_also_where_it_did_not_run():
    rows = cost.cost_table({100: cost.costs(runs())}).splitlines()
    assert len(rows) == 2 + len(cost.PLAIN + cost.OWN + cost.PEERS + cost.HUNGRY)
    assert rows[-1] == "| onnxruntime, Percentile | not run | - |"
    assert rows[4] == "| ours, minmax | **1.40**, 1.05 s | 100 MB |"


@pytest.fixture
def crops(tmp_path, monkeypatch):
    """A folder with three images and a network for them."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    monkeypatch.setattr(calibration_crops, "cut_crops", lambda count: pixels[:count])
    calibration_crops.write_crops(tmp_path, 3)
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 8, 8, 3)), 4, "y"))
    (tmp_path / "model.tflite").write_bytes(write_tflite(graph))
    return tmp_path


def child(*arguments):
    """What Python prints, in a process that may import the scripts."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, check=True,
                          capture_output=True, text=True).stdout


def test_all_tools_are_given_what_ours_reads_itself(crops):
    code = ("import sys, pathlib, numpy, calibrate_once; folder = pathlib.Path(sys.argv[1]); "
            "numpy.save(folder / 'given.npy', numpy.concatenate(list(calibrate_once.images(folder, 3))))")
    child("-c", code, crops)
    samples = load_samples(crops).split("calibration")
    np.testing.assert_array_equal(np.load(crops / "given.npy"), samples.feeds(slice(0, 3))["x"])


@pytest.mark.parametrize("tool", [cost.PLAIN[0], cost.OWN[3]])
def test_a_run_tells_its_seconds_and_memory(crops, tool):
    out = child(ROOT / "scripts" / "calibrate_once.py", tool.function, tool.setting, crops, 3)
    record = json.loads(out.splitlines()[-1])
    assert 0 < record["cpu_s"]["work"] < 30 and record["peak_bytes"] > 1e6


def test_what_ours_is_held_to():
    assert {tool.setting: tool.limit for tool in cost.OWN} == {
        "minmax": 1.5, "moving_average": 1.5, "percentile": 2.0, "entropy": 2.0, "mse": 2.0}
