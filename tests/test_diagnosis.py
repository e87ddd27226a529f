"""`edge diagnose` from files to its tables."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.breaking_net import breaking_net, write
from toolchain.cli import app
from toolchain.diagnose.findings import Diagnosis
from toolchain.diagnose.tables import terminal
from toolchain.diagnosis import JUDGING, judging
from toolchain.errors import BadSamples
from toolchain.ir.passes import canonical
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig

MINMAX = CalibrateConfig(observer="minmax")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """breaking.onnx, its samples, and INT8 of it as a .tflite."""
    place = tmp_path_factory.mktemp("breaking")
    write(place)
    graph, samples, _ = breaking_net()
    graph = canonical(graph)
    coded = quantize(graph, calibrate(graph, MINMAX, samples.split("calibration")))
    (place / "theirs.tflite").write_bytes(write_tflite(coded, integer_only=True))
    return place


def edge(folder: Path, *arguments: str):
    words = ["diagnose", str(folder / "breaking.onnx"), "--quiet", *arguments]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def diagnosis(folder: Path, *arguments: str) -> Diagnosis:
    done = edge(folder, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.stdout, type=Diagnosis)


@pytest.fixture(scope="module")
def found(folder) -> Diagnosis:
    """Of our own INT8; a Markdown page is left beside the model."""
    return diagnosis(folder, "--data", str(folder / "gratings.npz"), "--samples", "128",
                     "--markdown", str(folder / "page.md"))


def test_the_planted_layer_is_named_first(found):
    assert (found.split, found.n) == ("selection", 128)
    assert found.suspects[0].name == breaking_net()[2]
    assert found.quality.drop > 5 and found.quality.p < 0.01
    assert found.quality.classes[0].quantized_top1 < found.quality.classes[0].float_top1
    failed = [step for step in found.ladder if step.passed is False]
    assert [(step.rung, step.note) for step in failed] == [
        ("INT8 graph", f"it begins at {breaking_net()[2]} (conv2d)")]


def test_people_read_tables_and_markdown(folder, found):
    with Console(width=200, file=StringIO()) as console:
        console.print(terminal(found))
    page = (folder / "page.md").read_text(encoding="utf-8")
    for text in (console.file.getvalue(), page):
        for words in ("1. block.expand.bn.relu (conv2d)", "McNemar", "equalise = true", "INT8 C, this host"):
            assert words in text
    assert "```toml\n[quantize]\nequalise = true\n```" in page


def test_equalised_as_it_says_nothing_is_left_to_blame(folder, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[quantize]\nequalise = true\n")
    found = diagnosis(folder, "--data", str(folder / "gratings.npz"), "--recipe", str(recipe))
    assert abs(found.quality.drop) <= 1 and not found.suspects
    assert all(step.passed for step in found.ladder)


def test_a_file_made_elsewhere(folder):
    found = diagnosis(folder, "--data", str(folder / "gratings.npz"),
                      "--against", str(folder / "theirs.tflite"))
    assert found.suspects[0].name == breaking_net()[2]
    assert found.notes[0].startswith("9 of 9 ops were matched")
    assert (found.ladder[-1].rung, found.ladder[-1].passed) == ("theirs.tflite itself", True)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--against", "breaking.onnx"], "has no integer activations; --against takes an INT8 .tflite or .onnx"),
    (["--device", "cortex_m4_qemu"], "an artefact is built for a target; give --target"),
    (["--recipe", "float.toml"], 'scheme = "float32" leaves the network in float')])
def test_bad_input_is_one_message(folder, arguments, message):
    (folder / "float.toml").write_text('[quantize]\nscheme = "float32"\n')
    words = [str(folder / word) if (folder / word).is_file() else word for word in arguments]
    done = edge(folder, "--data", str(folder / "gratings.npz"), *words)
    assert done.exit_code == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_an_integer_model_needs_its_float_one(folder):
    done = CliRunner().invoke(app, ["diagnose", str(folder / "theirs.tflite"), "-q", "--data",
                                    str(folder / "gratings.npz")])
    assert done.exit_code == 2 and "give that one, and this file as --against" in done.stderr


def test_samples_that_calibrate_or_test_are_the_last_resort():
    samples = breaking_net()[1]
    assert judging(samples)[0] == JUDGING[0] == "selection"
    assert judging(replace(samples, splits=np.where(samples.splits == "selection", "train",
                                                    samples.splits)))[0] == "test"
    with pytest.raises(BadSamples, match="no samples to judge by"):
        judging(samples.split("train"))
