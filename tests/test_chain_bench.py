"""Chains of files on devices: stages measured one by one, and what an inference takes by their shares."""

from collections.abc import Sequence
import csv
from dataclasses import dataclass, replace
import io
import json
import math

import numpy as np
import pytest

from tests import cascade_nets
from tests.device.scripted import Runner, far
from tests.test_cascade import subject
from tests.test_cli import edge
from toolchain.adaptive.budget import at_budget
from toolchain.adaptive_sections import ExitsConfig
from toolchain.artifact import Artifact
from toolchain.cascade import build_cascade
from toolchain.chain_bench import measured
from toolchain.chaining import Goal, Made
from toolchain.data import load_samples
from toolchain.deploy import Wish, bench, evaluate
from toolchain.device import programs
from toolchain.device.ways import NATIVE, PYTHON, Way
from toolchain.errors import BadInput
from toolchain.examination import set_exam
from toolchain.exits import build_exits
from toolchain.ledger.ledger import Ledger
from toolchain.lower import Asked
from toolchain.pipeline import prepare, quiet
from toolchain.profile import load_target
from toolchain.recipe import Recipe

PI, QUICK = "raspberry_pi_4", Wish(fmt="tflite", seconds=0.05)
LITERT_PYTHON = Way("tflite", "litert", PYTHON)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Of the small network, the large one, and samples."""
    folder = tmp_path_factory.mktemp("chain_bench")
    return (*(cascade_nets.written(folder, cascade_nets.trained(*net))
              for net in (("small", 2), ("large", 64, 96))), cascade_nets.samples(folder / "samples.npz"))


@pytest.fixture(scope="module")
def made(files) -> Made:
    """For this host."""
    return build_cascade(subject(files), Goal(cost=0.6))


@pytest.fixture(scope="module")
def for_pi(files) -> Artifact:
    return build_cascade(subject(files, PI), Goal(cost=0.6)).artifact


@dataclass
class Stages(Runner):
    """Which knows a chain's files. own_us, counts: what inferences of each take"""

    own_us: Sequence[Sequence[float]] = ((100.0,) * 60, (700.0,) * 60)
    counts: Sequence[int] = (5_000, 40_001)
    files: Sequence[bytes] = ()

    def push(self, files, executable=()):
        there = {name: f"{self.folder}/{hash(data)}/{name}" for name, data in files.items()}
        self.pushed |= {path: files[name] for name, path in there.items()}
        return there

    def _time(self, words) -> str:
        (number,) = (self.files.index(self.pushed[word]) for word in words if word.endswith("/model.tflite"))
        self.times_us, self.own = self.own_us[number], {"instructions": self.counts[number]}
        return super()._time(words)


def board(artifact: Artifact, **facts) -> Stages:
    files = [artifact.files[name] for name in artifact.manifest.model_files("tflite")]
    return Stages(b"", files=files, **facts)


@pytest.fixture(autouse=True)
def time_that_did_not_pass(monkeypatch):
    monkeypatch.setattr(programs, "CLOCK_STEP_S", math.inf)


def second_reached(artifact: Artifact) -> float:
    return json.loads(artifact.files["chain.json"])["tested"]["shares"][1]


def test_a_board_is_told_of_each_stage_and_of_both(for_pi):
    bare, reached = replace(for_pi, vectors={}), second_reached(for_pi)
    found, stages = measured(bare, far(board(for_pi)), LITERT_PYTHON, seconds=0.5)
    assert 0.1 < reached < 0.9 and found.problems == ()
    assert found.latency_us.median == found.latency_us.low == 800 and found.staged.n == 800
    assert found.staged.latency_us.median == pytest.approx(100 + 700 * reached)
    assert found.staged.instructions == pytest.approx(5_000 + 40_001 * reached)
    assert [stage.latency_us.median for stage in stages] == [100, 700] == [
        stage.latency_us.median for stage in found.staged.stages]
    assert [stage.file for stage in found.staged.stages] == ["stage_0.tflite", "stage_1.tflite"]
    assert [stage.reached for stage in found.staged.stages] == pytest.approx([1.0, reached])
    assert found.flash_bytes == sum(len(data) for data in board(for_pi).files)
    assert "the policy between them runs on this host and is not in it" in found.conditions["note"]
    assert [stage.artifact for stage in stages] == [f"{found.artifact}/stage_{n}.tflite" for n in (0, 1)]


def test_an_emulated_board_counts_each_stage_and_has_no_time(for_pi):
    bare = replace(for_pi, vectors={})
    found, _ = measured(bare, far(board(for_pi), emulated=True), LITERT_PYTHON)
    assert found.emulated and found.latency_us is found.staged.latency_us is found.staged.energy is None
    assert found.instructions == 45_001
    assert found.staged.instructions == pytest.approx(5_000 + 40_001 * second_reached(for_pi))
    assert found.conditions["time"] == found.conditions["energy"] == "emulated: none"


def test_a_stage_that_does_not_stand_breaks_the_chain(for_pi):
    runner = board(for_pi, own_us=((100.0,) * 400, np.linspace(100, 200, 400)))
    found, (first, second) = measured(replace(for_pi, vectors={}), far(runner), LITERT_PYTHON, seconds=0.5)
    assert first.problems == () and found.problems == (f"stage_1.tflite: {second.problems[0]}",)
    assert second.problems[0].startswith("no steady state")


def test_held_to_a_level_later_stages_are_not_in_it(for_pi):
    held = at_budget(replace(for_pi, vectors={}), for_pi.manifest.chain.levels.costs[0])
    found, (stage,) = measured(replace(held, vectors={}), far(board(for_pi)), LITERT_PYTHON, seconds=0.5)
    assert found.latency_us.median == found.staged.latency_us.median == stage.latency_us.median == 100


@pytest.mark.oracle
@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_this_computer(made, files, fmt):
    exam = set_exam(made.artifact, str(files[2]), limit=80)
    outcome = next(bench(made.artifact, None, Wish(fmt=fmt, seconds=0.05, exam=exam)))
    found, staged = outcome.measurement, outcome.measurement.staged
    assert found.artifact_digest == made.artifact.digest and len(outcome.stages) == 2
    assert found.latency_us.median == pytest.approx(sum(one.latency_us.median for one in outcome.stages))
    first, second = staged.stages
    assert first.reached == 1 and second.reached == pytest.approx(made.report.tested.shares[1])
    assert staged.latency_us.median == pytest.approx(
        first.latency_us.median + second.reached * second.latency_us.median)
    assert 0 < staged.latency_us.median < found.latency_us.median
    assert [each.artifact_digest for each in staged.stages] == [one.artifact_digest for one in outcome.stages]
    assert found.parity.checked == 4 * (4 + 1) and found.parity.worst <= 2 * 128
    assert [one.parity.checked % 4 for one in outcome.stages] == [0, 0]
    here = evaluate(made.artifact, None, fmt, exam).evaluation
    assert outcome.evaluation.value == pytest.approx(here.value, abs=0.03)


def test_stages_that_hand_on_what_they_make(files):
    """Their own files have no test vectors; the chain's are run through all."""
    config, host = ExitsConfig(after=("1",), cost=0.7), load_target("host")
    samples = load_samples(str(files[2]))
    graph = prepare(cascade_nets.trained("large", 64, 96), Recipe(exits=config), samples, host).graph
    artifact = build_exits(graph, config, samples, host, Asked(), quiet).artifact
    outcome = next(bench(artifact, None, QUICK))
    found = outcome.measurement
    assert found.parity.checked == 4 * (4 + 1) and [one.parity for one in outcome.stages] == [None, None]
    assert 0 < found.staged.latency_us.median < found.latency_us.median


@pytest.mark.parametrize("told, message", [
    (None, "no chain.json, which tells how many samples reach each stage; build it again"),
    (b"{", "chain.json: Input data was truncated; build it again"),
    ([0.5, 0.2, 0.3], r"chain.json: \(0.5, 0.2, 0.3\) are no shares of its stages; build it again"),
    ([0.5, 0.4], "are no shares of its stages"), ([1.5, -0.5], "are no shares of its stages")])
def test_shares_that_are_not_there(made, told, message):
    files = {name: data for name, data in made.artifact.files.items() if name != "chain.json"}
    if isinstance(told, list):
        report = json.loads(made.artifact.files["chain.json"])
        told = json.dumps({**report, "tested": {**report["tested"], "shares": told}}).encode()
    files |= {"chain.json": told} if told else {}
    with pytest.raises(BadInput, match=message):
        next(bench(replace(made.artifact, files=files), None, QUICK))


class Elsewhere:
    """A chain that answers as the reference does, but for so many vectors, which it sends another way."""

    def __init__(self, artifact: Artifact, count: int):
        self.found = {name: artifact.vectors[f"output/{name}"].copy()
                      for name in (port.name for port in artifact.manifest.outputs["graph"])}
        for values in self.found.values():
            values[:count] = 1 - values[:count]

    def run(self, feeds) -> dict[str, np.ndarray]:
        return self.found


@pytest.mark.parametrize("count", [0, 1, 4])
def test_vectors_that_take_another_path_are_told_and_not_compared(made, monkeypatch, count):
    artifact = made.artifact
    monkeypatch.setattr("toolchain.chain_bench.chain_session", lambda *_: Elsewhere(artifact, count))
    found = next(bench(artifact, None, QUICK)).measurement
    said = f"{count} of 4 test vectors take another path than the reference's"
    assert found.conditions.get("paths") == (said if count in (1, 2, 3) else None)
    assert any(problem.startswith(said) for problem in found.problems) == (count == 4)
    if count < 4:
        assert (found.parity.checked, found.parity.mismatched) == ((4 - count) * 5, 0)
    else:
        assert found.parity is None


def test_the_command_keeps_each_stage_in_the_ledger(made, tmp_path):
    folder, ledger = made.artifact.write(tmp_path / "chain"), tmp_path / "ledger.db"
    given = ("bench", folder, "--seconds", "0.05", "--format", "tflite", "--ledger", ledger)
    code, told, _ = edge(*given, "--json")
    record, first = json.loads(told), made.chain.levels.costs[0]
    assert code == 0 and json.loads((folder / "measurement.tflite.json").read_text()) == record
    assert [path.name for path in folder.glob("measurement*")] == ["measurement.tflite.json"]
    code, text, _ = edge(*given, "--budget", first)
    assert code == 0 and "stage_0.tflite: " in text and "stage_1" not in text
    assert "expected " in text and f"held to level 0 by a budget of {first} MACs" in text
    with Ledger.open(str(ledger)) as kept:
        rows = [*csv.DictReader(io.StringIO(kept.export("csv")))]
    name = made.artifact.manifest.name
    names = [name, f"{name}/stage_0.tflite", f"{name}/stage_1.tflite"]
    assert [row["artifact"] for row in rows] == [*names, *names[:2]]
    assert float(rows[0]["expected_us"]) == record["staged"]["latency_us"]["median"]
    assert [row["expected_us"] for row in rows[1:3]] == ["", ""]
    assert [row["artifact_digest"] for row in rows[1:3]] == [
        stage["artifact_digest"] for stage in record["staged"]["stages"]]


@pytest.mark.emulated
@pytest.mark.slow
def test_the_emulated_raspberry_pi_counts_each_stage(for_pi):
    found = next(bench(for_pi, "pi-virt", Wish(fmt="tflite", runner=NATIVE))).measurement
    first, second = found.staged.stages
    assert found.emulated and found.problems == () and found.latency_us is found.energy is None
    assert 1_000 < first.instructions < second.instructions < 100_000, "8 x 2 x 4 beside 8 x 64 x 96 x 4"
    assert found.instructions == first.instructions + second.instructions
    assert found.staged.instructions == pytest.approx(
        first.instructions + second_reached(for_pi) * second.instructions)
    assert found.parity.checked > 0 and found.parity.worst <= 2 * 128
