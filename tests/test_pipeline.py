"""The flow as a whole, where stages meet."""

from dataclasses import replace
import re

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.quantize.nets import Net, samples_of
from toolchain.data import Samples
from toolchain.errors import BadConfig, BadInput, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.load import load
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import build_model, prepare
from toolchain.profile import load_target
from toolchain.recipe import QatConfig, QuantSpec, Recipe, TFLiteConfig, TrainConfig, load_recipe
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime
from toolchain.train import checkpoint as checkpoint_module
from toolchain.train.checkpoint import Checkpoint


@pytest.mark.oracle
@pytest.mark.emulated
def test_a_quantized_file_with_reals_between_codes_becomes_c(tmp_path):
    """Float inputs and outputs, and a hard swish on reals: all of it is integers on a microcontroller."""
    b, quant = Builder("net"), QuantParams(0.05, -20)
    weight = b.constant("w", np.arange(-6, 6, dtype=np.int8).reshape(2, 1, 2, 3), QuantParams(0.1, 0))
    bias = b.constant("b", np.array([3, -4], np.int32), QuantParams(np.float32(0.05) * np.float32(0.1), 0,
                                                                     dtype="int32"))
    x = b.op("conv2d", [b.input("x", (1, 3, 4, 3), "int8", quant), weight, bias], "conv", quant=quant)
    graph = b.graph(b.op("hard_swish", [x], "y", quant=quant))
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(graph, io="float32"))
    artifact = build_model(str(path), load_target("cortex_m4_qemu"), Recipe(), None)
    assert artifact.manifest.scheme == "static_wi8_ai8"
    assert [port.dtype for port in artifact.manifest.inputs["c"]] == ["int8"]


def test_a_computed_exponent_between_codes_stays_on_reals_and_c_says_so(tmp_path):
    b, quant = Builder("net"), QuantParams(0.05, -128)
    x = b.input("x", (1, 4), "int8", quant)
    reals = b.op("dequantize", [x], "x.float")
    power = b.op("pow", [reals, b.op("exp", [reals], "e")], "power")
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(b.graph(b.op("quantize", [power], "y", quant=quant, dtype="int8"))))
    with pytest.raises(Unsupported, match="power.*C is integer only"):
        build_model(str(path), load_target("cortex_m4_qemu"), Recipe(), None)


def test_what_looks_wrong_with_the_samples_is_said_before_they_calibrate():
    net, told = Net(), []
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    samples = samples_of(graph)
    samples.x["x"][:] = samples.x["x"][0]
    prepare(graph, Recipe(), samples, say=told.append)
    assert told[0].startswith("error: all 32 samples are the same")
    assert told[1].startswith("calibrating with")


def test_the_recipe_that_accuracy_control_found_is_printed(tmp_path):
    net, told = Net(), []
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    samples = replace(samples_of(graph), splits=np.repeat(["calibration", "selection"], 16))
    asked = Recipe(metric="agreement", seed=3, quantize=QuantSpec(equalise=True, accuracy_drop=100.0))
    found = prepare(graph, asked, samples, say=told.append)
    heading, printed = next(line for line in told if "recipe that holds" in line).split("\n", 1)
    (tmp_path / "recipe.toml").write_text(printed)
    assert load_recipe(tmp_path / "recipe.toml") == found.recipe != asked


@pytest.fixture
def trainable(tmp_path, monkeypatch):
    """(a model, samples for it); training writes a checkpoint after each step."""
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_module, "SHARE", 1e9)
    net, rng = Net(), np.random.default_rng(0)
    x = net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv", activation="relu")
    x = net.op("mean", [x], "mean", axes=(1, 2))
    model, data = tmp_path / "net.tflite", tmp_path / "data.npz"
    model.write_bytes(write_tflite(net.graph(net.dense(x, 3, "logits"))))
    np.savez(data, x=rng.normal(size=(48, 6, 6, 2)).astype(np.float32), y=np.arange(48) % 3,
             split=np.repeat(["train", "calibration"], 24))
    return str(model), str(data)


def built(trainable, recipe, unfinished=None):
    return build_model(trainable[0], load_target("host"), recipe, trainable[1], unfinished=unfinished)


def test_a_killed_build_goes_on_where_its_training_was(trainable, tmp_path, monkeypatch):
    """Stopped after each checkpoint in turn, of [train] and of [qat]."""
    recipe = Recipe(train=TrainConfig(epochs=2), qat=QatConfig(epochs=2))
    whole, folder = built(trainable, recipe).digest, tmp_path / "unfinished"
    write, stops = Checkpoint.write, 0

    def once(self, state):
        write(self, state)
        raise KeyboardInterrupt
    while True:
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "write", once)
            try:
                artifact = built(trainable, recipe, folder)
                break
            except KeyboardInterrupt:
                stops += 1
                assert folder.is_dir()
        with pytest.raises(BadInput, match="run of another model, recipe or target"):
            built(trainable, Recipe(train=TrainConfig(epochs=3)), folder)
    assert artifact.digest == whole and stops == 4 and not folder.exists()


def test_a_build_that_ends_with_an_error_leaves_nothing_to_go_on_with(trainable, tmp_path):
    recipe = Recipe(train=TrainConfig(epochs=1), qat=QatConfig(epochs=1, learning_rate=1000.0))
    with pytest.raises(BadInput, match=r"lower \[qat\] learning_rate"):
        built(trainable, recipe, tmp_path / "unfinished")
    assert not (tmp_path / "unfinished").exists()


def test_what_is_quantized_cannot_be_trained(tmp_path):
    b, quant = Builder("net"), QuantParams(0.05, 0)
    path = tmp_path / "net.tflite"
    y = b.op("relu", [b.input("x", (1, 4), "int8", quant)], "y", quant=quant)
    path.write_bytes(write_tflite(b.graph(y)))
    with pytest.raises(Unsupported, match="already quantized: it cannot be pruned or trained"):
        build_model(str(path), load_target("host"), Recipe(qat=QatConfig(epochs=1)), None)


@pytest.fixture(scope="module")
def words():
    """A model file of tokens -> embedding -> attention, and samples for it."""
    b, rng = Builder("words"), np.random.default_rng(0)
    table = b.constant("table", rng.standard_normal((10, 8)).astype(np.float32))
    x = b.op("gather", [table, b.input("tokens", (1, 6), "int32")], "embedded", axis=0)
    shares = b.op("softmax", [b.op("batch_matmul", [x, x], "scores", transpose_b=True)], "shares")
    graph = b.graph(b.op("mean", [b.op("batch_matmul", [shares, x], "values")], "y", axes=(1,)))
    tokens = rng.integers(0, 10, (16, 6), np.int32)
    return write_tflite(graph), Samples("words", {"tokens": tokens}, None, None, np.arange(16))


@pytest.mark.oracle
@pytest.mark.parametrize("scheme, islands", [("float32", "auto"), ("static_wi8_ai8", "auto"),
                                             ("static_wi8_ai8", "needed")])
def test_tokens_go_in_as_whole_numbers_in_every_format(words, scheme, islands, tmp_path, monkeypatch):
    model, samples = words
    (path := tmp_path / "words.tflite").write_bytes(model)
    monkeypatch.setattr("toolchain.pipeline.load_samples", lambda data: samples)
    recipe = Recipe(quantize=QuantSpec(scheme=scheme), tflite=TFLiteConfig(islands=islands))
    given = "words" if scheme != "float32" else None
    artifact = build_model(str(path), load_target("host"), recipe, given)
    assert {port.dtype for fmt in ("tflite", "onnx") for port in artifact.manifest.inputs[fmt]} == {"int32"}
    tokens = artifact.vectors["input/tokens"]
    assert tokens.dtype == np.int32 and 0 <= tokens.min() and tokens.max() < 10
    told = any("2 batch_matmul, 1 softmax" in note for note in artifact.manifest.notes)
    assert told == (scheme != "float32" and islands == "auto")
    for runtime, file in ((LiteRT, "model.tflite"), (OnnxRuntime, "model.onnx")):
        found = runtime(artifact.files[file]).run({"tokens": tokens})["y"]
        exact = artifact.vectors["output/y"]
        if found.dtype == exact.dtype:
            np.testing.assert_allclose(found.astype(float), exact, atol=1 if found.dtype == np.int8 else 1e-5)


@pytest.mark.oracle
def test_tokens_go_into_c_as_whole_numbers(words, tmp_path):
    model, samples = words
    (path := tmp_path / "words.tflite").write_bytes(model)
    codes = prepare(load(str(path)), Recipe(), samples).graph
    compiled, = compile_graphs([codes], tmp_path, ("-O2",))
    feeds = {"tokens": samples.x["tokens"]}
    assert np.array_equal(compiled.run(feeds)["y"], reference.run(codes, feeds)["y"])


def test_islands_are_of_integer_networks():
    with pytest.raises(BadConfig, match=re.escape(
            '[tflite] islands = "needed" is of integer networks and would do nothing with [quantize] scheme '
            '= "float32"; leave it out')):
        Recipe(quantize=QuantSpec(scheme="float32"), tflite=TFLiteConfig(islands="needed"))
