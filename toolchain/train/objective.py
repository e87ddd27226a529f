"""The loss of a batch: what labels, the user's own function and the teacher say of it, mixed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from toolchain.errors import BadInput
from toolchain.python_file import blaming
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.answers import Answer
from toolchain.train.batches import Batch
from toolchain.train.distill import Teacher, mix
from toolchain.train.features import Transfer
from toolchain.train.tasks import class_losses, is_classes, number_losses
from toolchain.training_sections import TrainConfig


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned of a teacher.

    answers:  output by output
    transfer: of its features, None where they are not taught
    """

    teacher: Teacher
    answers: tuple[Answer, ...]
    transfer: Transfer | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The student's tensors that it compares."""
        pairs = self.transfer.pairs if self.transfer else ()
        return (*(answer.student for answer in self.answers), *(name for name, _ in pairs))


@dataclass(frozen=True, eq=False)
class Objective:
    """output: name of what labels are held against: logits before a softmax
    lesson: None: labels only
    own:    the user's loss, None: the labels' by the metric
    """

    config: TrainConfig
    metric: str
    output: str
    lesson: Lesson | None = None
    own: Callable | None = None

    @property
    def additions(self) -> tuple[Addition, ...]:
        """What the loss itself has to train besides: adapters."""
        return (self.lesson.transfer,) if self.lesson and self.lesson.transfer else ()

    def loss(self, module: GraphModule, batch: Batch) -> torch.Tensor:
        """A scalar, mean over the batch's samples."""
        values = module(batch.feeds)
        labels, taught = self._from_labels(values, batch), self._taught(batch)
        if labels is None and taught is None:
            raise BadInput(f"{self.config.loader}: gives no labels, and there is no teacher to learn from")
        if taught is None:
            return labels
        count, transfer = len(self.lesson.answers), self.lesson.transfer
        loss = mix(labels, self._from_answers(values, taught[:count]), self.config.alpha)
        return loss + transfer.loss(values, taught[count:]) if transfer else loss

    def _from_labels(self, values: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor | None:
        if self.own:
            return self._own(values, batch).mean()
        if batch.y is None:
            return None
        if is_classes(self.metric):
            return class_losses(values[self.output], batch.y, self.config.label_smoothing).mean()
        return number_losses(values[self.output], batch.y).mean()

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

    def _taught(self, batch: Batch) -> list[torch.Tensor] | None:
        """The teacher's side of the lesson."""
        if self.lesson is None:
            return None
        return self.lesson.teacher.outputs(batch.feeds) if batch.soft is None else batch.soft

    def _from_answers(self, values: Mapping[str, torch.Tensor],
                      targets: Sequence[torch.Tensor]) -> torch.Tensor:
        """Summed over the outputs."""
        return sum(answer.loss(values[answer.student], target, self.config.temperature)
                   for answer, target in zip(self.lesson.answers, targets, strict=True))
