"""Losses: the labels', the teacher's, and their sum.

Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

import torch
from torch.nn import functional


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over the batch; logits (N, ..., classes).

    T^2 keeps its gradients as large as those of the labels' loss, whatever T is (section 2 of the paper).
    """
    classes = student.shape[-1]
    log_student = functional.log_softmax(student / temperature, -1).reshape(-1, classes)
    log_teacher = functional.log_softmax(teacher / temperature, -1).reshape(-1, classes)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def label_loss(student: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (N, classes) with class indices (N,)."""
    return functional.cross_entropy(student, y)


def mix(labels: torch.Tensor | None, soft: torch.Tensor | None, alpha: float) -> torch.Tensor:
    """alpha * soft + (1 - alpha) * labels; all of the one where the other is missing."""
    if labels is None or soft is None:
        return soft if labels is None else labels
    return alpha * soft + (1 - alpha) * labels
