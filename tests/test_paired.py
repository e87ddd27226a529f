"""Paired tests against closed forms and what their books print."""

from math import comb

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.paired import EXACT_DB, bootstrap, mcnemar, significantly_worse, sqnr_db


def hits(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_first, only_second, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


@pytest.mark.parametrize("only_first, only_second, p", [
    (0, 0, 1.0),
    (5, 5, 1.0),  # the middle counts twice: clipped
    (0, 5, 2 / 2**5),
    (1, 5, 2 * (1 + 6) / 2**6),
    (2, 10, 2 * sum(comb(12, k) for k in range(3)) / 2**12),
])
def test_mcnemar_is_the_binomial_tail(only_first, only_second, p):
    found = mcnemar(*hits(30, only_first, only_second, 7))
    assert found == (only_first, only_second, pytest.approx(p))


def test_mcnemar_nears_its_chi_square_form():
    """Agresti 2002, section 10.1.1: approval of 1600 voters, z^2 = (150 - 86)^2 / (150 + 86) = 17.36; the
    normal tail beyond 4.17 is 1.5e-5 on each side."""
    found = mcnemar(*hits(794, 150, 86, 570))
    assert found.p == pytest.approx(3.1e-5, rel=0.25)


def test_worse_needs_the_sign_and_the_level():
    better, worse = hits(50, 12, 2, 0)
    assert significantly_worse(worse, better) and not significantly_worse(better, worse)
    assert not significantly_worse(*hits(50, 2, 5, 0))


def test_more_samples_than_a_double_can_count_subsets_of():
    assert mcnemar(*hits(0, 1000, 1000, 0)).p == 1.0
    assert 0 < mcnemar(*hits(0, 900, 1100, 0)).p < 1e-4


def test_bootstrap_of_normal_differences_is_their_normal_interval():
    x = np.random.default_rng(1).normal(0.3, 2.0, 4000)
    found = bootstrap(x, resamples=4000)
    half = 1.96 * x.std(ddof=1) / np.sqrt(len(x))
    assert found.mean == pytest.approx(x.mean())
    assert found.low == pytest.approx(x.mean() - half, abs=0.06 * half)
    assert found.high == pytest.approx(x.mean() + half, abs=0.06 * half)
    assert bootstrap(x, resamples=50) == bootstrap(x, resamples=50)


def test_bootstrap_of_a_constant_is_a_point():
    assert bootstrap(np.full(9, 0.25)) == (0.25, 0.25, 0.25)


def test_sqnr_is_per_sample_in_decibels():
    exact = np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    found = np.array([[3.0, 4.5], [0.0, 0.0], [2.0, 2.0], [1.0, 0.0]])
    assert sqnr_db(exact, found) == pytest.approx([20.0, 0.0, EXACT_DB, 0.0])


def test_sqnr_of_uniform_rounding_is_six_decibels_a_bit():
    """A full-scale uniform signal on 2^b steps: 20 log10(2) b dB (Bennett 1948)."""
    x = np.random.default_rng(0).uniform(-1, 1, (4, 50_000))
    for bits in (4, 8):
        step = 2.0 ** (1 - bits)
        coded = (np.floor(x / step) + 0.5) * step
        assert sqnr_db(x, coded) == pytest.approx(np.full(4, 6.0206 * bits), abs=0.1)


def test_a_scale_changes_no_sqnr():
    x, y = np.random.default_rng(2).normal(size=(2, 5, 7))
    assert sqnr_db(1e-3 * x, 1e-3 * y) == pytest.approx(sqnr_db(x, y))


@pytest.mark.parametrize("call", [mcnemar, sqnr_db])
def test_unlike_pairs_are_an_error(call):
    with pytest.raises(BadSamples, match="of the same samples"):
        call(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(BadSamples):
        call(np.zeros((0, 2)), np.zeros((0, 2)))


def test_bootstrap_of_nothing_is_an_error():
    with pytest.raises(BadSamples, match="list of differences"):
        bootstrap(np.zeros(0))
