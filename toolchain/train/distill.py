"""Response distillation: losses against a teacher's outputs, and those outputs.

Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.runtime.torch_module import GraphModule

BATCH = 64
"""Samples at a time where nothing is learned."""
MOST_BYTES = 1 << 28
"""What may be held of a teacher's outputs, or of samples as float32; what takes more is made batch by
batch."""
LEAST_POWER = 1e-12
"""Of what a relative error is divided by."""


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over the batch; logits (N, ..., classes).

    T^2 keeps its gradients as large as those of the labels' loss, whatever T is (section 2 of the paper).
    """
    classes = student.shape[-1]
    log_student = functional.log_softmax(student / temperature, -1).reshape(-1, classes)
    log_teacher = functional.log_softmax(teacher / temperature, -1).reshape(-1, classes)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def yes_no_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(sigmoid(teacher / T) || sigmoid(student / T)), summed along the last axis, mean over the rest;
    logits (N, ..., places), each a yes or no of its own. Of one place it is `soft_loss` of (logit, 0)."""
    log_odds, others = student / temperature, teacher / temperature
    share = torch.sigmoid(others)
    cross, own = (functional.binary_cross_entropy_with_logits(x, share, reduction="none")
                  for x in (log_odds, others))
    return temperature**2 * (cross - own).sum(-1).mean()


def relative_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference over the teacher's mean square: 1 for a student that says 0 everywhere."""
    return functional.mse_loss(student, teacher) / teacher.square().mean().clamp_min(LEAST_POWER)


def mix(labels: torch.Tensor | None, soft: torch.Tensor | None, alpha: float) -> torch.Tensor:
    """alpha * soft + (1 - alpha) * labels; all of the one where the other is missing."""
    if labels is None or soft is None:
        return soft if labels is None else labels
    return alpha * soft + (1 - alpha) * labels


class Teacher:
    """A network that is only asked. Batch norms are folded: the same numbers but for rounding.

    student:  of whose inputs it is fed, and in whose layouts its outputs are answered; None: its own
    answers:  what it is asked for, output by output: these or the logits before them; None: its outputs
    features: activations that it is asked for besides
    """

    def __init__(self, graph: Graph, student: Graph | None = None, answers: Sequence[str] | None = None,
                 features: Sequence[str] = ()):
        self.graph, student = graph, student or graph
        self.names = (*(graph.outputs if answers is None else answers), *features)
        asked = replace(graph, outputs=tuple(dict.fromkeys(self.names)))
        self._module = GraphModule(canonical(asked)).eval().requires_grad_(False)
        self._turned_in = {its: (name, axes_between(student, name, graph, its))
                           for its, name in zip(graph.inputs, student.inputs)}
        self._turned_out = [axes_between(graph, its, student, name)
                            for its, name in zip(graph.outputs, student.outputs)]

    @torch.no_grad()
    def outputs(self, feeds: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Answers, then features, (n, ...)."""
        values = self._module({its: feeds[name].permute(axes)
                               for its, (name, axes) in self._turned_in.items()})
        found, count = [values[name] for name in self.names], len(self._turned_out)
        return [*(x.permute(axes) for x, axes in zip(found, self._turned_out)), *found[count:]]

    def all_outputs(self, samples: Samples) -> list[torch.Tensor] | None:
        """The same of every sample, (N, ...); None where they would take more than MOST_BYTES."""
        numbers = sum(self.graph.tensors[name].size for name in self.names)
        if 4 * numbers * len(samples) > MOST_BYTES:
            return None
        parts = [self.outputs(tensors(feeds)) for feeds in samples.batches(BATCH)]
        return [torch.cat(output) for output in zip(*parts)]


def tensors(feeds: Mapping) -> dict[str, torch.Tensor]:
    """Arrays as tensors that share their memory."""
    return {name: torch.from_numpy(x) for name, x in feeds.items()}


def axes_between(graph: Graph, name: str, other: Graph, its: str) -> tuple[int, ...] | None:
    """How a batch of an input or output of `graph` is transposed into what `other` calls `its`; None where
    that is something else.

    Where shapes differ inside, they are held against each other as the sources lay them out: doors turn
    channels last what a network's first ops read so.
    """
    own, others = graph.tensors[name], other.tensors[its]
    if own.dtype != others.dtype or len(own.shape) != len(others.shape):
        return None
    straight = tuple(range(len(own.shape)))
    if own.shape == others.shape:
        return straight
    outside, inside = graph.permutations.get(name, straight), other.permutations.get(its, straight)
    axes = tuple(outside[inside.index(axis)] for axis in straight)
    return axes if tuple(own.shape[axis] for axis in axes) == others.shape else None
