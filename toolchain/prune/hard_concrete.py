"""The hard-concrete distribution: gates in [0, 1] that are exactly 0 or 1 with a probability above 0.

Source: Louizos, Welling & Kingma 2018, "Learning Sparse Neural Networks through L0 Regularization", section
2.2 (equation numbers below).
"""

from math import log

import torch

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
"""Temperature, and how far the interval is stretched (section 4)."""


def sampled(log_alpha: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """z, for uniform in (0, 1); differentiable by log_alpha (eq. 10, 11)."""
    s = ((uniform.log() - (1 - uniform).log() + log_alpha) / BETA).sigmoid()
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def open_probability(log_alpha: torch.Tensor) -> torch.Tensor:
    """P(z != 0) = sigmoid(log_alpha - beta log(-gamma / zeta)) (eq. 12)."""
    return (log_alpha - BETA * log(-GAMMA / ZETA)).sigmoid()


def estimate(log_alpha: torch.Tensor) -> torch.Tensor:
    """z without noise, for the network as it is used (eq. 13)."""
    return (log_alpha.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
