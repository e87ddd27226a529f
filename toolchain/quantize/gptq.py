"""GPTQ: weights are rounded one after another, and those still to be rounded make good the error so far.

Sources: Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers"; Chen et al. 2025, "The Geometry of LLM Quantization: GPTQ as Babai's Nearest Plane Algorithm":
the same codes from a triangular factor of the Hessian in reverse order, without its inverse.

Codes Q of targets U, both in steps, minimise (Q - U) H (Q - U)^T for each output channel, H = X^T X for the
layer's inputs X in the quantized network. Means are not taken off: an error of the mean counts, so that the
biases may stay as they are.
"""

import numpy as np

from toolchain.quantize.layer import Layer

DAMPING = 0.01
"""Added to the Hessian's diagonal, by its mean (section 3.3)."""
BLOCK = 64
"""Columns whose errors are handed to the columns after the block at once (section 3.3, "lazy batch")."""


class SecondMoments:
    """X^T X of a layer's inputs, (G, K, K) float32, summed as they come."""

    def __init__(self, layer: Layer):
        self._layer = layer
        size = layer.codes.shape[2]
        self._sums = np.zeros((layer.groups, size, size), np.float32)

    @staticmethod
    def bytes_of(layer: Layer) -> int:
        return 4 * layer.groups * layer.codes.shape[2] ** 2

    def add(self, rows: np.ndarray) -> None:
        self._sums += rows.swapaxes(1, 2) @ rows

    def codes(self) -> np.ndarray:
        """(G, O, K): of each channel GPTQ's where they lose less on these inputs, else those it has."""
        layer, gram = self._layer, self._sums.astype(np.float64)
        found = nearest_plane(layer.target, damped(gram), *layer.limits)
        better = loss(found, layer.target, gram) < loss(layer.codes, layer.target, gram)
        return np.where(better[:, :, None], found, layer.codes)


def loss(codes: np.ndarray, target: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """(G, O) squared error of the layer's sums over all inputs, in squared steps."""
    error = codes - target
    return ((error @ gram) * error).sum(axis=2)


def damped(gram: np.ndarray) -> np.ndarray:
    """The Gram matrices with DAMPING; a group whose inputs are all 0 gets the identity."""
    mean = np.trace(gram, axis1=1, axis2=2) / gram.shape[2]
    added = np.where(mean > 0, DAMPING * mean, 1.0)
    return gram + added[:, None, None] * np.eye(gram.shape[2])


def nearest_plane(target: np.ndarray, hessian: np.ndarray, low: int, high: int) -> np.ndarray:
    """Codes (G, O, K) within [low, high] for targets (G, O, K) under positive definite (G, K, K).

    Columns go by falling diagonal, GPTQ's "act-order": what weighs most is rounded while all others can still
    make it good.
    """
    order = np.argsort(np.diagonal(hessian, axis1=1, axis2=2), axis=1, kind="stable")
    columns = order[:, None, :]
    ordered = np.take_along_axis(np.take_along_axis(hessian, columns, 2), order[:, :, None], 1)
    codes = _backwards(np.take_along_axis(target, columns, 2), _pulls(ordered), low, high)
    return np.take_along_axis(codes, np.argsort(order, axis=1)[:, None, :], 2)


def _pulls(hessian: np.ndarray) -> np.ndarray:
    """(G, K, K), strictly upper: how far an error of 1 in column j moves the best value of column i < j.

    With H = R^T R, R upper triangular, the loss is |R (q - u)|^2: row i is at its least where
    q_i = u_i - sum over j > i of R_ij / R_ii (q_j - u_j).
    """
    lower = np.linalg.cholesky(hessian)
    upper = lower.swapaxes(1, 2)
    return np.triu(upper / np.diagonal(upper, axis1=1, axis2=2)[:, :, None], 1)


def _backwards(target: np.ndarray, pulls: np.ndarray, low: int, high: int) -> np.ndarray:
    """Round the last column first, each at its best for those already rounded."""
    best, codes = target.copy(), np.empty_like(target)
    for end in range(target.shape[2], 0, -BLOCK):
        start = max(0, end - BLOCK)
        error = np.zeros_like(target[:, :, start:end])
        for i in range(end - 1, start - 1, -1):
            pull = error @ pulls[:, i, start:end, None]
            codes[:, :, i] = np.clip(np.rint(best[:, :, i] - pull[:, :, 0]), low, high)
            error[:, :, i - start] = codes[:, :, i] - target[:, :, i]
        best[:, :, :start] -= error @ pulls[:, :start, start:end].swapaxes(1, 2)
    return codes
