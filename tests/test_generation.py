"""Distances, likeness and bounds against torch, closed forms and the definitions written out."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from toolchain.errors import BadSamples
from toolchain.generation import (
    LEAST_PROBABILITY,
    divergence,
    elbo,
    frechet_distance,
    kernel_distance,
    psnr,
    ssim,
)


def sets(seed: int, width: int = 5, counts: tuple[int, int] = (60, 80)) -> list[np.ndarray]:
    """Two sets that differ in mean and covariance."""
    rng = np.random.default_rng(seed)
    turns, moves = rng.standard_normal((2, width, width)), rng.standard_normal((2, width))
    return [rng.standard_normal((count, width)) @ turn + move
            for count, turn, move in zip(counts, turns, moves)]


# Frechet distance -------------------------------------------------------------------------------------------

@given(st.integers(0, 10_000))
def test_frechet_is_the_definition_with_torchs_eigenvalues_of_the_product(seed):
    a, b = sets(seed)
    means = [torch.from_numpy(x.mean(0)) for x in (a, b)]
    covariances = [torch.cov(torch.from_numpy(x.T)) for x in (a, b)]
    root = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp(min=0).sqrt().sum()
    wanted = (means[0] - means[1]).square().sum() + sum(c.trace() for c in covariances) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(wanted.item(), rel=1e-6, abs=1e-8)


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=4))
def test_frechet_of_axes_apart_adds_up_the_differences_of_deviations(pairs):
    """Covariances that are diagonal: the sum of (s1 - s2)^2 over the axes."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(pairs))).reshape(len(pairs), -1).T
    a, b = (signs * [pair[i] for pair in pairs] for i in (0, 1))
    apart = np.square(a.std(axis=0, ddof=1) - b.std(axis=0, ddof=1)).sum()
    assert frechet_distance(a, b + 1) == pytest.approx(apart + len(pairs), abs=1e-9)


def test_frechet_of_sets_on_a_plane_is_neither_negative_nor_complex():
    a, _ = sets(1, width=40, counts=(10, 2))
    flat = np.concatenate([a, np.zeros((10, 3))], 1)
    assert frechet_distance(flat, flat[::-1]) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(flat, flat + 0.5) == pytest.approx(0.25 * 43)


def test_sets_of_one_sample_or_of_other_widths_have_no_distance():
    with pytest.raises(BadSamples, match=r"\(1, 3\) and \(5, 3\) have no distance; give 2 samples or more"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(BadSamples, match="of the same width"):
        kernel_distance(np.zeros((5, 2)), np.zeros((5, 3)))


# Kernel distance --------------------------------------------------------------------------------------------

def test_kernel_distance_is_the_sum_over_pairs_written_out():
    a, b = sets(3, width=3, counts=(6, 8))

    def k(x, y):
        return (float(x @ y) / 3 + 1) ** 3

    within = [np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
              for x in (a, b)]
    across = np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * across)


def test_kernel_distance_has_no_bias():
    """Mean over draws from one distribution, in standard errors."""
    rng = np.random.default_rng(0)
    found = [kernel_distance(*rng.standard_normal((2, 12, 4))) for _ in range(2000)]
    assert min(found) < 0
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


# Pairs ------------------------------------------------------------------------------------------------------

def test_psnr_by_hand():
    images = np.zeros((2, 2, 2, 1))
    other = images.copy()
    other[0] = 25.5
    assert psnr(other, images, 255).tolist() == [pytest.approx(20.0), np.inf]


@pytest.mark.parametrize("shape, window", [
    ((2, 16, 20, 3), (11, 11)), ((3, 8, 8, 1), (7, 7)), ((1, 11, 5, 1), (11, 5))])
def test_ssim_is_torchs_convolution_with_the_papers_window(shape, window):
    rng = np.random.default_rng(2)
    x = rng.random(shape)
    y = np.clip(x + 0.2 * rng.standard_normal(shape), 0, 1)
    a, b = (torch.from_numpy(image.transpose(0, 3, 1, 2)).reshape(-1, 1, *shape[1:3]) for image in (x, y))
    lines = [torch.exp(-(torch.arange(n, dtype=torch.float64) - n // 2) ** 2 / (2 * 1.5**2)) for n in window]
    kernel = torch.outer(*lines)[None, None] / torch.outer(*lines).sum()
    m1, m2, s1, s2, s12 = (F.conv2d(image, kernel) for image in (a, b, a * a, b * b, a * b))
    s1, s2, s12 = s1 - m1**2, s2 - m2**2, s12 - m1 * m2
    wanted = ((2 * m1 * m2 + 1e-4) * (2 * s12 + 9e-4)) / ((m1**2 + m2**2 + 1e-4) * (s1 + s2 + 9e-4))
    assert ssim(x, y, 1) == pytest.approx(wanted.reshape(shape[0], -1).mean(1).numpy())


def test_ssim_of_equal_images_is_one_and_of_their_negatives_less_than_none():
    x = np.random.default_rng(0).random((2, 12, 12, 1))
    assert ssim(x, x, 1) == pytest.approx([1, 1]) and (ssim(1 - x, x, 1) < 0).all()
    with pytest.raises(BadSamples, match=r"\(2, 12, 12, 1\) are compared with \(2, 12, 12\)"):
        ssim(x, x[..., 0], 1)


# Bounds -----------------------------------------------------------------------------------------------------

def test_elbo_of_bernoulli_pixels_is_torchs_likelihood_less_its_divergence():
    rng = np.random.default_rng(4)
    x, made = rng.random((3, 4, 4, 1)), rng.uniform(0.05, 0.95, (3, 4, 4, 1))
    mean, log_variance = rng.standard_normal((2, 3, 5))
    pixels = F.binary_cross_entropy(torch.from_numpy(made), torch.from_numpy(x), reduction="none")
    entropy = pixels.sum((1, 2, 3))
    q = torch.distributions.Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    apart = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert divergence(mean, log_variance) == pytest.approx(apart.numpy())
    assert elbo(x, made, mean, log_variance) == pytest.approx((-entropy - apart).numpy())


def test_elbo_of_normal_pixels_is_torchs():
    rng = np.random.default_rng(5)
    x, made, mean = rng.standard_normal((3, 2, 6))
    p = torch.distributions.Normal(torch.from_numpy(made), 0.3)
    zeros = np.zeros_like(mean)
    wanted = p.log_prob(torch.from_numpy(x)).sum(1).numpy()
    assert elbo(x, made, zeros, zeros, sigma=0.3) == pytest.approx(wanted)


def test_a_probability_of_an_int8_zero_is_not_impossible():
    one = np.ones((1, 1))
    assert elbo(one, 0 * one, 0 * one, 0 * one)[0] == pytest.approx(np.log(LEAST_PROBABILITY))
    with pytest.raises(BadSamples, match="are not of the same samples"):
        elbo(one, one, np.zeros((2, 1)), np.zeros((2, 1)))
