"""Classifiers on what a network has seen so far: linear, so that there is one best one."""

import numpy as np
import torch

from toolchain.metric import require_labels
from toolchain.runtime.torch_module import fixed_threads
from toolchain.train.distill import mix, soft_loss
from toolchain.train.tasks import class_losses

STEPS = 300
DECAY = 1e-3
"""Of squared weights, on features of unit variance."""


@fixed_threads()
def trained_head(features: np.ndarray, labels: np.ndarray | None, teacher: np.ndarray, alpha: float,
                 temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight (classes, channels) and bias (classes,), float32, of the linear classifier of features (n,
    channels) that says best what labels (n,) and a teacher's logits (n, classes) say, mixed as [train] does.

    The loss is convex; L-BFGS minimises it on standardized features, which the result takes as they come.
    labels: None: the teacher alone. Raises BadSamples for labels that are no classes.
    """
    if labels is not None:
        require_labels(labels, teacher.shape[1])
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    x = torch.from_numpy(((features - mean) / scale).astype(np.float32))
    y = None if labels is None else torch.from_numpy(labels.astype(np.int64))
    answers = torch.from_numpy(np.asarray(teacher, np.float32))
    weight = torch.zeros(teacher.shape[1], x.shape[1], requires_grad=True)
    bias = torch.zeros(teacher.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = x @ weight.T + bias
        own = None if y is None else class_losses(logits, y).mean()
        value = mix(own, soft_loss(logits, answers, temperature), alpha) + DECAY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    found = weight.detach().numpy() / scale
    return found.astype(np.float32), (bias.detach().numpy() - found @ mean).astype(np.float32)
