"""A small network and samples that it can learn, for tests of training."""

import numpy as np

from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph

CLASSES = 3


def network(softmax: bool = False, seed: int = 0, channels: int = 8) -> Graph:
    """conv, batch norm, mean, fully connected on [1, 4, 4, 2], with random weights."""
    rng, b = np.random.default_rng(seed), Builder("net")

    def constant(name, *shape, fill=None):
        data = rng.standard_normal(shape) * 0.5 if fill is None else np.full(shape, fill)
        return b.constant(name, data.astype(np.float32))

    x = b.input("x", (1, 4, 4, 2))
    weight, bias = constant("w", channels, 3, 3, 2), constant("wb", channels)
    y = b.op("conv2d", [x, weight, bias], "conv", pads=(1, 1, 1, 1))
    norm = [constant(name, channels, fill=fill) for name, fill in (("g", 1), ("b", 0), ("m", 0), ("v", 1))]
    y = b.op("relu", [b.op("batch_norm", [y, *norm], "bn", epsilon=1e-5)], "relu")
    y = b.op("mean", [y], "mean", axes=(1, 2))
    y = b.op("fully_connected", [y, constant("f", CLASSES, channels), constant("fb", CLASSES)], "fc")
    return b.graph(b.op("softmax", [y], "p") if softmax else y)


def samples(count: int = 96, labels: bool = True) -> Samples:
    """Class = which corner of the image is bright; sorted by class, as files often are."""
    rng, y = np.random.default_rng(1), np.arange(count) * CLASSES // count
    x = rng.standard_normal((count, 4, 4, 2)).astype(np.float32) * 0.3
    for row, label in enumerate(y):
        x[row, :2, :2, 0] += 2 * (label == 0)
        x[row, :2, :2, 1] += 2 * (label == 1)
        x[row, 2:, 2:] -= 2 * (label == 2)
    return Samples("corners", {"x": x}, y if labels else None, None, np.arange(count))
