"""`edge cascade`: two models become one artefact, which takes the same path on every device."""

from dataclasses import replace
import json

import msgspec
import numpy as np
import pytest

from tests import cascade_nets
from tests.test_cli import edge, fails
from tests.test_preprocess import network, pixels
from tests.test_preprocess import recipe as frames_recipe
from toolchain.adaptive.budget import at_budget
from toolchain.artifact import read_artifact
from toolchain.cascade import Subject, build_cascade, cascade_of, checked, on_device
from toolchain.chain import run_chain
from toolchain.chaining import Goal
from toolchain.data import load_samples
from toolchain.deploy import Wish, bench, evaluate, open_artifact
from toolchain.errors import BadConfig, BadInput, BadSamples, GateFailed, Unsupported
from toolchain.examination import set_exam
from toolchain.ledger.ledger import Ledger
from toolchain.pipeline import prepare
from toolchain.profile import load_target
from toolchain.recipe import QuantSpec, Recipe
from toolchain.stages import ChainRecord

BOARD = "cortex_m4_qemu"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Of the small network, the large one, and samples."""
    folder = tmp_path_factory.mktemp("cascade")
    return (*(cascade_nets.written(folder, cascade_nets.trained(*net))
              for net in (("small", 2), ("large", 64, 96))), cascade_nets.samples(folder / "samples.npz"))


def subject(files, target: str = "host", **changed) -> Subject:
    small, large, samples = map(str, files)
    given = {"small": small, "large": large, "recipe_small": Recipe(), "recipe_large": Recipe(),
             "profile": load_target(target), "data": samples}
    return Subject(**{**given, **changed})


@pytest.fixture(scope="module")
def made(files):
    """For this host, by a cost."""
    return build_cascade(subject(files), Goal(cost=0.6))


def test_it_tells_what_comes_of_it(made):
    report, first, last = made.report, *made.report.stages
    assert report.unit == "MACs" and report.alone == 8 * 64 + 64 * 96 + 96 * 4
    assert (first.cost, last.cost) == (8 * 2 + 2 * 4, report.alone + first.cost)
    assert first.temperature is not None and last.temperature is None
    assert report.chosen.cost <= 0.6 and (report.chosen.n, report.tested.n) == (600, 800)
    assert sum(report.tested.shares) == pytest.approx(1) and 0.3 < report.tested.shares[0] < 1
    assert first.accuracy < report.tested.accuracy <= 1 and first.accuracy < last.accuracy
    assert report.paired.drop == pytest.approx(report.tested.drop)
    assert report.worst == pytest.approx(last.cost / report.alone)


@pytest.mark.oracle
@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_files_on_this_host_take_the_references_path(made, files, fmt, tmp_path):
    """But where codes that are rounded otherwise lead elsewhere: XNNPACK and ONNX Runtime are not exact."""
    artifact = read_artifact(made.artifact.write(tmp_path / "chain"))
    assert {f"stage_{number}.{fmt}" for number in (0, 1)} <= artifact.files.keys()
    manifest = msgspec.structs.replace(artifact.manifest, formats=(fmt,))
    found = on_device(made._replace(artifact=replace(artifact, manifest=manifest)),
                      load_samples(files[2]).split("test"))
    assert found.n == 800 and found.same_path >= 0.99 and found.mean is None
    score = evaluate(artifact, None, fmt, set_exam(artifact, str(files[2]))).evaluation
    assert score.value == pytest.approx(made.report.tested.accuracy, abs=0.005)


@pytest.mark.oracle
def test_devices_run_stage_by_stage_what_this_hosts_python_decides(made, files, tmp_path, monkeypatch):
    (tmp_path / "boards.toml").write_text('[boards.there]\ntarget = "host"\ntransport = "local"\n')
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    found = on_device(made, load_samples(files[2]).split("test").take(100), "there")
    assert found.device == "there" and found.same_path >= 0.99 and found.runtime.startswith("LiteRT")


def test_what_takes_one_file_takes_no_chain(made):
    with pytest.raises(Unsupported, match="is a chain of 2 .tflite files, which no runner takes at once"):
        made.artifact.model("tflite")


def test_nobody_else_measures_on_the_device_that_checks_it(files, own_locks, tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.deploy.WAIT_S", 0)
    small, large, samples = map(str, files)
    given = ("cascade", small, large, "--target", "host", "--data", samples, "--cost", "0.6", "--ledger",
             tmp_path / "ledger.db", "--device", "host")
    with Ledger.open(str(tmp_path / "ledger.db")) as others, others.lease(["device:host"], wait_s=0):
        fails(5, "host is in use", *given, "--out", tmp_path / "refused")
        assert edge(*given, "--out", tmp_path / "unchecked", "--check", "0")[0] == 0, "nothing is measured"
    assert edge(*given, "--out", tmp_path / "checked", "--check", "8")[0] == 0


def test_devices_with_programs_run_its_c(files):
    """Where a profile has C beside its formats, as phones have."""
    profile = msgspec.structs.replace(load_target("host"), also=("c",))
    built = build_cascade(subject(files, profile=profile), Goal(cost=0.6))
    assert built.artifact.manifest.formats == ("tflite", "onnx", "c")
    measured = next(bench(built.artifact, None, Wish(fmt="c", seconds=0.1))).measurement
    assert measured.parity.mismatched == 0 and measured.parity.checked == 4 * (4 + 1)
    in_float = Recipe(quantize=QuantSpec(scheme="float32"))
    left = build_cascade(subject(files, profile=profile, recipe_small=in_float, recipe_large=in_float),
                         Goal(cost=0.6)).artifact.manifest
    assert left.formats == ("tflite", "onnx") and any("model.c is left out" in note for note in left.notes)


def test_a_manifest_that_was_tampered_with(made, tmp_path):
    folder = made.artifact.write(tmp_path / "chain")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["chain"]["policies"] = []
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="chain: its stages do not go together; build it again"):
        read_artifact(folder)


def test_in_float_too(files):
    recipe = Recipe(quantize=QuantSpec(scheme="float32"))
    made = build_cascade(subject(files, recipe_small=recipe, recipe_large=recipe), Goal(cost=0.6))
    assert made.chain.policies[0].table == () and made.chain.logits.dtype == "float32"
    found = on_device(made, load_samples(files[2]).split("test"))
    assert found.same_path == 1.0


@pytest.mark.emulated
def test_a_board_takes_the_hosts_path_bit_for_bit(files, tmp_path):
    made = build_cascade(subject(files, BOARD), Goal(cost=0.6))
    report, found = made.report, checked(made, str(files[2]), None, 150)
    first, last = report.stages
    assert report.unit == "instructions" and first.cost < 0.4 * report.alone < report.alone < last.cost
    assert (found.n, found.same_path, found.same_logits) == (150, 1.0, 1.0)
    assert found.most == pytest.approx(last.cost, rel=0.02)
    assert found.mean == pytest.approx(report.tested.cost * report.alone, rel=0.15)
    folder = made.artifact.write(tmp_path / "chain")
    wish = Wish(exam=set_exam(made.artifact, str(files[2]), limit=60))
    outcome = next(bench(read_artifact(folder), None, wish))
    measured = outcome.measurement
    assert measured.parity.mismatched == 0 and not measured.problems
    assert measured.instructions == pytest.approx(last.cost, rel=0.02), "a bench is the worst case"
    titles = [layer.title for layer in measured.layers]
    assert titles.index("stage 0: answers or not") < titles.index("stage 1: answers") == len(titles) - 2
    assert sum(layer.instructions for layer in measured.layers) == measured.instructions
    assert outcome.evaluation.n == 60


def test_its_levels_are_the_stages_that_answer_at_the_latest(made, files):
    """The first stage is the small network alone; the last, the chain."""
    report, chain = made.report, made.artifact.manifest.chain
    assert chain.levels.costs == tuple(level.cost for level in report.levels) == (24, report.stages[1].cost)
    assert report.levels[0].test.value == report.stages[0].accuracy
    assert report.levels[1].test.value == report.tested.accuracy
    assert report.levels[1].selection.value == report.chosen.accuracy
    test = load_samples(files[2]).split("test")
    for budget, level in ((24, 0), (report.stages[1].cost - 1, 0), (10**6, 1)):
        held = at_budget(made.artifact, budget)
        assert held.manifest.chain.level == level
        assert on_device(made._replace(artifact=held), test).same_path >= 0.99


@pytest.mark.emulated
def test_a_board_within_a_budget_stops_where_the_host_does(files, tmp_path):
    """For what the table says, or less where it does not go as far."""
    made = build_cascade(subject(files, BOARD), Goal(cost=0.6))
    folder, costs = made.artifact.write(tmp_path / "chain"), made.chain.levels.costs
    test = load_samples(files[2]).split("test").take(40)
    for level, cost in enumerate(costs):
        found = on_device(made._replace(artifact=open_artifact(folder, cost)), test)
        assert (found.same_path, found.same_logits) == (1.0, 1.0)
        assert found.most <= cost
        measured = next(bench(open_artifact(folder, cost), None)).measurement
        assert measured.parity.mismatched == 0 and cost - 200 < measured.instructions <= cost
        assert made.report.levels[level].cost == cost
    assert next(bench(read_artifact(folder), None)).measurement.instructions <= costs[-1]


def test_the_command(files, tmp_path):
    small, large, samples = map(str, files)
    out = tmp_path / "chain"
    code, told, _ = edge("cascade", small, large, "--target", "host", "--data", samples, "--out", out,
                         "--cost", "0.5", "--check", "8", "--json")
    record, digest = json.loads(told), read_artifact(out).digest
    assert code == 0 and record["device"]["n"] == 8 and record["report"]["schema"] == "edge.chain"
    assert record["digest"] == record["device"]["artifact_digest"] == digest
    assert json.loads((out / "chain.json").read_text()) == record["report"]
    assert json.loads((out / "chain_check.json").read_text()) == record["device"]


def test_a_goal_that_cannot_be_met_is_exit_code_3(files, tmp_path):
    small, large, samples = map(str, files)
    fails(3, "nearest: ", "cascade", small, large, "--target", "host", "--data", samples,
          "--out", tmp_path / "chain", "--cost", "0.001", "--quiet")
    assert not (tmp_path / "chain").exists()


@pytest.mark.parametrize("left_out", ["y", "split"])
def test_without_labels_or_splits(files, tmp_path, left_out):
    bare = cascade_nets.samples(tmp_path / "bare.npz", **{left_out: None})
    with pytest.raises(BadSamples, match="labelled samples that neither calibrate nor test"):
        build_cascade(subject((*files[:2], bare)), Goal(cost=0.6))


def test_other_classes(files, tmp_path):
    other = cascade_nets.written(tmp_path, cascade_nets.trained("other", 8, classes=5))
    with pytest.raises(BadInput, match=r"stages tell different classes apart \(other: 5, large: 4\)"):
        build_cascade(subject((other, *files[1:])), Goal(cost=0.6))


def test_a_softmax_is_left_out_and_noted(files, tmp_path):
    ended = cascade_nets.written(tmp_path, cascade_nets.trained("ended", 8, softmax=True))
    made = build_cascade(subject((ended, *files[1:])), Goal(cost=0.6))
    assert any("softmax" in note and note.startswith("stage 0: ") for note in made.artifact.manifest.notes)


@pytest.mark.parametrize("changed, error, message", [
    ({"recipe_small": Recipe(metric="mse")}, BadConfig, "differ in metric, which is of the artefact"),
    ({f"recipe_{which}": Recipe(metric="mse") for which in ("small", "large")}, Unsupported, "of a class")])
def test_recipes_that_no_chain_can_follow(files, changed, error, message):
    with pytest.raises(error, match=message):
        build_cascade(subject(files, **changed), Goal(cost=0.6))


@pytest.mark.parametrize("goal", [{}, {"accuracy_drop": 1.0, "cost": 0.5}])
def test_a_chain_has_one_goal(goal):
    with pytest.raises(BadConfig, match="a chain has one goal"):
        Goal(**goal)


def test_a_loss_that_no_threshold_keeps_within(files):
    """Twice the same network costs more and gains nothing."""
    with pytest.raises(GateFailed, match="nearest: "):
        build_cascade(subject((files[1], *files[1:])), Goal(accuracy_drop=0.0))


def test_a_record_is_what_the_manifest_says(made):
    assert isinstance(made.artifact.manifest.chain, ChainRecord)
    vectors = made.artifact.vectors
    (x,) = made.chain.inputs
    found = run_chain(made.chain, {x.name: vectors[f"input/{x.name}"]})
    assert np.array_equal(found["path"], vectors["output/path"]) and vectors["output/path"][0] == 1
    assert set(vectors["output/path"]) == {0, 1}


def test_raw_frames_go_in():
    """Both networks read pixels; so does the chain, in its files and in what it is examined with."""
    shot = pixels()
    shot = replace(shot.pick(np.arange(96) % len(shot)), rows=np.arange(96))
    wanted, host = frames_recipe(mean=120.0, std=60.0), load_target("host")
    classes = network().tensors[network().outputs[0]].shape[-1]
    splits = np.repeat(["calibration", "selection", "test"], 32)
    shot = replace(shot, splits=splits, y=np.arange(96) % classes)
    small, large = (prepare(network(), wanted, shot, host) for _ in range(2))
    made = cascade_of(small, large, shot, host, Goal(cost=1.6))
    assert made.artifact.manifest.takes_frames and 0 < made.report.chosen.shares[0] < 1
    assert made.artifact.manifest.inputs["tflite"][0].dtype == "uint8"
    assert on_device(made, shot.split("test")).same_path == 1.0
