"""Random small networks, straight from the Builder: what channel groups must cope with."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph


class RandomNet:
    """Appends random blocks to an image [1, 6, 6, 3]; `graph()` ends it with a classifier."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.build = Builder("random")
        self.x = self.build.input("x", (1, 6, 6, 3))

    def constant(self, *shape, low=None) -> str:
        data = self.rng.standard_normal(shape) if low is None else self.rng.uniform(low, 1.5, shape)
        return self.build.constant("c", data.astype(np.float32))

    def channels(self, name: str) -> int:
        return self.build.tensors[name].shape[-1]

    def conv(self, x: str, outputs: int, size: int = 1) -> str:
        weights = self.constant(outputs, size, size, self.channels(x)), self.constant(outputs)
        pad = size // 2
        return self.build.op("conv2d", [x, *weights], "conv", pads=(pad,) * 4,
                             activation=self.rng.choice([None, "relu", "relu6"]))

    def plain(self, x: str) -> str:
        y = self.conv(x, int(self.rng.integers(4, 17)), 3)
        count = self.channels(y)
        gamma, beta, mean = (self.constant(count) for _ in range(3))
        parameters = [gamma, beta, mean, self.constant(count, low=0.5)]
        return self.build.op("batch_norm", [y, *parameters], "bn", epsilon=1e-3)

    def residual(self, x: str) -> str:
        inner = self.conv(x, 8)
        return self.build.op("add", [self.conv(inner, self.channels(x), 3), x], "add", activation="relu")

    def branches(self, x: str) -> str:
        parts = [self.conv(x, int(n)) for n in self.rng.integers(4, 12, 2)]
        return self.build.op("concat", [*parts, x], "concat", axis=3)

    def depthwise(self, x: str) -> str:
        multiplier = int(self.rng.integers(1, 4))
        count = self.channels(x) * multiplier
        inputs = [x, self.constant(1, 3, 3, count), self.constant(count)]
        pads = (1, 1, 1, 1)
        return self.build.op("depthwise_conv2d", inputs, "depthwise", multiplier=multiplier, pads=pads)

    def gated(self, x: str) -> str:
        """Squeeze and excite: channels scaled by a gate computed from all of them (Hu et al. 2018)."""
        squeezed = self.build.op("mean", [x], "squeeze", axes=(1, 2), keepdims=True)
        gate = self.build.op("logistic", [self.conv(self.conv(squeezed, 6), self.channels(x))], "gate")
        return self.build.op("mul", [x, gate], "gated")

    def scaled(self, x: str) -> str:
        y = self.build.op("mul", [x, self.constant(self.channels(x))], "scaled")
        return self.build.op("leaky_relu", [y], "leaky", alpha=0.1)

    def padded(self, x: str) -> str:
        y = self.build.op("pad", [x], "pad", pads=((0, 0), (1, 0), (0, 1), (0, 0)))
        return self.build.op("max_pool2d", [y], "pool", kernel=(2, 2))

    def over_channels(self, x: str) -> str:
        """Attention over the image from the mean of all channels, which must then all stay."""
        y = self.build.op("mean", [x], "over", axes=(3,), keepdims=True)
        return self.build.op("sub", [x, y], "centred")

    def grouped(self, x: str) -> str:
        """Two to four groups over channels that a convolution before makes as many as it takes."""
        groups, per_group = int(self.rng.integers(2, 5)), int(self.rng.integers(2, 4))
        y = self.conv(x, groups * per_group)
        outputs = groups * int(self.rng.integers(2, 4))
        return self.build.op("conv2d", [y, self.constant(outputs, 1, 1, per_group), self.constant(outputs)],
                             "grouped")

    def swapped(self, x: str) -> str:
        """The two parts of the channels change places, one of them convolved."""
        count = self.channels(x)
        cut, shape = int(self.rng.integers(1, count)), self.build.tensors[x].shape
        bounds = (((0, 0, 0, 0), (*shape[:3], cut)), ((0, 0, 0, cut), shape))
        first, second = (self.build.op("slice", [x], "part", begin=begin, end=end, strides=(1, 1, 1, 1))
                         for begin, end in bounds)
        return self.build.op("concat", [self.conv(second, 5), first], "swapped", axis=3)

    def transposed(self, x: str) -> str:
        weight, bias = self.constant(6, 2, 2, self.channels(x)), self.constant(6)
        y = self.build.op("transpose_conv2d", [x, weight, bias], "up", pads=(1, 0, 0, 1))
        return self.build.op("prelu", [y, self.constant(6)], "prelu")

    def resized(self, x: str) -> str:
        y = self.build.op("resize_bilinear", [x], "resized", size=(4, 5), half_pixel_centers=True)
        return self.build.op("maximum", [y, self.constant(self.channels(x))], "floored")

    def instance_norm(self, x: str) -> str:
        parameters = [self.constant(self.channels(x)) for _ in range(2)]
        return self.build.op("layer_norm", [x, *parameters], "instance", axes=(1, 2), epsilon=1e-2)

    def last_norm(self, x: str) -> str:
        """All channels are normalized together, so all must stay."""
        parameters = [self.constant(self.channels(x)) for _ in range(2)]
        return self.build.op("layer_norm", [x, *parameters], "last", axes=(3,), epsilon=1e-2)

    BLOCKS = (plain, residual, branches, depthwise, gated, scaled, padded, over_channels, grouped, swapped,
              transposed, resized, instance_norm, last_norm)

    def graph(self, blocks: int) -> Graph:
        x = self.plain(self.x)
        for _ in range(blocks):
            x = self.BLOCKS[self.rng.integers(len(self.BLOCKS))](self, x)
        _, height, width, channels = self.build.tensors[x].shape
        x = self.build.op("reshape", [x], "flat", shape=(1, height * width * channels))
        for count in (12, 5):
            weight, bias = self.constant(count, self.channels(x)), self.constant(count)
            x = self.build.op("fully_connected", [x, weight, bias], "fc")
        return self.build.graph(x)
