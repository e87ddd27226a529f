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
        kind = str(self.rng.choice(["add", "sub", "mul", "minimum", "maximum"]))
        return self.b.op(kind, operands, "binary")

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

    def image(self, x: str) -> str:
        """Features of a fully connected op, perhaps normalized, as an image that is turned channels last."""
        size = int(np.prod(self.shape(x)))
        flat = self.b.op("reshape", [x], "flat", shape=(1, size))
        y = self.b.op("fully_connected", [flat, self.normal("w", 24, size), self.normal("b", 24)], "fc")
        if self.chance(0.5):
            parameters = [self.normal(name, 24) for name in ("gamma", "beta", "mean")]
            variance = self.b.constant("variance", self.rng.uniform(0.5, 2, 24).astype(np.float32))
            y = self.b.op("batch_norm", [y, *parameters, variance], "norm", epsilon=1e-3)
        y = self.b.op("reshape", [y], "image", shape=(1, 2, 3, 4) if self.chance(0.7) else (1, 6, 4))
        perm = (0, 2, 3, 1) if len(self.shape(y)) == 4 else (0, 2, 1)
        return self.b.op("transpose", [y], "image:last", perm=perm)

    def regrouped(self, x: str) -> str:
        """Any other shape of the same size, of up to five axes."""
        size, shape = int(np.prod(self.shape(x))), [1]
        for _ in range(int(self.rng.integers(3))):
            divisors = [n for n in range(1, 7) if size % n == 0]
            shape.append(int(self.rng.choice(divisors)))
            size //= shape[-1]
        shape.insert(int(self.rng.integers(1, len(shape) + 1)), size)
        return self.b.op("reshape", [x], "regrouped", shape=shape)

    def part(self, x: str) -> str:
        bounds = [sorted(map(int, self.rng.choice(n + 1, 2, replace=False))) for n in self.shape(x)[1:]]
        begin, end = zip((0, 1), *bounds)
        return self.b.op("slice", [x], "part", begin=begin, end=end,
                         strides=(1, *self.rng.integers(1, 3, len(bounds))))

    def repeated(self, x: str) -> str:
        return self.b.op("tile", [x], "tile", multiples=(1, *self.rng.integers(1, 3, len(self.shape(x)) - 1)))

    def mirrored(self, x: str) -> str:
        pads = [tuple(self.rng.integers(min(n, 3), size=2)) for n in self.shape(x)[1:]]
        return self.b.op("mirror_pad", [x], "mirror", pads=((0, 0), *pads))

    def picked(self, x: str) -> str | None:
        rank = len(self.shape(x))
        if rank == 1:
            return None
        axis = int(self.rng.integers(1, rank))
        indices = self.b.constant("indices", self.rng.integers(self.shape(x)[axis], size=3))
        return self.b.op("gather", [x, indices], "gather", axis=axis)

    def reduced(self, x: str) -> str | None:
        rank = len(self.shape(x))
        if rank == 1:
            return None
        if self.chance(0.3):
            best = self.b.op("argmax", [x], "argmax", axis=int(self.rng.integers(1, rank)))
            return self.b.op("cast", [best], "cast", to="float32")
        axes = np.sort(self.rng.choice(np.arange(1, rank), self.rng.integers(1, rank), replace=False))
        kind = str(self.rng.choice(["sum", "reduce_max", "reduce_min"]))
        return self.b.op(kind, [x], kind, axes=axes, keepdims=self.chance(0.5))

    def normalized(self, x: str) -> str | None:
        shape = self.shape(x)
        if len(shape) == 1:
            return None
        axes = np.sort(self.rng.choice(np.arange(1, len(shape)), self.rng.integers(1, len(shape)),
                                       replace=False))
        affine = [n if i in axes or self.chance(0.3) else 1 for i, n in enumerate(shape)]
        parameters = [self.normal(name, *affine[int(self.chance(0.5)):]) for name in ("gamma", "beta")]
        return self.b.op("layer_norm", [x, *parameters], "normalized", axes=axes, epsilon=1e-2)

    def product(self, x: str) -> str | None:
        """With itself, seen one way or the other."""
        shape = self.shape(x)
        if len(shape) < 3:
            return None
        turned = self.chance(0.5)
        return self.b.op("batch_matmul", [x, x], "product", transpose_a=turned, transpose_b=not turned)

    def chosen(self, x: str) -> str:
        asked = self.b.op("compare", [x, self.normal("limit", 1)], "asked", relation="less")
        return self.b.op("select", [asked, x, self.normal("other", *self.shape(x)[-1:])], "chosen")


STEPS: tuple[Callable[[RandomGraph, str], str | None], ...] = (
    RandomGraph.transpose, RandomGraph.unit_axes, RandomGraph.with_constant, RandomGraph.add,
    RandomGraph.mean, RandomGraph.pad, RandomGraph.concat, RandomGraph.act, RandomGraph.flat,
    RandomGraph.transpose, RandomGraph.image, RandomGraph.regrouped, RandomGraph.part, RandomGraph.repeated,
    RandomGraph.mirrored, RandomGraph.picked, RandomGraph.reduced, RandomGraph.normalized,
    RandomGraph.product, RandomGraph.chosen,
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
