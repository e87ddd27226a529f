"""INT8's answers beside float's: how often, for whom, and how surely they differ."""

from collections.abc import Iterator, Sequence

import numpy as np

from toolchain.diagnose.findings import ClassDrop, Quality
from toolchain.metric import (
    calibration_error,
    probabilities_of,
    same_winner,
    score,
    standard_error,
    top1_hits,
)
from toolchain.paired import mcnemar
from toolchain.quantize.sensitivity import mean_sqnr_db


def quality_of(exact: np.ndarray, found: np.ndarray, labels: np.ndarray | None = None,
               classes: Sequence[str] = ()) -> Quality:
    """exact, found: float's and INT8's logits, or other outputs, (N, ...);  labels: (N,) classes, or None

    Raises BadSamples where labels do not fit.
    """
    moved = 1 - same_winner(exact, found)
    about = {"n": len(exact), "sqnr_db": mean_sqnr_db(exact, found), "flipped": float(moved.mean()),
             "flipped_error": standard_error(moved)}
    if labels is None:
        return Quality(**about)
    scores = [score("top1", outputs, labels) for outputs in (exact, found)]
    right, still = (top1_hits(outputs, labels) for outputs in (exact, found))
    test = mcnemar(right, still)
    return Quality(
        **about, float_top1=scores[0], quantized_top1=scores[1], drop=100 * float((right - still).mean()),
        drop_error=100 * standard_error(right - still), p=test.p, only_float=test.only_first,
        only_quantized=test.only_second, float_ece=_calibration_error(exact, labels),
        quantized_ece=_calibration_error(found, labels),
        classes=tuple(sorted(_by_class(right, still, labels, classes),
                             key=lambda drop: drop.quantized_top1 - drop.float_top1)))


def _calibration_error(outputs: np.ndarray, labels: np.ndarray) -> float | None:
    """None of what is no vector of logits."""
    rows = outputs.reshape(len(outputs), -1)
    return calibration_error(probabilities_of(rows), labels) if rows.shape[1] > 1 else None


def _by_class(right: np.ndarray, still: np.ndarray, labels: np.ndarray,
              classes: Sequence[str]) -> Iterator[ClassDrop]:
    for label in np.unique(labels):
        a, b = right[labels == label], still[labels == label]
        name = classes[int(label)] if int(label) < len(classes) else str(int(label))
        yield ClassDrop(name, len(a), float(a.mean()), float(b.mean()), standard_error(a - b))
