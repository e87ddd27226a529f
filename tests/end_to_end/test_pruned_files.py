"""A file of a network, pruned to another file and tuned, then built as INT8 firmware: all of it is smaller.

Nothing of it runs on a board: see test_pruned.py.
"""

from collections.abc import Mapping
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.breaking_net import gratings, trained_net
from toolchain.cli import app
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference

pytestmark = pytest.mark.slow
TARGET, SHARE = "cortex_m4_qemu", 0.5
WRITERS = {".onnx": write_onnx, ".tflite": write_tflite}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path, samples = tmp_path_factory.mktemp("data") / "gratings.npz", gratings()
    np.savez(path, x=samples.x["x"], y=samples.y, split=samples.splits)
    return path


def edge(*words: object) -> str:
    done = CliRunner().invoke(app, [*map(str, words), "--quiet"])
    assert done.exit_code == 0, f"{words}: {done.output}"
    return done.stdout


def built(model: Path, data: Path, folder: Path) -> Mapping:
    """The manifest of its INT8 firmware."""
    edge("build", model, "--target", TARGET, "--data", data, "--out", folder)
    return json.loads((folder / "manifest.json").read_text())


def accuracy(graph: Graph) -> float:
    test = gratings().split("test")
    outputs = reference.run(graph, {graph.inputs[0]: test.x["x"]})[graph.outputs[0]]
    return float((outputs.argmax(-1) == test.y).mean())


@pytest.mark.parametrize("source", WRITERS)
@pytest.mark.parametrize("written", WRITERS)
def test_from_a_file_by_a_smaller_file_to_smaller_firmware(source, written, data, tmp_path):
    whole, small = tmp_path / f"whole{source}", tmp_path / f"small{written}"
    whole.write_bytes(WRITERS[source](canonical(trained_net())))
    record = json.loads(edge("prune", whole, "--macs", SHARE, "--target", TARGET, "--data", data,
                             "--epochs", 2, "--out", small, "--json"))
    before, after = (built(model, data, tmp_path / model.stem) for model in (whole, small))
    assert [before["macs"], after["macs"]] == record["macs"] and after["macs"] <= SHARE * before["macs"]
    assert after["scheme"] == before["scheme"] == "static_wi8_ai8"
    assert after["weight_bytes"] < 0.8 * before["weight_bytes"]
    for kind in ("flash", "ram"):
        assert after["static_bytes"][kind] < before["static_bytes"][kind]
    assert small.stat().st_size == record["bytes"]
    assert accuracy(load(str(small))) == pytest.approx(record["scores"][1], abs=0.005)
    assert record["scores"][1] > 0.65  # of 8 classes, after two epochs
