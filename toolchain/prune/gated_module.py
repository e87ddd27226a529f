"""A network's loss as a function of gates: factors of its channels where their consumers read them.

A gate of 0 is what `masks.with_masks` calls masked, so derivatives by gates and what masked networks lose are
about the same thing. Each sample has gates of its own: one backward pass gives the gradient of each
sample's loss (Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning", section 2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.ir.unrolling import unrolled
from toolchain.prune.evidence import Evidence
from toolchain.prune.groups import Group
from toolchain.prune.masks import with_masks
from toolchain.runtime.torch_module import GraphModule

BATCH = 64
"""Samples at a time."""
Gates = list[torch.Tensor]
"""Per group (n, channels): of each sample."""


def batches(evidence: Evidence, size: int = BATCH) -> Iterator[tuple[np.ndarray, dict[str, torch.Tensor]]]:
    """(positions (n,), input name -> (n, ...)) of all samples, in order, `size` at a time."""
    for start in range(0, len(evidence.samples), size):
        positions = np.arange(start, min(start + size, len(evidence.samples)))
        feeds = evidence.samples.feeds(positions)
        yield positions, {name: torch.from_numpy(x) for name, x in feeds.items()}


def task_module(graph: Graph, evidence: Evidence) -> GraphModule:
    """Computes what the loss is made of, loops written out; batch norms use their running statistics, nothing
    is trained."""
    flat = unrolled(replace(graph, outputs=evidence.outputs)).graph
    return GraphModule(flat).eval().requires_grad_(False)


class GatedModule:
    """places: as of `with_masks`; reads: each with a "mul" that reads its mask, one for every step of a loop.
    """

    def __init__(self, graph: Graph, groups: Sequence[Group], evidence: Evidence):
        masked = with_masks(graph, groups)
        self.groups, self.places, self.evidence = groups, masked.places, evidence
        self.module = task_module(masked.graph, evidence)
        self.reads = [(place, op) for place in masked.places
                      for op in self.module.graph.consumers[place.mask]]
        self.shapes = {place.mask: masked.graph.tensors[place.mask].shape for place in masked.places}

    def ones(self, count: int) -> Gates:
        """Open gates of so many samples, to be differentiated by."""
        return [torch.ones(count, group.channels, requires_grad=True) for group in self.groups]

    def set(self, gates: Gates) -> None:
        """What the module multiplies by from now on."""
        count = len(gates[0])
        values = {mask: torch.ones(count, max(shape)) for mask, shape in self.shapes.items()}
        for place in self.places:
            index, channel = map(torch.from_numpy, (place.member.index, place.member.channel))
            values[place.mask][:, index] = gates[place.group][:, channel]
        for mask, value in values.items():
            setattr(self.module, self.module.keys[mask], value.reshape(count, *self.shapes[mask][1:]))

    def losses(self, positions: np.ndarray, feeds: dict[str, torch.Tensor], gates: Gates) -> torch.Tensor:
        """(n,) of these samples."""
        self.set(gates)
        return self.evidence.loss(self.module(feeds), positions)


def derivatives(total: torch.Tensor, by: Sequence[torch.Tensor], *, again: bool = False,
                keep: bool = False) -> list[torch.Tensor]:
    """Of a scalar; zeros where it does not depend on one. again: they can be differentiated too; keep: what
    they were computed from is needed once more."""
    if not total.requires_grad:
        return [torch.zeros_like(x) for x in by]
    found = torch.autograd.grad(total, by, retain_graph=again or keep, create_graph=again,
                                materialize_grads=True)
    return list(found)
