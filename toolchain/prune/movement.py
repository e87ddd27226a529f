"""Movement pruning: what training draws towards zero goes, whatever its size.

Source: Sanh et al. 2020, "Movement Pruning: Adaptive Sparsity by Fine-Tuning", sections 3 and 4.
"""

from collections.abc import Mapping

import torch

from toolchain.ir.graph import Graph
from toolchain.prune.sparse_training import Growing, zero
from toolchain.runtime.torch_module import GraphModule
from toolchain.training_sections import SparsifyConfig


class Movement(Growing):
    """The weights with the highest scores are there, S = - sum over steps of w * dL/dw' (eq. 2).

    Forward goes through w' = w * mask; the gradient of the scores passes the choice straight through, so that
    those of masked weights grow and fall too, and may come back (section 4). Masked weights themselves wait.
    scores: of each weight's shape;  dense: the weights without their zeros, between steps
    """

    def __init__(self, graph: Graph, config: SparsifyConfig):
        super().__init__(graph, config)
        self.scores = {name: torch.zeros(graph.tensors[name].shape) for name in self.kinds}
        self.dense: dict[str, torch.Tensor] = {}

    def begin(self, module: GraphModule, steps: int) -> tuple:
        """All weights are there."""
        self.masks = {name: torch.ones_like(mask) for name, mask in self.masks.items()}
        self._hide(module)
        return super().begin(module, steps)

    @torch.no_grad()
    def after_backward(self, module: GraphModule) -> None:
        """Scores move by the gradient of the masked weights; then an optimiser sees the dense ones."""
        for name, mask in self.masks.items():
            weight = module.constant(name)
            weight.copy_(self.dense[name])
            if weight.grad is not None:
                self.scores[name] -= weight * weight.grad
                weight.grad.mul_(mask)

    def after_step(self, module: GraphModule, step: int) -> None:
        share = self.share_after(step)
        if share is not None:
            self.choose(self.scores, share)
        self._hide(module)

    def _hide(self, module: GraphModule) -> None:
        """The dense weights are set aside, and what is masked is zero in the module."""
        self.dense = {name: module.constant(name).detach().clone() for name in self.masks}
        zero(module, self.masks)

    def state(self) -> dict[str, torch.Tensor]:
        parts = (("score", self.scores), ("dense", self.dense))
        return {**super().state(), **{f"{part}:{name}": values[name] for part, values in parts
                                      for name in self.masks}}

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        super().resume(state)
        self.scores = {name: state[f"score:{name}"].clone() for name in self.masks}
        self.dense = {name: state[f"dense:{name}"].clone() for name in self.masks}
