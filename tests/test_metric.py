"""Metrics against figures worked out by hand."""

import numpy as np
import pytest

from toolchain.errors import BadConfig, BadSamples
from toolchain.generation import elbo, frechet_distance, kernel_distance
from toolchain.metric import (
    BLOCKS,
    METRIC,
    calibration_error,
    loss_scale,
    probabilities_of,
    score,
    set_values,
    standard_error,
)
from toolchain.paired import EXACT_DB
from toolchain.recipe import OF_LABELS, OF_SETS, Recipe

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


# What generators draw ---------------------------------------------------------------------------------------

def doubled(outputs):
    return 2 * outputs.reshape(len(outputs), -1)


def drawn(seed, count=60):
    return np.random.default_rng(seed).random((count, 2, 3, 1))


def test_a_distance_between_sets_is_that_of_features_whatever_the_order():
    made, real = drawn(0), drawn(1, 80)
    for metric, distance in (("frechet", frechet_distance), ("kernel", kernel_distance)):
        found = score(metric, made, real[::-1], doubled)
        assert found.value == pytest.approx(distance(doubled(made), doubled(real))) and found.n == 60


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """Of a distance that is the mean of the first set, blocks of one size: the error of the blocks' means."""
    x = np.random.default_rng(0).random((60, 1))
    values = set_values(lambda a, b: float(a.mean()))(x, x)
    blocks = [x[i::BLOCKS].mean() for i in range(BLOCKS)]
    assert values.mean() == pytest.approx(x.mean())
    assert standard_error(values) == pytest.approx(np.std(blocks, ddof=1) / np.sqrt(BLOCKS))


def test_sets_too_small_to_be_compared():
    with pytest.raises(BadSamples, match="sets of 19 and 60 samples says nothing; give 20"):
        score("frechet", drawn(0, 19), drawn(1), doubled)


def test_psnr_takes_the_span_of_what_is_expected_and_stays_finite():
    expected = np.zeros((2, 2, 2, 1))
    expected[:, 0] = 255
    made = expected.copy()
    made[0] += 25.5
    assert METRIC["psnr"].per_sample(made, expected) == pytest.approx([20, EXACT_DB])
    with pytest.raises(BadSamples, match="all 8 values that images are compared with are 0"):
        score("ssim", expected, 0 * expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_of_images_that_are_channels_first(channels):
    made, expected = np.random.default_rng(0).random((2, 5, 8, 6, channels))
    turned = [images.transpose(0, 3, 1, 2) for images in (made, expected)]
    assert score("ssim", *turned) == score("ssim", made, expected)


def test_elbo_takes_three_outputs():
    images, latent = drawn(0), np.zeros((60, 2))
    assert score("elbo", [images, latent, latent], images).value == pytest.approx(
        elbo(images, images, latent, latent).mean())
    with pytest.raises(BadSamples, match="elbo takes 3 outputs of a network"):
        score("elbo", images, images)


@pytest.mark.parametrize("metric, of_float, worse, drop", [
    ("top1", 0.9, 0.8, 10), ("ssim", 0.9, 0.8, 10), ("psnr", 30.0, 29.0, 1), ("frechet", 2.0, 2.2, 10),
    ("kernel", 0.5, 0.55, 10), ("elbo", -20.0, -22.0, 10), ("mse", 0.0, 0.4, 10)])
def test_a_drop_is_above_zero_where_a_network_is_worse(metric, of_float, worse, drop):
    scale = loss_scale(metric, np.array([of_float]), np.array([2.0, -2.0]))
    assert scale * (of_float - worse) == pytest.approx(drop)


@pytest.mark.parametrize("metric, own", [("frechet", 0.0), ("kernel", -0.1)])
def test_of_a_distance_that_is_none_no_share_can_be_told(metric, own):
    with pytest.raises(BadSamples, match=f"{metric} of the float network is {own:g}, of which no share"):
        loss_scale(metric, np.array([own]), np.zeros(1))


@pytest.mark.parametrize("choice, message", [
    ({"metric": "frechet"}, 'metric = "frechet" compares sets; give features'),
    ({"features": "a.py:b"}, 'features = "a.py:b" would do nothing with metric = "top1"')])
def test_features_go_with_distances_between_sets(choice, message):
    assert set(OF_SETS) == {name for name, row in METRIC.items() if row.expected == "set"}
    assert set(OF_LABELS) == {name for name, row in METRIC.items() if row.classes}
    with pytest.raises(BadConfig, match=message):
        Recipe(**choice)
