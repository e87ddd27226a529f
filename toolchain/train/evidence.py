"""What importance criteria look at besides the weights: samples, and the loss of each as the network's task
has it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.prune.evidence import Evidence
from toolchain.runtime.torch_module import fixed_threads
from toolchain.train.answers import Answer, Kind, answers_of
from toolchain.train.distill import BATCH, LEAST_POWER, Teacher, tensors
from toolchain.train.tasks import (
    SampleLoss,
    answerable,
    before_softmax,
    class_losses,
    is_classes,
    number_losses,
    targets_of,
    yes_no_losses,
)

LOSSES: Mapping[Kind, SampleLoss] = {
    "classes": class_losses, "yes_no": yes_no_losses, "numbers": number_losses, "relative": number_losses}


@fixed_threads()
def task_loss(graph: Graph, samples: Samples, metric: str, teacher: Graph | None = None) -> Evidence:
    """The samples, and how far each output is from what it should be.

    That are the samples' labels; without labels what the teacher says, or the graph itself where there is no
    teacher, of each output as `answers.answers_of` reads it: the most likely class, the more likely of yes
    and no, or the numbers. Numbers of the very graph leave no loss and no gradient, only what a change makes:
    the evidence says so.
    samples: fit to the graph
    metric:  a key of METRIC
    Raises BadSamples where labels do not fit, BadInput where the teacher is of another task.
    """
    samples = answerable(samples, metric)
    if samples.y is not None:
        return _labelled(graph, samples, metric)
    answers = answers_of(graph, teacher or graph, metric)
    said = _said(teacher or graph, graph, samples, answers)
    itself = teacher in (None, graph) and any(answer.kind in ("numbers", "relative") for answer in answers)
    parts = [(answer.student, _losses(answer, y, metric), y) for answer, y in zip(answers, said)]
    return Evidence(samples, tuple(dict.fromkeys(name for name, _, _ in parts)), _Loss(parts),
                    has_gradient=not itself)


def _labelled(graph: Graph, samples: Samples, metric: str) -> Evidence:
    logits = before_softmax(graph) if is_classes(metric) else graph
    targets = targets_of(logits, samples.name, samples.y, metric)
    one = class_losses if is_classes(metric) else number_losses
    return Evidence(samples, logits.outputs, _Loss([(logits.outputs[0], one, targets)]))


def _said(teacher: Graph, student: Graph, samples: Samples, answers: Sequence[Answer]) -> list[torch.Tensor]:
    """Output by output what each sample's should be."""
    asked, found = Teacher(teacher, student, [answer.teacher for answer in answers]), []
    for feeds in samples.batches(BATCH):
        found.append([_likeliest(answer, x) for answer, x in zip(answers, asked.outputs(tensors(feeds)))])
    return [torch.cat(parts) for parts in zip(*found)]


def _likeliest(answer: Answer, x: torch.Tensor) -> torch.Tensor:
    if answer.kind == "classes":
        return x.argmax(-1)
    return (x > 0).float() if answer.kind == "yes_no" else x


def _losses(answer: Answer, y: torch.Tensor, metric: str) -> SampleLoss:
    """y: of all samples. Numbers beside classes count by their mean square; a metric of numbers has one unit
    for all outputs."""
    if answer.kind == "relative" and is_classes(metric):
        power = y.square().mean().clamp_min(LEAST_POWER)
        return lambda output, target: number_losses(output, target) / power
    return LOSSES[answer.kind]


class _Loss:
    """Of each sample, summed over the outputs.

    parts: (output, its losses, what it should be for all samples)
    """

    def __init__(self, parts: Sequence[tuple[str, SampleLoss, torch.Tensor]]):
        self.parts = parts

    def __call__(self, values: Mapping[str, torch.Tensor], positions: np.ndarray) -> torch.Tensor:
        index = torch.from_numpy(np.asarray(positions, np.int64))
        return torch.stack([one(values[name], y[index]) for name, one, y in self.parts]).sum(0)
