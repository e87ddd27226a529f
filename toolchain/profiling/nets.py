"""Networks of single layers, each of the geometry that a cell of a cost table says, with random weights."""

from collections.abc import Callable, Iterable, Mapping
from math import isqrt, prod

import numpy as np

from toolchain.cost_cell import Cell
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Shape
from toolchain.ir.passes import canonical
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rules import observed
from toolchain.recipe import QuantSpec

KERNEL = {1: (1, 1), 3: (1, 3), 4: (2, 2), 9: (3, 3), 16: (4, 4), 25: (5, 5), 64: (8, 8)}
"""Taps -> height and width of the window."""


class Layers(Builder):
    """Collects layers. chained: one after the other, so that few activations are alive at once; what stands
    between two layers makes one number of all of the last one's. Else each has inputs and an output of its
    own, and those of one shape share inputs."""

    def __init__(self, name: str, chained: bool, seed: int = 0):
        super().__init__(name)
        self.random, self._chained = np.random.default_rng(seed), chained
        self._last = self.input("x", (1, 1, 1, 1)) if chained else ""
        self._inputs: dict[tuple[Shape, int], str] = {}
        self.ends: list[str] = []

    def source(self, shape: Shape, number: int = 0) -> str:
        """A tensor for a layer to read, its number-th."""
        if self._chained:
            return self.op("tile", [self._last], "source", multiples=shape)
        if (shape, number) not in self._inputs:
            self._inputs[shape, number] = self.input("x", shape)
        return self._inputs[shape, number]

    def weights(self, shape: Shape, outputs: int) -> tuple[str, str]:
        """Weights whose sums stay as large as what they sum, and biases."""
        spread = 1 / np.sqrt(prod(shape) / outputs)
        return (self.constant("weight", self.random.normal(0, spread, shape).astype(np.float32)),
                self.constant("bias", self.random.normal(0, 0.1, outputs).astype(np.float32)))

    def add_layer(self, cell: Cell, name: str) -> None:
        """One layer of the cell's geometry, whose op is called `name`."""
        made = MAKE.get(cell.kind, _unary)(self, cell, name)
        self.ends.append(made)
        if self._chained:
            axes = tuple(range(len(self.tensors[made].shape)))
            mean = self.op("mean", [made], "mean", axes=axes[1:], keepdims=True)
            self._last = mean if len(axes) == 4 else self.op("reshape", [mean], "one", shape=(1, 1, 1, 1))

    def finish(self) -> Graph:
        """In codes."""
        return coded(self.graph(*([self._last] if self._chained else self.ends)))


def layers(cells: Iterable[Cell], chained: bool) -> Graph:
    """The cells' layers in one network, called layer0, layer1 ..."""
    made = Layers("profiled", chained)
    for number, cell in enumerate(cells):
        made.add_layer(cell, layer_name(number))
    return made.finish()


class _Row(Layers):
    """Layers each of which reads the one before it."""

    def source(self, shape: Shape, number: int = 0) -> str:
        return self.ends[-1] if self.ends else super().source(shape, number)

    def finish(self) -> Graph:
        return coded(self.graph(self.ends[-1]))


def row(cell: Cell, count: int) -> Graph:
    """So many layers of a cell whose output has the input's shape, one after the other."""
    made = _Row("row", chained=False)
    for number in range(count):
        made.add_layer(cell, layer_name(number))
    return made.finish()


def layer_name(number: int) -> str:
    return f"layer{number}"


def coded(graph: Graph) -> Graph:
    """In INT8 with made-up ranges, those of activations from 0 on, as they are in networks."""
    graph = canonical(graph)
    clamped = {op.name for op in graph.ops if op.attrs.get("activation")}
    ranges = {name: TensorStats(0.0 if name in clamped else -1.0, 1.0, 1) for name in observed(graph)}
    return quantize(graph, ranges, QuantSpec(scheme="static_wi8_ai8"))


def _sides(cell: Cell) -> tuple[int, int]:
    """Height and width of the output: one line for windows of one line, else square."""
    side = isqrt(cell.pixels)
    return (1, cell.pixels) if cell.taps == 3 or side * side != cell.pixels else (side, side)


def _window(net: Layers, cell: Cell, name: str, channels: int, weight: Shape, **attrs) -> str:
    """A padded convolution whose output has the cell's pixels; weight: shape of a tap"""
    (height, width), kernel = _sides(cell), KERNEL[cell.taps]
    stride = tuple(2 if cell.variant == "strided" and size > 1 else 1 for size in (height, width))
    if cell.variant == "strided" and stride == (1, 1):
        stride = (2, 2)
    pads = tuple(n for size in kernel for n in ((size - 1) // 2, size // 2))
    x = net.source((1, height * stride[0], width * stride[1], channels))
    operands = (x, *net.weights((weight[0], *kernel, weight[1]), cell.outputs))
    activation = None if cell.linear else "relu"
    return net.op(cell.kind, operands, name, stride=stride, pads=pads, activation=activation, **attrs)


def _conv2d(net: Layers, cell: Cell, name: str) -> str:
    return _window(net, cell, name, cell.inputs, (cell.outputs, cell.inputs))


def _depthwise(net: Layers, cell: Cell, name: str) -> str:
    return _window(net, cell, name, cell.outputs, (1, cell.outputs), multiplier=1)


def _transpose_conv2d(net: Layers, cell: Cell, name: str) -> str:
    """Twice as high and wide as its input."""
    (height, width), kernel = _sides(cell), KERNEL[cell.taps]
    x = net.source((1, height // 2, width // 2, cell.inputs))
    pads = tuple(n for size in kernel for n in ((size - 2) // 2, (size - 1) // 2))
    operands = (x, *net.weights((cell.outputs, *kernel, cell.inputs), cell.outputs))
    return net.op(cell.kind, operands, name, stride=(2, 2), pads=pads,
                  activation=None if cell.linear else "relu")


def _fully_connected(net: Layers, cell: Cell, name: str) -> str:
    x = net.source((1, 1, 1, cell.inputs))
    flat = net.op("reshape", [x], "flat", shape=(1, cell.inputs))
    operands = (flat, *net.weights((cell.outputs, cell.inputs), cell.outputs))
    return net.op(cell.kind, operands, name, activation=None if cell.linear else "relu")


def _pool(net: Layers, cell: Cell, name: str) -> str:
    """Windows side by side."""
    (height, width), kernel = _sides(cell), KERNEL[cell.taps]
    x = net.source((1, height * kernel[0], width * kernel[1], cell.outputs))
    return net.op(cell.kind, [x], name, kernel=kernel, stride=kernel)


def _mean(net: Layers, cell: Cell, name: str) -> str:
    return net.op(cell.kind, [net.source((1, *_sides(cell), cell.outputs))], name, axes=(1, 2))


def _binary(net: Layers, cell: Cell, name: str) -> str:
    shape = (1, *_sides(cell), cell.outputs)
    other = (1, 1, 1, cell.outputs) if cell.variant == "broadcast" else shape
    return net.op(cell.kind, [net.source(shape), net.source(other, 1)], name)


def _concat(net: Layers, cell: Cell, name: str) -> str:
    """Of two halves."""
    shapes = [(1, *_sides(cell), count) for count in (cell.outputs // 2, -(-cell.outputs // 2))]
    return net.op(cell.kind, [net.source(shape, n) for n, shape in enumerate(shapes)], name, axis=3)


def _pad(net: Layers, cell: Cell, name: str) -> str:
    """By a row and a column before and after."""
    height, width = _sides(cell)
    x = net.source((1, height - 2, width - 2, cell.outputs))
    return net.op(cell.kind, [x], name, pads=((0, 0), (1, 1), (1, 1), (0, 0)))


def _resize(net: Layers, cell: Cell, name: str) -> str:
    """To twice the height and width."""
    size = _sides(cell)
    x = net.source((1, size[0] // 2, size[1] // 2, cell.outputs))
    return net.op(cell.kind, [x], name, size=size, half_pixel_centers=True)


def _reshape(net: Layers, cell: Cell, name: str) -> str:
    """Height and width become one axis."""
    x = net.source((1, *_sides(cell), cell.outputs))
    return net.op(cell.kind, [x], name, shape=(1, cell.pixels, cell.outputs))


def _unary(net: Layers, cell: Cell, name: str) -> str:
    attrs = {"alpha": 0.1} if cell.kind == "leaky_relu" else {}
    return net.op(cell.kind, [net.source((1, *_sides(cell), cell.outputs))], name, **attrs)


MAKE: Mapping[str, Callable[[Layers, Cell, str], str]] = {
    "conv2d": _conv2d, "depthwise_conv2d": _depthwise, "transpose_conv2d": _transpose_conv2d,
    "fully_connected": _fully_connected, "average_pool2d": _pool, "max_pool2d": _pool, "mean": _mean,
    "add": _binary, "mul": _binary, "concat": _concat, "pad": _pad, "resize_bilinear": _resize,
    "reshape": _reshape}
"""Kind -> what makes its layer; all others take one tensor and keep its shape."""
