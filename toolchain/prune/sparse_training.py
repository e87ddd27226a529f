"""Weights at zero while the others are trained: by masks that are there before, or that grow."""

from collections.abc import Mapping
import hashlib

import torch

from toolchain.ir.graph import Graph
from toolchain.prune.sparsify import Masks, cubic, masks_for, sparsified
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule
from toolchain.training_sections import SparsifyConfig

LAST = 0.75
"""Share of the steps at which a growing share has got to its end; the rest tunes what is left."""
UPDATES = 100
"""How often masks are chosen on the way, at most (Zhu & Gupta 2017: every 100 to 1000 of many steps)."""


@torch.no_grad()
def zero(module: GraphModule, masks: Mapping[str, torch.Tensor]) -> None:
    """Weights are 0 where their mask is False."""
    for name, mask in masks.items():
        module.constant(name).mul_(mask)


class Masked(Addition):
    """Zeros stay zero: after every step, and in an average of the weights that takes their place."""

    def __init__(self, masks: Masks):
        self.masks = {name: torch.from_numpy(mask) for name, mask in masks.items()}

    def key(self) -> str:
        masks = b"".join(name.encode() + mask.numpy().tobytes() for name, mask in self.masks.items())
        return hashlib.sha256(masks).hexdigest()

    def begin(self, module: GraphModule, steps: int) -> tuple:
        zero(module, self.masks)
        return ()

    def after_step(self, module: GraphModule, step: int) -> None:
        zero(module, self.masks)

    def before_score(self, module: GraphModule) -> None:
        zero(module, self.masks)

    def end(self, module: GraphModule) -> None:
        zero(module, self.masks)


class Growing(Masked):
    """Masks that are chosen anew on the way, for a share of zeros that grows along a cubic.

    config: with a sparsity
    """

    def __init__(self, graph: Graph, config: SparsifyConfig):
        self.kinds, _ = sparsified(graph, config)
        self.config = config
        super().__init__({name: graph.tensors[name].data != 0 for name in self.kinds})

    def key(self) -> str:
        return f"{self.config} {super().key()}"

    def begin(self, module: GraphModule, steps: int) -> tuple:
        """Masks are those of the weights that are not zero already."""
        self.last = max(1, round(LAST * steps))
        self.every, self.done = max(1, self.last // UPDATES), 0
        return super().begin(module, steps)

    def share_after(self, step: int) -> float | None:
        """The share of zeros that masks are to be chosen for now, None between two choices."""
        self.done = step + 1
        if self.done > self.last or (self.done % self.every and self.done != self.last):
            return None
        return cubic(self.done / self.last, self.config.sparsity)

    def settled(self) -> bool:
        return self.done >= self.last

    def choose(self, scores: Mapping[str, torch.Tensor], share: float) -> None:
        """Masks by these scores, of each weight's shape."""
        arrays = {name: score.numpy() for name, score in scores.items()}
        masks = masks_for(arrays, self.kinds, self.config, share)
        self.masks = {name: torch.from_numpy(mask) for name, mask in masks.items()}

    def state(self) -> dict[str, torch.Tensor]:
        masks = {f"mask:{name}": mask for name, mask in self.masks.items()}
        return {"done": torch.tensor(self.done), **masks}

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        self.done = int(state["done"])
        self.masks = {name: state[f"mask:{name}"] for name in self.masks}


class GradualSparsity(Growing):
    """Weights of least magnitude become zero, few at a time and ever fewer (Zhu & Gupta 2017)."""

    def after_step(self, module: GraphModule, step: int) -> None:
        share = self.share_after(step)
        if share is not None:
            self.choose({name: module.constant(name).detach().abs() for name in self.kinds}, share)
        super().after_step(module, step)
