"""A weight as two: equal at full rank, the best that numpy's decomposition knows at any other."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.prune.factors import FORMS, channel, product, spatial
from toolchain.prune.seen import Seen

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))


def random_case(seed, shape, white):
    """(weight, what is seen), inputs of very different sizes."""
    rng = np.random.default_rng(seed)
    weight, taps = rng.standard_normal(shape).astype(np.float32), int(np.prod(shape[1:]))
    spread = np.geomspace(1, 30, taps) * rng.standard_normal((200, taps)) + rng.standard_normal(taps)
    return weight, Seen.white(taps) if white else Seen.of(spread.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, form=st.sampled_from(list(FORMS)), white=st.booleans())
def test_the_product_of_all_parts_is_the_weight(seed, shape, form, white):
    weight, seen = random_case(seed, shape, white)
    scale = np.random.default_rng(seed).uniform(0.01, 10, shape[0])
    parts = FORMS[form](weight, scale, seen)
    np.testing.assert_allclose(product(*parts.cut(parts.rank)), weight, atol=1e-5)
    assert parts.kept[-1] == pytest.approx(1, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, form=st.sampled_from(list(FORMS)))
def test_without_samples_it_is_the_singular_value_decomposition(seed, shape, form):
    weight, seen = random_case(seed, shape, white=True)
    parts = FORMS[form](weight, np.ones(shape[0]), seen)
    matrix = weight.reshape(shape[0], -1) if form == "channel" else \
        weight.transpose(1, 3, 2, 0).reshape(shape[1] * shape[3], -1)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(parts.kept, np.cumsum(values**2) / np.sum(values**2), atol=1e-4)
    for rank in range(1, parts.rank):
        error = np.square(product(*parts.cut(rank)) - weight).sum()
        assert error == pytest.approx(np.sum(values[rank:] ** 2), rel=1e-3, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES)
def test_no_matrix_of_that_rank_does_better_on_the_samples(seed, shape):
    """Eckart & Young: of outputs of the best approximation, by numpy, on the rows themselves."""
    weight, seen = random_case(seed, shape, white=False)
    outputs = seen.rows @ weight.reshape(shape[0], -1).T
    values = np.linalg.svd(outputs, compute_uv=False)
    parts = channel(weight, np.ones(shape[0]), seen)
    for rank in range(1, parts.rank + 1):
        missing = weight - product(*parts.cut(rank))
        error = np.square(seen.rows @ missing.reshape(shape[0], -1).T).sum()
        assert error <= np.sum(values[rank:] ** 2) + 1e-3 * np.sum(values**2)
        assert parts.kept[rank - 1] == pytest.approx(1 - error / np.sum(values**2), abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES)
def test_what_spatial_parts_keep_is_measured(seed, shape):
    weight, seen = random_case(seed, shape, white=False)
    parts = spatial(weight, np.ones(shape[0]), seen)
    whole = np.square(seen.rows @ weight.reshape(shape[0], -1).T).sum()
    for rank in range(1, parts.rank + 1):
        missing = weight - product(*parts.cut(rank))
        error = np.square(seen.rows @ missing.reshape(shape[0], -1).T).sum()
        assert parts.kept[rank - 1] == pytest.approx(max(0, 1 - error / whole), abs=1e-4)


def test_outputs_count_by_what_their_reader_multiplies_them_by():
    """Of two outputs that one part cannot both give, it gives the one that is read."""
    weight = np.eye(2, dtype=np.float32).reshape(2, 1, 1, 2)
    for scale, expected in (([10.0, 1.0], [1, 0]), ([1.0, 10.0], [0, 1]), ([0.0, 1.0], [0, 1])):
        parts = channel(weight, np.array(scale), Seen.white(2))
        found = product(*parts.cut(1)).reshape(2, 2)
        np.testing.assert_allclose(found, np.diag(expected), atol=1e-6)


def test_samples_decide_what_weights_alone_do_not():
    """A large weight on an input that never comes is left out."""
    weight = np.array([[5.0, 0.0], [0.0, 1.0]], np.float32).reshape(2, 1, 1, 2)
    rows = np.zeros((50, 2), np.float32)
    rows[:, 1] = np.random.default_rng(0).standard_normal(50)
    found = product(*channel(weight, np.ones(2), Seen.of(rows)).cut(1)).reshape(2, 2)
    np.testing.assert_allclose(found, [[0, 0], [0, 1]], atol=0.02)
    found = product(*channel(weight, np.ones(2), Seen.white(2)).cut(1)).reshape(2, 2)
    np.testing.assert_allclose(found, [[5, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_weights_and_inputs_that_are_all_zero(form):
    parts = FORMS[form](np.zeros((3, 2, 2, 2), np.float32), np.ones(3), Seen.of(np.zeros((5, 8), np.float32)))
    assert (parts.kept == 1).all() and not product(*parts.cut(1)).any()
