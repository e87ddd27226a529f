"""A linear layer that makes an image gets out without a transpose: its rows lie as the image does."""

import numpy as np
import onnx
import pytest

from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.lower.onnx import write_onnx
from toolchain.pipeline import prepare
from toolchain.recipe import Recipe
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

X = np.random.default_rng(3).standard_normal((64, 5)).astype(np.float32)


def decoder() -> Graph:
    """(1, 5) -> linear -> (1, 4, 3, 6) -> tanh -> conv2d 3x3, rows of the weight far apart in scale."""
    rng, b = np.random.default_rng(0), Builder("decoder")

    def constant(name: str, *shape: int) -> str:
        return b.constant(name, rng.standard_normal(shape).astype(np.float32))

    spread = np.exp(rng.uniform(-3, 0, (72, 1))).astype(np.float32)
    w = b.constant("w", spread * rng.standard_normal((72, 5)).astype(np.float32))
    y = b.op("fully_connected", [b.input("x", (1, 5)), w, constant("b", 72)], "linear")
    y = b.op("tanh", [b.op("reshape", [y], "image", shape=(1, 4, 3, 6))], "tanh")
    y = b.op("conv2d", [y, constant("k", 2, 3, 3, 6), constant("c", 2)], "conv", pads=(1, 1, 1, 1))
    return canonical(b.graph(b.op("mean", [y], "y", axes=(1, 2))))


def transposes(model: bytes) -> int:
    return sum(node.op_type == "Transpose" for node in onnx.load_from_string(model).graph.node)


@pytest.mark.oracle
def test_float():
    graph = decoder()
    model = write_onnx(graph)
    assert transposes(model) == 0
    np.testing.assert_allclose(OnnxRuntime(model).run({"x": X})["y"], reference.run(graph, {"x": X})["y"],
                               atol=1e-5)


@pytest.mark.oracle
def test_int8_rows_take_their_scales_along():
    graph = decoder()
    quantized = prepare(graph, Recipe(), Samples("x", {"x": X}, None, None, np.arange(64))).graph
    model = write_onnx(quantized, activations="int8")
    assert transposes(model) == 0
    exact, found = reference.run(graph, {"x": X})["y"], OnnxRuntime(model).run({"x": X})["y"]
    assert np.square(exact).sum() > 1000 * np.square(exact - found).sum()
