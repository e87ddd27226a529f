"""`edge levels`: networks side by side become one artefact, of which a budget chooses one on every device."""

from contextlib import nullcontext
from dataclasses import replace
import json
import re

import msgspec
import numpy as np
import pytest

from tests import cascade_nets
from tests.test_cli import edge, fails
from toolchain.adaptive.budget import at_budget
from toolchain.adaptive.report import levels_text
from toolchain.adaptive_sections import WidthsConfig
from toolchain.artifact import Artifact, read_artifact
from toolchain.cascade import on_device, prepared_for
from toolchain.chain import every_logits
from toolchain.chain_building import with_firmware
from toolchain.data import load_samples
from toolchain.deploy import Outcome, Wish, bench, evaluate, open_artifact
from toolchain.errors import BadConfig, BadInput, GateFailed, InvalidMeasurement
from toolchain.examination import set_exam
from toolchain.ledger.ledger import Ledger
from toolchain.levelling import Network, Subject, _levels_of, build_levels, checked, network_of
from toolchain.levels import Held
from toolchain.measurement import Latency, Measurement
from toolchain.profile import TargetProfile, load_target
from toolchain.recipe import QuantSpec, Recipe, TrainConfig
from toolchain.report.tables import bench_text
from toolchain.runtime.litert import LiteRT
from toolchain.stages import on_grid

BOARD = "cortex_m4_qemu"
WIDTHS = {"large": (16,), "small": (2,), "beaten": (3,), "middle": (6,)}
KEPT = ["small.onnx", "middle.onnx", "large.onnx"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks of several widths by name, and "samples"."""
    folder = tmp_path_factory.mktemp("levels")
    nets = {name: str(cascade_nets.written(folder, cascade_nets.trained(name, *widths)))
            for name, widths in WIDTHS.items()}
    return {**nets, "samples": str(cascade_nets.samples(folder / "samples.npz"))}


def subject(files, target: str = "host", recipe: Recipe = Recipe(), device: str | None = None) -> Subject:
    networks = [replace(network_of(files[name]), recipe=recipe) for name in WIDTHS]
    return Subject(networks, load_target(target), files["samples"], device)


@pytest.fixture(scope="module")
def made(files):
    """For this host."""
    return build_levels(subject(files))


def test_levels_cost_more_and_are_worth_more(made):
    report = made.report
    assert report.unit == "MACs" and [level.name for level in report.levels] == KEPT
    assert [level.cost for level in report.levels] == [12 * width for width in (2, 6, 16)]
    assert [(level.selection.n, level.test.n) for level in report.levels] == [(600, 800)] * 3
    values = [level.selection.value for level in report.levels]
    assert values == sorted(set(values)) and report.levels[0].test.error == pytest.approx(0.0128, abs=0.001)
    assert made.chain.levels.costs == made.artifact.manifest.chain.levels.costs == (24, 72, 192)


def test_what_another_one_beats_is_left_out_and_told(made):
    (line,) = made.report.left_out
    assert line.startswith("beaten.onnx is left out: on its own 36 MACs and top1 0.") and "small.onnx" in line
    assert line in made.artifact.manifest.notes


def test_other_bits_stand_side_by_side(files):
    """Weights of 4 bits, and of 8."""
    four_bits = Recipe(quantize=QuantSpec(scheme="static_wi4_ai8"))
    networks = [replace(network_of(files["small"]), recipe=four_bits), network_of(files["large"])]
    made = build_levels(replace(subject(files), networks=networks))
    weights = [{t.quant.dtype for t in graph.constants if t.quant is not None and t.data.ndim == 2}
               for graph in made.chain.stages]
    assert weights == [{"int4"}, {"int8"}]
    assert b'scheme = "static_wi4_ai8"' in made.artifact.files["recipe_0.toml"]


def test_a_cost_that_does_not_stand_is_told(made):
    level = msgspec.structs.replace(made.report.levels[0], problems=("the device was throttled",))
    assert level.told(0, "microseconds").endswith("; its cost does not stand: the device was throttled")
    assert "stand" not in made.report.levels[0].told(0, "MACs")


def test_one_that_beats_all_others_is_refused(files):
    small = network_of(files["small"])
    with pytest.raises(GateFailed, match=r"of 2 networks one is left \(small.onnx\)"):
        build_levels(replace(subject(files), networks=[small, small]))


def test_what_is_left_out_and_the_order_have_no_say(made, files, tmp_path):
    """The first argument is left out, and takes inputs in other codes than those that stay."""
    coarse = tmp_path / "coarse.npz"
    with np.load(files["samples"]) as arrays:
        wider = {**arrays, "x": np.where(arrays["split"][:, None] == "calibration", 3, 1) * arrays["x"]}
    np.savez(coarse, **wider)
    net, given = network_of(files["beaten"]), subject(files)
    prepared = prepared_for(net.model, net.recipe, given.profile, load_samples(str(coarse)), print)
    others = [prepared_for(files[name], Recipe(), given.profile, load_samples(files["samples"]), print)
              for name in ("large", "small", "middle")]
    codes = {float(each.graph.tensors[each.graph.inputs[0]].quant.scale) for each in (prepared, *others)}
    assert len(codes) == 2
    networks = [network_of(files[name]) for name in ("beaten", "large", "small", "middle")]
    found = _levels_of([prepared, *others], load_samples(files["samples"]),
                       replace(given, networks=networks), print)
    assert [level.name for level in found.report.levels] == KEPT
    assert found.chain.digest == made.chain.digest
    assert not any(op.kind == "quantize" for graph in found.chain.stages for op in graph.ops)


@pytest.mark.oracle
def test_each_level_is_the_network_alone(made, files):
    """Its file in LiteRT, and its answers on the grid of all."""
    artifact = made.artifact
    for level, cost in enumerate(made.chain.levels.costs):
        alone = LiteRT(artifact.files[f"stage_{level}.tflite"])
        (x,), (y,) = alone.inputs, alone.outputs
        held = at_budget(artifact, cost)
        assert held.manifest.chain.level == level
        feeds = {port.name: held.vectors[f"input/{port.name}"] for port in held.manifest.inputs["graph"]}
        own = every_logits(made.chain, feeds)[level]
        logits = made.chain.stages[level].tensors[made.chain.stages[level].outputs[0]]
        expected = on_grid(own, int(logits.quant.zero_point), made.chain.multipliers[level])
        assert np.array_equal(held.vectors[f"output/{made.chain.logits.name}"], expected)
        codes = alone.run({x.name: next(iter(feeds.values())).astype(x.dtype)})[y.name]
        assert np.abs(codes.astype(int) - own.astype(int)).max() <= 1
        score = evaluate(held, None, "tflite", set_exam(held, files["samples"])).evaluation
        assert score.value == pytest.approx(made.report.levels[level].test.value, abs=0.005)


@pytest.mark.oracle
@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_files_on_this_host_run_the_level_of_a_budget(made, files, fmt, tmp_path):
    folder = made.artifact.write(tmp_path / "levels")
    digests = {made.artifact.digest: None}
    for budget, level in ((24, 0), (191, 1), (192, 2), (10**9, 2)):
        held = open_artifact(folder, budget)
        score = evaluate(held, None, fmt, set_exam(held, files["samples"])).evaluation
        assert score.held == Held(budget, "MACs", level) and score.artifact_digest == held.digest
        assert digests.setdefault(held.digest, level) == level, "one of its own for each level"
        assert score.value == pytest.approx(made.report.levels[level].test.value, abs=0.005)
    assert len(digests) == 1 + 3
    with pytest.raises(GateFailed, match="a budget of 23 MACs pays for no level"):
        open_artifact(folder, 23)


def test_in_float_too(files):
    made = build_levels(subject(files, recipe=Recipe(quantize=QuantSpec(scheme="float32"))))
    assert made.chain.logits.dtype == "float32"
    found = checked(made, subject(files), 64)
    assert [(one.same_path, one.budget) for one in found] == [
        (1.0, cost) for cost in made.chain.levels.costs]


def test_devices_with_programs_run_its_c(files):
    """The level that C finds by itself, within its parity with the host."""
    given = subject(files, "android_arm64")
    made = build_levels(given)
    for cost in made.chain.levels.costs:
        held = for_this_host(at_budget(made.artifact, cost))
        measured = next(bench(held, None, Wish(fmt="c", seconds=0.05))).measurement
        assert measured.parity.mismatched == 0 and measured.parity.checked == 4 * (4 + 1)


def for_this_host(artifact: Artifact) -> Artifact:
    """As if built for it."""
    own = msgspec.structs.replace(load_target("host"), also=("c",), folder="")
    return replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, target="host", profile=own))


def test_costs_are_times_where_a_device_is_given(files, tmp_path):
    slow = cascade_nets.written(tmp_path, cascade_nets.trained("slow", 768, 768))
    networks = [network_of(given) for given in (str(slow), files["small"])]
    made = build_levels(replace(subject(files, device="host"), networks=networks))
    assert made.report.unit == made.chain.levels.unit == "microseconds"
    assert [level.name for level in made.report.levels] == ["small.onnx", "slow.onnx"]
    assert all(0 < level.cost < 10**6 for level in made.report.levels)
    on = made.artifact.manifest.chain.levels.measured_on
    assert on.startswith("host, LiteRT") and on.endswith(", native"), on
    assert json.loads(made.artifact.files["levels.json"])["measured_on"] == on in levels_text(made.report)


def test_a_network_is_timed_once_but_where_it_has_an_op_more(files, tmp_path, monkeypatch):
    """The second is calibrated on wider samples, so that it takes other codes than the first."""
    timed = []

    def taken(artifact, device, wish):
        timed.append(artifact.manifest.name)
        yield Outcome(None, measurement=Measurement(
            artifact="x", artifact_digest="d", target="host", device=device, emulated=False, runtime="",
            latency_us=Latency(1000.0 * artifact.manifest.macs)))

    monkeypatch.setattr("toolchain.levelling.bench", taken)
    wide = tmp_path / "wide.npz"
    with np.load(files["samples"]) as arrays:
        np.savez(wide, **{**arrays, "x": 3 * arrays["x"]})
    nets = [network_of(files[name]) for name in ("small", "large")]
    given = replace(subject(files, device="there"), networks=nets)
    for data, again in ((files["samples"], []), (wide, ["large"])):
        prepared = [prepared_for(net.model, net.recipe, given.profile, load_samples(str(seen)), print)
                    for net, seen in zip(nets, (files["samples"], data))]
        timed.clear()
        made = _levels_of(prepared, load_samples(files["samples"]), given, print)
        assert timed == ["small", "large", *again]
        assert [level.name for level in made.report.levels] == ["small.onnx", "large.onnx"]


def test_nobody_else_measures_on_the_device_meanwhile(files, own_locks, tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.deploy.WAIT_S", 0)
    ledger = str(tmp_path / "ledger.db")
    with Ledger.open(ledger) as others, others.lease(["device:host"], wait_s=0):
        fails(5, "host is in use", "levels", files["small"], files["large"], "--target", "host", "--data",
              files["samples"], "--out", tmp_path / "out", "--device", "host", "--ledger", ledger)
    assert not (tmp_path / "out").exists()


@pytest.mark.oracle
@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_devices_run_the_file_of_the_level(made, files, fmt, tmp_path, monkeypatch):
    """Measured by the runner as any file, its vectors in its own codes; answers on the grid of all."""
    (tmp_path / "boards.toml").write_text('[boards.there]\ntarget = "host"\ntransport = "local"\n')
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    for budget in (30, None):
        held = made.artifact if budget is None else at_budget(made.artifact, budget)
        exam = set_exam(held, files["samples"], limit=80)
        outcome = next(bench(held, "there", Wish(fmt=fmt, seconds=0.05, exam=exam)))
        measured = outcome.measurement
        assert measured.parity.checked == 4 * 4 and measured.parity.worst <= 2
        assert measured.held == (budget and Held(30, "MACs", 0))
        assert ("held to level 0 by a budget of 30 MACs" in bench_text(measured)) == (budget is not None)
        assert measured.artifact_digest == held.digest and measured.latency_us.median > 0
        here = evaluate(held, None, fmt, exam).evaluation
        assert outcome.evaluation.value == pytest.approx(here.value, abs=0.03) and "there" in outcome.where
    assert [one.same_path for one in checked(made, subject(files, device="there"), 16)] == [1.0] * 3


@pytest.mark.emulated
def test_a_board_runs_the_level_of_each_budget_for_what_the_table_says(files, tmp_path):
    given = subject(files, BOARD)
    made = build_levels(given)
    costs = made.chain.levels.costs
    assert made.report.unit == "instructions" and [level.name for level in made.report.levels] == KEPT
    found = checked(made, given, 60)
    assert [(one.same_path, one.same_logits, one.n) for one in found] == [(1.0, 1.0, 60)] * 3
    for one, cost in zip(found, costs, strict=True):
        assert one.budget == cost and one.most == pytest.approx(cost, abs=30) and one.mean <= one.most
    folder = made.artifact.write(tmp_path / "levels")
    for budget, cost in ((costs[0], costs[0]), (costs[1], costs[1]), (costs[2] - 1, costs[1])):
        measured = next(bench(open_artifact(folder, budget), None, Wish())).measurement
        assert measured.parity.mismatched == 0 and measured.instructions == pytest.approx(cost, abs=30)
        assert sum(layer.instructions for layer in measured.layers) == measured.instructions
        assert all(layer.instructions > 0 for layer in measured.layers)
    plain = next(bench(read_artifact(folder), None, Wish())).measurement
    assert plain.instructions == pytest.approx(costs[2], abs=30), "without a budget it is the worst case"
    _require_d_to_do_the_same(made.artifact, given.profile, costs)


def _require_d_to_do_the_same(artifact: Artifact, profile: TargetProfile, costs: tuple[int, ...]) -> None:
    """Firmware whose library is compiled with -D<NAME>_BUDGET is what `edge bench --budget` takes, and is
    refused at any other level."""
    name = re.search(rb"#define (\w+)_BUDGET INT64_MAX", artifact.files["model.h"])[1].decode()
    flags = (*profile.cflags, f"-D{name}_BUDGET={costs[1] + 7}")
    linked = with_firmware(artifact, msgspec.structs.replace(profile, cflags=flags))
    for budget, right in ((costs[1], True), (costs[2] - 1, True), (costs[0], False), (costs[2], False)):
        held = at_budget(artifact, budget)
        held = replace(held, files={**held.files, "firmware.elf": linked.files["firmware.elf"]})
        with nullcontext() if right else pytest.raises(InvalidMeasurement, match="runs the model"):
            measured = next(bench(held, None, Wish(brief=True))).measurement
            assert measured.parity.mismatched == 0


def test_the_command(files, tmp_path):
    out, output = tmp_path / "levels", tmp_path / "found.npz"
    nets = [files[name] for name in WIDTHS]
    code, told, _ = edge("levels", *nets, "--target", "host", "--data", files["samples"], "--out", out,
                         "--check", "8", "--json")
    record = json.loads(told)
    assert code == 0 and [one["budget"] for one in record["device"]] == [24, 72, 192]
    assert json.loads((out / "levels.json").read_text()) == record["report"]
    assert json.loads((out / "levels_check.json").read_text()) == record["device"]
    np.savez(tmp_path / "x.npz", x=np.arange(40, dtype=np.int8).reshape(5, 8))
    run = ("run", out, "--input", tmp_path / "x.npz", "--output", output, "--budget")
    code, _, said = edge(*run, "100")
    assert code == 0, said
    assert np.load(output)["path"].tolist() == [1] * 5
    fails(3, "a budget of 5 MACs pays for no level", *run, "5")
    code, told, _ = edge("eval", out, "--data", files["samples"], "--budget", "30", "--json")
    assert code == 0 and json.loads(told)["value"] == pytest.approx(
        record["report"]["levels"][0]["test"]["value"], abs=0.005)
    assert not [*out.glob("evaluation.*")], "beside an artefact lies what it does without a budget"


def test_a_recipe_of_a_networks_own(tmp_path):
    recipe = tmp_path / "four.toml"
    recipe.write_text('[quantize]\nscheme = "static_wi4_ai8"\n')
    found = network_of(f"nets/model.py:trained@{recipe}")
    assert found == Network("nets/model.py:trained", Recipe(quantize=QuantSpec(scheme="static_wi4_ai8")),
                            "model.py:trained@four.toml")
    assert network_of("a@b/net.onnx") == Network("a@b/net.onnx", Recipe(), "net.onnx")


@pytest.mark.parametrize("recipes, error, message", [
    ([Recipe()], BadInput, "levels are of two networks or more"),
    ([Recipe(), Recipe(metric="mse")], BadConfig, "the recipes of levels differ in metric"),
    ([Recipe(), Recipe(widths=WidthsConfig(shares=(1.0, 0.5)), train=TrainConfig(epochs=1))], BadConfig,
     r"levels: \[widths\] makes levels of one network by itself"),
    ([Recipe(quantize=QuantSpec(scheme="float32")), Recipe(quantize=QuantSpec(scheme="float16"))], BadConfig,
     "differ in whether weights are in float")])
def test_what_cannot_stand_side_by_side(files, recipes, error, message):
    networks = [Network(files["small"], recipe, "small") for recipe in recipes]
    with pytest.raises(error, match=message):
        build_levels(replace(subject(files), networks=networks))


def test_held_chains_take_the_hosts_path(made, files):
    """on_device compares with the reference at the same level."""
    held = made._replace(artifact=at_budget(made.artifact, 72))
    found = on_device(held, load_samples(files["samples"]).split("test").take(100))
    assert found.same_path == 1.0
