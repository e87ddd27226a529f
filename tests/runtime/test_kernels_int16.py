"""static_wi8_ai16: the 16-bit kernels against TFLite Micro, bit for bit, and LiteRT's reference kernels."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.tflm import run_models

DRAWS = 6
SAMPLES = 3
UNIT = QuantParams(1 / 32768, 0, dtype="int16")


class Net:
    """One op on int16 codes of drawn scales."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.b, self.feeds = Builder("int16"), {}

    def params(self, low: float = 1e-5, high: float = 1e-3) -> QuantParams:
        return QuantParams(np.exp(self.rng.uniform(np.log(low), np.log(high))), 0, dtype="int16")

    def input(self, *shape: int, quant: QuantParams | None = None) -> str:
        name = f"x{len(self.feeds)}"
        codes = self.rng.integers(-32768, 32768, (SAMPLES, *shape[1:]))
        self.feeds[name] = codes.astype(np.int16)
        return self.b.input(name, shape, "int16", quant or self.params())

    def weights(self, x: str, shape: tuple[int, ...], axis: int) -> list[str]:
        scale = np.exp(self.rng.uniform(-7, -4, shape[axis])).astype(np.float32)
        weight = QuantParams(scale, np.zeros(shape[axis], np.int32), axis)
        bias = QuantParams(scale * self.b.tensors[x].quant.scale, np.zeros(shape[axis], np.int32), 0, "int64")
        codes = self.rng.integers(-127, 128, shape).astype(np.int8)
        return [self.b.constant("w", codes, weight),
                self.b.constant("b", self.rng.integers(-10**7, 10**7, shape[axis]), bias)]

    def out(self, kind: str, inputs: list[str], quant: QuantParams, **attrs) -> Graph:
        return self.b.graph(self.b.op(kind, inputs, "y", quant=quant, **attrs))


def conv2d(net: Net) -> Graph:
    x = net.input(1, 6, 7, 5)
    return net.out("conv2d", [x, *net.weights(x, (4, 3, 3, 5), 0)], net.params(), pads=(1, 1, 1, 1),
                   activation=str(net.rng.choice(["relu", "relu6"])))


def grouped(net: Net) -> Graph:
    x = net.input(1, 6, 7, 4)
    return net.out("conv2d", [x, *net.weights(x, (6, 3, 3, 2), 0)], net.params(), stride=(2, 1))


def transpose_conv2d(net: Net) -> Graph:
    x = net.input(1, 4, 5, 3)
    return net.out("transpose_conv2d", [x, *net.weights(x, (4, 3, 3, 3), 0)], net.params(), stride=(2, 2))


def depthwise_conv2d(net: Net) -> Graph:
    x = net.input(1, 6, 7, 3)
    return net.out("depthwise_conv2d", [x, *net.weights(x, (1, 3, 3, 6), 3)], net.params(), multiplier=2)


def fully_connected(net: Net) -> Graph:
    x = net.input(1, 90)
    return net.out("fully_connected", [x, *net.weights(x, (7, 90), 0)], net.params())


def binary(kind: str) -> Callable[[Net], Graph]:
    def draw(net: Net) -> Graph:
        a, b = net.input(1, 4, 5, 6), net.input(1, *((1, 1, 6) if net.rng.integers(2) else (4, 5, 6)))
        scales = [float(net.b.tensors[name].quant.scale) for name in (a, b)]
        reach = 32768 * scales[0] * scales[1] if kind == "mul" else max(scales)
        return net.out(kind, [a, b], QuantParams(reach * net.rng.uniform(0.2, 1.5), 0, dtype="int16"))
    return draw


def unary(kind: str, quant: QuantParams | None = None, **attrs) -> Callable[[Net], Graph]:
    def draw(net: Net) -> Graph:
        x = net.input(1, 40, 50)
        return net.out(kind, [x], quant or net.params(), **attrs)
    return draw


def same(kind: str, **attrs) -> Callable[[Net], Graph]:
    def draw(net: Net) -> Graph:
        x = net.input(1, 6, 6, 4)
        return net.out(kind, [x], net.b.tensors[x].quant, **attrs)
    return draw


def mean(net: Net) -> Graph:
    x = net.input(1, 5, 6, 7)
    return net.out("mean", [x], net.params(), axes=(1, 2))


CASES: Mapping[str, Callable[[Net], Graph]] = {
    "conv2d": conv2d,
    "grouped": grouped,
    "transpose_conv2d": transpose_conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "add": binary("add"),
    "sub": binary("sub"),
    "mul": binary("mul"),
    "leaky_relu": unary("leaky_relu", alpha=0.3),
    "relu": unary("relu"),
    "logistic": unary("logistic", UNIT),
    "tanh": unary("tanh", UNIT),
    "softmax": unary("softmax", UNIT),
    "average_pool2d": same("average_pool2d", kernel=(2, 2), stride=(2, 2)),
    "max_pool2d": same("max_pool2d", kernel=(2, 2), stride=(2, 2), activation="relu"),
    "mean": mean,
    "pad": same("pad", pads=((0, 0), (1, 2), (0, 1), (0, 0))),
    "reshape": same("reshape", shape=(1, 144)),
    "transpose": same("transpose", perm=(0, 2, 3, 1)),
    "slice": same("slice", begin=(0, 1, 0, 0), end=(1, 5, 6, 2), strides=(1, 1, 1, 1)),
}
LACKS = {("tflm", "relu"): "it has no int16 kernel"}
ROUNDS_IN_FLOAT = {"fully_connected", "mul", "leaky_relu", "relu", "softmax"}
"""Kinds whose multipliers or tables LiteRT rounds otherwise than TFLite Micro: within 1 code."""


def drawn(kind: str) -> list[tuple[Graph, Mapping[str, np.ndarray]]]:
    nets = [Net(seed) for seed in range(DRAWS)]
    return [(CASES[kind](net), net.feeds) for net in nets]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [kind for kind in CASES if ("tflm", kind) not in LACKS])
def test_codes_equal_those_of_tflite_micro(kind):
    found = drawn(kind)
    jobs = [(write_tflite(graph), [{n: v[i:i + 1] for n, v in feeds.items()} for i in range(SAMPLES)])
            for graph, feeds in found]
    for (graph, feeds), outputs in zip(found, run_models(jobs), strict=True):
        theirs = np.concatenate([sample["y"] for sample in outputs])
        np.testing.assert_array_equal(reference.run(graph, feeds)["y"], theirs)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", CASES)
def test_codes_equal_those_of_litert_reference_kernels(kind):
    for graph, feeds in drawn(kind):
        session = LiteRT(write_tflite(graph), reference_kernels=True)
        ours, theirs = reference.run(graph, feeds)["y"], session.run(feeds)["y"]
        apart = np.abs(ours.astype(np.int64) - theirs).max()
        assert apart <= (kind in ROUNDS_IN_FLOAT), f"{apart} codes apart"
