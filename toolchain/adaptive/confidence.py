"""How sure a network is: a temperature that makes its softmax tell how often it is right."""

from typing import NamedTuple

import numpy as np

from toolchain.errors import BadSamples
from toolchain.metric import calibration_error, probabilities_of, require_labels

COLDEST, HOTTEST = 0.05, 20.0
STEPS = 60


class Calibrated(NamedTuple):
    """temperature: by which logits are divided;  before, after: expected calibration error without and with
    it

    n: samples that it was fitted on, and these errors are of
    """

    temperature: float
    before: float
    after: float
    n: int


def calibrated(logits: np.ndarray, labels: np.ndarray) -> Calibrated:
    """The temperature with the least cross-entropy on logits (n, classes) and labels (n,), between COLDEST
    and HOTTEST (Guo et al. 2017, section 4.2).

    With b = 1 / T the cross-entropy is convex in b, and its derivative mean(sum_i p_i l_i - l_y) is found by
    bisection. No answer changes. Raises BadSamples where labels do not fit.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise BadSamples("a temperature is fitted on logits (n, classes) and n labels, got shapes "
                         f"{logits.shape} and {labels.shape}")
    require_labels(labels, logits.shape[1])
    wide = np.asarray(logits, np.float64)
    right = np.take_along_axis(wide, labels[:, None].astype(np.int64), axis=1)[:, 0]
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        told = (probabilities_of(np.exp(middle) * wide) * wide).sum(axis=1)
        low, high = (low, middle) if (told - right).mean() > 0 else (middle, high)
    temperature = float(np.exp(-(low + high) / 2))
    return Calibrated(temperature, calibration_error(probabilities_of(wide), labels),
                      calibration_error(probabilities_of(wide / temperature), labels), len(labels))
