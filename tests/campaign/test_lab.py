"""Campaigns on boards of a lab, shared by computers that share nothing else."""

import json
from pathlib import Path
import shutil

import pytest

from tests.device.lab import emulated_boards, lab, records, serial_at
from tests.device.standins.tcp_boards import overlaps
from tests.ledger.processes import ended, forked
from toolchain.campaign import work
from toolchain.campaign.plan import load_campaign
from toolchain.campaign.run import run_campaign
from toolchain.device.firmware import build_firmware
from toolchain.ledger import locks
from toolchain.ledger.ledger import Ledger

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SEEDS = 3
"""Recipes: the network is quantized, so that what they ask for differs and what they make does not."""


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Path:
    """A campaign's files, without the boards."""
    recipes = [f'seed{i} = "seed{i}.toml"' for i in range(SEEDS)]
    for i in range(SEEDS):
        (tmp_path / f"seed{i}.toml").write_text(f"seed = {i}")
    shutil.copy(GOLDEN / "int8.tflite", tmp_path)
    (tmp_path / "week.toml").write_text("\n".join([
        'devices = ["left", "right"]', "[models.int8]", 'file = "int8.tflite"', "[recipes]", *recipes,
        "[measure]", "seconds = 0.1"]))
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    return tmp_path


def name_boards(bench: Path, coordinator: str) -> None:
    (bench / "boards.toml").write_text("".join(
        f'[boards.{name}]\ntarget = "cortex_m4_qemu"\ntransport = "labgrid"\naddress = "{coordinator}"\n'
        for name in ("left", "right")))


def firmware(bench: Path) -> bytes:
    """Of the one network that all jobs measure."""
    name_boards(bench, "nobody:1")
    job = load_campaign(bench / "week.toml").jobs[0]
    return build_firmware(work.build(job), job.profile).elf


def on_a_computer(bench: Path, name: str) -> None:
    """The campaign, on one with a ledger and locks of its own, which knows nothing of the others."""
    locks.PLACES = (str(bench / name),)
    (bench / name).mkdir()
    with Ledger.open(str(bench / name / "ledger.db")) as ledger:
        found = run_campaign(ledger, load_campaign(bench / "week.toml"), work.build, work.measure)
    assert [job.state for job in found] == ["done"] * 2 * SEEDS, found


@pytest.mark.slow
@pytest.mark.emulated
def test_two_computers_share_the_boards_of_a_lab(bench):
    with lab(bench) as shared, emulated_boards(bench, 2, firmware(bench)) as ports:
        shared.export({"left": serial_at(ports[0]), "right": serial_at(ports[1])})
        name_boards(bench, shared.address)
        computers = ("one", "other")
        children = [forked(lambda name=name: on_a_computer(bench, name)) for name in computers]
        assert [ended(child) for child in children] == [0, 0]
        assert shared.holders() == {} and "Reservation" not in shared.client("reservations")
    seen = records(bench)
    assert overlaps(seen) == []
    assert [session["board"] for session in seen].count(0) == len(computers) * SEEDS == len(seen) / 2
    for name in computers:
        with Ledger.open(str(bench / name / "ledger.db")) as ledger:
            runs = [ledger.run(run.id) for run in ledger.runs()]
        assert sorted(run.record.device for run in runs) == ["left"] * SEEDS + ["right"] * SEEDS
        assert all(run.record.parity.worst == 0 and run.record.emulated and not run.record.problems
                   for run in runs)
        told = json.dumps([run.record.conditions for run in runs])
        assert "127.0.0.1" not in told and "socket" in told
