"""The flow of post-training quantization: which stages a recipe runs, and what is done once."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.breaking_net import PLANTED, breaking_net, breaking_swish_net
from toolchain.accuracy_control import judge_of
from toolchain.errors import BadSamples
from toolchain.execution import watch
from toolchain.ir.check import level_of
from toolchain.ir.passes import canonical
from toolchain.ir.quant import RANGE as CODES
from toolchain.post_training import PostTraining, controlled
from toolchain.recipe import CalibrateConfig, QatConfig, QuantSpec, Recipe, SparsifyConfig

MINMAX = CalibrateConfig(observer="minmax")
PLAIN = Recipe(calibrate=MINMAX, quantize=QuantSpec(bias_correction="none"))


@pytest.fixture(scope="module")
def net():
    source, samples, planted = breaking_net()
    return canonical(source), samples, planted


def stages_of(net) -> tuple[PostTraining, list[str]]:
    told = []
    return PostTraining(net[0], net[1], told.append, breaking_net()[0]), told


@pytest.mark.parametrize("spec, said", [
    ({}, []),
    ({"equalise": True}, ["equalising channels"]),
    ({"rounding": "gptq"}, ["choosing the rounding of weights (gptq)"]),
    ({"bias_correction": "empirical"}, ["correcting biases"]),
    ({"bias_correction": "auto"}, ["correcting biases"]),
    ({"bias_correction": "analytic"}, ["correcting biases, by batch norms"]),
], ids=["nothing", "equalise", "gptq", "bias", "auto", "analytic"])
def test_a_recipe_runs_its_stages_and_no_others(net, spec, said):
    stages, told = stages_of(net)
    wanted = QuantSpec(**{"bias_correction": "none"} | spec)
    graph = stages.quantized(Recipe(calibrate=MINMAX, quantize=wanted))
    calibrating = [line for line in told if line.startswith("calibrating with 64 samples (minmax)")]
    assert level_of(graph) == "QUANTIZED" and len(calibrating) == 1
    assert [line for line in told if line not in calibrating] == said
    plain = stages.quantized(PLAIN)
    assert (graph.digest == plain.digest) == (not said)


QAT = QatConfig(epochs=2, learning_rate=1e-2)


def test_quantization_aware_training_takes_the_place_of_what_chooses_codes(net):
    stages, told = stages_of(net)
    graph = stages.quantized(Recipe(calibrate=MINMAX, qat=QAT))
    assert [line.partition(" loss")[0] for line in told] == [
        "calibrating with 64 samples (minmax)", "training for 2 epochs as quantized, ranges learned",
        "epoch 1:", "epoch 2:"]
    assert level_of(graph) == "QUANTIZED" and graph.digest != stages.quantized(PLAIN).digest


def test_what_a_recipe_made_sparse_stays_sparse_in_training(net):
    source, samples, _ = net
    weight = next(t for t in source.constants if len(t.shape) == 4)
    zeros = np.abs(weight.data) < np.median(np.abs(weight.data))
    sparse = source.with_tensors(replace(weight, data=np.where(zeros, np.float32(0), weight.data)))
    recipe = Recipe(calibrate=MINMAX, qat=QAT)
    for section, kept in ((None, False), (SparsifyConfig(sparsity=0.5), True)):
        made = PostTraining(sparse, samples, lambda line: None).quantized(
            msgspec.structs.replace(recipe, sparsify=section))
        assert (not made.tensors[weight.name].data[zeros].any()) == kept


def test_training_needs_samples_for_it(net):
    recipe = Recipe(calibrate=MINMAX, qat=QAT)
    with pytest.raises(BadSamples, match="no samples for 'train', only for calibration, selection, test"):
        stages = PostTraining(net[0], replace(net[1], splits=np.where(
            net[1].splits == "train", "test", net[1].splits)), lambda line: None)
        stages.quantized(recipe)
    with pytest.raises(BadSamples, match="(?s)give --data.*asks for what looks at those of 'train'"):
        PostTraining(net[0], None, lambda line: None, breaking_net()[0]).quantized(recipe)


def test_observers_that_count_share_one_run(net):
    stages, told = stages_of(net)
    recipes = [Recipe(calibrate=CalibrateConfig(observer=name)) for name in ("percentile", "entropy", "mse")]
    shared = [stages.quantized(recipe).digest for recipe in recipes]
    assert [line for line in told if line.startswith("calibrating")] \
        == ["calibrating with 64 samples (percentile)"] and len(set(shared)) == 3
    assert shared == [stages_of(net)[0].quantized(recipe).digest for recipe in recipes]


def test_other_samples_are_another_run(net):
    stages, told = stages_of(net)
    for count in (8, 16):
        stages.quantized(Recipe(calibrate=CalibrateConfig(samples=count)))
    assert [line for line in told if line.startswith("calibrating")] \
        == ["calibrating with 8 samples (mse)", "calibrating with 16 samples (mse)"]


# Accuracy control on a network that default INT8 breaks -----------------------------------------------------

def drop_on_test(net, recipe: Recipe) -> float:
    judge = judge_of(net[0], "top1", net[1].split("test"), watch)
    return judge(PostTraining(net[0], net[1], lambda line: None).quantized(recipe)).drop


def test_the_bound_is_kept_on_samples_that_nothing_was_chosen_on(net):
    assert drop_on_test(net, PLAIN) > 20 and drop_on_test(net, Recipe()) > 5
    found = controlled(stages_of(net)[0], Recipe(quantize=QuantSpec(accuracy_drop=0.5)), integer_only=False)
    assert found.judgement.drop <= 0.5 and drop_on_test(net, found.recipe) <= 1.0


@pytest.mark.parametrize("integer_only, island", [(True, "int16"), (False, "float32")])
def test_islands_repair_what_nothing_else_may(net, integer_only, island, monkeypatch):
    """Without the rungs that cost nothing, a few of the most sensitive ops get wider numbers."""
    for rung in ("observers", "equalised", "bias_corrected", "rounded"):
        monkeypatch.setattr(f"toolchain.accuracy_control.{rung}", lambda recipe: iter(()))
    found = controlled(stages_of(net)[0], Recipe(quantize=QuantSpec(accuracy_drop=1.0)), integer_only)
    islands = found.recipe.quantize.islands
    assert net[2] in islands and set(islands.values()) == {island} and len(islands) <= 3
    assert drop_on_test(net, found.recipe) <= 2.0
    dtypes = {t.dtype for t in found.graph.activations}
    assert ("int16" in dtypes) == integer_only and dtypes <= {*CODES, "float32"}


@pytest.mark.parametrize("integer_only, island", [(True, "int16"), (False, "float32")])
def test_what_equalising_cannot_repair_islands_do(integer_only, island):
    source, samples, _ = breaking_swish_net()
    net = canonical(source), samples
    stages = PostTraining(*net, lambda line: None, source)
    found = controlled(stages, Recipe(quantize=QuantSpec(accuracy_drop=1.0)), integer_only)
    assert found.recipe.quantize.islands == dict.fromkeys((PLANTED, f"{PLANTED}.hard_swish"), island)
    assert drop_on_test(net, Recipe()) > 20 and drop_on_test(net, found.recipe) <= 1.0


@pytest.mark.parametrize("samples", [None, "unsplit"])
def test_selection_needs_samples_of_its_own(net, samples):
    stages = PostTraining(net[0], samples and replace(net[1], splits=None), lambda line: None)
    with pytest.raises(BadSamples, match="accuracy_drop selects on samples that calibrate nothing"):
        controlled(stages, Recipe(quantize=QuantSpec(accuracy_drop=1.0)), integer_only=False)


def test_training_as_quantized_wins_back_more_than_half(net):
    """Of what INT8 loses without treatments; more than default treatments do."""
    left = drop_on_test(net, Recipe(qat=QatConfig(epochs=6, learning_rate=3e-3)))
    assert left < drop_on_test(net, PLAIN) / 2 and left < drop_on_test(net, Recipe())


def test_the_found_recipe_makes_the_same_network_again(net):
    recipe = Recipe(quantize=QuantSpec(accuracy_drop=0.5))
    found = controlled(stages_of(net)[0], recipe, integer_only=False)
    again = msgspec.convert(msgspec.to_builtins(found.recipe), Recipe)
    assert stages_of(net)[0].quantized(again).digest == found.graph.digest


# Without samples --------------------------------------------------------------------------------------------

RANGE = CalibrateConfig(input_range=(-3.5, 3.5))


def data_free(net, **quantize) -> float:
    """The drop on test samples of what batch norms alone have quantized."""
    source, samples, _ = breaking_net()
    stages = PostTraining(net[0], None, lambda line: None, source)
    graph = stages.quantized(Recipe(calibrate=RANGE, quantize=QuantSpec(**quantize)))
    return judge_of(net[0], "top1", samples.split("test"), watch)(graph).drop


def test_batch_norms_serve_where_samples_are_missing(net):
    """With channels equalised, as Nagel et al. 2019 do it, the network keeps what it can do."""
    assert data_free(net) > 20
    assert data_free(net, equalise=True) < 3
    assert data_free(net, equalise=True, bias_correction="analytic") < 3


@pytest.mark.parametrize("recipe, why", [
    (Recipe(), r"x: an input of unknown range; set \[calibrate\] input_range"),
    (Recipe(calibrate=RANGE, quantize=QuantSpec(rounding="gptq")), "rounding or bias_correction looks at"),
])
def test_what_takes_samples_after_all_says_so(net, recipe, why):
    stages = PostTraining(net[0], None, lambda line: None, breaking_net()[0])
    with pytest.raises(BadSamples, match=f"give --data .*Without samples: .*(?s:.*){why}"):
        stages.quantized(recipe)
