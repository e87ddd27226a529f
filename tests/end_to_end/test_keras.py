"""The Keras door with TensorFlow itself: what Keras 2 and 3 save goes in; what is hostile does not."""

import os

import numpy as np
import pytest

from tests.keras_models import make_models
from tests.random_nets import noise
from toolchain.errors import BadModel, ToolchainError, Unsupported
from toolchain.ir.graph import Graph
from toolchain.load import keras, load
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT

pytestmark = [pytest.mark.slow, pytest.mark.oracle]


@pytest.fixture(scope="module")
def models(kit, tmp_path_factory):
    """Folder of good/ and hostile/ models."""
    if not keras.PYTHON.is_file():
        message = f"no {keras.PYTHON.parents[1].name}; `make setup-tensorflow` makes it"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    folder = tmp_path_factory.mktemp("keras")
    make_models(keras.PYTHON, folder, kit / "models" / "pretrainedResnet.h5")
    (folder / "hostile" / "written").unlink(missing_ok=True)
    return folder


@pytest.fixture
def starts(monkeypatch):
    """How often TensorFlow was started."""
    tasks, start = [], keras._tensorflow
    monkeypatch.setattr(keras, "_tensorflow", lambda task, *rest: tasks.append(task) or start(task, *rest))
    return tasks


def assert_is_the_kits(graph: Graph, kit) -> None:
    """Written as .tflite, it computes in LiteRT what the kit's file does, within 1e-5."""
    theirs = LiteRT((kit / "models" / "pretrainedResnet.tflite").read_bytes())
    x = noise(graph, 20)[graph.inputs[0]]
    (ours,) = LiteRT(write_tflite(graph)).run({graph.inputs[0]: x}).values()
    (expected,) = theirs.run({theirs.inputs[0].name: x}).values()
    assert ours.shape == (20, 10) and ours.std() > 0.01
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_the_kits_h5(kit, models, starts):
    graph = load(kit / "models" / "pretrainedResnet.h5")
    assert_is_the_kits(graph, kit)
    assert starts == ["convert"], "TensorFlow starts once a load"
    assert graph.source.format == "keras" and graph.source.worst_error < 1e-5
    assert graph.source.notes == ("batch of input_1 bound to 1",)
    assert (graph.name, graph.inputs, graph.outputs) == ("pretrainedResnet", ("input_1",), ("dense",))
    assert [op.name for op in graph.ops][:5] == ["activation", "activation_1", "batch_normalization_2",
                                                 "activation_2", "activation_3"]
    assert {"conv2d_8/kernel", "conv2d_8/bias", "dense/kernel", "dense/bias"} <= graph.tensors.keys()


def test_the_kits_h5_as_a_saved_model(kit, models):
    graph = load(models / "good" / "resnet")
    assert_is_the_kits(graph, kit)
    assert (graph.name, graph.inputs, graph.outputs) == ("resnet", ("input_1",), ("output_0",))


@pytest.mark.parametrize("name", ["branches.keras", "old.h5", "old.keras", "old_saved", "branches"])
def test_a_network_with_branches(models, name):
    """By Keras 3 and 2, as a file and as a SavedModel; the self-check compares with Keras itself."""
    graph = load(models / "good" / name)
    assert graph.source.worst_error < 1e-5
    assert set(graph.inputs) == {"image", "extra"} and len(graph.outputs) == 3
    assert [op.kind for op in graph.ops].count("fully_connected") == 4
    if name != "branches":  # Keras 3 writes other names into a SavedModel's scopes
        assert graph.outputs == ("classes", "offset", "shared")
        assert {"stem_relu", "depthwise", "sum", "pool", "block/mix", "join"} <= graph.tensors.keys()


def test_keras_2_and_3_give_the_same_graph(models):
    """Same weights, same names; only the fusing of batch norm may round otherwise."""
    new, old = (load(models / "good" / name) for name in ("branches.keras", "old.h5"))
    feeds = noise(new, 5)
    ours, theirs = (LiteRT(write_tflite(graph)).run(feeds) for graph in (new, old))
    for name in new.outputs:
        assert ours[name].std() > 1e-3
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def test_tensorflow_functions_called_by_name(models):
    assert [op.kind for op in load(models / "good" / "symbols.h5").ops] == ["mul", "sub"]


def test_whole_numbers_in(models):
    graph = load(models / "good" / "tokens.keras")
    assert graph.tensors["tokens"].dtype == "int32" and "gather" in [op.kind for op in graph.ops]


def test_an_example_is_judged_by_keras_too(models, starts):
    source = models / "good" / "branches.keras"
    rng = np.random.default_rng(5)
    example = {"image": rng.random((1, 16, 16, 3), np.float32), "extra": np.ones((1, 8), np.float32)}
    assert load(source, example).source.worst_error < 1e-5
    assert starts == ["convert", "predict"]


HOSTILE = {
    "lambda.keras": "'twice': Lambda brings its Python code along",
    "lambda.h5": "'twice': Lambda brings its Python code along",
    "symbol.h5": "tf.io.gfile.remove is not called",
    "system.keras": "'dense': system (module os) is not Keras' own",
    "fetch.keras": "'dense': function (module keras.utils) is not Keras' own",
    "unknown.keras": "Could not deserialize 'keras.layers.Nothing'",
    "linked.h5": "'model_weights' is in another file, 'plain.h5'",
    "bomb.h5": "4,398,046,511,104 bytes of weights",
    "half.keras": "layers fc, out compute in 16 bits",
    "open.keras": "shape (None, None, None, 3) must have a batch and be fixed beyond it",
    "writes": "op WriteFile in __inference_",
    "reads": "op ReadFile in __inference_",
    "prints": "op PrintV2 in __inference_",
    "python": "op EagerPyFunc in __inference_",
    "table": "op InitializeTableFromTextFileV2 in __inference_",
    "special": "op 0 CUSTOM Erfinv 'y': no row for this operator",
}
DAMAGED = {
    "huge.keras": "needs more memory for it than a model of its size may take",
    "only.weights.h5": "holds weights but no model; save the whole model",
    "cut_plain.keras": "is not a .keras archive",
    "cut_plain.h5": "is not an HDF5 file that can be read",
    "cut": "its saved_model.pb cannot be read",
    "no_variables": "TensorFlow fails on it: ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_run_or_has_no_row(models, name):
    with pytest.raises(Unsupported) as refused:
        load(models / "hostile" / name)
    assert str(refused.value).startswith(str(models / "hostile" / name))
    assert HOSTILE[name] in str(refused.value)
    assert not (models / "hostile" / "written").exists()


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged(models, name):
    with pytest.raises(BadModel) as refused:
        load(models / "hostile" / name)
    assert DAMAGED[name] in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["plain.keras", "plain.h5"])
def test_flipped_bytes_are_one_message_or_the_same_network(models, tmp_path, name):
    whole, rng = bytearray((models / "hostile" / name).read_bytes()), np.random.default_rng(3)
    for trial in range(3):
        flipped = whole.copy()
        for place in rng.integers(0, len(whole), 20):
            flipped[place] ^= int(rng.integers(1, 256))
        path = tmp_path / f"{trial}.{name}"
        path.write_bytes(flipped)
        try:
            load(path)
        except ToolchainError as error:
            assert str(error).startswith(str(path))
