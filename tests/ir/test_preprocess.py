"""What stands in front of a network for raw frames computes what doing it by hand would, borders included."""

import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.preprocess import input_layout, normalize_input, resize_input
from toolchain.runtime import reference

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (3, 6, 5, 3)).astype(np.float32)
GAIN, SHIFT, SWAP = np.array([0.5, 2.0, 0.25]), np.array([1.0, -3.0, 0.5]), (2, 1, 0)
NONE = np.zeros(3)


def convolution(pad: int) -> Graph:
    net = Net("convolution")
    x = net.input("x", (1, 6, 5, 3))
    y = net.op("conv2d", [x, net.weights("w", 4, 3, 3, 3), net.weights("b", 4)], "y", pads=(pad,) * 4)
    return canonical(net.graph(y))


def depthwise(pad: int) -> Graph:
    net = Net("depthwise")
    x = net.input("x", (1, 6, 5, 3))
    y = net.op("depthwise_conv2d", [x, net.weights("w", 1, 3, 3, 6), net.weights("b", 6)], "y",
               multiplier=2, pads=(pad,) * 4)
    return canonical(net.graph(y))


def shared_weights() -> Graph:
    """Two convolutions of the input, and one of what they make, with one weight and bias."""
    net = Net("shared")
    x, w, b = net.input("x", (1, 6, 5, 3)), net.weights("w", 3, 1, 1, 3), net.weights("b", 3)
    a, c = (net.op("conv2d", [x, w, b], name) for name in "ac")
    return canonical(net.graph(net.op("conv2d", [net.op("add", [a, c], "sum"), w, b], "y")))


def pooled() -> Graph:
    net = Net("pooled")
    return canonical(net.graph(net.op("max_pool2d", [net.input("x", (1, 6, 5, 3))], "y", kernel=(2, 2))))


def vector() -> Graph:
    net = Net("vector")
    return canonical(net.graph(net.dense(net.input("x", (1, 3)), 4, "y")))


@pytest.mark.parametrize("order", [(0, 1, 2), SWAP])
@pytest.mark.parametrize("shift", [NONE, SHIFT], ids=["gain", "gain and shift"])
@pytest.mark.parametrize("make", [lambda: convolution(0), lambda: convolution(1), lambda: depthwise(0),
                                  lambda: depthwise(1), shared_weights, pooled])
def test_the_network_on_frames_is_the_network_on_normalized_values(make, shift, order):
    graph = make()
    ready = check(normalize_input(graph, "x", GAIN, shift, order), "CANONICAL")
    expected = reference.run(graph, {"x": (X[..., order] * GAIN + shift).astype(np.float32)})["y"]
    got = reference.run(ready, {"x": X})["y"]
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_an_input_that_is_no_image_is_normalized_too():
    graph = vector()
    x = RNG.uniform(0, 255, (4, 3)).astype(np.float32)
    ready = check(normalize_input(graph, "x", GAIN, SHIFT, (0, 1, 2)), "CANONICAL")
    expected = reference.run(graph, {"x": (x * GAIN + SHIFT).astype(np.float32)})["y"]
    assert np.allclose(reference.run(ready, {"x": x})["y"], expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("make, shift, order, kinds", [
    (lambda: convolution(0), SHIFT, SWAP, ["conv2d"]),
    (lambda: convolution(1), NONE, SWAP, ["conv2d"]),
    (lambda: convolution(1), SHIFT, (0, 1, 2), ["depthwise_conv2d", "conv2d"]),
    (lambda: convolution(1), SHIFT, SWAP, ["conv2d", "conv2d"]),
    (lambda: depthwise(0), SHIFT, (0, 1, 2), ["depthwise_conv2d"]),
    (lambda: depthwise(0), NONE, SWAP, ["conv2d", "depthwise_conv2d"]),
    (pooled, NONE, (0, 1, 2), ["depthwise_conv2d", "max_pool2d"])])
def test_it_costs_an_op_only_where_weights_cannot_take_it_in(make, shift, order, kinds):
    assert [op.kind for op in normalize_input(make(), "x", GAIN, shift, order).ops] == kinds


def test_nothing_to_do_is_nothing_done():
    graph = convolution(1)
    assert normalize_input(graph, "x", np.ones(3), NONE, (0, 1, 2)) is graph


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_a_frame_of_twice_the_size_is_brought_to_the_networks(method):
    """Nearest with half-pixel centres picks the lower right of four; bilinear halves are their mean."""
    graph, frame = convolution(1), RNG.uniform(0, 255, (2, 12, 10, 3)).astype(np.float32)
    ready = check(resize_input(graph, "x", (12, 10), method), "CANONICAL")
    four = frame.reshape(2, 6, 2, 5, 2, 3)
    small = four.mean(axis=(2, 4)) if method == "bilinear" else four[:, :, 1, :, 1]
    expected = reference.run(graph, {"x": small})["y"]
    assert ready.tensors["x"].shape == (1, 12, 10, 3)
    assert np.allclose(reference.run(ready, {"x": frame})["y"], expected, rtol=1e-4, atol=1e-2)


def test_frames_lie_as_asked_whatever_the_source_had():
    graph = input_layout(convolution(1), "x", "channels_first")
    assert graph.tensors["x"].shape == (1, 3, 6, 5) and not graph.permutations
    expected = reference.run(convolution(1), {"x": X})["y"]
    got = reference.run(check(graph, "CANONICAL"), {"x": X.transpose(0, 3, 1, 2)})["y"]
    assert np.array_equal(got, expected)
