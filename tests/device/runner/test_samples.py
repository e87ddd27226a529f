"""Files of samples: packed and read back, sample by sample."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.runner.running import random_feeds
from toolchain.device.runner.samples import pack, port_bytes, unpack
from toolchain.errors import BadReply, BadSamples
from toolchain.port import Port

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")
shapes = st.lists(st.integers(1, 4), max_size=3).map(lambda dims: (1, *dims))
ports = st.lists(st.tuples(st.sampled_from(DTYPES), shapes), min_size=1, max_size=4).map(
    lambda rows: tuple(Port(f"p{i}", shape, dtype) for i, (dtype, shape) in enumerate(rows)))


@given(ports, st.integers(1, 5))
def test_what_is_packed_is_unpacked(sides, count):
    feeds = random_feeds(sides, count)
    data = pack(sides, feeds)
    assert len(data) == count * sum(map(port_bytes, sides))
    for name, value in unpack(sides, data, count).items():
        np.testing.assert_array_equal(value, feeds[name], strict=True)


def test_a_sample_is_all_inputs_in_their_order_each_tight():
    sides = (Port("b", (1, 2), "int16"), Port("a", (1,), "int8"))
    feeds = {"a": np.array([5, 6], np.int8), "b": np.array([[1, 2], [3, 4]], np.int16)}
    assert pack(sides, feeds) == bytes([1, 0, 2, 0, 5, 3, 0, 4, 0, 6])


def test_samples_that_do_not_fit_are_refused():
    with pytest.raises(BadSamples, match=r"input a: got float64 \(1, 2\), expected int8 \(N, 2\)"):
        pack((Port("a", (1, 2), "int8"),), {"a": np.zeros((1, 2))})


@pytest.mark.parametrize("size", [0, 5, 7, 12])
def test_a_file_of_another_size_is_a_bad_reply(size):
    with pytest.raises(BadReply, match=f"wrote {size} bytes of outputs; 3 samples are 6"):
        unpack((Port("a", (1, 2), "int8"),), bytes(size), 3)
