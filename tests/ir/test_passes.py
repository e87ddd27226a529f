"""Canonical passes keep the function and leave nothing to fold."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.literal import random_literal
from toolchain.errors import BadGraph, BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.check import changes_nothing, check
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import (
    canonical,
    drop_identity,
    fold_affine,
    fold_constants,
    fold_crop,
    fold_mean_reshape,
    fold_pad,
    fuse_activation,
    lower_batch_norm,
)
from toolchain.ir.quant import QuantParams
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


@settings(max_examples=100)
@given(st.integers(0, 10**6))
def test_canonical_keeps_the_function(seed):
    graph = channels_last(random_literal(seed))
    same_function(graph, check(canonical(graph), "CANONICAL"))


def conv_chain(*kinds):
    """x -> conv2d -> each of the kinds."""
    rng, b = np.random.default_rng(1), Builder("chain")
    y = b.input("x", (1, 6, 6, 2))
    w = b.constant("w", rng.normal(size=(3, 3, 3, 2)).astype(np.float32))
    y = b.op("conv2d", [y, w, b.constant("b", rng.normal(size=3).astype(np.float32))], "conv")
    for kind in kinds:
        if kind == "batch_norm":
            p = [b.constant(f"p{i}", rng.uniform(0.5, 2, 3).astype(np.float32)) for i in range(4)]
            y = b.op(kind, [y, *p], "bn", epsilon=1e-3)
        else:
            y = b.op(kind, [y], kind)
    return b.graph(y)


def test_batch_norm_folds_by_equation_14():
    graph = conv_chain("batch_norm")
    folded = fold_affine(graph)
    gamma, beta, mean, var = (graph.tensors[f"p{i}"].data.astype(np.float64) for i in range(4))
    k = gamma / np.sqrt(var + 1e-3)
    assert [op.kind for op in folded.ops] == ["conv2d"] and folded.ops[0].name == "bn"
    w, bias = graph.tensors["w"].data, graph.tensors["b"].data
    np.testing.assert_allclose(folded.tensors["w"].data, w * k[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(folded.tensors["b"].data, (bias - mean) * k + beta, rtol=1e-5)


@pytest.mark.parametrize("kinds", [("batch_norm",) * 2, ("batch_norm", "mul", "batch_norm", "add")])
def test_what_scales_and_shifts_in_a_row_folds_into_one_convolution(kinds):
    rng, b, y = pointwise()
    for i, kind in enumerate(kinds):
        count = 4 if kind == "batch_norm" else 1
        p = [b.constant(f"p{i}.{j}", rng.uniform(0.5, 2, 5).astype(np.float32)) for j in range(count)]
        y = b.op(kind, [y, *p], f"y.{i}", **({"epsilon": 1e-3} if kind == "batch_norm" else {}))
    graph = b.graph(y)
    assert [op.kind for op in canonical(graph).ops] == ["conv2d"]
    same_function(graph, canonical(graph))


def computed_weight():
    """A fully connected op of which the weight is an input of the graph."""
    b = Builder("computed")
    x, w = b.input("x", (1, 3)), b.input("w", (4, 3))
    return b, b.op("fully_connected", [x, w, b.constant("b", np.ones(4, np.float32))], "y")


@pytest.mark.parametrize("kind, kinds", [("batch_norm", ["mul", "add"]), ("add", ["add"])])
def test_nothing_folds_into_a_weight_that_is_computed(kind, kinds):
    b, y = computed_weight()
    if kind == "batch_norm":
        parameters = [b.constant(f"p{i}", np.full(4, i + 1, np.float32)) for i in range(4)]
        y = b.op("batch_norm", [y, *parameters], "z", epsilon=1e-3)
    else:
        y = b.op("add", [y, b.constant("k", np.arange(4, dtype=np.float32))], "z")
    graph = canonical(b.graph(y))
    assert [op.kind for op in graph.ops] == ["fully_connected", *kinds]


def test_a_batch_norm_with_computed_parameters_is_unsupported():
    b = Builder("computed")
    x, gamma = b.input("x", (1, 3)), b.input("gamma", (3,))
    ones = [b.constant(name, np.ones(3, np.float32)) for name in ("beta", "mean", "variance")]
    with pytest.raises(Unsupported, match="y: batch_norm with parameters gamma, which are computed"):
        canonical(b.graph(b.op("batch_norm", [x, gamma, *ones], "y", epsilon=1e-3)))


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


@pytest.mark.parametrize("kinds, clamp", [
    (("relu", "relu"), "relu"), (("relu", "relu6"), "relu6"), (("relu6", "relu"), "relu6"),
    (("relu", "relu6", "relu"), "relu6")])
def test_activations_in_a_row_become_the_tightest(kinds, clamp):
    b = Builder("clamps")
    fused = b.op("mul", [b.input("x", (1, 9)), b.constant("k", np.full(9, 8, np.float32))], "mul")
    alone = b.op("tanh", ["x"], "tanh")
    for i, kind in enumerate(kinds):
        fused, alone = b.op(kind, [fused], f"fused{i}"), b.op(kind, [alone], f"alone{i}")
    graph = b.graph(fused, alone)
    folded = canonical(graph)
    assert {op.name: op.attrs.get("activation", op.kind) for op in folded.ops} == {
        fused: clamp, "tanh": "tanh", alone: clamp}
    same_function(graph, folded)


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


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_reshapes_in_a_row_become_the_last(count):
    b, shapes = Builder("reshapes"), [(1, 2, 12), (1, 3, 8), (1, 4, 6)]
    y = b.input("x", (1, 24))
    for i in range(count):
        y = b.op("reshape", [y], f"y{i}", shape=shapes[i % 3])
    folded = drop_identity(b.graph(y))
    assert [(op.kind, op.name, op.inputs) for op in folded.ops] == [("reshape", y, ("x",))]


@pytest.mark.parametrize("kind, attrs", [
    ("reshape", {"shape": (1, 4, 1, 3)}),
    ("transpose", {"perm": (0, 1, 2, 3)}),
    ("pad", {"pads": ((0, 0),) * 4}),
    ("concat", {"axis": 3}),
    ("mean", {"axes": (2,), "keepdims": True}),
    ("max_pool2d", {"kernel": (1, 1)}),
    ("average_pool2d", {"kernel": (1, 1)}),
])
def test_ops_that_change_nothing_are_dropped_but_for_outputs(kind, attrs):
    b = Builder("nothing")
    y = b.op(kind, [b.input("x", (1, 4, 1, 3))], "y", **attrs)
    graph = b.graph(b.op("relu", [y], "z"))
    assert [(op.kind, op.inputs) for op in drop_identity(graph).ops] == [("relu", ("x",))]
    assert [op.kind for op in drop_identity(b.graph(y)).ops] == [kind]


@pytest.mark.parametrize("kind, attrs", [
    ("reshape", {"shape": (1, 4, 3)}),
    ("transpose", {"perm": (0, 2, 1, 3)}),
    ("pad", {"pads": ((0, 0), (0, 0), (0, 1), (0, 0))}),
    ("mean", {"axes": (1,), "keepdims": True}),
    ("mean", {"axes": (2,), "keepdims": False}),
    ("max_pool2d", {"kernel": (1, 1), "stride": (2, 1)}),
    ("max_pool2d", {"kernel": (1, 1), "activation": "relu"}),
    ("average_pool2d", {"kernel": (2, 1)}),
])
def test_ops_that_change_something_stay(kind, attrs):
    b = Builder("something")
    y = b.op(kind, [b.input("x", (1, 4, 1, 3))], "y", **attrs)
    graph = b.graph(b.op("relu", [y], "z"))
    assert [op.kind for op in drop_identity(graph).ops] == [kind, "relu"]


def test_an_op_that_only_gives_its_input_other_codes_stays():
    b = Builder("codes")
    x = b.input("x", (1, 4), "int8", QuantParams(0.5, 0))
    same = b.op("reshape", [x], "same", quant=QuantParams(0.5, 0), shape=(1, 4))
    other = b.op("reshape", [same], "other", quant=QuantParams(0.25, 0), shape=(1, 4))
    graph = b.graph(b.op("relu", [other], "y", quant=QuantParams(0.25, 0)))
    assert [op.name for op in graph.ops if changes_nothing(graph, op)] == ["same"]


@pytest.mark.parametrize("keepdims, shape, kinds", [
    (True, (1, 3), ["mean"]),
    (True, (1, 3, 1), ["mean", "reshape"]),
    (False, (1, 3, 1), ["mean", "reshape"]),
])
def test_a_reshape_that_drops_the_averaged_axes_becomes_part_of_the_mean(keepdims, shape, kinds):
    b = Builder("mean")
    mean = b.op("mean", [b.input("x", (1, 4, 5, 3))], "mean", axes=(1, 2), keepdims=keepdims)
    graph = b.graph(b.op("reshape", [mean], "y", shape=shape))
    folded = fold_mean_reshape(graph)
    assert [op.kind for op in folded.ops] == kinds and folded.outputs == ("y",)
    same_function(graph, folded)


def test_a_mean_that_others_read_keeps_its_axes():
    b = Builder("mean")
    mean = b.op("mean", [b.input("x", (1, 4, 5, 3))], "mean", axes=(1, 2), keepdims=True)
    graph = b.graph(b.op("reshape", [mean], "y", shape=(1, 3)), b.op("relu", [mean], "z"))
    assert [op.kind for op in fold_mean_reshape(graph).ops] == ["mean", "reshape", "relu"]


def test_the_merged_mean_is_called_by_the_plainer_name():
    b = Builder("mean")
    mean = b.op("mean", [b.input("x", (1, 4, 5, 3))], "pool", axes=(1, 2), keepdims=True)
    flat = b.op("reshape", [mean], "pool:flat", shape=(1, 3))
    graph = b.graph(b.op("relu", [flat], "y"))
    assert [(op.kind, op.name) for op in fold_mean_reshape(graph).ops] == [("mean", "pool"), ("relu", "y")]


@pytest.mark.parametrize("shape, kinds", [
    ((1, 6), ["mul", "add"]), ((1, 4, 6), ["mul", "add"]), ((1, 2, 2, 6), ["depthwise_conv2d"])])
def test_a_batch_norm_without_convolution_becomes_ops_that_every_back_end_runs(shape, kinds):
    rng, b = np.random.default_rng(1), Builder("alone")
    p = [b.constant(f"p{i}", rng.uniform(0.5, 2, 6).astype(np.float32)) for i in range(4)]
    graph = b.graph(b.op("batch_norm", [b.input("x", shape), *p], "bn", epsilon=1e-3))
    lowered = check(lower_batch_norm(graph), "CANONICAL")
    assert [op.kind for op in lowered.ops] == kinds and lowered.outputs == ("bn",)
    same_function(graph, lowered)


def cropped(begin, end, stride=(1, 1), pads=(2, 2, 2, 2)):
    """conv2d 3x3 of (1, 9, 9, 2) -> slice -> reshape -> relu."""
    rng, b = np.random.default_rng(1), Builder("cropped")
    w = b.constant("w", rng.normal(size=(3, 3, 3, 2)).astype(np.float32))
    bias = b.constant("b", rng.normal(size=3).astype(np.float32))
    y = b.op("conv2d", [b.input("x", (1, 9, 9, 2)), w, bias], "conv", stride=stride, pads=pads)
    y = b.op("slice", [y], "crop", begin=(0, *begin, 0), end=(1, *end, 3), strides=(1, 1, 1, 1))
    y = b.op("reshape", [y], "rows", shape=(1, -(-np.prod(b.tensors[y].shape) // 3), 3))
    return b.graph(b.op("relu", [y], "relu"))


@pytest.mark.parametrize("stride, begin, end, pads", [
    ((1, 1), (0, 0), (11, 9), (2, 2, 2, 0)), ((1, 1), (2, 1), (10, 11), (0, 1, 1, 2)),
    ((2, 2), (0, 1), (5, 6), (2, 0, 0, 2)), ((2, 2), (1, 0), (6, 5), (0, 2, 2, 0))])
def test_a_crop_is_padding_that_the_convolution_leaves_out(stride, begin, end, pads):
    graph = cropped(begin, end, stride)
    folded = canonical(graph)
    assert [op.kind for op in folded.ops] == ["conv2d", "reshape"]
    assert folded.ops[0].attrs["pads"] == pads and folded.ops[0].attrs["activation"] == "relu"
    assert folded.outputs == ("relu",)
    same_function(graph, folded)


@pytest.mark.parametrize("begin, end, stride", [((3, 0), (11, 11), (1, 1)), ((0, 0), (4, 6), (2, 2))])
def test_a_crop_of_more_than_padding_stays(begin, end, stride):
    graph = cropped(begin, end, stride)
    assert fold_crop(graph).ops == graph.ops
    same_function(graph, canonical(graph))
    assert [op.kind for op in canonical(graph).ops] == ["conv2d", "slice", "reshape"]


def test_an_activation_stays_behind_what_others_read_too():
    b = Builder("read")
    y = b.op("add", [b.input("x", (1, 4, 6)), b.input("z", (1, 4, 6))], "sum")
    rows = b.op("reshape", [y], "rows", shape=(1, 24))
    graph = b.graph(b.op("relu", [rows], "relu"), b.op("tanh", [y], "tanh"))
    assert [op.kind for op in canonical(graph).ops] == [op.kind for op in graph.ops]
    same_function(graph, canonical(graph))


def affine_ahead(pads, groups=1, kinds=("mul", "add")):
    """x (1, 5, 5, 4) -> constants first -> conv2d 3x3."""
    rng, b = np.random.default_rng(4), Builder("ahead")
    y = b.input("x", (1, 5, 5, 4))
    for kind, shape in zip(kinds, ((1,), (4,))):
        y = b.op(kind, [b.constant(f"{kind}.c", rng.normal(size=shape).astype(np.float32)), y], kind)
    w = b.constant("w", rng.normal(size=(6, 3, 3, 4 // groups)).astype(np.float32))
    bias = b.constant("b", rng.normal(size=6).astype(np.float32))
    return b.graph(b.op("conv2d", [y, w, bias], "y", pads=pads))


@pytest.mark.parametrize("graph, kinds", [
    (affine_ahead((0, 0, 0, 0)), ["conv2d"]),
    (affine_ahead((1, 1, 1, 1)), ["mul", "add", "conv2d"]),
    (affine_ahead((1, 1, 1, 1), kinds=("mul",)), ["conv2d"]),
    (affine_ahead((0, 0, 0, 0), groups=2), ["mul", "add", "conv2d"])])
def test_what_stands_before_a_convolution_folds_into_it_where_no_zeros_are_padded(graph, kinds):
    folded = canonical(graph)
    assert [op.kind for op in folded.ops] == kinds
    same_function(graph, folded)


def test_a_constant_may_stand_first():
    b = Builder("first")
    w, bias = b.constant("w", np.ones((3, 1, 1, 2), np.float32)), b.constant("b", np.ones(3, np.float32))
    y = b.op("conv2d", [b.input("x", (1, 4, 4, 2)), w, bias], "conv")
    y = b.op("mul", [b.constant("k", np.full(1, 3, np.float32)), y], "mul")
    graph = b.graph(b.op("add", [b.constant("s", np.arange(3, dtype=np.float32)), y], "add"))
    folded = canonical(graph)
    assert [op.kind for op in folded.ops] == ["conv2d"] and folded.outputs == ("add",)
    same_function(graph, folded)


def test_a_prelu_with_one_slope_is_a_leaky_relu():
    b = Builder("slopes")
    x = b.input("x", (1, 3, 4))
    one, each = b.constant("one", np.float32([0.25])), b.constant("each", np.arange(4, dtype=np.float32))
    graph = b.graph(b.op("prelu", [b.op("prelu", [x, one], "first"), each], "second"))
    lowered = canonical(graph)
    assert [op.kind for op in lowered.ops] == ["leaky_relu", "prelu"]
    assert lowered.ops[0].attrs["alpha"] == 0.25
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)}
    expected, got = (reference.run(each, feeds)["second"] for each in (graph, lowered))
    np.testing.assert_array_equal(got, expected)
