"""Response distillation: the loss against a teacher's outputs, and those outputs.

Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from collections.abc import Mapping

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


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over the batch; logits (N, ..., classes).

    T^2 keeps its gradients as large as those of the labels' loss, whatever T is (section 2 of the paper).
    """
    classes = student.shape[-1]
    log_student = functional.log_softmax(student / temperature, -1).reshape(-1, classes)
    log_teacher = functional.log_softmax(teacher / temperature, -1).reshape(-1, classes)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def mix(labels: torch.Tensor | None, soft: torch.Tensor | None, alpha: float) -> torch.Tensor:
    """alpha * soft + (1 - alpha) * labels; all of the one where the other is missing."""
    if labels is None or soft is None:
        return soft if labels is None else labels
    return alpha * soft + (1 - alpha) * labels


class Teacher:
    """A network that is only asked. Batch norms are folded: the same numbers but for rounding."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self._module = GraphModule(canonical(graph)).eval().requires_grad_(False)

    @torch.no_grad()
    def outputs(self, feeds: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Output by output, (n, ...)."""
        values = self._module(feeds)
        return [values[name] for name in self.graph.outputs]

    def all_outputs(self, samples: Samples) -> list[torch.Tensor] | None:
        """Of every sample, output by output (N, ...); None where they would take more than MOST_BYTES."""
        numbers = sum(self.graph.tensors[name].size for name in self.graph.outputs)
        if 4 * numbers * len(samples) > MOST_BYTES:
            return None
        parts = [self.outputs(tensors(feeds)) for feeds in samples.batches(BATCH)]
        return [torch.cat(output) for output in zip(*parts)]


def tensors(feeds: Mapping) -> dict[str, torch.Tensor]:
    """Arrays as tensors that share their memory."""
    return {name: torch.from_numpy(x) for name, x in feeds.items()}
