"""The wrist sensor's network pruned to half of a Cortex-M4's instructions, built as INT8, measured there.

Everything by the command line, on the samples that it was trained on, judged on people that it never saw.
What is found is printed (`pytest -rP`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import re

import pytest
from typer.testing import CliRunner

from toolchain.cli import app
from toolchain.cost_table import load_cost_table
from toolchain.profile import load_target
from toolchain.shrinking import LEAST_GAIN

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
WATCH = str(Path(__file__).resolve().parents[2] / "docs/examples/har_watch/model.py:trained")
TARGET, DATA, METRIC, SHARE = "cortex_m4_qemu", "har_watch", "top1", 0.5
OFF = max(map(abs, load_cost_table(load_target(TARGET)).errors.values()))
"""How far its table says that it may be off."""
MOST_LOST = 0.03
"""Of the test samples; two standard errors of one network's score are 0.026."""


@dataclass(frozen=True)
class Figures:
    """Of an INT8 artefact on the emulated board, by `edge bench`."""

    instructions: int
    flash_bytes: int
    ram_bytes: int
    top1: float

    @classmethod
    def of(cls, model: object, folder: Path) -> "Figures":
        """Build it, measure it, have it judged on the board; its answers are the reference's."""
        edge("build", model, "--target", TARGET, "--data", DATA, "--out", folder)
        told = json.loads(edge("bench", folder, "--data", DATA, "--json"))
        found, quality = told["measurement"], told["evaluation"]
        assert found["emulated"] and found["problems"] == [] and quality["split"] == "test"
        assert found["parity"]["checked"] > 0 and found["parity"]["mismatched"] == 0
        ram = found["arena_bytes"] + found["static_bytes"] + found["stack_bytes"]
        return cls(found["instructions"], found["flash_bytes"], ram, quality["value"])


def edge(*words: object, code: int = 0) -> str:
    """What a command prints: of one that is refused, its error."""
    done = CliRunner().invoke(app, [*map(str, words), "--quiet"])
    assert done.exit_code == code, f"{words}: {done.output}"
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pruned")


@pytest.fixture(scope="module")
def record(folder) -> Mapping:
    """Of `edge prune`."""
    return json.loads(edge("prune", WATCH, "--instructions", SHARE, "--target", TARGET, "--data", DATA,
                           "--out", folder / "half.tflite", "--json"))


@pytest.fixture(scope="module")
def measured(record, folder) -> tuple[Figures, Figures]:
    """The whole network and the pruned one."""
    found = Figures.of(WATCH, folder / "int8"), Figures.of(record["written"], folder / "half_int8")
    print(*found, sep="\n")
    return found


def test_half_of_the_instructions_are_left_as_the_table_says(record, measured):
    told_before, told_after = record["cost"]
    before, after = (figures.instructions for figures in measured)
    assert told_after <= SHARE * told_before < 1.05 * told_after
    assert after / before == pytest.approx(told_after / told_before, rel=OFF)
    assert (before, after) == pytest.approx(record["cost"], rel=OFF)


def test_flash_and_ram_fall(measured):
    before, after = measured
    assert after.flash_bytes < 0.7 * before.flash_bytes
    assert after.ram_bytes < before.ram_bytes


def test_accuracy_stays(record, measured):
    """In float and in INT8, on the board."""
    before, after = measured
    assert record["scored"] == 749 and record["scores"][1] > record["scores"][0] - MOST_LOST
    assert after.top1 > before.top1 - MOST_LOST


def test_fewer_channels_that_the_kernels_do_not_thank_for_are_refused(folder):
    """Of 5 % of the channels, at numbers that a Cortex-M55 is slow with."""
    said = edge("prune", WATCH, "--ratio", 0.05, "--channel-multiple", 1, "--target", "cortex_m55_qemu",
                "--out", folder / "no_gain.tflite", code=3)
    costs = re.search(r"does not pay: ([\d,]+) instructions -> ([\d,]+) on cortex_m55_qemu", said)
    before, after = costs.groups()
    assert _number(after) > (1 - LEAST_GAIN) * _number(before)
    assert "or limit instructions itself" in said and not list(folder.glob("*no_gain*"))


def _number(text: str) -> int:
    return int(text.replace(",", ""))
