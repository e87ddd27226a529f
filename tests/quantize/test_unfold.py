"""A layer as matrix products gives what its kernel gives, for every weighted kind."""

import numpy as np
import pytest

from toolchain.ir.ops import make
from toolchain.quantize.unfold import from_matrix, group_count, to_matrix, to_rows
from toolchain.runtime.kernels_float import FLOAT

IMAGE = (2, 9, 7, 6)
CASES = {
    "1x1": ("conv2d", (5, 1, 1, 6), {"stride": (2, 1)}),
    "lopsided": ("conv2d", (5, 3, 2, 6), {"pads": (1, 0, 2, 1), "stride": (2, 1)}),
    "dilated": ("conv2d", (5, 3, 3, 6), {"dilation": (2, 3), "pads": (2, 2, 3, 3)}),
    "grouped": ("conv2d", (6, 3, 3, 2), {"pads": (1, 1, 1, 1)}),
    "depthwise": ("depthwise_conv2d", (1, 3, 3, 6), {"stride": (2, 2), "pads": (0, 1, 0, 1)}),
    "multiplied": ("depthwise_conv2d", (1, 3, 2, 18), {"multiplier": 3, "dilation": (2, 1)}),
    "transposed": ("transpose_conv2d", (4, 3, 2, 6), {"stride": (2, 3)}),
    "transposed, cut": ("transpose_conv2d", (4, 3, 3, 6), {"stride": (2, 2), "pads": (0, 1, 2, 1)}),
    "transposed, cut deep": ("transpose_conv2d", (4, 2, 2, 6), {"stride": (2, 2), "pads": (3, 0, 2, 3)}),
    "transposed, widened": ("transpose_conv2d", (4, 2, 3, 6), {"stride": (2, 1), "pads": (0, -1, 0, -2)}),
}


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind, shape, attrs", CASES.values(), ids=CASES)
def test_rows_times_matrix_are_the_sums(kind, shape, attrs):
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=size).astype(np.float32) for size in (IMAGE, shape))
    op = make(kind, ("x", "w", "b"), "y", **attrs)
    expected = FLOAT[kind](op, x, weight, np.float32(0))
    groups = group_count(op, x.shape, shape)
    matrix = to_matrix(op, weight, groups)
    sums = to_rows(op, x, shape) @ matrix.swapaxes(1, 2)  # (G, rows, channels of a group)
    close(sums.swapaxes(0, 1).reshape(expected.shape), expected)
    np.testing.assert_array_equal(from_matrix(op, matrix, shape), weight)


def test_a_dense_layer_may_read_several_rows_of_a_sample():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    op = make("fully_connected", ("x", "w", "b"), "y")
    assert group_count(op, x.shape, weight.shape) == 1
    close((to_rows(op, x, weight.shape) @ to_matrix(op, weight, 1).swapaxes(1, 2))[0], x @ weight.T)
