"""The loop of training: steps, epochs, what is kept, and where a run goes on after it was stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from toolchain.errors import BadInput, BadSamples
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.batches import Batch, Batches
from toolchain.train.checkpoint import Checkpoint
from toolchain.train.objective import Objective
from toolchain.train.optimizers import Average, optimizer_of, rate
from toolchain.train.scoring import Judge


@dataclass(frozen=True)
class Epoch:
    """An epoch that is over: the `number`th, from 1, of `epochs`.

    loss:  mean over its batches
    score: by the metric on selection samples, None without them
    """

    number: int
    epochs: int
    loss: float
    score: float | None = None


Progress = Callable[[Epoch], None]
"""Called after every epoch."""


class Run:
    """A module on its way.

    judge: scores every epoch, None without selection samples
    Raises BadInput where there is nothing to train.
    """

    def __init__(self, module: GraphModule, objective: Objective, batches: Batches,
                 additions: Sequence[Addition] = (), judge: Judge | None = None):
        self.module, self.objective, self.config = module.train(), objective, objective.config
        self.batches, self.additions, self.judge = batches, additions, judge
        self.steps = self.config.epochs * batches.count
        self.extra = [p for addition in additions for p in addition.begin(module, self.steps)]
        self.optimizer = optimizer_of(module, self.extra, self.config)
        self.average = Average(module, self.config.average) if self.config.average else None
        self.epochs_done, self.batches_done, self.loss_sum = 0, 0, 0.0
        self.best_score, self.best_epoch, self.best = None, 0, None

    def train(self, progress: Progress | None, checkpoint: Checkpoint | None) -> None:
        """All epochs that are left, or until patience is at its end; the module then holds what is kept."""
        while self.epochs_done < self.config.epochs and not self._gave_up():
            self._finish_epoch(checkpoint)
            score, loss = self._score(), self.loss_sum / self.batches.count
            self.epochs_done, self.batches_done, self.loss_sum = self.epochs_done + 1, 0, 0.0
            if progress:
                progress(Epoch(self.epochs_done, self.config.epochs, loss, score))
        if self.best is not None:
            self._restore(self.best)
        elif self.average:
            self.average.place()
        for addition in self.additions:
            addition.end(self.module)

    def _gave_up(self) -> bool:
        return self.best is not None and self.epochs_done - self.best_epoch >= self.config.patience

    def _finish_epoch(self, checkpoint: Checkpoint | None) -> None:
        for batch in self.batches.epoch(self.epochs_done, self.batches_done):
            self.loss_sum += self._step(batch, self.epochs_done * self.batches.count + self.batches_done)
            self.batches_done += 1
            if checkpoint and checkpoint.is_due:
                checkpoint.write(self.state())

    def _step(self, batch: Batch, step: int) -> float:
        """Learn from a batch; its loss."""
        for addition in self.additions:
            addition.before_batch(self.module, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.config, step, self.steps)
        loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise BadInput(f"{self.module.graph.name}: the loss became {loss.item()} in epoch "
                           f"{self.epochs_done + 1}; lower [{self.config.heading}] learning_rate "
                           f"({self.config.learning_rate:g})")
        self.optimizer.zero_grad()
        loss.backward()
        for addition in self.additions:
            addition.after_backward(self.module)
        self.optimizer.step()
        for addition in self.additions:
            addition.after_step(self.module, step)
        if self.average:
            self.average.update()
        return loss.item()

    def _loss(self, batch: Batch) -> torch.Tensor:
        try:
            loss = self.objective.loss(self.module, batch)
        except ValueError as error:  # batch norm over a single value
            raise BadSamples(f"{self.module.graph.name}: cannot learn from a batch: {error}") from None
        penalties = (addition.penalty(self.module) for addition in self.additions)
        return sum((penalty for penalty in penalties if penalty is not None), loss)

    def _score(self) -> float | None:
        """Of the weights as they would be kept; with patience, they are remembered where it is the best."""
        if self.judge is None:
            return None
        before = _copied(self.module.state_dict())
        if self.average:
            self.average.place()
        for addition in self.additions:
            addition.before_score(self.module)
        score = self.judge.score(self.module)
        settled = all(addition.settled() for addition in self.additions)
        if self.config.patience and settled and self.judge.is_better(score, self.best_score):
            self.best_score, self.best_epoch = score, self.epochs_done + 1
            self.best = _copied(self._held())
        self._set_constants(before)
        return score

    def _held(self) -> dict[str, object]:
        """What the network is now: constants, what additions train and what they hold."""
        return {"constants": self.module.state_dict(), "extra": [p.detach() for p in self.extra],
                "additions": [dict(addition.state()) for addition in self.additions]}

    @torch.no_grad()
    def _set_constants(self, constants: Mapping[str, torch.Tensor]) -> None:
        for key, value in constants.items():
            getattr(self.module, key).copy_(value)

    @torch.no_grad()
    def _restore(self, held: Mapping) -> None:
        self._set_constants(held["constants"])
        for parameter, value in zip(self.extra, held["extra"], strict=True):
            parameter.copy_(value)
        for addition, state in zip(self.additions, held["additions"], strict=True):
            addition.resume(state)

    def state(self) -> dict[str, object]:
        """For a checkpoint, between two steps."""
        return {"done": [self.epochs_done, self.batches_done, self.loss_sum], "held": self._held(),
                "optimizer": self.optimizer.state_dict(), "random": torch.get_rng_state(),
                "average": self.average.state() if self.average else None,
                "best": [self.best_score, self.best_epoch, self.best]}

    def resume(self, state: Mapping) -> None:
        """As state() gave it, for a run of the same arguments."""
        self.epochs_done, self.batches_done, self.loss_sum = state["done"]
        self.best_score, self.best_epoch, self.best = state["best"]
        self._restore(state["held"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.resume(state["average"])
        torch.set_rng_state(state["random"])


def _copied(value: object) -> object:
    """The same dicts and lists of tensors of their own."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
