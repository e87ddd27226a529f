"""`edge calibrate` and scripts/calibrate.py: what they print, where, and with which exit code."""

import json
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.quantize.nets import Net
from toolchain.cli import app
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.stats_file import read_stats
from toolchain.recipe import CalibrateConfig
from toolchain.report import progress

SCRIPT = Path(__file__).parent.parent / "scripts" / "calibrate.py"
COUNT = 20


@pytest.fixture
def files(tmp_path):
    """A model and samples, as arguments."""
    net = Net()
    graph = net.graph(net.dense(net.input("x", (1, 6)), 3, "dense"))
    (tmp_path / "net.tflite").write_bytes(write_tflite(graph))
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((COUNT, 6)).astype(np.float32))
    paths = (str(tmp_path / name) for name in ("net.tflite", "x.npz", "s.json"))
    return [word for pair in zip(("", "--data", "--out"), paths) for word in pair if word]


def call(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def test_it_writes_statistics_and_says_so(files, tmp_path):
    done = call(*files, "--observer", "percentile", "--percentile", "99", "--samples", "10")
    assert done.exit_code == 0 and "2 tensors of net, 10 samples" in done.stdout
    file = read_stats(tmp_path / "s.json")
    assert len(file.seen_rows) == 10 and file.config.percentile == 99


def test_its_record_as_json(files):
    done = call(*files, "--json", "--runtime", "reference", "--batch", "7")
    record = json.loads(done.stdout)
    assert (record["samples"], record["batch"], record["observer"]) == (COUNT, 7, CalibrateConfig().observer)
    assert record["runtime"].startswith("reference ")


def test_it_goes_on_until_stable(files, tmp_path):
    assert call(*files, "--samples", "5").exit_code == 0
    done = call(*files, "--resume", tmp_path / "s.json", "--until-stable")
    assert done.exit_code == 0 and "5 of them from before" in done.stdout
    assert "not stable after all 20 samples" in done.stdout


@pytest.mark.parametrize("arguments, told", [
    (("--until-stable", "--workers", "2"), "leave out --workers"),
    (("--resume", "none.json"), "none.json: No such file"),
    (("--percentile", "30"), "Invalid value for '--percentile'"),
    (("--observer", "best"), "Invalid value for '--observer'"),
])
def test_what_cannot_be_is_one_message_and_exit_code_2(files, arguments, told):
    done = call(*files, *arguments)
    assert done.exit_code == 2 and told in done.stderr


def built(*arguments):
    done = CliRunner().invoke(app, ["build", *map(str, arguments), "--target", "raspberry_pi_4", "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_build_takes_the_statistics_instead_of_calibrating(files, tmp_path):
    """With the observer that they were collected by."""
    (tmp_path / "recipe.toml").write_text('[calibrate]\nobserver = "percentile"\n', encoding="utf-8")
    assert call(*files, "--observer", "percentile").exit_code == 0
    model, _, data, _, stats = files
    whole = built(model, "--data", data, "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "a")
    given = built(model, "--data", data, "--stats", stats, "--out", tmp_path / "b")
    first, second = ((tmp_path / name / "model.tflite").read_bytes() for name in "ab")
    assert whole["files"] == given["files"] and first == second


def test_a_build_with_statistics_needs_no_samples(files, tmp_path):
    """Unless something besides calibration is to look at them."""
    (tmp_path / "recipe.toml").write_text('[quantize]\nbias_correction = "none"\n', encoding="utf-8")
    assert call(*files, "--observer", "minmax").exit_code == 0
    assert "model.tflite" in built(files[0], "--stats", files[-1], "--recipe", tmp_path / "recipe.toml",
                                   "--out", tmp_path / "a")["files"]


@pytest.mark.parametrize("recipe, told", [
    ('[calibrate]\nobserver = "entropy"\n', "observer entropy needs counts in bins, which observer minmax"),
    ("[quantize]\nequalise = true\n", "equalise = true changes it"),
])
def test_statistics_that_do_not_serve_the_recipe_are_refused(files, tmp_path, recipe, told):
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    assert call(*files, "--observer", "minmax").exit_code == 0
    done = CliRunner().invoke(app, ["build", files[0], "--target", "raspberry_pi_4", "--stats", files[-1],
                                    "--recipe", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "a")])
    assert done.exit_code == 2 and told in done.stderr


def test_statistics_of_another_model_are_refused(files, tmp_path):
    assert call(*files).exit_code == 0
    other = tmp_path / "other.tflite"
    net = Net(seed=1)
    other.write_bytes(write_tflite(net.graph(net.dense(net.input("x", (1, 6)), 3, "dense"))))
    done = CliRunner().invoke(app, ["build", str(other), "--target", "raspberry_pi_4", "--stats", files[-1],
                                    "--out", str(tmp_path / "a")])
    assert done.exit_code == 2 and "these statistics are of graph net" in done.stderr


def test_the_script_does_the_same(files, tmp_path):
    assert call(*files).exit_code == 0
    first = (tmp_path / "s.json").read_bytes()
    done = subprocess.run([sys.executable, SCRIPT, *files], capture_output=True, text=True, check=True)
    assert "2 tensors of net, 20 samples" in done.stdout
    assert (tmp_path / "s.json").read_bytes() == first


def test_a_bar_is_drawn_on_a_terminal_alone_and_not_when_quiet(monkeypatch, capsys):
    def drawn(quiet):
        with progress.progress_bar("calibrating", 4, unit="samples", quiet=quiet) as tell:
            for count in range(1, 5):
                tell(count)
        return capsys.readouterr().err

    monkeypatch.setattr(progress, "REFRESHES_PER_SECOND", 1e9)
    assert drawn(quiet=False) == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert drawn(quiet=True) == ""
    shown = drawn(quiet=False)
    assert "calibrating" in shown and "4/4" in shown and "samples/s, left:" in shown
