"""Sums of products in integers against plain loops over int64."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams
from toolchain.runtime.codes import finish
from toolchain.runtime.multipliers import weighted
from toolchain.runtime.weighted_int8 import batch_matmul, conv2d, product_pair, transpose_conv2d

X, OUT = QuantParams(0.05, 7), QuantParams(0.1, -3)


def drawn(rng, channels: int, height: int, width: int, depth: int):
    """Weight and bias with their parameters, one scale per output channel."""
    scale = rng.uniform(0.001, 0.01, channels).astype(np.float32)
    zero = np.zeros(channels, np.int32)
    weight = rng.integers(-127, 128, (channels, height, width, depth)).astype(np.int8)
    bias = rng.integers(-500, 500, channels).astype(np.int32)
    return (weight, bias), (QuantParams(scale, zero, 0), QuantParams(scale * X.scale, zero, 0, "int32"))


def requantized(total: np.ndarray, bias, weight: QuantParams) -> np.ndarray:
    return finish(total, bias, *weighted(X, weight, OUT), OUT)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.sampled_from([2, 3, 5]), depth=st.integers(1, 4),
       outputs=st.integers(1, 3), kernel=st.integers(1, 3))
def test_groups_are_convolutions_side_by_side(seed, groups, depth, outputs, kernel):
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, 5, 6, groups * depth)).astype(np.int8)
    (weight, bias), (quant, bias_quant) = drawn(rng, groups * outputs, kernel, kernel, depth)
    op = make("conv2d", ("x", "w", "b"), "y", pads=(1, 1, 1, 1), stride=(2, 1))
    parts = []
    for g in range(groups):
        rows = slice(g * outputs, (g + 1) * outputs)
        zero = quant.zero_point[rows]
        own = QuantParams(quant.scale[rows], zero, 0), QuantParams(bias_quant.scale[rows], zero, 0, "int32")
        codes = [x[..., g * depth:(g + 1) * depth], weight[rows], bias[rows]]
        parts.append(conv2d(op, codes, [X, *own], OUT))
    together = conv2d(op, [x, weight, bias], [X, quant, bias_quant], OUT)
    assert np.array_equal(together, np.concatenate(parts, axis=-1))


def scattered(x, weight, op: Op, shape) -> np.ndarray:
    """Each input value times each tap, added where it falls, in int64."""
    (stride_h, stride_w), (top, _, left, _) = op.attrs["stride"], op.attrs["pads"]
    total = np.zeros(shape, np.int64)
    for i, j, k, m in np.ndindex(*x.shape[1:3], *weight.shape[1:3]):
        row, column = i * stride_h + k - top, j * stride_w + m - left
        if 0 <= row < shape[1] and 0 <= column < shape[2]:
            total[:, row, column] += (x[:, i, j].astype(np.int64) - 7) @ weight[:, k, m].T.astype(np.int64)
    return total


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
       stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       pads=st.tuples(*[st.integers(-2, 1)] * 4))
def test_transposed_convolution_scatters(seed, kernel, stride, pads):
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (1, 4, 3, 5)).astype(np.int8)
    (weight, bias), quants = drawn(rng, 6, *kernel, 5)
    op = make("transpose_conv2d", ("x", "w", "b"), "y", stride=stride, pads=pads)
    got = transpose_conv2d(op, [x, weight, bias], [X, *quants], OUT)
    height, width = ((n - 1) * stride[i] + kernel[i] - pads[2 * i] - pads[2 * i + 1]
                     for i, n in enumerate((4, 3)))
    assert got.shape == (1, height, width, 6)
    assert np.array_equal(got, requantized(scattered(x, weight, op, got.shape), bias, quants[0]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), turn_a=st.booleans(), turn_b=st.booleans(),
       depth=st.sampled_from([1, 7, 400]), b_zero=st.integers(-128, 127))
def test_matrices_multiply_less_their_zero_points(seed, turn_a, turn_b, depth, b_zero):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (2, 3, 4, depth)), rng.integers(-128, 128, (3, depth, 5))
    other, out = QuantParams(0.02, b_zero), QuantParams(np.float32(0.05 * depth), 11)
    exact = (a - 7) @ (b - b_zero)
    codes = [np.ascontiguousarray(m.swapaxes(-1, -2) if turn else m).astype(np.int8)
             for m, turn in ((a, turn_a), (b, turn_b))]
    op = make("batch_matmul", ("a", "b"), "y", transpose_a=turn_a, transpose_b=turn_b)
    expected = finish(exact, 0, *product_pair(X, other, out), out)
    assert np.array_equal(batch_matmul(op, codes, [X, other], out), expected)
