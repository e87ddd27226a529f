"""The distribution is what its formulas say, by sampling and by its own quantiles."""

import numpy as np
import pytest
import torch

from toolchain.prune.hard_concrete import estimate, open_probability, sampled

LOG_ALPHA = [-4.0, -1.5, 0.0, 0.7, 2.5, 5.0]
DRAWS = 200_000


def drawn(log_alpha: float) -> np.ndarray:
    uniform = torch.rand(DRAWS, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    return sampled(torch.full((DRAWS,), log_alpha), uniform).numpy()


@pytest.mark.parametrize("log_alpha", LOG_ALPHA)
def test_the_share_of_open_gates_is_the_formula(log_alpha):
    expected = float(open_probability(torch.tensor(log_alpha)))
    error = 4 * np.sqrt(expected * (1 - expected) / DRAWS)
    assert (drawn(log_alpha) != 0).mean() == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("log_alpha", LOG_ALPHA)
def test_whole_gates_are_as_many_as_closed_ones_of_the_mirrored_parameter(log_alpha):
    """The distribution of 1 - z has the parameter -log alpha."""
    assert (drawn(log_alpha) == 1).mean() == pytest.approx((drawn(-log_alpha) == 0).mean(), abs=6e-3)


def test_between_the_ends_the_distribution_function_is_the_concrete_one():
    """P(z <= x) = sigmoid(beta logit((x - gamma) / (zeta - gamma)) - log alpha) (Maddison et al. 2017)."""
    gates = drawn(0.7)
    for x in (0.1, 0.5, 0.9):
        stretched = (x + 0.1) / 1.2
        expected = 1 / (1 + np.exp(-(2 / 3 * np.log(stretched / (1 - stretched)) - 0.7)))
        assert (gates <= x).mean() == pytest.approx(expected, abs=5e-3)


def test_the_estimate_by_hand():
    """sigmoid(0) * 1.2 - 0.1 = 0.5; sigmoid(2.5) * 1.2 - 0.1 = 1.009."""
    found = estimate(torch.tensor([-3.0, 0.0, 1.0, 2.5]))
    np.testing.assert_allclose(found, [0, 0.5, 0.73106 * 1.2 - 0.1, 1], atol=1e-5)


def test_gradients_by_finite_differences():
    log_alpha = torch.tensor([-1.0, 0.3, 1.2], dtype=torch.float64, requires_grad=True)
    uniform = torch.tensor([0.6, 0.4, 0.3], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: sampled(a, uniform), log_alpha)
    assert torch.autograd.gradcheck(open_probability, log_alpha)
