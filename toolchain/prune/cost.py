"""What a network takes, as a sum over its ops, its constants and the channels that can go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.loops import repeats
from toolchain.ir.ops import OPS
from toolchain.prune.groups import Group


def _nothing(*_) -> float:
    return 0.0


@dataclass(frozen=True)
class Cost:
    """The sum of these parts.

    name, unit:  for people
    of_op:       (op, shapes of its inputs, shape of its output) -> what it takes each time; attributes of the
                 op that follow sizes (a reshape's shape) may be those of the whole network
    of_constant: its shape -> what it takes, once, whatever the number of ops that read it
    of_channel:  for each channel of a group
    fixed:       whatever the network
    """

    name: str
    unit: str
    of_op: Callable[[Op, Sequence[Shape], Shape], float] = _nothing
    of_constant: Callable[[Shape], float] = _nothing
    of_channel: float = 0.0
    fixed: float = 0.0

    def of(self, graph: Graph, groups: Sequence[Group] = ()) -> float:
        """Of a whole graph. groups: whose channels are counted"""
        tensors, times = graph.tensors, repeats(graph)
        ops = sum(
            times.get(op.name, 1) * self.of_op(op, [t.shape for t in graph.of(op)], tensors[op.name].shape)
            for op in graph.ops)
        constants = sum(self.of_constant(tensor.shape) for tensor in graph.constants)
        return self.fixed + ops + constants + self.of_channel * sum(group.channels for group in groups)


@dataclass(frozen=True)
class Limit:
    """The most that a network may cost."""

    cost: Cost
    most: float


def _macs(op: Op, inputs: Sequence[Shape], output: Shape) -> float:
    return float(OPS[op.kind].macs(op, inputs, output))


MACS = Cost("macs", "multiply-accumulates", of_op=_macs)
PARAMETERS = Cost("parameters", "numbers", of_constant=lambda shape: float(prod(shape)))
CHANNELS = Cost("channels", "channels", of_channel=1.0)
"""Of a budget that is a share of the prunable channels."""
