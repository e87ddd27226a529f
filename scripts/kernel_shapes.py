"""Ops whose kernels are measured: the shapes of networks for microcontrollers, from small to middling."""

from collections.abc import Iterator
from itertools import product

from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph

WINDOWS = ((1, 1, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2))
"""Kernel, stride, padding."""
CONVS = ((4, 3, 8), (6, 4, 16), (8, 8, 8), (8, 16, 24), (6, 24, 17), (5, 33, 12), (12, 8, 16), (3, 64, 32))
"""Height and width, input channels, outputs."""
DEPTHWISE = ((3, 16), (5, 8), (6, 33), (8, 24), (12, 8), (16, 4), (10, 17))
"""Height and width, channels."""
CODES = ({"zero_point": 3}, {"zero_point": -128, "activation": "relu"},
         {"zero_point": -100, "activation": "relu"})
"""What depthwise outputs become: any code, from -128 on, cut."""
DENSE = ((16, 8), (64, 10), (128, 33), (257, 12), (640, 16), (31, 64))
"""Features, outputs."""
MAPS = ((4, 8), (5, 12), (8, 16), (6, 33), (12, 8))
"""Height and width, channels, of what works on single codes or pools them."""
PRODUCTS = ((1, 4, 8, 4), (2, 8, 16, 8), (3, 25, 16, 25), (3, 25, 25, 16), (4, 12, 33, 10), (2, 16, 12, 19),
            (1, 30, 64, 7), (1, 1, 40, 24))
"""Matrices, rows, depth, columns of what is multiplied."""
RESERVE = 3000
"""Bytes of RAM that an op leaves to the firmware."""


def graphs(ram_bytes: int) -> Iterator[Graph]:
    """One op each, whose activations fit."""
    for graph in (*_windowed(), *_dense(), *_products(), *_pointwise()):
        if 2 * sum(t.size for t in graph.activations) + RESERVE < ram_bytes:
            yield graph


def _windowed() -> Iterator[Graph]:
    for kernel, stride, pad in WINDOWS:
        window = {"stride": (stride, stride), "pads": (pad,) * 4}
        for size, channels, outputs in CONVS:
            net = Net("conv2d")
            x = net.codes_in("x", 1, size, size, channels)
            operands = (x, *net.weights("w", x, (outputs, kernel, kernel, channels)))
            yield net.finish(net.make("conv2d", operands, "y", **window))
        for (size, channels), codes in product(DEPTHWISE, CODES):
            net = Net("depthwise")
            x = net.codes_in("x", 1, size, size, channels)
            operands = (x, *net.weights("w", x, (1, kernel, kernel, channels), 3))
            yield net.finish(net.make("depthwise_conv2d", operands, "y", multiplier=1, **window, **codes))


def _dense() -> Iterator[Graph]:
    for features, outputs in DENSE:
        net = Net("fully_connected")
        x = net.codes_in("x", 1, features)
        yield net.finish(net.make("fully_connected", (x, *net.weights("w", x, (outputs, features))), "y"))


def _products() -> Iterator[Graph]:
    for (matrices, rows, depth, columns), turned in product(PRODUCTS, (False, True)):
        net = Net("batch_matmul")
        a = net.codes_in("a", 1, matrices, rows, depth, scale=0.04)
        b = net.codes_in("b", 1, matrices, *((columns, depth) if turned else (depth, columns)), scale=0.03)
        yield net.finish(net.make("batch_matmul", (a, b), "y", scale=0.05, transpose_a=False,
                                  transpose_b=turned))


def _pointwise() -> Iterator[Graph]:
    for size, channels in MAPS:
        shape = (1, size, size, channels)
        for kind in ("add", "sub", "mul"):
            net = Net(kind)
            a, b = net.codes_in("a", *shape, scale=0.04), net.codes_in("b", *shape, scale=0.03)
            yield net.finish(net.make(kind, (a, b), "y", scale=0.05))
        for kind, side in product(("average_pool2d", "max_pool2d"), (2, size)):
            net = Net(kind)
            x = net.codes_in("x", *shape)
            same = {"scale": 0.05, "zero_point": 3}
            yield net.finish(net.make(kind, x, "y", **same, kernel=(side, side), stride=(side, side)))
        net = Net("mean")
        yield net.finish(net.make("mean", net.codes_in("x", *shape), "y", axes=(1, 2), keepdims=False))
