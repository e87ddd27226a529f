"""Records beside an artefact: whole, of that artefact and no other, and named without people."""

import os

import msgspec
import numpy as np
import pytest

from toolchain.artifact import Artifact, Manifest
from toolchain.errors import BadInput
from toolchain.measurement import Evaluation, Latency, Measurement
from toolchain.port import Port
from toolchain.report.records import STALE, collect, require_place_for_records, save
from toolchain.report.tables import cells

PORTS = {fmt: (Port("x", (1, 2), "int8", 0.5, 3),) for fmt in ("tflite", "graph")}
MANIFEST = Manifest(name="net", target="host", formats=("tflite",), inputs=PORTS, outputs=PORTS)


def artifact(model: bytes) -> Artifact:
    codes = np.zeros((1, 2), np.int8)
    return Artifact(MANIFEST, {"model.tflite": model}, {"input/x": codes, "output/x": codes})


def measured(of: Artifact) -> Measurement:
    return Measurement(artifact="net", artifact_digest=of.digest, target="host", device="host",
                       emulated=False, runtime="r", latency_us=Latency(5.0))


def scored(of: Artifact) -> Evaluation:
    return Evaluation(metric="top1", value=0.5, n=4, standard_error=None, artifact_digest=of.digest)


@pytest.fixture
def folder(tmp_path):
    old = artifact(b"old")
    place = old.write(tmp_path / "net")
    save(place, "tflite", measured(old))
    save(place, "tflite", scored(old))
    return place


def test_figures_of_the_artefact_are_shown(folder):
    row, = collect([folder])
    assert row.measurement == measured(artifact(b"old")) and row.quality and not row.note
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "model.tflite", "test_vectors.npz", "measurement.tflite.json",
        "evaluation.tflite.json"}


def test_figures_of_an_artefact_that_was_here_before_are_not(folder, tmp_path):
    anew = artifact(b"new").write(tmp_path / "anew")
    for kind in ("measurement", "evaluation"):
        (anew / f"{kind}.tflite.json").write_bytes((folder / f"{kind}.tflite.json").read_bytes())
    row, = collect([anew])
    assert row.measurement is None and row.quality == () and row.note == STALE
    save(anew, "tflite", measured(artifact(b"new")))
    row, = collect([anew])
    assert row.measurement and row.quality == () and not row.note


def test_a_score_alone_says_where_it_is_from(folder):
    (folder / "measurement.tflite.json").unlink()
    there = msgspec.structs.replace(scored(artifact(b"old")), device="kitchen", runtime="LiteRT 2")
    save(folder, "tflite", there)
    assert cells(*collect([folder]))[-1] == "kitchen, LiteRT 2"


def test_an_evaluation_that_does_not_say_of_what_it_is_stays(folder):
    file = folder / "evaluation.tflite.json"
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(scored(artifact(b"")), artifact_digest="")))
    assert collect([folder])[0].quality


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BadInput, match="no permission to write"):
        require_place_for_records(folder)
