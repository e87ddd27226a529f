"""Weights with a zero point: sums of (x - zero point of x) * (w - zero point of w), against plain loops."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.errors import BadGraph
from toolchain.ir.build import Builder
from toolchain.ir.check import WEIGHTED, check
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams, fixed_point, requantize
from toolchain.runtime import reference

KERNEL, STRIDE = (2, 3), (2, 1)


def shapes(kind: str, channels: int, made: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of input and weight."""
    if kind == "fully_connected":
        return (1, channels), (made, channels)
    weight = (1, *KERNEL, channels * made) if kind == "depthwise_conv2d" else (made, *KERNEL, channels)
    return (1, 4, 5, channels), weight


def sums(kind: str, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Of whole numbers less their zero points; no pads."""
    if kind == "fully_connected":
        return x @ w.T
    (_, height, width, _), (rows, columns) = x.shape, KERNEL
    if kind == "transpose_conv2d":
        tall, wide = (height - 1) * STRIDE[0] + rows, (width - 1) * STRIDE[1] + columns
        y = np.zeros((1, tall, wide, len(w)), np.int64)
        for i, j in product(range(height), range(width)):
            top, left = i * STRIDE[0], j * STRIDE[1]
            y[0, top:top + rows, left:left + columns] += np.einsum("c,ohwc->hwo", x[0, i, j], w)
        return y
    out = (height - rows) // STRIDE[0] + 1, (width - columns) // STRIDE[1] + 1
    y = np.zeros((1, *out, w.shape[3] if kind == "depthwise_conv2d" else len(w)), np.int64)
    for i, j in product(*map(range, out)):
        window = x[0, i * STRIDE[0]:i * STRIDE[0] + rows, j * STRIDE[1]:j * STRIDE[1] + columns]
        if kind == "depthwise_conv2d":
            y[0, i, j] = (np.repeat(window, w.shape[3] // x.shape[3], axis=2) * w[0]).sum(axis=(0, 1))
        else:
            y[0, i, j] = np.einsum("hwc,ohwc->o", window, w)
    return y


def one_op(kind: str, w: np.ndarray, bias: np.ndarray, x_zero: int, w_zero: int, channels: int, made: int,
           axis: int | None = None) -> Graph:
    build = Builder(kind)
    x = build.input("x", shapes(kind, channels, made)[0], "int8", QuantParams(0.03, x_zero))
    scale = np.float32(0.02) if axis is None else np.full(w.shape[axis], 0.02, np.float32)
    weight = build.constant("w", w, QuantParams(scale, np.full(np.shape(scale), w_zero), axis))
    bias_scale = np.float32(0.03) * scale
    b = build.constant("b", bias, QuantParams(bias_scale, np.zeros(np.shape(scale), int),
                                              None if axis is None else 0, "int32"))
    attrs = {"depthwise_conv2d": {"multiplier": made}}.get(kind, {})
    if kind != "fully_connected":
        attrs |= {"stride": STRIDE, "pads": (0, 0, 0, 0)}
    return build.graph(build.op(kind, [x, weight, b], "y", quant=QuantParams(0.2, 11), **attrs))


@pytest.mark.parametrize("kind", WEIGHTED)
@settings(max_examples=30, deadline=None)
@given(x_zero=st.integers(-128, 127), w_zero=st.integers(-128, 127), channels=st.integers(1, 4),
       made=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_the_codes_are_those_of_the_sums(kind, x_zero, w_zero, channels, made, seed):
    rng, (x_shape, w_shape) = np.random.default_rng(seed), shapes(kind, channels, made)
    x, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in (x_shape, w_shape))
    bias = rng.integers(-2000, 2000, w_shape[WEIGHTED[kind]]).astype(np.int32)
    total = sums(kind, x.astype(np.int64) - x_zero, w.astype(np.int64) - w_zero) + bias
    scale = np.float32(0.03) * np.float32(0.02) if w_zero else np.float64(np.float32(0.03)) * np.float32(0.02)
    expected = np.clip(requantize(total, *fixed_point(float(scale) / float(np.float32(0.2)))) + 11, -128, 127)
    graph = check(one_op(kind, w, bias, x_zero, w_zero, channels, made), "QUANTIZED")
    assert np.array_equal(reference.run(graph, {"x": x})["y"], expected)


@pytest.mark.parametrize("kind", WEIGHTED)
def test_sums_beyond_float32_are_exact(kind):
    """4,000 products of 255 by 255: float32 holds whole numbers up to 2**24 only."""
    x_shape, w_shape = shapes(kind, 4000, 1)
    x, w = np.full(x_shape, 127, np.int8), np.full(w_shape, 127, np.int8)
    w.flat[::3] = 126
    bias = np.zeros(w_shape[WEIGHTED[kind]], np.int32)
    total = sums(kind, x.astype(np.int64) + 128, w.astype(np.int64) + 128)
    graph = one_op(kind, w, bias - np.int32(total.max()), -128, -128, 4000, 1)
    got = reference.run(graph, {"x": x})["y"]
    scale = float(np.float32(0.03) * np.float32(0.02)) / float(np.float32(0.2))
    expected = np.clip(requantize(total - total.max(), *fixed_point(scale)) + 11, -128, 127)
    assert np.array_equal(got, expected)


def test_a_zero_point_per_channel_is_no_legal_graph():
    w, bias = np.ones((3, *KERNEL, 2), np.int8), np.zeros(3, np.int32)
    with pytest.raises(BadGraph, match="w: zero point 5; weights have one other than 0 per tensor"):
        check(one_op("conv2d", w, bias, 0, 5, 2, 3, axis=0), "QUANTIZED")
