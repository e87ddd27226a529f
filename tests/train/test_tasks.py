"""Losses of each sample against their definitions; labels that do not fit are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.training_nets import CLASSES, network, samples
from toolchain.errors import BadSamples
from toolchain.train.tasks import answerable, class_losses, targets_of, yes_no_losses


def log_softmax(z):
    return z - z.max(-1, keepdims=True) - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("positions", [(), (3, 2)])
def test_class_losses_are_cross_entropies_with_smoothed_labels(smoothing, positions):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(6, *positions, 4)), rng.integers(0, 4, (6, *positions))
    soft = (1 - smoothing) * np.eye(4)[y] + smoothing / 4
    expected = -(soft * log_softmax(logits)).sum(-1).reshape(6, -1).mean(1)
    got = class_losses(torch.from_numpy(logits), torch.from_numpy(y), smoothing)
    np.testing.assert_allclose(got, expected)


def test_yes_no_losses_are_binary_cross_entropies():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(6, 3, 2)), rng.integers(0, 2, (6, 3, 2)).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).reshape(6, -1).mean(1)
    np.testing.assert_allclose(yes_no_losses(torch.from_numpy(logits), torch.from_numpy(y)), expected)


def test_real_images_beside_noise_are_no_answers():
    """Where the metric compares sets."""
    beside = replace(samples(30), y=np.full((30, CLASSES), 99.0, np.float32))
    assert answerable(beside, "mse").y is beside.y and answerable(beside, "kernel").y is None


@pytest.mark.parametrize("y, metric, message", [
    (np.full(96, CLASSES), "top1", "label 3 of sample 0: labels must be whole numbers in 0..2"),
    (np.full(96, -1), "top1", "label -1 of sample 0"),
    (np.full(96, 0.5), "top1", "label 0.5 of sample 0"),
    (np.full(96, np.nan), "top1", "corners: labels hold NaN or Inf"),
    (np.zeros((96, 2)), "top1", r"corners: each sample's labels have shape \(2,\); output fc of net takes "),
    (np.zeros(96), "mse", r"corners: each sample's labels have shape \(\); output fc of net takes n"),
    (np.full((96, CLASSES), np.inf), "mse", "corners: labels hold NaN or Inf"),
])
def test_labels_that_do_not_fit(y, metric, message):
    with pytest.raises(BadSamples, match=message):
        targets_of(network(), "corners", y, metric)


def test_labels_may_have_axes_of_one():
    assert targets_of(network(), "s", np.array([[1], [2.0]]), "top1").tolist() == [1, 2]
    assert targets_of(network(), "s", np.ones((2, 1, 3)), "mse").shape == (2, 3)
