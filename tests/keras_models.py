"""Keras models and SavedModels for tests, made in TensorFlow's environment: run from here in a child.

The child (`python -I tests/keras_models.py FOLDER [H5]`, in that environment) writes good/ and hostile/;
good/resnet is the given .h5 file as a SavedModel. It imports nothing of ours.
"""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import zipfile


def make_models(python: Path, folder: Path, h5: Path | None = None) -> None:
    """Run the child. Raises RuntimeError with what it wrote."""
    command = [python, "-I", __file__, folder, *([h5] if h5 else [])]
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        raise RuntimeError(f"tensorflow ended with {done.returncode}: {done.stderr.strip()[-1000:]}")


def branches(keras):
    """Two inputs, a branch that is added, a nested model, a layer used twice, three outputs."""
    layers = keras.layers
    image, extra = keras.Input((16, 16, 3), name="image"), keras.Input((8,), name="extra")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(image)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    pooled = layers.MaxPooling2D(name="pool")(layers.Add(name="sum")([x, y]))
    mix = layers.Conv2D(4, 1, activation="relu", name="mix")
    block = keras.Sequential([keras.Input((8, 8, 8)), mix, layers.Flatten(name="flat")], name="block")
    joined = layers.Concatenate(name="join")([block(pooled), extra])
    classes = layers.Dense(5, activation="softmax", name="classes")(joined)
    offset = layers.Dense(3, name="offset")(joined)
    shared = layers.Dense(3, activation="relu", name="shared")
    return keras.Model([image, extra], [classes, offset, shared(shared(offset))], name="branches")


def seeded(keras, model):
    """The same weights everywhere, moving averages that are not the identity."""
    import numpy as np

    rng = np.random.default_rng(7)
    for variable in model.variables:
        value = rng.normal(0, 0.3, variable.shape).astype(np.float32)
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.name else value)
    return model


def good(folder: Path, h5: Path | None) -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    model = seeded(keras, branches(keras))
    model.save(folder / "branches.keras")
    model.export(folder / "branches", verbose=False)
    old = seeded(tf_keras, branches(tf_keras))
    for name in ("old.h5", "old.keras", "old_saved"):
        old.save(folder / name)
    x = tf_keras.Input((4, 4, 2), name="x")
    tf_keras.Model(x, tf.nn.relu(x * 2.0 - 1.0)).save(folder / "symbols.h5")
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    layers = keras.layers
    vectors = layers.Embedding(50, 4, name="table")(tokens)
    scores = layers.Dense(3, name="head")(layers.GlobalAveragePooling1D(name="mean")(vectors))
    seeded(keras, keras.Model(tokens, scores)).save(folder / "tokens.keras")
    if h5:
        keras.models.load_model(h5, compile=False).export(folder / "resnet", verbose=False)


def hostile(folder: Path) -> None:
    import h5py
    import keras
    import tensorflow as tf
    import tf_keras

    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    for name in ("plain.keras", "plain.h5"):
        plain.save(folder / name)
    plain.save_weights(folder / "only.weights.h5")
    twice = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x, name="twice")])
    for name in ("lambda.keras", "lambda.h5"):
        twice.save(folder / name)
    x = tf_keras.Input((4,), name="x")
    tf_keras.Model(x, tf.nn.relu(x)).save(folder / "symbol.h5")
    with h5py.File(folder / "symbol.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"nn.relu"', '"io.gfile.remove"')
    open_ended = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)])
    open_ended.save(folder / "open.keras")
    _edit(folder, "system.keras", lambda layer: layer.update(module="os", class_name="system"))
    fetch = {"module": "keras.utils", "class_name": "function", "config": "get_file"}
    _edit(folder, "fetch.keras", lambda layer: layer["config"].update(activation=fetch))
    _edit(folder, "unknown.keras", lambda layer: layer.update(class_name="Nothing"))
    _edit(folder, "huge.keras", lambda layer: layer["config"].update(units=10**9))
    half = [keras.layers.Dense(2, name=name, dtype="mixed_float16") for name in ("fc", "out")]
    keras.Sequential([keras.Input((4,)), *half]).save(folder / "half.keras")
    with h5py.File(folder / "plain.h5") as whole:
        config = whole.attrs["model_config"]
    with h5py.File(folder / "linked.h5", "w") as file:
        file.attrs["model_config"] = config
        file["model_weights"] = h5py.ExternalLink("plain.h5", "/model_weights")
    with h5py.File(folder / "bomb.h5", "w") as file:
        file.attrs["model_config"] = config
        file.create_dataset("model_weights/dense", (1 << 40,), "f4", chunks=(1024,))
    for name in ("plain.keras", "plain.h5"):
        (folder / f"cut_{name}").write_bytes((folder / name).read_bytes()[:3000])
    _saved_models(folder)


def _edit(folder: Path, name: str, change) -> None:
    """plain.keras with its dense layer's config changed, as `name`."""
    with zipfile.ZipFile(folder / "plain.keras") as whole, zipfile.ZipFile(folder / name, "w") as edited:
        config = json.loads(whole.read("config.json"))
        change(config["config"]["layers"][1])
        for member in whole.namelist():
            edited.writestr(member, json.dumps(config) if member == "config.json" else whole.read(member))


def _saved_models(folder: Path) -> None:
    """Programs that write, read, call Python, fill a table from a file, or have no builtin; and damage."""
    import tensorflow as tf

    written, words = str(folder / "written"), folder / "words.txt"
    words.write_text("a\nb\n")

    def writes(x):
        tf.io.write_file(written, "x")
        return x

    def prints(x):
        tf.print(x, output_stream=f"file://{written}")
        return x

    def calls_python(x):
        return tf.ensure_shape(tf.py_function(lambda value: value, [x], tf.float32), (None, 4))

    programs = {
        "writes": writes, "python": calls_python, "special": lambda x: tf.math.erfinv(x),
        "reads": lambda x: x * tf.cast(tf.strings.length(tf.io.read_file(__file__)), tf.float32),
        "prints": prints}
    for name, program in programs.items():
        _save(folder / name, program)
    table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER), 0)
    _save(folder / "table", lambda x: x + tf.cast(table.size(), tf.float32), table)
    _save(folder / "harmless", lambda x: 2 * x)
    for name, cut in {"cut": "saved_model.pb", "no_variables": "variables/variables.index"}.items():
        shutil.copytree(folder / "harmless", folder / name)
        (folder / name / cut).write_bytes((folder / name / cut).read_bytes()[:40])


def _save(path: Path, program, resource=None) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.resource, module.weight = resource, tf.Variable(1.0)
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    module.call = tf.function(lambda x: {"y": program(x) * module.weight}, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=module.call)


def main(folder: Path, h5: Path | None = None) -> None:
    for name in ("good", "hostile"):
        (folder / name).mkdir()
    good(folder / "good", h5)
    hostile(folder / "hostile")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
