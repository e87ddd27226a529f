"""Networks of many kinds at once: the reference against TFLite Micro, LiteRT, ONNX Runtime and torch."""

import numpy as np
import pytest

from tests.random_nets import modern_net, noise, quantized
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime
from toolchain.runtime.tflm import run_models

SEEDS = range(8)
SAMPLES = 4


def assert_close(found, expected):
    for name in ("score", "logits"):
        assert np.abs(found[name] - expected[name]).max() <= 1e-5 * max(np.ptp(expected[name]), 1)
    assert np.array_equal(found["answer"], expected["answer"])


@pytest.mark.oracle
def test_int8_codes_are_those_of_tflite_micro():
    graphs = [quantized(modern_net(seed)) for seed in SEEDS]
    feeds = [noise(graph, SAMPLES) for graph in graphs]
    rows = [[{"x": feed["x"][i:i + 1]} for i in range(SAMPLES)] for feed in feeds]
    theirs = run_models(list(zip(map(write_tflite, graphs), rows, strict=True)))
    for graph, feed, samples in zip(graphs, feeds, theirs, strict=True):
        ours = reference.run(graph, feed)
        assert len(np.unique(ours["logits"])) > 3, "outputs that hardly vary prove nothing"
        for name in graph.outputs:
            found = np.concatenate([sample[name].reshape(1, *ours[name].shape[1:]) for sample in samples])
            assert np.array_equal(found, ours[name]), f"{graph.name}: {name}"


@pytest.mark.parametrize("seed", SEEDS)
def test_int8_stays_close_to_float(seed):
    """Errors grow over six steps: on the whole, 20 dB below the signal."""
    graph = canonical(modern_net(seed))
    codes, feeds = quantized(graph), noise(graph, 32, seed=7)
    quant = codes.tensors["x"].quant
    inside = dequantize(np.array([-128, 127], np.int8), quant)
    feeds = {"x": np.clip(feeds["x"], *inside)}
    rounded = np.round(feeds["x"] / quant.scale + quant.zero_point).clip(-128, 127).astype(np.int8)
    exact = reference.run(graph, feeds)["score"]
    found = dequantize(reference.run(codes, {"x": rounded})["score"], codes.tensors["score"].quant)
    noise_share = np.sum((found - exact) ** 2) / np.sum((exact - exact.mean()) ** 2 + exact**2)
    assert 10 * np.log10(noise_share) < -20


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_float_is_what_litert_onnx_runtime_and_torch_compute(seed):
    import torch

    from toolchain.runtime.torch_module import GraphModule

    graph = canonical(modern_net(seed))
    feeds = noise(graph, SAMPLES)
    ours = reference.run(graph, feeds)
    assert_close(LiteRT(write_tflite(graph)).run(feeds), ours)
    assert_close(OnnxRuntime(write_onnx(graph)).run(feeds), ours)
    with torch.no_grad():
        found = GraphModule(graph).eval()({"x": torch.from_numpy(feeds["x"])})
    assert_close({name: value.numpy() for name, value in found.items()}, ours)
