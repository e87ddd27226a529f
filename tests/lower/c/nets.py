"""Small quantized graphs that C is tried on."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams


class Net(Builder):
    """A builder of int8 graphs with seeded weights."""

    def __init__(self, name: str, seed: int = 0):
        super().__init__(name)
        self.rng = np.random.default_rng(seed)

    def codes_in(self, name: str, *shape: int, scale=0.05, zero_point=3) -> str:
        return self.input(name, shape, "int8", QuantParams(scale, zero_point))

    def weights(self, name: str, x: str, shape, axis: int = 0) -> tuple[str, str]:
        """Per-channel int8 weights and int32 biases for input `x`."""
        scale = self.rng.uniform(0.001, 0.01, shape[axis]).astype(np.float32)
        zero = np.zeros(len(scale), np.int32)
        bias = QuantParams(scale * self.tensors[x].quant.scale, zero, 0, "int32")
        weight_codes = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias_codes = self.rng.integers(-500, 500, len(scale)).astype(np.int32)
        return (self.constant(f"{name}.weight", weight_codes, QuantParams(scale, zero, axis)),
                self.constant(f"{name}.bias", bias_codes, bias))

    def make(self, kind: str, inputs, name: str, scale=0.04, zero_point=-5, **attrs) -> str:
        inputs = (inputs,) if isinstance(inputs, str) else inputs
        return self.op(kind, inputs, name, quant=QuantParams(scale, zero_point), **attrs)

    def conv(self, x: str, name: str, outputs: int, kernel: int = 3, **attrs) -> str:
        pads, channels = (kernel // 2,) * 4, self.tensors[x].shape[-1]
        operands = (x, *self.weights(name, x, (outputs, kernel, kernel, channels)))
        return self.make("conv2d", operands, name, pads=pads, **attrs)

    def finish(self, *outputs: str) -> Graph:
        return check(self.graph(*outputs), "QUANTIZED")


def residual_net() -> Graph:
    """8x8x3 -> conv, depthwise, add, tanh, pool, flatten, dense, softmax over 5."""
    net = Net("residual")
    x = net.codes_in("x", 1, 8, 8, 3)
    stem = net.conv(x, "stem", 6, activation="relu")
    operands = (stem, *net.weights("dw", stem, (1, 3, 3, 6), 3))
    depthwise = net.make("depthwise_conv2d", operands, "dw", pads=(1, 1, 1, 1))
    total = net.make("add", (depthwise, stem), "sum", 0.06, 1)
    squashed = net.make("tanh", total, "squashed", 1 / 128, 0)
    pooled = net.make("average_pool2d", squashed, "pooled", 1 / 128, 0, kernel=(8, 8))
    flat = net.make("reshape", pooled, "flat", 1 / 128, 0, shape=(1, 6))
    dense = net.make("fully_connected", (flat, *net.weights("dense", flat, (5, 6))), "dense", 0.02, 0)
    return net.finish(net.make("softmax", dense, "probability", 1 / 256, -128))


def two_ended_net() -> Graph:
    """Two inputs; three outputs, of which one is a reshape of an input and one is read on."""
    net = Net("two_ended")
    a, b = net.codes_in("a", 1, 4, 4, 2), net.codes_in("b", 1, 2, scale=0.1)
    flat = net.make("reshape", a, "flat", 0.05, 3, shape=(1, 32))
    product = net.make("mul", (a, b), "product", 0.3, 0)
    mean = net.make("mean", product, "mean", 0.2, 4, axes=(1, 2))
    return net.finish(flat, product, mean)
