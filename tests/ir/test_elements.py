"""Elements that are the same channel are joined."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from toolchain.ir.elements import components


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.lists(
    st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=80))))
def test_components_are_the_connected_ones(case):
    count, edges = case
    expected = list(range(count))
    for _ in range(count):
        for a, b in edges:
            expected[a] = expected[b] = min(expected[a], expected[b])
    left, right = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    assert components(count, left, right).tolist() == expected
