"""One op as two in a row: their attributes, their shapes and what they cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.ops import make, output_shape
from toolchain.ir.passes import canonical
from toolchain.prune.cost import Cost

Attrs = Mapping[str, object]


def _channel(attrs: Attrs) -> tuple[Attrs, Attrs]:
    """The window is all the first one's."""
    return {**attrs, "activation": None}, {"activation": attrs["activation"]}


def _spatial(attrs: Attrs) -> tuple[Attrs, Attrs]:
    """Down the columns, then along the rows. Nothing is padded twice: the first one has no bias."""
    (high, wide), (down, along) = attrs["stride"], attrs["dilation"]
    top, bottom, left, right = attrs["pads"]
    return ({"stride": (high, 1), "dilation": (down, 1), "pads": (top, bottom, 0, 0), "activation": None},
            {"stride": (1, wide), "dilation": (1, along), "pads": (0, 0, left, right),
             "activation": attrs["activation"]})


SPLIT: Mapping[str, Callable[[Attrs], tuple[Attrs, Attrs]]] = {"channel": _channel, "spatial": _spatial}
"""Form -> attributes of the op -> those of the two."""


def in_two(op: Op, form: str, first: Sequence[str], second: Sequence[str]) -> tuple[Op, Op]:
    """The first one makes first[0] of what the op reads, with the constants first[1:]; the second one, of
    that and the constants in `second`, what the op makes."""
    before, behind = SPLIT[form](op.attrs)
    return (make(op.kind, (op.inputs[0], *first[1:]), first[0], **before),
            make(op.kind, (first[0], *second), op.name, **behind))


def thin_shapes(form: str, weight: Shape, rank: int) -> tuple[Shape, Shape]:
    """Of both weights, in the layout of the op's own."""
    if len(weight) == 2:
        return (rank, weight[1]), (weight[0], rank)
    count, high, wide, inputs = weight
    if form == "channel":
        return (rank, high, wide, inputs), (count, 1, 1, rank)
    return (rank, high, 1, inputs), (count, 1, wide, rank)


@dataclass(frozen=True, eq=False)
class Prices:
    """What ops of a FLOAT graph cost where they run, with the activation that they are fused with there.

    costs:       each is counted
    activations: weight -> of the op that reads it in the canonical graph
    """

    graph: Graph
    costs: tuple[Cost, ...]
    activations: Mapping[str, str | None]

    @classmethod
    def of(cls, graph: Graph, costs: tuple[Cost, ...]) -> "Prices":
        fused = {op.inputs[1]: op.attrs["activation"] for op in canonical(graph).ops if op.kind in WEIGHTED}
        return cls(graph, costs, fused)

    def whole(self, op: Op) -> tuple[float, ...]:
        """By each cost, of an op with weight and bias."""
        x, weight, _ = (tensor.shape for tensor in self.graph.of(op))
        return self._of([(self._fused(op), x, weight)])

    def thin(self, op: Op, form: str, rank: int) -> tuple[float, ...]:
        """Of both that the op becomes."""
        x, weight, _ = (tensor.shape for tensor in self.graph.of(op))
        first, second = in_two(self._fused(op), form, ("thin", "weight", "bias"), ("weight", "bias"))
        before, behind = thin_shapes(form, weight, rank)
        middle = output_shape(first, [x, before, (rank,)])
        return self._of([(first, x, before), (second, middle, behind)])

    def _fused(self, op: Op) -> Op:
        activation = self.activations.get(op.inputs[1], op.attrs["activation"])
        return replace(op, attrs={**op.attrs, "activation": activation})

    def _of(self, parts: Sequence[tuple[Op, Shape, Shape]]) -> tuple[float, ...]:
        """parts: ops with the shapes of what they read and of their weights"""
        return tuple(sum(_cost_of(cost, *part) for part in parts) for cost in self.costs)


def _cost_of(cost: Cost, op: Op, x: Shape, weight: Shape) -> float:
    inputs = [x, weight, (weight[WEIGHTED[op.kind]],)]
    return cost.of_op(op, inputs, output_shape(op, inputs)) + sum(map(cost.of_constant, inputs[1:]))
