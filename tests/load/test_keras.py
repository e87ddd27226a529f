"""The Keras door on this side: the process it starts, the names it gives, what needs no TensorFlow to refuse.

TensorFlow's part is played by a small script; tests/end_to_end/test_keras.py has the real one.
"""

import hashlib
import json
from pathlib import Path
import sys
import zipfile

import numpy as np
import pytest

from tests.random_nets import random_net
from toolchain.errors import BadModel, DeviceUnavailable, SelfCheckFailed, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.load import keras, load
from toolchain.load.keras_child import untrusted
from toolchain.load.keras_names import Trace, with_layer_names
from toolchain.load.selfcheck import SEED
from toolchain.load.tflite import load_tflite
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "net.keras"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def child(tmp_path, monkeypatch):
    """child(body): let a Python script stand in for TensorFlow's; it finds `task, model, folder, seed`."""
    def install(body: str) -> None:
        script, python = tmp_path / "child.py", tmp_path / "python"
        script.write_text("import pathlib, sys\n_, _, _, task, model, folder, seed = sys.argv\n"
                          f"folder = pathlib.Path(folder)\n{body}\n")
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        python.chmod(0o755)
        monkeypatch.setenv(keras.PYTHON_VARIABLE, str(python))

    return install


def reporting(**report) -> str:
    return f"(folder / 'report.json').write_text({json.dumps(report)!r})"


def net(stem="layer1", act="layer2", flat="layer3", head="layer4") -> Graph:
    """conv [1,4,4,2] -> [1,4,4,3] with relu6, flattened, fully connected to 5, softmax; as it is converted.

    stem, act, flat, head: name scopes of the four layers
    """
    build, rng = Builder("net"), np.random.default_rng(2)
    x = build.input("input0", (1, 4, 4, 2))
    kernel, bias, weight, offset = (
        build.constant(name, rng.normal(0, 0.2, shape).astype(np.float32)) for name, shape in {
            f"{stem}/convolution": (3, 1, 1, 2), "arith.constant": (3,), f"{head}/MatMul": (5, 48),
            f"{head}/BiasAdd": (5,)}.items())
    fused = f"{stem}/BiasAdd;{act}/Relu6;{stem}/convolution1"
    x = build.op("conv2d", [x, kernel, bias], fused, activation="relu6")
    x = build.op("reshape", [x], f"{flat}/Reshape", shape=(1, 48))
    x = build.op("fully_connected", [x, weight, offset], f"{head}/MatMul;{head}/BiasAdd1")
    return build.graph(build.op("softmax", [x], "Identity"))


def nodes(stem="layer1", act="layer2", flat="layer3", head="layer4") -> tuple[str, ...]:
    """Of the TensorFlow graph that `net` came from."""
    return ("input0", f"{stem}/convolution", f"{stem}/BiasAdd", f"{act}/Relu6", f"{flat}/Reshape",
            f"{head}/MatMul", f"{head}/BiasAdd", f"{head}/Softmax", "Identity")


TRACE = Trace(("image",), ("scores",), nodes(),
              {"layer1": "stem", "layer2": "block/act", "layer3": "flat", "layer4": "scores"})


def test_tensors_are_called_after_the_layers():
    graph = load_tflite(with_layer_names(write_tflite(net()), TRACE), "net")
    assert [(op.kind, op.inputs, op.name) for op in graph.ops] == [
        ("conv2d", ("image", "stem/kernel", "stem/bias"), "block/act"),
        ("reshape", ("block/act",), "flat"),
        ("fully_connected", ("flat", "scores/kernel", "scores/bias"), "scores/BiasAdd"),
        ("softmax", ("scores/BiasAdd",), "scores")]


def test_without_layers_they_are_called_after_the_name_scopes():
    """But for function calls around them and the scope that all are in."""
    around = "StatefulPartitionedCall/StatefulPartitionedCall/model"
    scopes = (f"{around}/stem", f"{around}/act", f"{around}/flat", f"{around}/block/head")
    trace = Trace(("x",), ("y",), nodes(*scopes), {})
    graph = load_tflite(with_layer_names(write_tflite(net(*scopes)), trace), "net")
    assert [op.name for op in graph.ops] == ["act", "flat", "block/head", "y"]
    assert {"stem/kernel", "stem/bias", "block/head/kernel", "block/head/bias"} <= graph.tensors.keys()


@pytest.mark.parametrize("seed", range(5))
def test_renaming_changes_no_output(seed):
    """Names that nothing is known of stay; every name is unique; the arithmetic is the same bit for bit."""
    graph = random_net(seed)
    model = write_tflite(graph)
    named = load_tflite(with_layer_names(model, Trace(("image",), ("image",), (), {})), "net")
    assert named.inputs == ("image",) and named.outputs == ("image.1",)
    x = np.random.default_rng(seed).standard_normal(graph.tensors["x"].shape, np.float32)
    before = reference.run(load_tflite(model, "net"), {"x": x})[graph.outputs[0]]
    assert np.array_equal(before, reference.run(named, {"image": x})["image.1"])


# The process -----------------------------------------------------------------------------------------------

def converting(folder: Path, scale: float = 1.0) -> str:
    """A child that has converted `net` and says its outputs are `scale` times what they are."""
    graph = net()
    x = np.random.default_rng(SEED).standard_normal((1, 4, 4, 2), np.float32)
    y = reference.run(graph, {"input0": x})["Identity"]
    (folder / "made.tflite").write_bytes(write_tflite(graph))
    np.savez(folder / "made.npz", **{"input/image": x, "output/scores": scale * y})
    report = reporting(inputs=TRACE.inputs, outputs=TRACE.outputs, nodes=TRACE.nodes, layers=TRACE.layers,
                       notes=["batch of image bound to 1"])
    return (f"import shutil\nwith open({str(folder / 'tasks')!r}, 'a') as log: log.write(task + ' ')\n"
            f"shutil.copy({str(folder / 'made.tflite')!r}, folder / 'model.tflite')\n"
            f"shutil.copy({str(folder / 'made.npz')!r}, folder / 'seen.npz')\n{report}")


def test_a_model_is_converted_and_checked_in_one_start(child, model, tmp_path):
    child(converting(tmp_path))
    graph = load(model)
    assert (graph.name, graph.inputs, graph.outputs) == ("net", ("image",), ("scores",))
    assert graph.source.format == "keras" and graph.source.notes == ("batch of image bound to 1",)
    assert graph.source.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert graph.source.worst_error < 1e-6
    assert (tmp_path / "tasks").read_text() == "convert "


def test_the_models_own_outputs_judge_the_converter(child, model, tmp_path):
    child(converting(tmp_path, scale=1.01))
    with pytest.raises(SelfCheckFailed, match=r"output scores differs from the source by .*"
                                              r"the first tensor that diverges is scores \(softmax\)"):
        load(model)


def test_another_sample_is_asked_for(child, model, tmp_path):
    child(converting(tmp_path))
    with pytest.raises(SelfCheckFailed):  # this child answers for its own sample only
        load(model, {"image": np.ones((1, 4, 4, 2), np.float32)})
    assert (tmp_path / "tasks").read_text().startswith("convert predict ")


def test_a_folder_is_taken_by_its_files(child, tmp_path):
    """Its digest is of paths and contents, whatever the order and the time they were written."""
    child(converting(tmp_path))
    digests = []
    for name, order in {"one": (0, 1), "two": (1, 0)}.items():
        files = [("saved_model.pb", b"graph"), ("variables/variables.index", b"index")]
        for file, data in (files[i] for i in order):
            path = tmp_path / name / "net" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        graph = load(tmp_path / name / "net")
        assert graph.name == "net" and graph.source.format == "keras"
        digests.append(graph.source.sha256)
    (tmp_path / "two" / "net" / "saved_model.pb").write_bytes(b"other")
    digests.append(load(tmp_path / "two" / "net").source.sha256)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(("body", "error", "message"), [
    (reporting(refused=["op WriteFile: not run", "op ReadFile: not run"]) + "; sys.exit(3)", Unsupported,
     "{model}: 2 unsupported:\n  op WriteFile: not run\n  op ReadFile: not run"),
    (reporting(damaged="is not an archive") + "; sys.exit(3)", BadModel, "{model}: is not an archive"),
    (reporting(missing="tensorflow") + "; sys.exit(3)", DeviceUnavailable,
     "{model}: {python} has no tensorflow; " + keras.INSTALL),
    ("print('noise', file=sys.stderr); raise ValueError('axis 7 of 4.')", BadModel,
     "{model}: TensorFlow fails on it: ValueError: axis 7 of 4; replace what it names, or save it again with "
     "TensorFlow 2.16 or newer"),
    ("raise ValueError('Exception encountered when calling Net\\n\\n\\x1b[1mno axis 7\\x1b[0m')", BadModel,
     "{model}: TensorFlow fails on it: ValueError: no axis 7; replace what it names, or save it again with "
     "TensorFlow 2.16 or newer"),
    ("raise MemoryError", BadModel,
     "{model}: TensorFlow needs more memory for it than a model of its size may take; is a shape too large?"),
    ("import os; print('stack', file=sys.stderr, flush=True); os.kill(os.getpid(), 11)", BadModel,
     "{model}: TensorFlow died of SIGSEGV on it: stack; save it again"),
])
def test_one_message_for_each_end(child, model, tmp_path, body, error, message):
    child(body)
    with pytest.raises(error) as raised:
        load(model)
    assert str(raised.value) == message.format(model=model, python=tmp_path / "python")


def test_a_child_that_hangs_is_ended(child, model, monkeypatch):
    monkeypatch.setattr(keras, "TIMEOUT_S", 0.5)
    child("import time; time.sleep(60)")
    with pytest.raises(BadModel, match="TensorFlow was not done with it after 0.5 s"):
        load(model)


def test_without_tensorflow(model, monkeypatch):
    monkeypatch.setenv(keras.PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(DeviceUnavailable) as raised:
        load(model)
    assert str(raised.value) == (
        f"{model}: Keras models are read by TensorFlow, and there is no /nowhere/python; "
        f"`make setup-tensorflow` installs TensorFlow; or let $EDGE_TENSORFLOW_PYTHON name a python that "
        f"has it")


def test_other_folders_and_empty_files(tmp_path):
    with pytest.raises(Unsupported, match="a folder without saved_model.pb"):
        load(tmp_path)
    (tmp_path / "empty.h5").touch()
    with pytest.raises(BadModel, match="the file is empty"):
        load(tmp_path / "empty.h5")


# What is refused before TensorFlow starts -------------------------------------------------------------------

def layer(**changes) -> dict:
    dense = {"class_name": "Dense", "module": "keras.layers", "config": {"name": "fc"}}
    return {"class_name": "Sequential", "module": "keras", "registered_name": "Sequential",
            "config": {"name": "net", "layers": [dense | changes]}}


@pytest.mark.parametrize("config", [
    layer(), layer(module="keras.src.ops.numpy", class_name="Add"),
    layer(module="tf_keras.src.engine.functional"),
    {"class_name": "Model", "config": {"layers": [{"class_name": "Dense", "config": {"name": "fc"}}]}},
    layer(config={"activation": {"class_name": "function", "module": "builtins", "config": "relu"}}),
    layer(class_name="TFOpLambda", config={"name": "fc", "function": "nn.relu"}),
    {**layer(), "compile_config": {"loss": {"class_name": "Mine", "module": "mine"}}},
])
def test_what_is_keras_own_passes(config):
    untrusted.check_config(config)


@pytest.mark.parametrize(("changes", "found"), [
    ({"class_name": "Lambda"}, "Lambda brings its Python code along"),
    ({"class_name": "TorchModuleWrapper"}, "TorchModuleWrapper brings a pickle along"),
    ({"class_name": "TextVectorization"}, "TextVectorization brings a file of words along"),
    ({"class_name": "system", "module": "os"}, "system (module os) is not Keras' own"),
    ({"class_name": "get_file", "module": "keras.utils"}, "get_file (module keras.utils) is not Keras' own"),
    ({"class_name": "load_model", "module": "keras"}, "load_model (module keras) is not Keras' own"),
    ({"class_name": "x", "module": "keras.layers/../os"}, "is not Keras' own"),
    ({"class_name": "Mine", "module": None}, "Mine (module None) is not Keras' own"),
    ({"registered_name": "pack>Mine"}, "is not Keras' own"),
    ({"class_name": "TFOpLambda", "config": {"name": "fc", "function": "io.write_file"}},
     "tf.io.write_file is not called"),
    ({"config": {"name": "fc", "activation": {"class_name": "__lambda__", "config": {"value": "4wE="}}}},
     "__lambda__ brings its Python code along"),
])
def test_what_brings_code_or_reads_files_is_refused(changes, found):
    with pytest.raises(untrusted.Refused) as refused:
        untrusted.check_config(layer(**changes))
    (item,) = refused.value.items
    assert found in item and item.startswith("'fc': ")


def test_depth_is_no_recursion():
    config = deep = {}
    for _ in range(100_000):
        deep["config"] = deep = {}
    deep.update(class_name="Lambda")
    with pytest.raises(untrusted.Refused, match="Lambda"):
        untrusted.check_config(config)


@pytest.mark.parametrize(("members", "error", "message"), [
    ({"config.json": "{}", "assets/words.txt": "a"}, untrusted.Refused, "'assets/words.txt' in the archive"),
    ({"config.json": "[1]"}, untrusted.Damaged, "its model config is not a JSON object"),
    ({"config.json": "{"}, untrusted.Damaged, "its model config is not JSON"),
    ({"config.json": "[" * 100_000}, untrusted.Damaged, "its model config is not JSON"),
    ({"metadata.json": "{}"}, untrusted.Damaged, "is not a .keras archive"),
])
def test_archives(tmp_path, members, error, message):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    with pytest.raises(error, match=message):
        untrusted.check(path)


def test_an_archive_that_unpacks_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2000))
    with pytest.raises(untrusted.Refused, match="2,000 bytes when unpacked"):
        untrusted.check(tmp_path / "net.keras")
