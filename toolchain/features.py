"""The network whose features sets of outputs are compared in: a float .tflite that goes with the artefact."""

import numpy as np

from toolchain.errors import BadSamples, about
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.metric import Embed

FEATURES_FILE = "features.tflite"


def features_file(spec: str) -> bytes:
    """A model, as `load` takes it, in float. Raises Unsupported, and what loading does."""
    from toolchain.lower.tflite import write_tflite

    with about(spec):
        return write_tflite(canonical(load(spec)), integer_only=True, origin=False)


def embedding(spec: str) -> Embed | None:
    """What gives a model's features; None for ""."""
    return embedding_of(features_file(spec)) if spec else None


def embedding_of(model: bytes) -> Embed:
    """Outputs (N, ...) in a graph's layout -> what the .tflite's first output is for them, (N, d).

    Axes of 1 may lie elsewhere: grey images of a recurrent network are channels first.
    """
    from toolchain.runtime.litert import LiteRT

    session = LiteRT(model)
    port, out = session.inputs[0], session.outputs[0].name

    def embed(outputs: np.ndarray) -> np.ndarray:
        own, given = ([size for size in shape if size != 1] for shape in (port.shape[1:], outputs.shape[1:]))
        if len(session.inputs) > 1 or own != given:
            takes = ", ".join(f"{p.name} {p.shape[1:]}" for p in session.inputs)
            raise BadSamples(f"the model of features takes {takes}, but outputs have shape "
                             f"{outputs.shape[1:]}; name one that takes such outputs")
        fed = np.asarray(outputs, port.dtype).reshape(-1, *port.shape[1:])
        return session.run({port.name: fed})[out].reshape(len(outputs), -1)

    return embed
