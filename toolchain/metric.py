"""How good outputs are: one figure with its number of samples and standard error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from toolchain.errors import BadSamples
from toolchain.generation import channels_last, elbo, frechet_distance, kernel_distance, psnr, ssim
from toolchain.paired import EXACT_DB

BLOCKS = 10
"""Parts of a set that a distance is told without, one at a time, for its standard error."""
Outputs = np.ndarray | Sequence[np.ndarray]
"""Of a network for N samples, (N, ...); of a metric that takes several outputs, each of them."""
Embed = Callable[[np.ndarray], np.ndarray]
"""Outputs (N, ...) -> features (N, d), in which sets are compared."""


class Score(msgspec.Struct, frozen=True):
    """A metric over n samples; standard_error is of the mean over samples, None for a single one; of a
    distance between sets, by the jackknife."""

    metric: str
    value: float
    n: int
    standard_error: float | None


@dataclass(frozen=True)
class Metric:
    """per_sample(outputs (N, ...), expected) -> (N,) float64; the score is its mean. Of sets, see set_values.

    expected: "labels" = (N,) class indices, "outputs" = of the outputs' shape: the float model's, or targets;
              "set" = real samples, or the float model's, in any order: both go in as features
    outputs:  how many of the network's it takes, from the first; per_sample is given a list of several
    alone:    no sample has its own answer in what is expected: only a teacher has
    classes:  outputs are logits of classes, else plain numbers
    smaller_is_better: as errors and distances are
    unit:     "%" for shares of 1, "dB", "nats", or ""
    lost:     what `accuracy_drop` is told in: "points", percent points; "dB"; "power", percent of the mean
              square of what is expected; "share", percent of the float model's own score
    """

    per_sample: Callable[[Outputs, np.ndarray], np.ndarray]
    expected: Literal["labels", "outputs", "set"]
    outputs: int = 1
    alone: bool = False
    classes: bool = False
    smaller_is_better: bool = False
    unit: Literal["%", "dB", "nats", ""] = ""
    lost: Literal["points", "dB", "power", "share"] = "points"


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


def likeness_db(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio, the peak being the span of all targets; EXACT_DB at most."""
    return np.minimum(psnr(outputs, targets, _span(targets)), EXACT_DB)


def structural_similarity(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """SSIM, with the span of all targets. Images may be channels first."""
    return ssim(channels_last(outputs), channels_last(targets), _span(targets))


def evidence_bound(outputs: Sequence[np.ndarray], images: np.ndarray) -> np.ndarray:
    """ELBO in nats of a variational autoencoder: reconstruction, mean and log variance, of images in 0..1."""
    return elbo(images, *outputs)


def _span(targets: np.ndarray) -> float:
    span = float(np.max(targets)) - float(np.min(targets))
    if not span > 0:
        raise BadSamples(f"all {targets.size:,} values that images are compared with are "
                         f"{np.min(targets):g}; give images with a black and a white")
    return span


def set_values(distance: Callable[[np.ndarray, np.ndarray], float]) -> Callable:
    """Of a distance between sets, (BLOCKS,) numbers whose mean it is and whose standard error is its own.

    They are the pseudo-values of the jackknife that leaves out a block of both sets at a time (Efron &
    Tibshirani 1993, section 11.5), moved onto the distance of the whole.
    """
    def values(features: np.ndarray, real: np.ndarray) -> np.ndarray:
        parts = [np.arange(len(x)) % BLOCKS for x in (features, real)]
        if min(map(len, parts)) < 2 * BLOCKS:
            raise BadSamples(f"a distance between sets of {len(features)} and {len(real)} samples says "
                             f"nothing; give {2 * BLOCKS} or more of each")
        without = np.array([distance(features[parts[0] != i], real[parts[1] != i]) for i in range(BLOCKS)])
        return distance(features, real) - (BLOCKS - 1) * (without - without.mean())

    return values


def _winners(outputs: np.ndarray) -> np.ndarray:
    return np.reshape(outputs, (len(outputs), -1)).argmax(axis=1)


METRIC: Mapping[str, Metric] = {
    "top1": Metric(top1_hits, "labels", classes=True, unit="%"),
    "agreement": Metric(same_winner, "outputs", classes=True, unit="%"),
    "mse": Metric(squared_error, "outputs", smaller_is_better=True, lost="power"),
    "psnr": Metric(likeness_db, "outputs", unit="dB", lost="dB"),
    "ssim": Metric(structural_similarity, "outputs"),
    "elbo": Metric(evidence_bound, "outputs", outputs=3, alone=True, unit="nats", lost="share"),
    "frechet": Metric(set_values(frechet_distance), "set", alone=True, smaller_is_better=True, lost="share"),
    "kernel": Metric(set_values(kernel_distance), "set", alone=True, smaller_is_better=True, lost="share"),
}


def score(metric: str, outputs: Outputs, expected: np.ndarray, embed: Embed | None = None) -> Score:
    """Score `outputs` by a key of METRIC. Raises BadSamples where `expected` does not fit them."""
    values = values_of(metric, outputs, expected, embed)
    error = standard_error(values) if len(values) > 1 else None
    count = len(outputs if isinstance(outputs, np.ndarray) else outputs[0])
    return Score(metric, float(values.mean()), count, error)


def values_of(metric: str, outputs: Outputs, expected: np.ndarray, embed: Embed | None) -> np.ndarray:
    """What the score is the mean of: one for each sample, of sets as `set_values` has it.

    embed: for a distance between sets
    Raises BadSamples where `expected` does not fit the outputs.
    """
    row = METRIC[metric]
    given, outputs = outputs, outputs if isinstance(outputs, np.ndarray) else outputs[0]
    if row.outputs > 1 and (given is outputs or len(given) != row.outputs):
        raise BadSamples(f"{metric} takes {row.outputs} outputs of a network; this one has other ones")
    shape = {"labels": outputs.shape[:1], "outputs": outputs.shape,
             "set": (len(expected), *outputs.shape[1:])}[row.expected]
    if expected.shape != shape or not len(outputs):
        raise BadSamples(f"{metric} compares outputs of shape {outputs.shape} with {row.expected} of shape "
                         f"{shape}, got {expected.shape}")
    if row.expected == "labels":
        require_labels(expected, int(np.prod(outputs.shape[1:])))
    if row.expected == "set":
        outputs, expected = embed(outputs), embed(expected)
    return row.per_sample(given if row.outputs > 1 else outputs, expected)


def loss_scale(metric: str, of_float: np.ndarray, expected: np.ndarray) -> float:
    """What a difference of values, float's less another's, is multiplied with to be a drop (Metric.lost).

    of_float: the float model's values_of. Raises BadSamples where its score allows no such figure.
    """
    row, own = METRIC[metric], float(of_float.mean())
    if row.expected == "set" and not own > 0:
        raise BadSamples(f"{metric} of the float network is {own:.4g}, of which no share can be told; give "
                         f"more samples, or take another metric")
    if row.lost == "power":
        return -100 / np.mean(np.square(expected, dtype=np.float64))
    scale = {"points": 100, "dB": 1, "share": 100 / abs(own or 1)}[row.lost]
    return -scale if row.smaller_is_better else scale


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
