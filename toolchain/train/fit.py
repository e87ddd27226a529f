"""Fine-tune a float graph: Adam with a cosine schedule, on labels, on a teacher's outputs, or on both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from toolchain.data import Samples
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.graph import Graph
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule, fixed_threads
from toolchain.train.distill import label_loss, mix, soft_loss
from toolchain.training_sections import TrainConfig


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
BATCH = 64
"""Samples at a time where nothing is learned: the teacher's outputs, batch-norm statistics."""


@fixed_threads()
def fit(graph: Graph, config: TrainConfig, samples: Samples, teacher: Graph | None = None, seed: int = 0,
        metric: str = "top1", progress: Progress | None = None, *, selection: Samples | None = None,
        additions: Sequence[Addition] = (), checkpoint: Path | None = None) -> Graph:
    """The graph with trained weights, biases and batch norms.

    samples:  fit to the graph; without labels all of the loss is the teacher's
    teacher:  a float graph of the same inputs and outputs, usually the unpruned one; None: labels only
    metric:   "mse" compares outputs as numbers, anything else as logits of classes
    The same seed on the same kind of processor gives the same digest.
    Raises BadSamples where there is nothing to learn from, BadInput where the loss diverges.
    """
    _check(graph, samples, teacher)
    classes = metric != "mse"
    student, teacher = (_before_softmax(g) if g and classes else g for g in (graph, teacher))
    task = _Task(classes, config, samples, None if teacher is None else _outputs(teacher, samples))
    module = GraphModule(student).train()
    _train(module, task, seed, progress, additions)
    return replace(module.to_graph(), outputs=graph.outputs)


def _train(module: GraphModule, task: "_Task", seed: int, progress: Progress | None,
           additions: Sequence[Addition]) -> None:
    config, count = task.config, len(task.samples)
    batches = _batch_count(count, config.batch_size)
    extra = [p for addition in additions for p in addition.begin(module, config.epochs * batches)]
    optimizer = torch.optim.AdamW([*module.parameters(), *extra], config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * batches)
    rng, step = np.random.default_rng(seed), 0
    for epoch in range(config.epochs):
        total = 0.0
        for index in np.array_split(rng.permutation(count), batches):
            for addition in additions:
                addition.before_batch(module, step)
            penalties = [addition.penalty(module) for addition in additions]
            loss = task.loss(module, index) + sum(p for p in penalties if p is not None)
            if not torch.isfinite(loss):
                raise BadInput(f"{module.graph.name}: the loss became {loss.item()} in epoch {epoch + 1}; "
                               f"lower [train] learning_rate ({config.learning_rate:g})")
            optimizer.zero_grad()
            loss.backward()
            for addition in additions:
                addition.after_backward(module)
            optimizer.step()
            schedule.step()
            for addition in additions:
                addition.after_step(module, step)
            total, step = total + loss.item() / batches, step + 1
        if progress:
            progress(Epoch(epoch + 1, config.epochs, total))
    for addition in additions:
        addition.end(module)


@fixed_threads()
def reestimate_batch_norm(graph: Graph, samples: Samples, seed: int = 0) -> Graph:
    """The graph with running means and variances averaged over batches of these samples, weights untouched.

    After pruning the old ones belong to activations that are no longer there (Li et al. 2020, "EagleEye").
    Raises BadSamples where a batch has a single value per channel.
    """
    if not any(op.kind == "batch_norm" for op in graph.ops):
        return graph
    module = GraphModule(graph, momentum=None).train()
    order = np.random.default_rng(seed).permutation(len(samples))  # files are often sorted by class
    try:
        with torch.no_grad():
            for index in np.array_split(order, _batch_count(len(samples), BATCH)):
                module(_tensors(samples.feeds(index)))
    except ValueError as error:
        raise BadSamples(f"{samples.name}: {len(samples)} samples give no statistics: {error}") from None
    return module.to_graph()


@dataclass(frozen=True, eq=False)
class _Task:
    """What is learned.

    classes: outputs are logits of classes, else plain numbers
    soft:    the teacher's outputs for every sample, None without a teacher
    """

    classes: bool
    config: TrainConfig
    samples: Samples
    soft: list[torch.Tensor] | None

    def loss(self, module: GraphModule, index: np.ndarray) -> torch.Tensor:
        """Of the samples at `index`."""
        outputs = list(module(_tensors(self.samples.feeds(index))).values())
        labels = soft = None
        if self.samples.y is not None:
            labels = self.from_labels(outputs[0], torch.from_numpy(self.samples.y[index]))
        if self.soft is not None:
            soft = sum(self.from_teacher(*pair) for pair in zip(outputs, (part[index] for part in self.soft)))
        return mix(labels, soft, self.config.alpha)

    def from_labels(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.classes:
            return label_loss(output, y.long())
        return functional.mse_loss(output, y.to(output.dtype))

    def from_teacher(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.classes:
            return soft_loss(output, target, self.config.temperature)
        return functional.mse_loss(output, target)


def _check(graph: Graph, samples: Samples, teacher: Graph | None) -> None:
    if samples.y is None and teacher is None:
        raise BadSamples(f"{samples.name}: neither labels nor a teacher to learn from; give labelled samples")
    if len(samples) < 2:
        raise BadSamples(f"{samples.name}: {len(samples)} sample to fine-tune on; at least 2 are needed")
    if samples.y is not None and len(graph.outputs) > 1:
        raise BadSamples(f"{samples.name}: one set of labels for the {len(graph.outputs)} outputs of "
                         f"{graph.name}; leave the labels out to learn from the teacher alone")


def _before_softmax(graph: Graph) -> Graph:
    """The graph with logits for outputs where it ends in a softmax."""
    makers = [graph.producers[name] for name in graph.outputs]
    plain = [op.kind == "softmax" and op.attrs["beta"] == 1 for op in makers]
    return replace(graph, outputs=tuple(op.inputs[0] if p else op.name for op, p in zip(makers, plain)))


def _batch_count(samples: int, size: int) -> int:
    """How many batches of about `size`, none of a single sample unless there is only one."""
    return max(1, min(-(-samples // size), samples // 2))


def _tensors(feeds: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(x) for name, x in feeds.items()}


def _outputs(graph: Graph, samples: Samples) -> list[torch.Tensor]:
    """What the graph gives for every sample, output by output."""
    module = GraphModule(graph).eval()
    with torch.no_grad():
        parts = [list(module(_tensors(feeds)).values()) for feeds in samples.batches(BATCH)]
    return [torch.cat(output) for output in zip(*parts)]
