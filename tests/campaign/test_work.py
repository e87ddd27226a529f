"""What a campaign builds and measures, through the command."""

import csv
import io
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from tests.campaign.jobs import a_job
from tests.ledger.measured import a_measurement
from toolchain.campaign import work
from toolchain.campaign.plan import load_campaign
from toolchain.cli import app
from toolchain.deploy import Outcome
from toolchain.device.ways import NATIVE, Way

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Path:
    shutil.copy(GOLDEN / "int8.tflite", tmp_path / "small.tflite")
    (tmp_path / "week.toml").write_text('devices = ["host"]\n[models.small]\nfile = "small.tflite"\n'
                                        '[measure]\nseconds = 0.05')
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("EDGE_ACCEPT_INVALID", "1")
    return tmp_path


def edge(*argv: str, code: int = 0):
    done = CliRunner().invoke(app, list(argv))
    assert done.exit_code == code, done.output + done.stderr
    return done


def test_a_campaign_from_file_to_table(bench):
    status = json.loads(edge("campaign", str(bench / "week.toml"), "--json").stdout)
    assert status["campaign"] == "week" and status["jobs"][0]["state"] in ("done", "invalid")
    listed = json.loads(edge("runs", "list", "--json").stdout)["runs"]
    assert [(run["artifact"], run["device"], run["campaign"]) for run in listed] == [
        ("small", "host", "week")]
    assert "small" in edge("runs", "list").stdout
    assert edge("runs", "list", "--device", "pi").stdout == "no runs\n"
    shown = json.loads(edge("runs", "show", "1", "--json").stdout)
    assert shown["record"]["latency_samples_us"] and shown["record"]["parity"]["worst"] <= 1
    assert "run 1 of " in edge("runs", "show", "1").stdout
    edge("runs", "export", str(bench / "runs.csv"))
    row, = csv.DictReader(io.StringIO((bench / "runs.csv").read_text()))
    assert float(row["median_us"]) == shown["record"]["latency_us"]["median"]
    assert json.loads(edge("runs", "export").stdout)["runs"][0] == shown
    assert " small " in edge("campaign", str(bench / "week.toml"), "--status").stdout
    assert len(json.loads(edge("runs", "list", "--json", "--campaign", "week").stdout)["runs"]) == 1


def test_the_status_of_what_has_not_begun(bench):
    done = edge("campaign", str(bench / "week.toml"), "--status", code=2)
    assert "no campaign 'week' in " in done.stderr


def test_a_run_that_is_not_there_and_a_ledger_that_is_none(bench):
    assert "no run 3 in the ledger" in edge("runs", "show", "3", code=2).stderr
    assert "is no ledger" in edge("runs", "list", "--ledger", str(bench / "small.tflite"), code=2).stderr
    assert "is no date" in edge("runs", "list", "--since", "soon", code=2).stderr


def test_an_artefact_is_built_once_and_again_where_it_is_damaged(bench, monkeypatch):
    built = []
    real = work.build_model
    monkeypatch.setattr(work, "build_model", lambda *args, **kw: built.append(1) or real(*args, **kw))
    job, = load_campaign(bench / "week.toml").jobs
    first = work.build(job)
    assert work.build(job).digest == first.digest and len(built) == 1
    model, = (bench / "cache").rglob("model.tflite")
    model.write_bytes(model.read_bytes()[:-1])
    assert work.build(job).digest == first.digest and len(built) == 2
    assert work.build(job).digest == first.digest and len(built) == 2


def test_accuracy_is_measured_where_it_is_asked_for(bench):
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(bench / "set.npz", x=rng.normal(size=(8, 6, 6, 2)).astype(np.float32), y=rng.integers(3, size=8))
    (bench / "week.toml").write_text(
        'devices = ["host"]\n[models.small]\nfile = "small.tflite"\ndata = "set.npz"\n'
        '[measure]\nseconds = 0.05\nevaluate = "test"\nsamples = 5')
    edge("campaign", str(bench / "week.toml"))
    listed = json.loads(edge("runs", "export").stdout)["runs"]
    assert [run["kind"] for run in listed] == ["measurement", "evaluation"]
    assert listed[1]["record"]["n"] == 5 and listed[1]["artifact_digest"] == listed[0]["artifact_digest"]


def test_stages_of_a_chain_of_files_are_kept_after_it(monkeypatch):
    chain, *stages = (a_measurement(artifact=name) for name in ("chain", "chain/stage_0", "chain/stage_1"))
    monkeypatch.setattr(work.deploy, "bench", lambda *_: [
        Outcome(Way("tflite", "litert", NATIVE), measurement=chain, stages=tuple(stages))])
    assert work.measure(a_job("chain"), None) == [chain, *stages]


def test_control_c_ends_with_130_and_leaves_nothing_locked(bench):
    (bench / "week.toml").write_text((bench / "week.toml").read_text().replace("0.05", "600.0"))
    process = subprocess.Popen([sys.executable, "-m", "toolchain", "campaign", str(bench / "week.toml")],
                               stderr=subprocess.PIPE, text=True, env=os.environ)
    assert "attempt 1" in process.stderr.readline()
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in told
    status = json.loads(edge("campaign", str(bench / "week.toml"), "--status", "--json").stdout)
    assert [job["state"] for job in status["jobs"]] == ["pending"]
