"""The loss of a batch: what labels, the user's own function and the teacher say of it, mixed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from toolchain.errors import BadInput
from toolchain.python_file import blaming
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.batches import Batch
from toolchain.train.distill import Teacher, mix, soft_loss
from toolchain.train.tasks import class_losses, is_classes, number_losses
from toolchain.training_sections import TrainConfig


@dataclass(frozen=True, eq=False)
class Objective:
    """outputs: names of what the losses are made of: logits before a softmax
    teacher: None: labels only
    own:     the user's loss, None: the labels' by the metric
    """

    config: TrainConfig
    metric: str
    outputs: tuple[str, ...]
    teacher: Teacher | None = None
    own: Callable | None = None

    def loss(self, module: GraphModule, batch: Batch) -> torch.Tensor:
        """A scalar, mean over the batch's samples."""
        values = module(batch.feeds)
        labels, soft = self._from_labels(values, batch), self._from_teacher(values, batch)
        if labels is None and soft is None:
            raise BadInput(f"{self.config.loader}: gives no labels, and there is no teacher to learn from")
        return mix(labels, soft, self.config.alpha)

    def _from_labels(self, values: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor | None:
        if self.own:
            return self._own(values, batch).mean()
        if batch.y is None:
            return None
        if is_classes(self.metric):
            return class_losses(values[self.outputs[0]], batch.y, self.config.label_smoothing).mean()
        return number_losses(values[self.outputs[0]], batch.y).mean()

    def _own(self, values: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """(n,) by the user's function."""
        with blaming(self.config.loss):
            losses = self.own(values, batch.y)
        count = len(next(iter(batch.feeds.values())))
        tensor = isinstance(losses, torch.Tensor)
        if not tensor or losses.shape != (count,) or not losses.is_floating_point():
            got = f"{losses.dtype} {tuple(losses.shape)}" if tensor else type(losses).__name__
            raise BadInput(f"{self.config.loss}: gives {got} for {count} samples; give a float tensor "
                           f"({count},) of the loss of each")
        return losses

    def _from_teacher(self, values: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor | None:
        if self.teacher is None:
            return None
        soft = self.teacher.outputs(batch.feeds) if batch.soft is None else batch.soft
        return sum(self._distance(values[name], target) for name, target in zip(self.outputs, soft))

    def _distance(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if is_classes(self.metric):
            return soft_loss(output, target, self.config.temperature)
        return functional.mse_loss(output, target)
