"""Cases of ops on int16 codes: small graphs of one op with drawn scales, and samples."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams

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
        if kind in ("minimum", "maximum"):
            quant = net.b.tensors[a].quant
            return net.out(kind, [a, net.input(1, 1, 5, 1, quant=quant)], quant)
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


def hard_swish(net: Net) -> Graph:
    """Over ranges within which it is a parabola, and far beyond."""
    x = net.input(1, 40, 50, quant=net.params(1e-6, 3e-2))
    reach = 32768 * float(net.b.tensors[x].quant.scale)
    largest = reach * min(reach + 3, 6) / 6
    scale = max(largest, 0.375) / 32768 * net.rng.uniform(0.5, 1.5)
    return net.out("hard_swish", [x], QuantParams(scale, 0, dtype="int16"))


def argmax(net: Net) -> Graph:
    return net.b.graph(net.b.op("argmax", [net.input(1, 5, 9)], "y", axis=2))


def concat(net: Net) -> Graph:
    x = net.input(1, 4, 5, 3)
    quant = net.b.tensors[x].quant
    constant = net.b.constant("c", net.rng.integers(-32768, 32768, (1, 4, 5, 2)).astype(np.int16), quant)
    return net.out("concat", [x, constant, net.input(1, 4, 5, 1, quant=quant)], quant, axis=3)


def select(net: Net) -> Graph:
    x = net.input(1, 4, 5)
    quant = net.b.tensors[x].quant
    mask = net.b.constant("mask", net.rng.integers(0, 2, (1, 4, 1)).astype(bool))
    return net.out("select", [mask, x, net.input(1, 1, 5, quant=quant)], quant)


def gather(net: Net) -> Graph:
    x = net.input(1, 6, 3)
    indices = net.b.constant("i", net.rng.integers(0, 6, 4).astype(np.int32))
    return net.out("gather", [x, indices], net.b.tensors[x].quant, axis=1)


def widen(net: Net) -> Graph:
    """int8 to int16."""
    quant = QuantParams(np.exp(net.rng.uniform(-7, 0)), int(net.rng.integers(-128, 128)))
    net.feeds["x0"] = net.rng.integers(-128, 128, (SAMPLES, 256)).astype(np.int8)
    x = net.b.input("x0", (1, 256), "int8", quant)
    exact = net.rng.integers(2)
    scale = quant.scale / 128 if exact else quant.scale * np.exp(net.rng.uniform(-6, 0))
    return net.b.graph(net.b.op("quantize", [x], "y", quant=QuantParams(scale, 0, dtype="int16"),
                                dtype="int16"))


def rescale(net: Net) -> Graph:
    x = net.input(1, 40, 50)
    return net.b.graph(net.b.op("quantize", [x], "y", quant=net.params(), dtype="int16"))


def narrow(net: Net) -> Graph:
    """int16 to int8."""
    x = net.input(1, 40, 50)
    scale = net.b.tensors[x].quant.scale * 256 * np.exp(net.rng.uniform(-1, 1))
    quant = QuantParams(scale, int(net.rng.integers(-128, 128)))
    return net.b.graph(net.b.op("quantize", [x], "y", quant=quant, dtype="int8"))


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
    "negative_slope": unary("leaky_relu", alpha=-0.2),
    "hard_swish": hard_swish,
    "relu6": same("relu6"),
    "minimum": binary("minimum"),
    "maximum": binary("maximum"),
    "reduce_max": same("reduce_max", axes=(1, 3)),
    "reduce_min": same("reduce_min", axes=(2,), keepdims=True),
    "argmax": argmax,
    "concat": concat,
    "select": select,
    "gather": gather,
    "tile": same("tile", multiples=(1, 2, 1, 3)),
    "mirror_pad": same("mirror_pad", pads=((0, 0), (1, 2), (2, 1), (0, 0)), mode="reflect"),
    "resize_nearest": same("resize_nearest", size=(9, 12)),
    "depth_to_space": same("depth_to_space", block=2),
    "space_to_depth": same("space_to_depth", block=3),
    "widen": widen,
    "narrow": narrow,
    "rescale": rescale,
}
"""What is drawn, by its kind or what it does."""


def drawn(kind: str) -> list[tuple[Graph, Mapping[str, np.ndarray]]]:
    nets = [Net(seed) for seed in range(DRAWS)]
    return [(CASES[kind](net), net.feeds) for net in nets]
