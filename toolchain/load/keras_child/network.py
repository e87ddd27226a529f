"""A Keras model or SavedModel as a function of batch 1, run and turned into a .tflite file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import importlib
import json
from pathlib import Path
from types import ModuleType
import zipfile

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from untrusted import EXPORT, Damaged, Refused

UNKNOWN = ("Could not locate", "Could not deserialize", "Unknown layer", "Unknown object")
"""What Keras says of objects that it does not know."""
HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Network:
    """What a file computes.

    call:    tensors in the order of `inputs` -> tensors in the order of `outputs`, both names
    specs:   shapes, the batch 1, and dtypes of the inputs
    layers:  name scope that `call` opens for a layer -> the layer's path; empty for a SavedModel
    notes:   what was bound or chosen, in words
    owner:   keeps the variables alive
    """

    call: Callable[..., list]
    inputs: tuple[str, ...]
    specs: tuple[tf.TensorSpec, ...]
    outputs: tuple[str, ...]
    layers: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    owner: object = None


def open_network(path: Path) -> Network:
    """Load what `untrusted.check` let through. Raises Damaged and Refused."""
    if path.is_dir():
        return _saved_model(tf.saved_model.load(str(path)))
    keras = _keras_for(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        if str(error).startswith(UNKNOWN):
            raise Refused(f"{str(error).split('. ')[0]}; {EXPORT}") from None
        raise
    return _keras_model(model, isinstance(model, keras.Sequential))


def _keras_for(path: Path) -> ModuleType:
    """Keras 3 for what it wrote; Keras 2, tf_keras today, for older files, which Keras 3 takes in part."""
    import h5py

    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            version = json.loads(archive.read("metadata.json")).get("keras_version")
    else:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version")
    return importlib.import_module("keras" if str(version).startswith("3.") else "tf_keras")


def run(network: Network, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What Keras or TensorFlow itself computes, op by op, not through the converter."""
    return [value.numpy() for value in network.call(*map(tf.constant, feeds))]


def converted(network: Network) -> tuple[bytes, list[str]]:
    """A float .tflite file with the network's variables as constants, and the graph's nodes in order.

    Inputs and outputs are in the network's order. Ops without a builtin become custom ops, which the TFLite
    door lists by name.
    """
    traced = tf.function(network.call, input_signature=network.specs, autograph=False)
    frozen = convert_variables_to_constants_v2(traced.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.allow_custom_ops = True
    return converter.convert(), [node.name for node in frozen.graph.get_operations()]


def _keras_model(model, is_sequential: bool) -> Network:
    if not getattr(model, "inputs", None):
        raise Damaged(f"the shape of its input is unknown; call the model once, or begin it with "
                      f"keras.Input(...), and save it again (it is a {type(model).__name__})")
    layers = _scoped(model)
    if half := [layer.name for layer in model.layers if getattr(layer, "compute_dtype", "") in HALF]:
        raise Refused(f"layers {', '.join(half)} compute in 16 bits; build the model with the dtype policy "
                      f"float32, load these weights into it, and save that")
    names = _unique([tensor.name for tensor in model.inputs])
    specs, notes = _batch_one(dict(zip(names, model.inputs)))

    def call(*values):
        taken = values[0] if len(values) == 1 else tf.nest.pack_sequence_as(model.input, list(values))
        return tf.nest.flatten(model(taken, training=False))

    return Network(call, tuple(names), specs, _output_names(model, is_sequential), layers, notes, model)


def _output_names(model, is_sequential: bool) -> tuple[str, ...]:
    """In the order of tf.nest.flatten, which sorts a dict's keys."""
    count = len(model.outputs)
    if is_sequential:
        return (model.layers[-1].name,)
    if isinstance(model.output, dict) and len(model.output) == count:
        return tuple(sorted(model.output))
    names = model.output_names
    return tuple(_unique(names if len(names) == count else [f"output_{i}" for i in range(count)]))


def _unique(names: Sequence[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name}.{i}" for i, name in enumerate(names)]


def _scoped(model) -> dict[str, str]:
    """Let every layer open a name scope of its own, so that each node tells its layer; scope -> path.

    Keras' own scopes are made unique by a number, which cannot be told from a layer's.
    """
    layers: dict[str, str] = {}
    seen, waiting = set(), [(model, "")]
    while waiting:
        parent, path = waiting.pop()
        for layer in getattr(parent, "operations", None) or getattr(parent, "layers", ()):
            if id(layer) not in seen:
                scope = f"layer{len(seen)}"
                seen.add(id(layer))
                layers[scope] = f"{path}{layer.name}"
                layer.call = _in_scope(layer.call, f"{scope}/")
                waiting.append((layer, f"{path}{layer.name}/"))
    return layers


def _in_scope(call: Callable, scope: str) -> Callable:
    def scoped(*args, **kwargs):
        with tf.name_scope(scope):
            return call(*args, **kwargs)

    return scoped


def _saved_model(loaded) -> Network:
    name = _signature(sorted(loaded.signatures))
    signature = loaded.signatures[name]
    inputs, outputs = signature.structured_input_signature[1], tuple(sorted(signature.structured_outputs))
    specs, notes = _batch_one(inputs)

    def call(*values):
        found = signature(**dict(zip(inputs, values)))
        return [found[output] for output in outputs]

    others = sorted({*loaded.signatures} - {name, "serve"})
    notes += (f"signature {name} taken, not {', '.join(others)}",) if others else ()
    return Network(call, tuple(inputs), specs, outputs, {}, notes, loaded)


def _signature(names: Sequence[str]) -> str:
    """The one to take. Raises Refused."""
    if "serving_default" in names:
        return "serving_default"
    if len(names) != 1:
        raise Refused(f"signatures: {', '.join(names) or 'none'}; it needs 'serving_default', or just one: "
                      f"tf.saved_model.save(..., signatures={{'serving_default': ...}})")
    return names[0]


def _batch_one(inputs: Mapping[str, object]) -> tuple[tuple[tf.TensorSpec, ...], tuple[str, ...]]:
    """Each input's spec with the batch bound to 1, and a note of those it was bound for. Raises Refused."""
    shapes = {name: tf.TensorShape(tensor.shape) for name, tensor in inputs.items()}
    if problems := [f"input '{name}': shape {shape} must have a batch and be fixed beyond it, such as "
                    f"(None, 224, 224, 3); save it so"
                    for name, shape in shapes.items() if not shape.rank or None in shape[1:].as_list()]:
        raise Refused(*problems)
    specs = tuple(tf.TensorSpec([1, *shape[1:]], inputs[name].dtype, f"input{i}")
                  for i, (name, shape) in enumerate(shapes.items()))
    bound = [name for name, shape in shapes.items() if shape[0] != 1]
    return specs, (f"batch of {', '.join(bound)} bound to 1",) if bound else ()
