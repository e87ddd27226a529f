"""Thousands of random int8 ops for generated C: many to a graph, so that a compiler is called seldom.

    graph, feeds = merged([drawn(i) for i in range(50)], "ops")   # each on inputs of its own

Windowed and weighted kinds come most often, in the shapes that kernels have paths for (1x1, 3x3, 1-D, few
channels, odd tails) with zero points, multipliers and shifts out to their limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
import zlib

import numpy as np

from tests.op_cases import DRAW
from tests.op_cases_weighted import ACTIVATIONS, window_attrs
from tests.op_maker import Case, Maker
from toolchain.ir.graph import Graph, Op
from toolchain.lower.c.emit import CALLS

KERNELS = ((1, 1), (1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (5, 1), (1, 8), (10, 4), (2, 2))
SHARES = {"conv2d": 20, "depthwise_conv2d": 20, "fully_connected": 8, "transpose_conv2d": 2, "add": 5,
          "average_pool2d": 4, "max_pool2d": 4, "mean": 3, "mul": 2, "sub": 2, "softmax": 2}
"""How often a kind comes; 1 where it is not said."""


def _windowed(m: Maker, reach: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, ...]]:
    """A kernel, its dilation, and height and width that it fits."""
    kernel, dilation = m.pick(*KERNELS), m.pick((1, 1), (1, 1), (1, 1), (2, 2), (1, 2))
    return kernel, dilation, tuple(step * (size - 1) + 1 + int(m.rng.integers(0, reach))
                                   for size, step in zip(kernel, dilation))


def draw_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation, sizes = _windowed(m, 7)
    groups = m.pick(1, 1, 1, 1, 2, 3)
    wide = kernel[0] * kernel[1] < 10
    channels, outputs = m.pick(*(1, 2, 3, 4, 7, 8, 16, 17, 33)[:9 if wide else 3]), m.pick(
        1, 2, 3, 4, 5, 8, 9, 16, 21)
    x = m.input((1, *sizes, channels * groups))
    weight, bias = m.weights(x, (outputs * groups, *kernel, channels), 0)
    return m.finish("conv2d", (x, weight, bias), dilation=dilation, **window_attrs(m, kernel, dilation))


def draw_depthwise_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation, sizes = _windowed(m, 9)
    channels, multiplier = m.pick(1, 2, 3, 4, 5, 8, 12, 17), m.pick(1, 1, 1, 1, 2, 3)
    x = m.input((1, *sizes, channels))
    weight, bias = m.weights(x, (1, *kernel, channels * multiplier), 3)
    return m.finish("depthwise_conv2d", (x, weight, bias), dilation=dilation, multiplier=multiplier,
                    **window_attrs(m, kernel, dilation))


def draw_fully_connected(m: Maker, number: int) -> Graph:
    features, outputs = m.pick(1, 2, 3, 4, 10, 31, 64, 129), m.pick(1, 2, 3, 4, 7, 12, 33)
    x = m.input((1, features))
    return m.finish("fully_connected", (x, *m.weights(x, (outputs, features), 0)),
                    activation=m.pick(*ACTIVATIONS))


OWN = {"conv2d": draw_conv2d, "depthwise_conv2d": draw_depthwise_conv2d,
       "fully_connected": draw_fully_connected}
KINDS = [kind for kind in CALLS if kind in DRAW for _ in range(SHARES.get(kind, 1))]


def drawn(number: int) -> Case:
    """The number-th case, the same on every run."""
    kind = KINDS[number % len(KINDS)]
    maker = Maker(np.random.default_rng(zlib.crc32(f"many-{number}".encode())), "int8", f"{kind}-{number}")
    graph = OWN.get(kind, DRAW[kind][1])(maker, number)
    return Case(kind, "int8", number, graph, maker.feeds, maker.lacks)


def merged(cases: Sequence[Case], name: str) -> tuple[Graph, Mapping[str, np.ndarray]]:
    """One graph with all the cases' ops side by side, and its feeds; case i's tensors begin with "<i>."."""
    tensors, ops, inputs, outputs, feeds = {}, [], [], [], {}
    for i, case in enumerate(cases):
        tensors |= {f"{i}.{t.name}": replace(t, name=f"{i}.{t.name}") for t in case.graph.tensors.values()}
        ops += [_renamed(op, i) for op in case.graph.ops]
        inputs += [f"{i}.{x}" for x in case.graph.inputs]
        outputs += [f"{i}.{y}" for y in case.graph.outputs]
        feeds |= {f"{i}.{x}": value for x, value in case.feeds.items()}
    whole = replace(cases[0].graph, name=name, tensors=tensors, ops=tuple(ops), inputs=tuple(inputs),
                    outputs=tuple(outputs))
    return whole, feeds


def _renamed(op: Op, i: int) -> Op:
    own = {"loop": f"{i}.{op.attrs['loop']}"} if "loop" in op.attrs else {}
    return replace(op, inputs=tuple(f"{i}.{x}" for x in op.inputs),
                   outputs=tuple(f"{i}.{y}" for y in op.outputs), attrs={**op.attrs, **own})
