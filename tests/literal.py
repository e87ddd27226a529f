"""Random channels-first networks as a door would give them: each channel op between explicit transposes."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph


class Literal:
    """Grows a network of [1, C, H, W] tensors; every method takes and returns a tensor name."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.b = Builder(f"literal{seed}")

    def weights(self, name: str, *shape: int) -> str:
        return self.b.constant(name, self.rng.normal(size=shape).astype(np.float32) * 0.5)

    def shape(self, x: str) -> tuple[int, ...]:
        return self.b.tensors[x].shape

    def between(self, x: str, name: str, kind: str, *weights: str, **attrs) -> str:
        inner = self.b.op("transpose", [x], f"{name}:in", perm=(0, 2, 3, 1))
        last = self.b.op(kind, [inner, *weights], f"{name}:last", **attrs)
        return self.b.op("transpose", [last], name, perm=(0, 3, 1, 2))

    def conv(self, x: str, channels: int, kernel: int = 3) -> str:
        name = self.b.unique("conv")
        w = self.weights(f"{name}.weight", channels, kernel, kernel, self.shape(x)[1])
        bias = self.weights(f"{name}.bias", channels)
        return self.between(x, name, "conv2d", w, bias, pads=(kernel // 2,) * 4)

    def depthwise(self, x: str, multiplier: int = 1) -> str:
        name, channels = self.b.unique("dw"), self.shape(x)[1] * multiplier
        w = self.weights(f"{name}.weight", 1, 3, 3, channels)
        bias = self.weights(f"{name}.bias", channels)
        return self.between(x, name, "depthwise_conv2d", w, bias, pads=(1,) * 4, multiplier=multiplier)

    def batch_norm(self, x: str) -> str:
        name, channels = self.b.unique("bn"), self.shape(x)[1]
        gamma, beta, mean = (self.weights(f"{name}.{role}", channels) for role in ("weight", "bias", "mean"))
        variance = self.b.constant(f"{name}.var", self.rng.uniform(0.5, 2, channels).astype(np.float32))
        return self.between(x, name, "batch_norm", gamma, beta, mean, variance, epsilon=1e-5)

    def act(self, x: str) -> str:
        return self.b.op(str(self.rng.choice(["relu", "relu6", "logistic"])), [x], f"{x}.act")

    def add(self, x: str, y: str) -> str:
        return self.b.op("add", [x, y], "add")

    def scale(self, x: str) -> str:
        return self.b.op("mul", [x, self.weights("scale", 1, self.shape(x)[1], 1, 1)], "scaled")

    def concat(self, x: str, y: str) -> str:
        return self.b.op("concat", [x, y], "concat", axis=1)

    def pool(self, x: str) -> str:
        return self.between(x, self.b.unique("pool"), "max_pool2d", kernel=(2, 2), stride=(2, 2))

    def pad(self, x: str) -> str:
        return self.b.op("pad", [x], "padded", pads=((0, 0), (0, 0), (1, 0), (0, 1)))

    def gap(self, x: str) -> str:
        return self.b.op("mean", [x], "gap", axes=(2, 3), keepdims=bool(self.rng.integers(2)))

    def classify(self, x: str) -> str:
        flat = self.b.op("reshape", [x], "flat", shape=(1, int(np.prod(self.shape(x)))))
        w = self.weights("fc.weight", 5, self.shape(flat)[1])
        return self.b.op("fully_connected", [flat, w, self.weights("fc.bias", 5)], "fc")


def random_literal(seed: int) -> Graph:
    """A seeded network of 3 to 8 steps that ends flat, pooled or as a feature map."""
    net = Literal(seed)
    x = net.b.input("x", (1, int(net.rng.integers(1, 4)), 8, 8))
    for _ in range(net.rng.integers(3, 9)):
        step = net.rng.integers(9)
        if step == 0:
            x = net.depthwise(x, int(net.rng.integers(1, 3)))
        elif step == 1:
            x = net.batch_norm(x)
        elif step == 2:
            x = net.act(x)
        elif step == 3:
            x = net.add(x, net.conv(x, net.shape(x)[1]))
        elif step == 4:
            x = net.scale(x)
        elif step == 5:
            x = net.concat(x, net.conv(x, 2, 1))
        elif step == 6 and net.shape(x)[2] > 3:
            x = net.pool(x)
        elif step == 7:
            x = net.pad(x)
        else:
            x = net.conv(x, int(net.rng.integers(1, 6)), int(net.rng.choice([1, 3])))
    ending = net.rng.integers(3)
    outputs = [net.classify(x), x] if ending == 0 else [net.classify(net.gap(x))] if ending == 1 else [x]
    return net.b.graph(*outputs)
