"""A weight as the product of two thinner ones, for every rank at once, the most important part first.

channel: W[o, i, j, c] ~ sum over r of second[o, r] first[r, i, j, c]. The columns of `second` are the
         principal axes of the outputs, which is the least squared error on the inputs that were seen (Zhang
         et al. 2016, "Accelerating Very Deep Convolutional Networks for Classification and Detection", 2.1).
spatial: W[o, i, j, c] ~ sum over r of second[o, j, r] first[r, i, c] (Jaderberg et al. 2014, "Speeding up
         Convolutional Neural Networks with Low Rank Expansions", scheme 2; Tai et al. 2016: in closed form).
         By what is seen of a column of the window, as if columns knew nothing of each other.

Without samples inputs count as white, and both are the singular value decomposition of the weight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from toolchain.ir.graph import Shape
from toolchain.prune.seen import Seen

MEASURED = 1024
"""Windows at most on which it is measured what spatial parts keep."""


@dataclass(frozen=True, eq=False)
class Factors:
    """first:  (R, kh, kw, I) or, spatial, (R, kh, 1, I) float64
    second: (O, 1, 1, R) or, spatial, (O, 1, kw, R) float64
    kept:   (R,) share of the outputs' variance that is left with the first 1, 2, ... R parts
    """

    first: np.ndarray
    second: np.ndarray
    kept: np.ndarray

    @property
    def rank(self) -> int:
        """R: with all of these the product is the weight."""
        return len(self.kept)

    def cut(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """(first, second) with so many parts."""
        return self.first[:rank], self.second[..., :rank]


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(O, kh, kw, I): the weight that two ops in a row amount to."""
    whole = np.einsum("opqr,rabi->oapbqi", second, first)
    o, a, p, b, q, i = whole.shape
    return whole.reshape(o, a * p, b * q, i)


def channel(weight: np.ndarray, scale: np.ndarray, seen: Seen) -> Factors:
    """weight: (O, kh, kw, I);  scale: (O,) of what reads the outputs: their errors count by it"""
    matrix = _scaled(weight, scale).reshape(len(weight), -1)
    outputs = seen.outputs(matrix)
    covariance = outputs.T @ outputs / len(outputs) + seen.noise * matrix @ matrix.T
    values, vectors = np.linalg.eigh(covariance)
    rank = min(matrix.shape)
    values, axes = np.maximum(values[::-1], 0), vectors[:, ::-1][:, :rank]
    gain = _gain(np.sqrt(values[:rank]))
    first = (axes / gain).T @ matrix
    return Factors(first.reshape(rank, *weight.shape[1:]), _unscaled(axes * gain, scale)[:, None, None, :],
                   _kept(values.sum() - np.cumsum(values[:rank]), values.sum()))


def spatial(weight: np.ndarray, scale: np.ndarray, seen: Seen) -> Factors:
    """As `channel`."""
    count, kh, kw, inputs = weight.shape
    root, inverse = _column_roots(weight.shape, seen)
    matrix = _scaled(weight, scale).transpose(1, 3, 2, 0).reshape(kh * inputs, kw * count)
    left, values, right = np.linalg.svd(root @ matrix, full_matrices=False)
    gain = _gain(values)
    first = (inverse @ left * (values / gain)).T.reshape(-1, kh, 1, inputs)
    second = (gain[:, None] * right).reshape(-1, kw, count).transpose(2, 1, 0)
    squares = np.square(values)
    kept = _kept(squares.sum() - np.cumsum(squares), squares.sum()) if seen.rows is None else \
        _measured(_scaled(weight, scale), first, second, seen.rows[::ceil(len(seen.rows) / MEASURED)])
    return Factors(first, _unscaled(second, scale)[:, None], kept)


FORMS: Mapping[str, Callable[[np.ndarray, np.ndarray, Seen], Factors]] = {
    "channel": channel, "spatial": spatial}


def _scaled(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """float64, each output channel times its scale."""
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)).astype(np.float64)


def _unscaled(second: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`_scaled` undone; 0 where nothing reads the channel."""
    along = scale.reshape(-1, *[1] * (second.ndim - 1))
    return np.divide(second, along, out=np.zeros_like(second), where=along != 0)


def _gain(deviations: np.ndarray) -> np.ndarray:
    """What the second op multiplies each part by: half of its size each, so that codes suit both."""
    return np.sqrt(np.maximum(deviations, 1e-6 * deviations.max(initial=0)) + np.finfo(np.float32).tiny)


def _columns(rows: np.ndarray, shape: Shape) -> np.ndarray:
    """(N, kw, kh * I) of windows (N, K). shape: of the weight"""
    _, kh, kw, inputs = shape
    return rows.reshape(-1, kh, kw, inputs).swapaxes(1, 2).reshape(-1, kw, kh * inputs)


def _column_roots(shape: Shape, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the covariance of a window's columns, and its inverse. shape: of the weight"""
    size = shape[1] * shape[3]
    if seen.rows is None:
        return np.eye(size), np.eye(size)
    columns = _columns(seen.rows, shape).reshape(-1, size).astype(np.float64)
    values, vectors = np.linalg.eigh(columns.T @ columns / len(columns) + seen.noise * np.eye(size))
    deviations = np.sqrt(np.maximum(values, seen.noise))
    return vectors * deviations @ vectors.T, vectors / deviations @ vectors.T


def _measured(weight: np.ndarray, first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(R,) share of the squares of the outputs that the first 1, 2, ... R parts give on these windows.

    second: (O, kw, R)
    """
    missing = rows @ weight.reshape(len(weight), -1).T
    middle = _columns(rows, weight.shape) @ first.reshape(len(first), -1).T
    total, lost = float(np.square(missing).sum()), np.empty(len(first))
    for part in range(len(lost)):
        missing -= middle[:, :, part] @ second[:, :, part].T
        lost[part] = np.square(missing).sum()
    return _kept(lost, total)


def _kept(lost: np.ndarray, total: float) -> np.ndarray:
    """Of an op that always gives the same, all."""
    return np.clip(1 - lost / total, 0, 1) if total > 0 else np.ones(len(lost))
