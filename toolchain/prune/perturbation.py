"""What the loss becomes without each channel: measured, the truth that other criteria are judged by."""

from collections.abc import Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph, Op
from toolchain.prune.evidence import Evidence
from toolchain.prune.gated_module import GatedModule, batches
from toolchain.prune.groups import Group
from toolchain.runtime.torch_module import fixed_threads


def perturbation(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """Mean loss with the channel masked, minus that of the whole network."""
    one_gone = [1 - np.eye(group.channels, dtype=np.float32) for group in groups]
    return increases(graph, groups, one_gone, evidence)


@fixed_threads()
@torch.no_grad()
def increases(graph: Graph, groups: Sequence[Group], scales: Sequence[np.ndarray],
              evidence: Evidence) -> list[np.ndarray]:
    """Per group (n,): mean loss with its channels so scaled, minus that of the whole network.

    scales: per group (n, channels); all other groups stay as they are
    Only ops behind the group are computed again.
    """
    gated = GatedModule(graph, groups, evidence)
    behind = [_behind(gated, number) for number in range(len(groups))]
    found = [np.zeros(len(rows)) for rows in scales]
    for positions, values in batches(evidence):
        gated.set([torch.ones(1, group.channels) for group in groups])
        gated.module.compute(values, gated.module.graph.ops)
        whole = evidence.loss(values, positions)
        for number, rows in enumerate(scales):
            for row, scale in enumerate(rows):
                scaled = _scaled(gated, values, behind[number], number, scale)
                found[number][row] += float((evidence.loss(scaled, positions) - whole).double().sum())
    return [total / len(evidence.samples) for total in found]


def _scaled(gated: GatedModule, values: dict[str, torch.Tensor], ops: Sequence[Op], group: int,
            scale: np.ndarray) -> dict[str, torch.Tensor]:
    """All values, those of `ops` as they are with the group's channels at this scale."""
    gates = [torch.ones(1, group.channels) for group in gated.groups]
    gates[group] = torch.from_numpy(scale)[None]
    gated.set(gates)
    scaled = dict(values)
    gated.module.compute(scaled, ops)
    return scaled


def _behind(gated: GatedModule, group: int) -> list[Op]:
    """Ops that depend on the group's masks, in order."""
    reached, ops = {place.mask for place in gated.places if place.group == group}, []
    for op in gated.module.graph.ops:
        if reached.intersection(op.inputs):
            reached.update(op.outputs)
            ops.append(op)
    return ops
