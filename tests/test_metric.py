"""Metrics against figures worked out by hand."""

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.metric import METRIC, score
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
