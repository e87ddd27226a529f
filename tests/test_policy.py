"""The rule by which a stage answers: what a softmax in float64 says, as nearly as whole numbers can."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
import numpy as np
import torch

from toolchain.policy import CODES, MOST_CLASSES, ONE, Policy, table_of

codes = arrays(np.int8, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=20))
scales, temperatures = st.floats(1e-4, 1.0), st.floats(0.05, 20.0)


@given(codes, scales, temperatures)
def test_one_over_doubt_is_the_largest_probability(logits, scale, temperature):
    policy = Policy(temperature=temperature, bound=0, table=table_of(scale, temperature))
    reals = torch.from_numpy(scale * logits.astype(np.float64))
    expected = torch.softmax(reals / temperature, 1).amax(1).numpy()
    off = logits.shape[1] / ONE  # half a unit a class, and what is below half of one
    np.testing.assert_allclose(policy.doubts(logits) / ONE, 1 / expected, atol=off, rtol=0)


@given(codes, scales, temperatures, st.floats(0.01, 0.999))
def test_codes_and_reals_decide_alike_but_at_the_threshold(logits, scale, temperature, threshold):
    bound = int(ONE / threshold)
    of_codes = Policy(temperature=temperature, bound=bound, table=table_of(scale, temperature))
    of_reals = Policy(temperature=temperature, bound=bound)
    reals = np.float64(scale) * logits
    near = np.abs(of_reals.doubts(reals) - bound) <= logits.shape[1]
    assert np.array_equal(of_codes.answers(logits) | near, of_reals.answers(reals) | near)


@given(scales, temperatures)
def test_a_table_begins_with_one_and_falls(scale, temperature):
    table = table_of(scale, temperature)
    assert table[0] == ONE and 1 <= len(table) <= CODES and table[-1] >= 1
    assert all(before >= after for before, after in zip(table, table[1:]))


def test_most_classes_still_fit_32_bits():
    policy = Policy(temperature=1.0, bound=0, table=table_of(1.0, 1.0))
    assert policy.doubts(np.zeros((1, MOST_CLASSES), np.int8))[0] == MOST_CLASSES * ONE < 2**32


def test_a_bound_of_zero_never_answers_and_a_sure_logit_has_confidence_one():
    policy = Policy(temperature=1.0, bound=0, table=table_of(1.0, 1.0))
    sure = np.array([[127, -128, -128]], np.int8)
    assert policy.doubts(sure)[0] == ONE and not policy.answers(sure)[0] and policy.threshold == np.inf
    assert Policy(temperature=1.0, bound=ONE, table=policy.table).answers(sure)[0]
