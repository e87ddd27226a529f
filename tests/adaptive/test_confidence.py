"""Temperature scaling: the least cross-entropy by another optimiser, and what is known beforehand."""

import numpy as np
import pytest
import torch

from toolchain.adaptive.confidence import COLDEST, HOTTEST, calibrated
from toolchain.errors import BadSamples


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at a temperature is the truth."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (n, 6)).astype(np.float32)
    powers = np.exp(logits / temperature)
    truth = powers / powers.sum(axis=1, keepdims=True)
    return logits, (truth.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_with(temperature):
    found = calibrated(*drawn(temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.06) and found.n == 4000
    assert found.after < 0.03 and (temperature == 1.0 or found.before > 2 * found.after)


def test_the_least_cross_entropy_by_torch():
    logits, labels = drawn(1.7, 300)
    log_t, y = torch.zeros(1, dtype=torch.float64, requires_grad=True), torch.from_numpy(labels)
    optimiser = torch.optim.LBFGS([log_t], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double() / log_t.exp(), y)
        value.backward()
        return value

    optimiser.step(loss)
    assert calibrated(logits, labels).temperature == pytest.approx(float(log_t.exp().detach()), rel=1e-5)


def test_what_is_always_right_or_says_nothing_ends_at_a_bound():
    logits = np.eye(4, dtype=np.float32)[np.arange(40) % 4]
    assert calibrated(logits, np.arange(40) % 4).temperature == pytest.approx(COLDEST)
    assert calibrated(logits, (np.arange(40) + 1) % 4).temperature == pytest.approx(HOTTEST)


@pytest.mark.parametrize("logits, labels, message", [
    (np.zeros((3, 2)), np.zeros(2, int), r"got shapes \(3, 2\) and \(2,\)"),
    (np.zeros((2, 2)), np.array([0, 2]), "label 2 of sample 1")])
def test_labels_that_do_not_fit(logits, labels, message):
    with pytest.raises(BadSamples, match=message):
        calibrated(logits, labels)
