"""Canonical passes keep the function and leave nothing to fold."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.literal import random_literal
from toolchain.errors import BadGraph, BadModel
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical, fold_batch_norm, fold_constants, fold_pad, fuse_activation
from toolchain.runtime import reference


def outputs(graph, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {name: (3, *graph.tensors[name].shape[1:]) for name in graph.inputs}
    feeds = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return reference.run(graph, feeds)


def same_function(before, after):
    expected, got = outputs(before), outputs(after)
    for name in before.outputs:
        scale = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(got[name] / scale, expected[name] / scale, atol=2e-5)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_canonical_keeps_the_function(seed):
    graph = channels_last(random_literal(seed))
    same_function(graph, check(canonical(graph), "CANONICAL"))


def conv_chain(*kinds, pads=(0, 0, 0, 0)):
    """x -> conv2d -> each of the kinds."""
    rng, b = np.random.default_rng(1), Builder("chain")
    y = b.input("x", (1, 6, 6, 2))
    w = b.constant("w", rng.normal(size=(3, 3, 3, 2)).astype(np.float32))
    y = b.op("conv2d", [y, w, b.constant("b", rng.normal(size=3).astype(np.float32))], "conv", pads=pads)
    for kind in kinds:
        if kind == "batch_norm":
            p = [b.constant(f"p{i}", rng.uniform(0.5, 2, 3).astype(np.float32)) for i in range(4)]
            y = b.op(kind, [y, *p], "bn", epsilon=1e-3)
        else:
            y = b.op(kind, [y], kind)
    return b.graph(y)


def test_batch_norm_folds_by_equation_14():
    graph = conv_chain("batch_norm")
    folded = fold_batch_norm(graph)
    gamma, beta, mean, var = (graph.tensors[f"p{i}"].data.astype(np.float64) for i in range(4))
    k = gamma / np.sqrt(var + 1e-3)
    assert [op.kind for op in folded.ops] == ["conv2d"] and folded.ops[0].name == "bn"
    w, bias = graph.tensors["w"].data, graph.tensors["b"].data
    np.testing.assert_allclose(folded.tensors["w"].data, w * k[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(folded.tensors["b"].data, (bias - mean) * k + beta, rtol=1e-5)


def pointwise():
    """A 1x1 convolution to five channels: random numbers, the builder and the result."""
    rng, b = np.random.default_rng(0), Builder("net")
    weight, bias = rng.standard_normal((5, 1, 1, 3), np.float32), np.zeros(5, np.float32)
    inputs = [b.input("x", (1, 5, 5, 3)), b.constant("w", weight), b.constant("b", bias)]
    return rng, b, b.op("conv2d", inputs, "y")


@pytest.mark.parametrize("shape", [(5,), (1, 1, 1, 5), (1,), ()])
def test_a_constant_for_each_channel_folds_into_the_convolution(shape):
    """A bias and a batch norm as some exporters write them."""
    rng, b, y = pointwise()
    for kind in ("add", "mul", "sub"):
        y = b.op(kind, [y, b.constant(kind, rng.standard_normal(shape, np.float32))], f"y.{kind}")
    graph = b.graph(b.op("relu", [y], "out"))
    assert [(op.kind, op.name) for op in canonical(graph).ops] == [("conv2d", "out")]
    same_function(graph, canonical(graph))


def test_a_constant_that_differs_from_place_to_place_stays():
    rng, b, y = pointwise()
    graph = b.graph(b.op("add", [y, b.constant("place", rng.standard_normal((5, 1), np.float32))], "out"))
    assert [op.kind for op in canonical(graph).ops] == ["conv2d", "add"]


def test_shared_weights_fold_apart():
    rng, b = np.random.default_rng(1), Builder("shared")
    x = b.input("x", (1, 4, 4, 2))
    w = b.constant("w", rng.normal(size=(2, 1, 1, 2)).astype(np.float32))
    bias = b.constant("b", np.zeros(2, np.float32))
    p = [b.constant(f"p{i}", rng.uniform(0.5, 2, 2).astype(np.float32)) for i in range(4)]
    first = b.op("batch_norm", [b.op("conv2d", [x, w, bias], "one"), *p], "bn", epsilon=1e-3)
    graph = b.graph(b.op("conv2d", [first, w, bias], "two"))
    same_function(graph, canonical(graph))


def test_activation_fuses_and_keeps_its_name():
    fused = fuse_activation(conv_chain("relu6"))
    assert [(op.kind, op.name, op.attrs["activation"]) for op in fused.ops] == [("conv2d", "relu6", "relu6")]


def test_an_activation_that_someone_else_reads_stays():
    graph = conv_chain("relu")
    b = Builder("two")
    b.tensors, b.ops, b.inputs = dict(graph.tensors), list(graph.ops), list(graph.inputs)
    both = b.graph(b.op("add", ["conv", "relu"], "sum"))
    assert [op.kind for op in fuse_activation(both).ops] == ["conv2d", "relu", "add"]


def test_pads_fold_into_the_convolution():
    rng, b = np.random.default_rng(1), Builder("pads")
    x = b.input("x", (1, 5, 5, 2))
    padded = b.op("pad", [x], "padded", pads=((0, 0), (1, 2), (0, 1), (0, 0)))
    w = b.constant("w", rng.normal(size=(1, 3, 3, 2)).astype(np.float32))
    bias = b.constant("b", np.zeros(2, np.float32))
    graph = b.graph(b.op("depthwise_conv2d", [padded, w, bias], "y", pads=(1, 0, 0, 0)))
    folded = fold_pad(graph)
    assert [op.attrs["pads"] for op in folded.ops] == [(2, 2, 0, 1)]
    same_function(graph, folded)


def test_constants_fold():
    b = Builder("constants")
    x = b.input("x", (1, 3))
    ones = np.ones((1, 3), np.float32)
    two = b.op("add", [b.constant("a", ones), b.constant("b", ones)], "two")
    folded = fold_constants(b.graph(b.op("mul", [x, two], "y")))
    assert [op.kind for op in folded.ops] == ["mul"] and folded.tensors["two"].data.tolist() == [[2, 2, 2]]


def test_nan_weights_are_named():
    b = Builder("nan")
    x = b.input("x", (1, 2))
    w = b.constant("fc.weight", np.array([[1, np.nan]], np.float32))
    graph = b.graph(b.op("fully_connected", [x, w, b.constant("bias", np.zeros(1, np.float32))], "y"))
    with pytest.raises(BadModel, match=r"weight fc\.weight holds nan at \[0, 1\]"):
        check(graph, "FLOAT")


def test_a_tensor_that_lies_about_its_shape_is_named():
    graph = conv_chain()
    wrong = graph.with_tensors(replace(graph.tensors["conv"], shape=(1, 5, 5, 3)))
    message = r"conv: conv2d gives \(1, 4, 4, 3\) but the tensor says \(1, 5, 5, 3\)"
    with pytest.raises(BadGraph, match=message):
        check(wrong, "FLOAT")
