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
    """X^T X of a layer's inputs, (G, K, K) float32, summed as they come. Nothing is drawn: seed is unused."""

    def __init__(self, layer: Layer, seed: int = 0):
        self._layer = layer
        self._sums = np.zeros((layer.groups, layer.size, layer.size), np.float32)

    @staticmethod
    def bytes_of(layer: Layer) -> int:
        return 4 * layer.groups * layer.size**2

    def add(self, rows: np.ndarray) -> None:
        self._sums += rows.swapaxes(1, 2) @ rows

    def codes(self) -> np.ndarray:
        """(G, O, K): of each channel GPTQ's where they lose less on these inputs, else those it has."""
        target, own = self._layer.target, self._layer.codes
        found = nearest_plane(target, self._sums, *self._layer.limits)
        better = loss(found, target, self._sums) < loss(own, target, self._sums)
        return np.where(better[:, :, None], found, own)


def loss(codes: np.ndarray, target: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """(G, O) squared error of the layer's sums over all inputs, in squared steps."""
    error = (codes - target).astype(gram.dtype)
    return np.einsum("gok,gok->go", error @ gram, error, dtype=np.float64)


def nearest_plane(target: np.ndarray, gram: np.ndarray, low: int, high: int) -> np.ndarray:
    """Codes (G, O, K) within [low, high] for targets (G, O, K) under positive semidefinite (G, K, K).

    Columns go by falling diagonal, GPTQ's "act-order": what weighs most is rounded while all others can still
    make it good. A target of 0 has code 0: a weight that was pruned makes nothing good (Frantar & Alistarh
    2023, "SparseGPT").
    """
    order = np.argsort(np.diagonal(gram, axis1=1, axis2=2), axis=1, kind="stable")
    columns, group = order[:, None, :], np.arange(len(order))[:, None, None]
    lower = np.linalg.cholesky(damped(gram[group, order[:, :, None], columns]))
    codes = _backwards(np.take_along_axis(target, columns, 2), lower, low, high)
    return np.take_along_axis(codes, np.argsort(order, axis=1)[:, None, :], 2)


def damped(gram: np.ndarray) -> np.ndarray:
    """The Gram matrices in float64 with DAMPING; a group whose inputs are all 0 gets the identity."""
    hessian = gram.astype(np.float64)
    mean = np.trace(hessian, axis1=1, axis2=2) / gram.shape[2]
    diagonal = np.einsum("gkk->gk", hessian)  # a view
    diagonal += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    return hessian


def _backwards(target: np.ndarray, lower: np.ndarray, low: int, high: int) -> np.ndarray:
    """Round the last column first, each at its best for those already rounded.

    lower: (G, K, K) with lower @ lower.T the Hessian. With R = lower.T the loss is |R (q - u)|^2: row i of it
    is least where q_i = u_i - sum over j > i of R_ij / R_ii (q_j - u_j).
    """
    upper, diagonal = lower.swapaxes(1, 2), np.einsum("gkk->gk", lower)
    codes, pulls = np.empty_like(target), np.zeros_like(target)
    for end in range(target.shape[2], 0, -BLOCK):
        start = max(0, end - BLOCK)
        error = np.zeros_like(target[:, :, start:end])  # of the columns from i on, so far
        for i in range(end - 1, start - 1, -1):
            pull = pulls[:, :, i] + (error @ upper[:, i, start:end, None])[:, :, 0]
            best = np.clip(np.rint(target[:, :, i] - pull / diagonal[:, None, i]), low, high)
            codes[:, :, i] = np.where(target[:, :, i] == 0, 0, best)
            error[:, :, i - start] = codes[:, :, i] - target[:, :, i]
        pulls[:, :, :start] += error @ lower[:, start:end, :start]
    return codes
