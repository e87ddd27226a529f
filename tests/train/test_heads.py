"""Heads: the best linear classifier by another optimiser, of labels and of a teacher."""

import numpy as np
import pytest
import torch

from toolchain.errors import BadSamples
from toolchain.train.heads import DECAY, trained_head


def task(n: int = 400, seed: int = 0):
    random = np.random.default_rng(seed)
    features = (random.normal(size=(n, 5)) * [1, 10, 0.1, 1, 3] + [0, 50, 0, -2, 1]).astype(np.float32)
    truth = (features - features.mean(0)) / features.std(0) @ random.normal(size=(5, 3))
    return features, (truth + random.gumbel(size=truth.shape)).argmax(1), truth.astype(np.float32)


def test_labels_alone_are_softmax_regression():
    """By plain gradient descent on the same loss, far enough."""
    features, labels, teacher = task()
    weight, bias = trained_head(features, labels, teacher, 0.0, 4.0)
    x = torch.from_numpy((features - features.mean(0)) / features.std(0))
    w, b = torch.zeros(3, 5, requires_grad=True), torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.SGD([w, b], 0.5)
    for _ in range(3000):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ w.T + b, torch.from_numpy(labels))
        (loss + DECAY * w.square().sum()).backward()
        optimiser.step()
    expected = (x @ w.T + b).detach().numpy()
    np.testing.assert_allclose(features @ weight.T + bias, expected, atol=0.02)


def test_a_teacher_alone_is_copied():
    features, _, teacher = task()
    weight, bias = trained_head(features, None, teacher, 0.5, 4.0)
    assert ((features @ weight.T + bias).argmax(1) == teacher.argmax(1)).mean() > 0.95


def test_the_same_every_time_and_a_dead_channel_does_no_harm():
    features, labels, teacher = task()
    features[:, 2] = 7
    first, second = (trained_head(features, labels, teacher, 0.5, 4.0) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.isfinite(first[0]).all() and np.isfinite(first[1]).all()


def test_labels_that_are_no_classes():
    features, labels, teacher = task()
    with pytest.raises(BadSamples, match="label 3 of sample"):
        trained_head(features, labels + 1, teacher, 0.5, 4.0)
