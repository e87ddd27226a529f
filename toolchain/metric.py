"""How good outputs are: one figure with its number of samples and standard error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from toolchain.errors import BadSamples


class Score(msgspec.Struct, frozen=True):
    """A metric over n samples; standard_error is of the mean over samples, None for a single one."""

    metric: str
    value: float
    n: int
    standard_error: float | None


@dataclass(frozen=True)
class Metric:
    """per_sample(outputs (N, ...), expected) -> (N,) float64; the score is its mean.

    expected: "labels" = (N,) class indices, "outputs" = of the outputs' shape: the float model's, or targets
    """

    per_sample: Callable[[np.ndarray, np.ndarray], np.ndarray]
    expected: Literal["labels", "outputs"]


def top1_hits(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 where the largest output is the label's."""
    return (_winners(outputs) == labels).astype(np.float64)


def same_winner(outputs: np.ndarray, others: np.ndarray) -> np.ndarray:
    """1 where both have their largest output at the same place."""
    return (_winners(outputs) == _winners(others)).astype(np.float64)


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean over a sample's outputs of the squared difference."""
    difference = np.asarray(outputs, np.float64) - np.asarray(targets, np.float64)
    return (difference**2).reshape(len(difference), -1).mean(axis=1)


def _winners(outputs: np.ndarray) -> np.ndarray:
    return np.reshape(outputs, (len(outputs), -1)).argmax(axis=1)


METRIC: Mapping[str, Metric] = {
    "top1": Metric(top1_hits, "labels"),
    "agreement": Metric(same_winner, "outputs"),
    "mse": Metric(squared_error, "outputs"),
}


def score(metric: str, outputs: np.ndarray, expected: np.ndarray) -> Score:
    """Score `outputs` (N, ...) by a key of METRIC. Raises BadSamples where `expected` does not fit them."""
    row = METRIC[metric]
    shape = outputs.shape[:1] if row.expected == "labels" else outputs.shape
    if expected.shape != shape or not len(outputs):
        raise BadSamples(f"{metric} compares outputs of shape {outputs.shape} with {row.expected} of shape "
                         f"{shape}, got {expected.shape}")
    if row.expected == "labels":
        require_labels(expected, int(np.prod(outputs.shape[1:])))
    values = row.per_sample(outputs, expected)
    error = standard_error(values) if len(values) > 1 else None
    return Score(metric, float(values.mean()), len(values), error)


def standard_error(values: np.ndarray) -> float:
    """Of the mean of (N,) values; 0 for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def require_labels(labels: np.ndarray, classes: int) -> None:
    """Raise BadSamples where (N,) labels are no indices of classes."""
    wrong = (labels < 0) | (labels >= classes) | (labels != np.floor(labels))
    if wrong.any():
        raise BadSamples(f"label {labels[wrong][0]} of sample {np.argmax(wrong)}: labels must be whole "
                         f"numbers in 0..{classes - 1}, one for each output")


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from accuracy (Guo et al. 2017, eq. 3).

    probabilities: (N, classes); the confidence is the largest. Bins are of equal width, open at their lower
    end. Raises BadSamples where labels do not fit.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise BadSamples(f"calibration error takes probabilities (N, classes) and N labels, got shapes "
                         f"{probabilities.shape} and {labels.shape}")
    confidence = np.asarray(probabilities, np.float64).max(axis=1)
    gap = top1_hits(probabilities, labels) - confidence
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(index, gap, bins)).sum() / len(labels))


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, in float64."""
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
