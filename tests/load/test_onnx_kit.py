"""The kit's .onnx file: a pitch tracker whose exporter left its Fourier transforms, and what is framed along
the first axis, as shape arithmetic."""

import numpy as np
import pytest

from tests.load.onnx_models import normal
from toolchain.errors import BadModel
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

RATE = 16_000


def sound() -> dict[str, np.ndarray]:
    """A second of a tone that rises from 150 Hz, and the range to look for it in. With noise, as microphones
    have it: logarithms of next to nothing would be of rounding errors."""
    at = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * (150 + 50 * at) * at) + 0.01 * normal(RATE)
    audio = tone.astype(np.float32)[None]
    return {"audio": audio, "fmin": np.float32([46.875]), "fmax": np.float32([2093.75])}


@pytest.mark.oracle
def test_swift_f0(kit):
    """Self-checked, and the same out of every file that is made of it."""
    graph = canonical(load(kit / "models" / "swift_f0.onnx", sound(), {"audio": (1, RATE)}))
    assert graph.source.worst_error <= 1e-5
    ours = reference.run(graph, sound())
    assert 150 < np.median(ours["pitch"]) < 260
    for session in (OnnxRuntime(write_onnx(graph)), LiteRT(write_tflite(graph))):
        got = session.run(sound())
        for name, expected in ours.items():
            assert np.abs(got[name] - expected).max() <= 1e-5 * np.ptp(expected), name


def test_its_open_size_is_asked_for(kit):
    with pytest.raises(BadModel, match="'audio' has 'samples' at axis 1. Give the sizes: --shape audio=1,"):
        load(kit / "models" / "swift_f0.onnx")
