"""Metrics against figures worked out by hand."""

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.metric import METRIC, calibration_error, probabilities_of, score
from toolchain.recipe import Recipe

LOGITS = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])


def test_top1_counts_hits_with_the_binomial_standard_error():
    found = score("top1", LOGITS, np.array([1, 0, 1, 1]))
    assert (found.metric, found.value, found.n) == ("top1", 0.75, 4)
    assert found.standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 3))


def test_top1_of_integer_codes_is_that_of_the_reals():
    codes = np.array([[-128, 127], [5, -5]], np.int8)
    assert score("top1", codes, np.array([1, 0])).value == 1.0


def test_agreement_does_not_ask_for_labels():
    other = LOGITS.copy()
    other[3] = [0.4, 0.6]
    assert score("agreement", LOGITS, other).value == 0.75


def test_mse_is_the_mean_over_samples():
    found = score("mse", np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 2.0]]))
    assert found.value == pytest.approx((5.0 + 2.0) / 2)
    assert found.standard_error == pytest.approx(np.std([5.0, 2.0], ddof=1) / np.sqrt(2))


def test_one_sample_has_no_standard_error():
    assert score("top1", LOGITS[:1], np.array([1])).standard_error is None


@pytest.mark.parametrize("metric, expected, message", [
    ("top1", np.zeros((4, 2)), r"outputs of shape \(4, 2\) with labels of shape \(4,\), got \(4, 2\)"),
    ("mse", np.zeros(4), r"with outputs of shape \(4, 2\), got \(4,\)"),
])
def test_what_does_not_go_together_is_an_error(metric, expected, message):
    with pytest.raises(BadSamples, match=message):
        score(metric, LOGITS, expected)


def test_every_metric_that_a_recipe_may_name_is_there():
    assert set(METRIC) == set(Recipe.__annotations__["metric"].__args__)


def calibration_error_by_hand(probabilities, labels, bins):
    """Guo et al. 2017, eq. 3, bin by bin: sum over bins of |B| / n * |acc(B) - conf(B)|."""
    total = 0.0
    for m in range(bins):
        inside = [i for i, row in enumerate(probabilities) if m / bins < max(row) <= (m + 1) / bins]
        if inside:
            right = sum(int(list(probabilities[i]).index(max(probabilities[i])) == labels[i]) for i in inside)
            confidence = sum(float(max(probabilities[i])) for i in inside)
            total += abs(right - confidence)
    return total / len(labels)


@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error_is_the_papers(bins):
    rng = np.random.default_rng(2)
    probabilities = probabilities_of(rng.normal(0, 2, (300, 4)))
    labels = np.where(rng.random(300) < 0.6, probabilities.argmax(axis=1), rng.integers(0, 4, 300))
    expected = calibration_error_by_hand(probabilities, labels, bins)
    assert calibration_error(probabilities, labels, bins) == pytest.approx(expected, abs=1e-12)


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not():
    sure = np.eye(3)[[0, 1, 2]]
    assert calibration_error(sure, np.array([0, 1, 2])) == 0
    assert calibration_error(sure, np.array([1, 2, 0])) == 1


def test_calibration_error_wants_a_label_for_each_row():
    with pytest.raises(BadSamples, match=r"got shapes \(2, 3\) and \(3,\)"):
        calibration_error(np.eye(3)[:2], np.array([0, 1, 2]))
