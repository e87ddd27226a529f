"""There and back: what is read and written again computes the same, in the same runtime."""

import numpy as np
import pytest

from tests.random_nets import random_net
from toolchain.ir.passes import canonical
from toolchain.load import load, open_source
from toolchain.load.tflite_hybrid import with_float_weights
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

TFLITE = ("kws_ref_model", "pretrainedResnet", "pretrainedResnet_quant", "vww_96_float", "vww_96_int8",
          "ad01_fp32", "ad01_int8", "hello_world_int8", "kws_ref_model_float32")
PITCH = {"audio": (1, 16000), "fmin": (1,), "fmax": (1,)}
SAMPLES = 4


def drawn(session, seed=0):
    """Noise for each input of a session, codes over their whole range."""
    rng = np.random.default_rng(seed)

    def draw(port):
        shape = (SAMPLES, *port.shape[1:])
        if port.dtype == "float32":
            return rng.standard_normal(shape, np.float32)
        codes = np.iinfo(port.dtype)
        return rng.integers(codes.min, codes.max, shape, port.dtype, endpoint=True)

    return {port.name: draw(port) for port in session.inputs}


@pytest.mark.oracle
@pytest.mark.parametrize("reference_kernels", [False, True])
@pytest.mark.parametrize("name", TFLITE)
def test_the_kits_tflite_files_change_no_bit(kit, name, reference_kernels):
    """kws_ref_model_float32 stores int8 weights, which the Graph has dequantized: its twin is that."""
    path = kit / "models" / f"{name}.tflite"
    source = LiteRT(with_float_weights(path.read_bytes(), name), reference_kernels=reference_kernels)
    again = LiteRT(write_tflite(canonical(load(path))), reference_kernels=reference_kernels)
    feeds = drawn(source)
    got = again.run({new.name: feeds[old.name] for old, new in zip(source.inputs, again.inputs, strict=True)})
    expected = source.run(feeds)
    for old, new in zip(source.outputs, again.outputs, strict=True):
        np.testing.assert_array_equal(got[new.name], expected[old.name])


@pytest.mark.oracle
def test_the_kits_onnx_file_keeps_its_pitch(kit):
    """It computes its window in doubles and transforms by STFT, which the Graph does in float32 and as a
    convolution."""
    path = kit / "models" / "swift_f0.onnx"
    again = OnnxRuntime(write_onnx(canonical(load(path, shapes=PITCH))))
    t, breath = np.arange(16000) / 16000, np.random.default_rng(0).normal(0, 0.01, 16000)
    feeds = {"audio": (np.sin(2 * np.pi * 220 * t * (1 + t / 4)) + breath).astype(np.float32)[None],
             "fmin": np.array([46.875], np.float32), "fmax": np.array([2093.75], np.float32)}
    _, run = open_source(path, PITCH)
    expected, got = run(feeds, ()), again.run(feeds)
    for name in expected:
        assert np.isfinite(expected[name]).any()
        assert np.abs(got[name] - expected[name]).max() <= 1e-4 * np.ptp(expected[name])


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(8))
def test_onnx_to_tflite_to_onnx(tmp_path, seed):
    """The last file computes what the first one does; its inputs lie as the .tflite file's."""
    first, middle = tmp_path / "net.onnx", tmp_path / "net.tflite"
    first.write_bytes(write_onnx(canonical(random_net(seed))))
    graph = canonical(load(first))
    middle.write_bytes(write_tflite(graph))
    last, source = OnnxRuntime(write_onnx(canonical(load(middle)))), OnnxRuntime(first.read_bytes())
    feeds = drawn(source)
    turned = {name: value.transpose(np.argsort(graph.permutations.get(name, range(value.ndim))))
              for name, value in feeds.items()}
    expected, got = source.run(feeds), last.run(turned)
    for name in expected:
        spread = np.ptp(expected[name]) or 1
        assert np.abs(got[name] - expected[name]).max() <= 1e-6 * spread
