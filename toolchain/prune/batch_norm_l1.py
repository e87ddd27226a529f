"""Network Slimming: an L1 penalty draws the scales of batch norms to zero, channel by channel.

Source: Liu et al. 2017, "Learning Efficient Convolutional Networks through Network Slimming", eq. 1. Which
channels go is then for importance "batch_norm".
"""

from collections.abc import Sequence

import numpy as np
import torch

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.prune.groups import Group
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule

STRENGTH = 1e-4
"""Section 4.2: 1e-4 or 1e-5, for sums over all channels beside a cross-entropy."""


class BatchNormL1(Addition):
    """strength * sum |gamma| over the channels of these groups is added to the loss.

    gammas: constant -> positions (n,) of the channels that may go
    Raises BadInput where no batch norm scales any of them.
    """

    def __init__(self, graph: Graph, groups: Sequence[Group], strength: float = STRENGTH):
        norms = {op.inputs[1] for op in graph.ops if op.kind == "batch_norm"}
        found: dict[str, list[np.ndarray]] = {}
        for member in (member for group in groups for member in group.members):
            if member.tensor in norms and graph.tensors[member.tensor].is_constant:
                found.setdefault(member.tensor, []).append(member.index)
        if not found:
            raise BadInput(f'{graph.name}: schedule "batch_norm_l1" needs a batch norm on channels that can '
                           f'go, and there is none; take schedule "iterative" or "gates"')
        self.strength = strength
        self.gammas = {name: torch.from_numpy(np.unique(np.concatenate(parts)))
                       for name, parts in found.items()}

    def key(self) -> str:
        return f"{self.strength} {[(name, index.tolist()) for name, index in self.gammas.items()]}"

    def penalty(self, module: GraphModule) -> torch.Tensor:
        return self.strength * sum(module.constant(name)[index].abs().sum()
                                   for name, index in self.gammas.items())
