"""[exits]: classifiers on the way, trained, and the network built in stages."""

import numpy as np
import pytest

from tests import cascade_nets
from tests.test_cli import edge
from toolchain.adaptive_sections import ExitsConfig
from toolchain.artifact import read_artifact
from toolchain.cascade import on_device
from toolchain.chain_building import held_to
from toolchain.data import load_samples
from toolchain.errors import BadConfig, BadSamples, Unsupported
from toolchain.exits import build_exits, with_trained_exits
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.lower import Asked
from toolchain.pipeline import prepare, quiet
from toolchain.profile import load_target
from toolchain.recipe import InputConfig, QatConfig, QuantSpec, Recipe

FIRST = "1"
"""The first layer's output, with its relu."""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return cascade_nets.trained("large", 64, 96)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return str(cascade_nets.samples(tmp_path_factory.mktemp("exits") / "samples.npz"))


def made(graph: Graph, data: str, target: str, **recipe):
    config = ExitsConfig(after=(FIRST,), cost=0.7)
    samples, profile = load_samples(data), load_target(target)
    prepared = prepare(graph, Recipe(exits=config, **recipe), samples, profile)
    return build_exits(prepared.graph, config, samples, profile, Asked(), quiet)


def test_only_the_exits_are_new(graph, data):
    config = ExitsConfig(after=(FIRST,), cost=0.7)
    found = with_trained_exits(canonical(graph), config, load_samples(data), quiet)
    assert found.outputs == (*graph.outputs, f"{FIRST}.exit")
    assert all(np.array_equal(tensor.data, found.tensors[tensor.name].data)
               for tensor in canonical(graph).constants)


def test_it_costs_less_than_the_whole_network_and_is_as_good(graph, data):
    report = made(graph, data, "host").report
    first, last = report.stages
    assert (first.cost, last.cost) == (8 * 64 + 64 * 4, report.alone + 64 * 4)
    assert first.accuracy > 0.5 and report.tested.cost < 0.8 and report.tested.shares[0] > 0.25
    assert report.tested.drop < 2.0 and report.worst < 1.05


@pytest.mark.parametrize("scheme", ["float32", "static_wi8_ai8"])
def test_this_hosts_session_hands_on_what_a_stage_has_made(graph, data, scheme):
    found = on_device(made(graph, data, "host", quantize=QuantSpec(scheme=scheme)),
                      load_samples(data).split("test"))
    assert found.same_path >= (0.99 if scheme == "static_wi8_ai8" else 1.0)


@pytest.mark.emulated
def test_a_board_takes_the_hosts_path_bit_for_bit(graph, data):
    built = made(graph, data, "cortex_m4_qemu")
    found = on_device(built, load_samples(data).split("test").take(100))
    assert (found.same_path, found.same_logits) == (1.0, 1.0)
    assert found.mean < found.most == pytest.approx(built.report.stages[-1].cost, rel=0.02)


@pytest.mark.emulated
def test_a_board_goes_no_further_than_a_budget_lets_it(graph, data):
    built = made(graph, data, "cortex_m4_qemu")
    first, last = built.chain.levels.costs
    for budget, level, cost in ((first, 0, first), (last - 1, 0, first), (last, 1, last)):
        held = held_to(built.artifact, budget)
        found = on_device(built._replace(artifact=held), load_samples(data).split("test").take(40))
        assert held.manifest.chain.level == level
        assert (found.same_path, found.same_logits) == (1.0, 1.0) and cost / 2 < found.most <= cost


def test_edge_build_makes_it_by_a_recipe(graph, data, tmp_path):
    model = cascade_nets.written(tmp_path, graph)
    recipe, out = tmp_path / "recipe.toml", tmp_path / "chain"
    recipe.write_text('[exits]\nafter = ["1"]\ncost = 0.7\n')
    code, _, told = edge("build", model, "--target", "host", "--data", data, "--recipe", recipe, "--out", out)
    artifact = read_artifact(out)
    assert code == 0 and "training 1 exits on 1500 samples" in told and "selection samples" in told
    assert {"stage_0.tflite", "stage_1.onnx", "chain.json", "recipe.toml"} <= artifact.files.keys()
    assert artifact.manifest.outputs["tflite"][1].name == "path"
    for fmt in ("tflite", "onnx"):
        code, told, _ = edge("eval", out, "--data", data, "--format", fmt)
        assert code == 0 and "top1" in told


def test_without_samples(graph):
    with pytest.raises(BadSamples, match=r"\[exits\] trains classifiers; give samples with --data"):
        with_trained_exits(canonical(graph), ExitsConfig(after=(FIRST,), cost=0.7), None, quiet)


def test_a_network_that_is_quantized_already(graph, data):
    samples, profile = load_samples(data), load_target("host")
    codes = prepare(graph, Recipe(), samples, profile).graph
    with pytest.raises(Unsupported, match="already quantized"):
        prepare(codes, Recipe(exits=ExitsConfig(after=(FIRST,), cost=0.7)), samples, profile)


@pytest.mark.parametrize("section, message", [
    ({"after": ("a",)}, r"\[exits\] has one goal"),
    ({"after": ("a",), "cost": 0.5, "accuracy_drop": 1.0}, r"\[exits\] has one goal"),
    ({"after": ("a", "a"), "cost": 0.5}, "names a tensor twice")])
def test_sections_that_say_nothing_or_twice(section, message):
    with pytest.raises(BadConfig, match=message):
        ExitsConfig(**section)


@pytest.mark.parametrize("recipe, message", [
    ({"streaming": True}, "streaming = true"), ({"qat": QatConfig(epochs=1)}, r"\[qat\]"),
    ({"metric": "mse"}, 'metric = "mse"'),
    ({"quantize": QuantSpec(accuracy_drop=1.0)}, r"\[quantize\] accuracy_drop")])
def test_what_a_chain_would_not_know_of(recipe, message):
    told = rf"\[exits\] leaves a network on the way, of which {message} would not know"
    with pytest.raises(BadConfig, match=told):
        Recipe(exits=ExitsConfig(after=("a",), cost=0.5), **recipe)


def test_labels_beside_exits_are_fine():
    assert Recipe(exits=ExitsConfig(after=("a",), cost=0.5), input=InputConfig(labels=("x", "y"))).exits
