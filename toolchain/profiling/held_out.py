"""Small networks of sizes between those of the grids, for how far predictions are off."""

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.profiling.nets import coded


class _Net(Builder):
    """Convolutions with "same" padding, activations and batch norms folded."""

    def __init__(self, name: str, shape: tuple[int, ...], seed: int = 0):
        super().__init__(name)
        self._random = np.random.default_rng(seed)
        self.input("x", (1, *shape))

    def conv(self, x: str, outputs: int, kernel: tuple[int, int] = (3, 3), stride: int = 1,
             activation: str | None = "relu") -> str:
        return self._window("conv2d", x, (outputs, *kernel, self.tensors[x].shape[-1]), outputs, stride,
                            activation)

    def depthwise(self, x: str, kernel: tuple[int, int] = (3, 3), stride: int = 1) -> str:
        channels = self.tensors[x].shape[-1]
        return self._window("depthwise_conv2d", x, (1, *kernel, channels), channels, stride, "relu")

    def _window(self, kind: str, x: str, shape: tuple[int, ...], outputs: int, stride: int,
                activation: str | None) -> str:
        pads = tuple(n for size in shape[1:3] for n in ((size - 1) // 2, size // 2))
        strides = tuple(stride if size > 1 else 1 for size in self.tensors[x].shape[1:3])
        return self.op(kind, (x, *self._weights(shape, outputs)), kind, stride=strides, pads=pads,
                       activation=activation)

    def classes(self, x: str, count: int) -> Graph:
        """The network with a mean over all pixels and a layer of so many logits behind it."""
        pooled = self.op("mean", [x], "pooled", axes=(1, 2))
        shape = (count, self.tensors[pooled].shape[-1])
        logits = self.op("fully_connected", (pooled, *self._weights(shape, count)), "logits")
        return coded(self.graph(logits))

    def _weights(self, shape: tuple[int, ...], outputs: int) -> tuple[str, str]:
        spread = np.sqrt(outputs / np.prod(shape))
        return (self.constant("weight", self._random.normal(0, spread, shape).astype(np.float32)),
                self.constant("bias", np.zeros(outputs, np.float32)))


def _residual(side: int) -> Graph:
    """Three stages of a basic block, as ResNet-8 (He et al. 2016; Banbury et al. 2021)."""
    net = _Net("residual", (side, side, 3))
    x = net.conv("x", 12)
    for outputs, stride in ((12, 1), (26, 2), (45, 2)):
        y = net.conv(net.conv(x, outputs, stride=stride), outputs, activation=None)
        short = x if stride == 1 else net.conv(x, outputs, (1, 1), stride, None)
        x = net.op("add", [y, short], "sum", activation="relu")
    return net.classes(x, 10)


def _separable(height: int, width: int) -> Graph:
    """Depthwise separable blocks, as DS-CNN (Zhang et al. 2017)."""
    net = _Net("separable", (height, width, 1))
    x = net.conv("x", 44, (10, 4), 2)
    for outputs in (44, 39, 52, 44):
        x = net.conv(net.depthwise(x), outputs, (1, 1))
    return net.classes(x, 12)


def _inverted(side: int) -> Graph:
    """Inverted residuals (Sandler et al. 2018)."""
    net = _Net("inverted", (side, side, 3))
    x = net.conv("x", 14, stride=2)
    for hidden, outputs, stride in ((40, 14, 1), (72, 22, 2), (110, 22, 1), (132, 36, 2)):
        y = net.depthwise(net.conv(x, hidden, (1, 1)), stride=stride)
        y = net.conv(y, outputs, (1, 1), activation=None)
        same = net.tensors[y].shape == net.tensors[x].shape
        x = net.op("add", [x, y], "sum") if same else y
    return net.classes(net.conv(x, 96, (1, 1)), 10)


def _sensor(length: int) -> Graph:
    """Convolutions over a window of a sensor's samples."""
    net = _Net("sensor", (1, length, 6))
    x = net.conv("x", 20, (1, 5))
    for outputs, stride in ((28, 2), (43, 2), (60, 2)):
        x = net.conv(x, outputs, (1, 3), stride)
    return net.classes(x, 6)


LARGE: Mapping[str, tuple] = {"residual": (_residual, 32), "separable": (_separable, 49, 10),
                              "inverted": (_inverted, 32), "sensor": (_sensor, 128)}
SMALL: Mapping[str, tuple] = {"residual": (_residual, 12), "separable": (_separable, 25, 10),
                              "inverted": (_inverted, 16), "sensor": (_sensor, 64)}
"""For boards of a few kB: name -> what makes it, the input's sides."""
LEAST_RAM = 2**17


def networks(ram_bytes: int) -> Iterator[tuple[str, Graph]]:
    """Networks in codes that a target of so much RAM has room for, with their names."""
    for name, (make, *sides) in (LARGE if ram_bytes >= LEAST_RAM else SMALL).items():
        yield name, make(*sides)
