"""What training does besides making the task's loss small: gates, penalties, masks. Called by `train.fit`."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from toolchain.runtime.torch_module import GraphModule


class Addition:
    """Does nothing; each kind overrides what it needs. A run calls begin once, then for each batch
    before_batch, penalty, after_backward and after_step, in this order. What it draws comes from torch's own
    generator, which a run seeds, and which a checkpoint holds."""

    def key(self) -> str:
        """Its settings: a checkpoint of a run with others is not gone on with."""
        return ""

    def begin(self, module: "GraphModule", steps: int) -> Iterable["torch.nn.Parameter"]:
        """Look at what is trained, for so many steps; parameters that are to be trained too."""
        return ()

    def before_batch(self, module: "GraphModule", step: int) -> None:
        """Steps count from 0."""

    def penalty(self, module: "GraphModule") -> "torch.Tensor | None":
        """A scalar that is added to the batch's loss."""
        return None

    def after_backward(self, module: "GraphModule") -> None:
        """Gradients are there."""

    def after_step(self, module: "GraphModule", step: int) -> None:
        """Weights have moved."""

    def before_score(self, module: "GraphModule") -> None:
        """Selection samples are about to be scored, with the weights as they would be kept; what is changed
        in the module here is put back after it."""

    def settled(self) -> bool:
        """Whether weights as they are now may be the best of a run: not while a schedule is under way."""
        return True

    def end(self, module: "GraphModule") -> None:
        """Before the module's constants are written back."""

    def state(self) -> Mapping[str, "torch.Tensor"]:
        """What a checkpoint must hold to go on; parameters that begin() gave are in it anyway."""
        return {}

    def resume(self, state: Mapping[str, "torch.Tensor"]) -> None:
        """As state() gave it, after begin()."""
