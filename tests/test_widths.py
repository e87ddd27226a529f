"""[widths]: one network trained in several widths, built as levels whose weights are in flash once."""

from dataclasses import replace

import numpy as np
import pytest

from tests import cascade_nets
from tests.test_cli import edge
from toolchain.adaptive.budget import at_budget
from toolchain.adaptive_sections import ExitsConfig, WidthsConfig
from toolchain.artifact import read_artifact
from toolchain.cascade import on_device
from toolchain.chain_building import held_to
from toolchain.data import load_samples
from toolchain.deploy import evaluate, open_artifact
from toolchain.errors import BadConfig, BadInput, BadSamples, Unsupported
from toolchain.examination import set_exam
from toolchain.ir.graph import Graph
from toolchain.lower import Asked
from toolchain.lower.c.chain import write_chain
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.pipeline import Prepared, build, prepare, quiet
from toolchain.profile import load_target
from toolchain.recipe import InputConfig, QatConfig, QuantSpec, Recipe, TrainConfig
from toolchain.widths import NOT_SHARED, build_widths, names_of

TRAIN = TrainConfig(epochs=4, learning_rate=3e-3)
WIDTHS = WidthsConfig(shares=(1.0, 0.5, 0.25))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return cascade_nets.trained("large", 32, 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return str(cascade_nets.samples(tmp_path_factory.mktemp("widths") / "samples.npz"))


@pytest.fixture(scope="module")
def prepared(graph, data) -> Prepared:
    return prepare(graph, Recipe(widths=WIDTHS, train=TRAIN), load_samples(data), load_target("host"))


def made(prepared: Prepared, data: str, target: str):
    graphs = prepared.graph, *prepared.narrower
    return build_widths(graphs, WIDTHS, load_samples(data), load_target(target), Asked(), quiet)


def weights(graph: Graph) -> list[np.ndarray]:
    return [graph.tensors[op.inputs[1]].data for op in graph.ops if op.kind == "fully_connected"]


def test_codes_of_a_narrow_network_are_slices_of_the_wide_ones(prepared):
    for number, channels in enumerate((16, 8)):
        found, whole = weights(prepared.narrower[number]), weights(prepared.graph)
        assert [each.shape for each in found] == [(channels, 8), (channels, channels), (4, channels)]
        assert all(np.array_equal(own, wide[tuple(map(slice, own.shape))])
                   for own, wide in zip(found, whole, strict=True))
    ranges = [float(each.tensors[each.ops[0].name].quant.scale)
              for each in (prepared.graph, *prepared.narrower)]
    assert len(set(ranges)) == 3, "each is calibrated by itself"


def test_each_width_is_a_level(prepared, data):
    found = made(prepared, data, "host")
    report = found.report
    assert [level.name for level in report.levels] == ["width 0.25", "width 0.5", "width 1"]
    assert [level.cost for level in report.levels] == [n * (8 + n + 4) for n in (8, 16, 32)]
    values = [level.selection.value for level in report.levels]
    assert values == sorted(set(values)) and values[0] > 0.6 and values[1] > 0.8


def test_a_wide_network_that_is_no_better_teaches_and_is_left_out(graph, data):
    """As in `edge levels`; what is left reads the widest that is left."""
    train = TrainConfig(epochs=12, learning_rate=3e-3)
    prepared = prepare(graph, Recipe(widths=WIDTHS, train=train), load_samples(data), load_target("host"))
    found = made(prepared, data, "host")
    assert [level.name for level in found.report.levels] == ["width 0.25", "width 0.5"]
    assert found.report.left_out[0].startswith("width 1 is left out: on its own 1,408 MACs and top1 0.9")
    source = write_chain(found.chain, machine=Machine("armv7e-m"))
    assert "shared.c" in source.files and found.report.levels[1].test.value > 0.9


def test_files_are_those_of_networks_of_their_own(prepared, data, tmp_path):
    """.tflite and .onnx have a file for each width, with weights of its own."""
    found = made(prepared, data, "host")
    folder = found.artifact.write(tmp_path / "widths")
    sizes = [len(found.artifact.files[f"stage_{number}.tflite"]) for number in range(3)]
    assert sizes == sorted(sizes) and "shared.c" not in found.artifact.files
    for level in found.report.levels:
        held = open_artifact(folder, level.cost)
        score = evaluate(held, None, "tflite", set_exam(held, data)).evaluation
        assert score.value == pytest.approx(level.test.value, abs=0.005)


@pytest.mark.parametrize("isa", ["", "armv6-m", "armv7e-m", "rv32imac"])
def test_weights_are_in_flash_once(prepared, data, isa):
    chain = made(prepared, data, "host").chain
    source = write_chain(chain, machine=Machine(isa))
    alone = [write_c(each, machine=Machine(isa)) for each in chain.stages]
    assert source.weight_bytes < sum(each.weight_bytes for each in alone) - 16 * 16
    assert source.arena_bytes < alone[-1].arena_bytes + 16 * 16 + 64, "and what is fetched"


@pytest.mark.emulated
def test_a_board_answers_as_the_host_at_each_level(prepared, data):
    """Bit for bit, and for little more than the network alone."""
    profile, test = load_target("cortex_m4_qemu"), load_samples(data).split("test").take(40)
    found = made(prepared, data, "cortex_m4_qemu")
    assert "shared.c" in found.artifact.files
    for level in found.report.levels:
        held = held_to(found.artifact, level.cost, profile)
        told = on_device(found._replace(artifact=held), test)
        assert (told.same_path, told.same_logits) == (1.0, 1.0) and told.most <= level.cost
        assert level.alone < level.cost < 1.6 * level.alone


@pytest.mark.emulated
def test_a_core_that_keeps_weights_and_scales_in_one_array_says_so(prepared, data):
    """MVE kernels read one stream of both."""
    found = made(prepared, data, "cortex_m55_qemu")
    assert NOT_SHARED in found.artifact.manifest.notes and "shared.c" not in found.artifact.files
    told = on_device(found, load_samples(data).split("test").take(8))
    assert (told.same_path, told.same_logits) == (1.0, 1.0)


def test_edge_build_makes_it_by_a_recipe(graph, data, tmp_path):
    model = cascade_nets.written(tmp_path, graph)
    recipe, out = tmp_path / "recipe.toml", tmp_path / "chain"
    recipe.write_text("[widths]\nshares = [1.0, 0.5, 0.25]\n[train]\nepochs = 4\n"
                      "learning_rate = 3e-3\n")
    code, _, told = edge("build", model, "--target", "cortex_m4_qemu", "--data", data, "--recipe", recipe,
                         "--out", out)
    artifact = read_artifact(out)
    assert code == 0 and "width 0.25: 160 MACs" in told and "level 2, width 1:" in told
    assert {"stage_0.c", "stage_2.c", "shared.c", "levels.json", "recipe.toml"} <= artifact.files.keys()
    assert "stage 1: reads 384 bytes of its constants in larger levels', and has " in told
    assert at_budget(artifact, artifact.manifest.chain.levels.costs[0]).manifest.chain.level == 0


def test_the_same_recipe_gives_the_same_artefact(graph, data, prepared):
    again = prepare(graph, Recipe(widths=WIDTHS, train=TRAIN), load_samples(data), load_target("host"))
    samples, profile = load_samples(data), load_target("host")
    assert [each.digest for each in again.narrower] == [each.digest for each in prepared.narrower]
    assert build(again, profile, samples).digest == build(prepared, profile, samples).digest


def test_in_float_each_is_a_network_of_its_own(graph, data):
    recipe = Recipe(widths=WIDTHS, train=TRAIN, quantize=QuantSpec(scheme="float32"))
    prepared = prepare(graph, recipe, load_samples(data), load_target("host"))
    artifact = build(prepared, load_target("host"), load_samples(data))
    assert artifact.manifest.scheme == "float32" and len(artifact.manifest.chain.stages) == 3
    assert not any("reads" in note for note in artifact.manifest.notes)


def test_names():
    assert names_of(WidthsConfig(shares=(0.25, 1.0, 0.75))) == ["width 1", "width 0.75", "width 0.25"]


@pytest.mark.parametrize("shares, message", [
    ((1.0, 0.5, 0.45), r"shares = 0.5 and 0.45 keep the same channels, in whole steps; leave one out"),
    ((1.0, 0.99), r"shares = 0.99 keeps all channels: its groups have 32, 32 in steps of 4")])
def test_shares_that_come_to_the_same(graph, data, shares, message):
    recipe = Recipe(widths=WidthsConfig(shares=shares), train=TRAIN)
    with pytest.raises(BadInput, match=message):
        prepare(graph, recipe, load_samples(data), load_target("host"))


def test_what_keeps_all_its_channels(graph, data):
    """`keep`, and a multiple of one's own."""
    config = WidthsConfig(shares=(1.0, 0.3), keep=(graph.ops[0].name,), channel_multiple=1)
    recipe = Recipe(widths=config, train=TrainConfig(epochs=1))
    found = prepare(graph, recipe, load_samples(data), load_target("host")).narrower[0]
    assert [each.shape for each in weights(found)] == [(32, 8), (10, 32), (4, 10)]


def test_without_samples(graph):
    with pytest.raises(BadSamples, match=r"\[train\] needs samples"):
        prepare(graph, Recipe(widths=WIDTHS, train=TRAIN), None, load_target("host"))


def test_samples_that_cannot_tell_what_a_width_is_worth(graph, tmp_path):
    """Refused before anything is trained."""
    path = cascade_nets.samples(tmp_path / "samples.npz", split=None)
    told = []
    with pytest.raises(BadSamples, match="'train'|labelled samples that neither calibrate nor test"):
        prepare(graph, Recipe(widths=WIDTHS, train=TRAIN), load_samples(str(path)), load_target("host"),
                told.append)
    assert not any("tuning" in line for line in told)


def test_a_network_of_several_outputs(graph, data):
    """Refused before anything is trained: no level has them."""
    more, told = replace(graph, outputs=(*graph.outputs, graph.ops[0].name)), []
    with pytest.raises(Unsupported, match="has 2 outputs"):
        prepare(more, Recipe(widths=WIDTHS, train=TRAIN), load_samples(data), load_target("host"),
                told.append)
    assert not any("tuning" in line for line in told)


def test_a_network_that_is_quantized_already(prepared, data):
    with pytest.raises(Unsupported, match="already quantized"):
        prepare(prepared.graph, Recipe(widths=WIDTHS, train=TRAIN), load_samples(data), load_target("host"))


@pytest.mark.parametrize("shares", [(0.5, 0.25), (1.0, 0.5, 0.5)])
def test_shares_without_the_network_itself_or_twice(shares):
    with pytest.raises(BadConfig, match=r"\[widths\] shares = \[.*\]: give 1.0, which is the network itself"):
        WidthsConfig(shares=shares)


def test_widths_are_trained():
    with pytest.raises(BadConfig, match=r"\[widths\] trains all widths together; say how in \[train\]"):
        Recipe(widths=WIDTHS)


@pytest.mark.parametrize("recipe, message", [
    ({"qat": QatConfig(epochs=1)}, r"\[qat\]"), ({"metric": "mse"}, 'metric = "mse"'),
    ({"exits": ExitsConfig(after=("a",), cost=0.5)}, r"\[exits\]"),
    ({"quantize": QuantSpec(equalise=True)}, r"\[quantize\] equalise"),
    ({"quantize": QuantSpec(accuracy_drop=1.0)}, r"\[quantize\] accuracy_drop")])
def test_what_is_of_one_network(recipe, message):
    with pytest.raises(BadConfig, match=rf"one set of weights for all widths, and {message} is of one netw"):
        Recipe(widths=WIDTHS, train=TRAIN, **recipe)


def test_labels_beside_widths_are_fine():
    assert Recipe(widths=WIDTHS, train=TRAIN, input=InputConfig(labels=("x", "y"))).widths
