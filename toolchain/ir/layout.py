"""The layout pass: what came channels first runs channels last.

Transposes, and reshapes that only move unit axes, sink towards the outputs and cancel, or are baked into
the constants that they meet.

Doors in are literal: they put each channel op between explicit transposes. `ir.sinking` is how they sink,
`ir.view_rules` and `ir.flattening` what each kind of op does with a view.
"""

from collections.abc import Mapping
from dataclasses import replace

from toolchain.ir.flattening import FLATTENING
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.readers import TO_FIRST, TO_LAST, wants_channels_last
from toolchain.ir.sinking import Rule, Sinking, View
from toolchain.ir.view_rules import VIEW_RULES

RULES: Mapping[str, Rule] = {**VIEW_RULES, **FLATTENING}


def channels_last(graph: Graph) -> Graph:
    """Sink and cancel transposes.

    Inputs and outputs become channels last where the source was channels first; `permutations` then says so.
    """
    return _ChannelsLast(graph, RULES).run()


def transposes(graph: Graph) -> int:
    """How many transposes the graph has; after the pass each of them moves data."""
    return sum(op.kind == "transpose" for op in graph.ops)


class _ChannelsLast(Sinking):
    """Inputs that a channel op reads turned come in channels last."""

    lies = TO_LAST

    def turns(self, tensor: Tensor) -> bool:
        return wants_channels_last(self.old, tensor)

    def add_input(self, tensor: Tensor) -> None:
        """Turn the input channels last where a consumer wants it so."""
        self.keep(tensor)
        if tensor.name in self.permutations or not self.turns(tensor):
            return
        to_last, to_first = TO_LAST[len(tensor.shape)], TO_FIRST[len(tensor.shape)]
        shape = tuple(tensor.shape[axis] for axis in to_last)
        self.tensors[tensor.name] = replace(tensor, shape=shape)
        self.views[tensor.name] = View(tensor.name, to_first)
        self.permutations[tensor.name] = to_first
