"""Random graphs of [1, ...] tensors of one to four axes, which no door would write but every one might.

Transposes, unit axes that come and go, broadcasts of other ranks, scalars, flattened features and views as
outputs: what `tests/literal.py`, which writes networks as a door does, leaves out.
"""

from collections.abc import Callable

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph

SIZES = (2, 3, 4, 5, 1)
LARGEST = 2000


class RandomGraph:
    """Grows a graph op by op; each step takes a tensor's name and returns that of the result, if any."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.b = Builder(f"random{seed}")
        sizes = self.rng.choice(SIZES, self.rng.integers(1, 4))
        self.live = [self.b.input("x", (1, *sizes))]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.b.tensors[name].shape

    def normal(self, name: str, *shape: int) -> str:
        return self.b.constant(name, self.rng.normal(size=shape).astype(np.float32))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one_of(self, names: list[str]) -> str:
        return names[int(self.rng.integers(len(names)))]

    def transpose(self, x: str) -> str:
        perm = 1 + self.rng.permutation(len(self.shape(x)) - 1)
        return self.b.op("transpose", [x], "transpose", perm=(0, *perm))

    def unit_axes(self, x: str) -> str:
        sizes = [n for n in self.shape(x)[1:] if n != 1]
        for _ in range(int(self.rng.integers(4)) - len(sizes)):
            sizes.insert(int(self.rng.integers(len(sizes) + 1)), 1)
        return self.b.op("reshape", [x], "reshape", shape=(1, *sizes))

    def with_constant(self, x: str) -> str:
        """Any part of the shape, from a scalar to all axes, each of them whole or broadcast."""
        shape = [n if self.chance(0.5) else 1 for n in self.shape(x)]
        shape = shape[int(self.rng.integers(len(shape) + 1)):]
        if self.chance(0.2) and len(self.shape(x)) < 4:
            shape = [1] * (len(self.shape(x)) + 1)  # a single value of more axes
        constant = self.normal("constant", *shape)
        operands = [x, constant] if self.chance(0.7) else [constant, x]
        return self.b.op(str(self.rng.choice(["add", "sub", "mul"])), operands, "binary")

    def add(self, x: str) -> str:
        """With an earlier tensor, perhaps of other rank."""
        def fits(other: str) -> bool:
            pairs = zip(reversed(self.shape(other)), reversed(self.shape(x)))
            return all(m == n or 1 in (m, n) for m, n in pairs)

        return self.b.op("add", [x, self.one_of([name for name in self.live if fits(name)])], "add")

    def mean(self, x: str) -> str | None:
        rank = len(self.shape(x))
        if rank == 1:
            return None
        axes = self.rng.choice(np.arange(1, rank), self.rng.integers(1, rank), replace=False)
        return self.b.op("mean", [x], "mean", axes=np.sort(axes), keepdims=self.chance(0.5))

    def pad(self, x: str) -> str:
        pads = [tuple(self.rng.integers(2, size=2)) for _ in self.shape(x)[1:]]
        return self.b.op("pad", [x], "pad", pads=((0, 0), *pads))

    def concat(self, x: str) -> str | None:
        shape = self.shape(x)
        if len(shape) == 1:
            return None
        axis = int(self.rng.integers(1, len(shape)))

        def fits(other: str) -> bool:
            found = self.shape(other)
            return len(found) == len(shape) and all(
                m == n or i == axis for i, (m, n) in enumerate(zip(found, shape)))

        others = [name for name in self.live if fits(name)]
        return self.b.op("concat", [x, self.one_of(others)], "concat", axis=axis)

    def act(self, x: str) -> str:
        return self.b.op(str(self.rng.choice(["relu", "softmax", "tanh"])), [x], "act")

    def flat(self, x: str) -> str:
        size = int(np.prod(self.shape(x)))
        flat = self.b.op("reshape", [x], "flat", shape=(1, size))
        if self.chance(0.3):
            return flat
        w = self.normal("w", 3, size)
        if self.chance(0.3):
            w = self.b.op("transpose", [self.normal("wt", size, 3)], "wt.t", perm=(1, 0))
        return self.b.op("fully_connected", [flat, w, self.normal("b", 3)], "fc")


STEPS: tuple[Callable[[RandomGraph, str], str | None], ...] = (
    RandomGraph.transpose, RandomGraph.unit_axes, RandomGraph.with_constant, RandomGraph.add,
    RandomGraph.mean, RandomGraph.pad, RandomGraph.concat, RandomGraph.act, RandomGraph.flat,
)


def random_graph(seed: int) -> Graph:
    """A seeded graph of up to nine steps with one input "x" and one to three outputs."""
    net = RandomGraph(seed)
    for _ in range(net.rng.integers(2, 10)):
        x = net.one_of(net.live) if net.chance(0.3) else net.live[-1]
        y = STEPS[int(net.rng.integers(len(STEPS)))](net, x)
        if y is not None and np.prod(net.shape(y)) <= LARGEST:
            net.live.append(y)
    made = net.live[1:] or [net.b.op("relu", ["x"], "act")]
    also = net.rng.choice(made, net.rng.integers(3))
    return net.b.graph(*dict.fromkeys([made[-1], *map(str, also)]))
