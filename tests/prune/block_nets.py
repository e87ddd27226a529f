"""Random residual networks, straight from the Builder: what whole-block removal must cope with."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph


class ResidualNet:
    """Appends random residual blocks to an image [1, 6, 6, 4]; `graph()` ends it with two outputs."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.build = Builder("residual")
        self.x = self.build.input("x", (1, 6, 6, 4))

    def constant(self, *shape: int) -> str:
        return self.build.constant("c", self.rng.standard_normal(shape).astype(np.float32))

    def channels(self, name: str) -> int:
        return self.build.tensors[name].shape[-1]

    def conv(self, x: str, outputs: int, size: int = 1) -> str:
        weight = self.rng.standard_normal((outputs, size, size, self.channels(x))) / size ** 2
        parts = [x, self.build.constant("weight", weight.astype(np.float32)), self.constant(outputs)]
        return self.build.op("conv2d", parts, "conv", pads=(size // 2,) * 4,
                             activation=self.rng.choice([None, "relu"]))

    def add(self, a: str, b: str) -> str:
        """In either order, with or without an activation."""
        pair = [a, b] if self.rng.random() < 0.5 else [b, a]
        return self.build.op("add", pair, "add", activation=self.rng.choice([None, "relu", "relu6"]))

    def basic(self, x: str) -> str:
        """The shortcut is x itself (He et al. 2016)."""
        return self.add(self.conv(self.conv(x, 6), self.channels(x), 3), x)

    def projected(self, x: str) -> str:
        """The shortcut is a 1x1 convolution."""
        outputs = int(self.rng.integers(3, 8))
        return self.add(self.conv(self.conv(x, 5, 3), outputs, 3), self.conv(x, outputs))

    def nested(self, x: str) -> str:
        """A branch with a block in it."""
        return self.add(self.conv(self.basic(self.conv(x, 5)), self.channels(x)), x)

    def chained(self, x: str) -> str:
        """Three adds in a row; the second branch reads the first one, which therefore must stay."""
        first = self.conv(x, self.channels(x))
        second = self.conv(first, self.channels(x), 3)
        return self.add(self.add(self.add(x, first), second), self.conv(x, self.channels(x)))

    def gated(self, x: str) -> str:
        """A branch that ends in squeeze and excite (Hu et al. 2018)."""
        y = self.conv(x, self.channels(x), 3)
        squeezed = self.build.op("mean", [y], "squeeze", axes=(1, 2), keepdims=True)
        gate = self.build.op("logistic", [self.conv(squeezed, self.channels(x))], "gate")
        return self.add(self.build.op("mul", [y, gate], "gated"), x)

    def pooled(self, x: str) -> str:
        """A branch that says one number a channel (Cao et al. 2019), broadcast over the image."""
        squeezed = self.build.op("mean", [x], "context", axes=(1, 2), keepdims=True)
        return self.add(self.conv(squeezed, self.channels(x)), x)

    def plain(self, x: str) -> str:
        return self.conv(x, int(self.rng.integers(3, 8)), 3)

    BLOCKS = (basic, projected, nested, chained, gated, pooled, plain)

    def graph(self, blocks: int) -> Graph:
        x, outputs = self.x, []
        for _ in range(blocks):
            x = self.BLOCKS[self.rng.integers(len(self.BLOCKS))](self, x)
            if self.rng.random() < 0.2:
                outputs.append(x)
        mean = self.build.op("mean", [x], "mean", axes=(1, 2))
        parts = [mean, self.constant(5, self.channels(x)), self.constant(5)]
        return self.build.graph(*outputs, self.build.op("fully_connected", parts, "fc"))
