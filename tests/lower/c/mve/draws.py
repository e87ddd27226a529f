"""Graphs of one op whose shapes reach every path of the MVE kernels: whole and odd groups of channels,
several strips and blocks, all borders, and requantization out to its limits."""

import numpy as np

from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph

SCALES = (1e-6, 2e-4, 0.02, 0.05, 0.2, 60.0)
"""Of the output: shifts from 9 to the left to 23 to the right."""
ZERO_POINTS = (-128, -128, 127, 0, -5)
CHANNELS = (1, 3, 4, 7, 8, 15, 16, 17, 24, 33, 50)


class Draw:
    """A seeded source of choices for one graph."""

    def __init__(self, name: str, number: int):
        self.rng, self.net = np.random.default_rng([number, len(name)]), Net(f"{name}{number}", number)

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def weights(self, x: str, shape: tuple[int, ...], axis: int = 0) -> tuple[str, str]:
        """Some with biases near the ends of 32 bits, which wrap when products are added."""
        names = self.net.weights("w", x, shape, axis)
        if self.pick(True, False, False):
            bias = self.net.tensors[names[1]].data
            bias[...] = self.rng.choice([-2**31, 2**31 - 1, -2**30, 2**30 + 5, 0], bias.shape)
        return names

    def finish(self, kind: str, operands: tuple[str, ...], **attrs) -> Graph:
        made = self.net.make(kind, operands, "y", self.pick(*SCALES), self.pick(*ZERO_POINTS),
                             activation=self.pick(None, "relu", "relu6"), **attrs)
        return self.net.finish(made)

    def window(self, sizes: tuple[int, ...], largest: tuple[int, int]) -> tuple[dict, tuple[int, ...]]:
        """Attributes of a sliding window, and a height and width that it fits."""
        dilation = self.pick((1, 1), (1, 1), (2, 1), (1, 2), (3, 2))
        reach = [(size - 1) * step for size, step in zip(sizes, dilation, strict=True)]
        same = tuple(n for size in reach for n in (size // 2, size - size // 2))
        room = [size + int(self.rng.integers(1, most)) for size, most in zip(reach, largest, strict=True)]
        attrs = {"dilation": dilation, "stride": self.pick((1, 1), (1, 1), (2, 2), (1, 2), (3, 1)),
                 "pads": same if self.pick(True, False) else tuple(self.rng.integers(0, 3, 4).tolist())}
        if sizes[1] == 1 and self.pick(True, False):
            room[1], attrs["pads"] = 1, (*attrs["pads"][:2], 0, 0)
        return attrs, tuple(room)


def convolution(number: int) -> Graph:
    draw = Draw("convolution", number)
    kernel = draw.pick((1, 1), (3, 3), (3, 3), (1, 3), (5, 1), (2, 2), (10, 4))
    channels = draw.pick(*(CHANNELS[:4] if kernel == (10, 4) else CHANNELS[:-2]))
    attrs, room = draw.window(kernel, (6, 40 if channels < 5 else 9))
    x = draw.net.codes_in("x", 1, *room, channels, zero_point=draw.pick(*ZERO_POINTS))
    weights = draw.weights(x, (draw.pick(1, 2, 3, 4, 5, 8, 13), *kernel, channels))
    return draw.finish("conv2d", (x, *weights), **attrs)


def depthwise(number: int) -> Graph:
    draw = Draw("depthwise", number)
    kernel = draw.pick((3, 3), (3, 3), tuple(draw.rng.integers(1, 5, 2).tolist()), (5, 5), (1, 7), (9, 1))
    channels = draw.pick(*CHANNELS[1:])
    attrs, room = draw.window(kernel, (7, 45 if channels < 9 else 9))
    x = draw.net.codes_in("x", 1, *room, channels, zero_point=draw.pick(*ZERO_POINTS))
    return draw.finish("depthwise_conv2d", (x, *draw.weights(x, (1, *kernel, channels), 3)), **attrs)


def dense(number: int) -> Graph:
    draw = Draw("dense", number)
    depth, channels = draw.pick(1, 15, 16, 17, 32, 33, 48, 100, 640), draw.pick(1, 2, 4, 7, 8, 9, 12, 16, 21)
    x = draw.net.codes_in("x", 1, depth, zero_point=draw.pick(*ZERO_POINTS))
    return draw.finish("fully_connected", (x, *draw.weights(x, (channels, depth))))


def pointwise(number: int) -> Graph:
    """A 1x1 convolution over all pixels."""
    draw = Draw("pointwise", number)
    depth, channels = draw.pick(*CHANNELS, 64, 80, 129), draw.pick(1, 3, 4, 6, 8, 16, 30)
    x = draw.net.codes_in("x", 1, draw.pick(1, 3), draw.pick(1, 2, 5, 8), depth,
                          zero_point=draw.pick(*ZERO_POINTS))
    return draw.finish("conv2d", (x, *draw.weights(x, (channels, 1, 1, depth))))


def elementwise(number: int) -> Graph:
    """add, sub, mul; the second operand the same shape, or one row for all."""
    draw = Draw("elementwise", number)
    kind, width = draw.pick("add", "sub", "mul"), draw.pick(1, 3, 4, 16, 37)
    a = draw.net.codes_in("a", 1, draw.pick(1, 5), width, scale=0.03, zero_point=draw.pick(*ZERO_POINTS))
    shape = draw.net.tensors[a].shape if draw.pick(True, False) else (1, 1, width)
    b = draw.net.codes_in("b", *shape, scale=draw.pick(0.03, 0.005, 0.1), zero_point=draw.pick(*ZERO_POINTS))
    y = draw.net.make(kind, (a, b), "y", draw.pick(0.002, 0.05, 0.2), draw.pick(*ZERO_POINTS),
                      activation=draw.pick(None, "relu"))
    return draw.net.finish(y)


def feeds(graph: Graph) -> dict[str, np.ndarray]:
    """One sample of random codes, some of them the ends."""
    rng = np.random.default_rng(len(graph.name))
    drawn = {name: rng.integers(-128, 128, graph.tensors[name].shape) for name in graph.inputs}
    return {name: np.where(rng.random(codes.shape) < 0.1, rng.choice([-128, 127], codes.shape), codes)
            .astype(np.int8) for name, codes in drawn.items()}
