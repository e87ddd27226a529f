"""The layout pass keeps the function, leaves no transposes, and says how inputs and outputs were turned."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.ir.random_graphs import random_graph
from tests.literal import Literal, random_literal
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.layout import channels_last, transposes
from toolchain.ir.passes import canonical
from toolchain.runtime import reference


def feeds_of(graph, rng):
    return {name: rng.standard_normal(graph.tensors[name].shape, np.float32) for name in graph.inputs}


def run_in_source_layout(graph, feeds):
    """Outputs in the source's layout for inputs in the source's layout."""
    perm = graph.permutations
    inner = {name: x.transpose(np.argsort(perm[name])) if name in perm else x for name, x in feeds.items()}
    outputs = reference.run(graph, inner)
    return {name: y.transpose(perm[name]) if name in perm else y for name, y in outputs.items()}


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_the_function_stays_and_no_transpose_is_left(seed):
    literal = random_literal(seed)
    graph = check(channels_last(check(literal, "FLOAT")), "FLOAT")
    feeds = feeds_of(literal, np.random.default_rng(seed))
    expected, got = reference.run(literal, feeds), run_in_source_layout(graph, feeds)
    assert transposes(graph) == 0
    assert graph.inputs == literal.inputs and graph.outputs == literal.outputs
    for name in literal.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=2e-4, atol=2e-4)


def test_names_survive_and_scaffolding_goes():
    net = Literal(0)
    x = net.b.input("x", (1, 3, 8, 8))
    y = net.classify(net.act(net.conv(x, 4)))
    graph = channels_last(net.b.graph(y))
    assert [op.name for op in graph.ops] == ["conv", "conv.act", "flat", "fc"]
    assert not any(":" in name for name in graph.tensors)


def test_permutations_say_how_the_source_lay():
    net = Literal(0)
    x = net.b.input("x", (1, 3, 8, 4))
    graph = channels_last(net.b.graph(net.conv(x, 5)))
    assert graph.tensors["x"].shape == (1, 8, 4, 3) and graph.tensors["conv"].shape == (1, 8, 4, 5)
    assert graph.permutations == {"x": (0, 3, 1, 2), "conv": (0, 3, 1, 2)}


def test_a_network_that_is_channels_last_already_is_left_alone():
    net = Literal(0)
    x = net.b.input("x", (1, 8, 4, 3))
    w, b = net.weights("w", 5, 3, 3, 3), net.weights("b", 5)
    literal = net.b.graph(net.b.op("conv2d", [x, w, b], "y"))
    assert channels_last(literal).digest == literal.digest


def test_one_dimensional_convolutions_become_plain_conv2d():
    net = Literal(0)
    x = net.b.input("x", (1, 6, 50))

    def conv1d(x, name, channels):
        w = net.weights(f"{name}.weight", channels, 1, 5, net.shape(x)[1])
        b = net.weights(f"{name}.bias", channels)
        inner = net.b.op("transpose", [x], f"{name}:nlc", perm=(0, 2, 1))
        n, length, c = net.shape(inner)
        inner = net.b.op("reshape", [inner], f"{name}:in", shape=(n, 1, length, c))
        y = net.b.op("conv2d", [inner, w, b], f"{name}:last", pads=(0, 0, 2, 2))
        y = net.b.op("reshape", [y], f"{name}:out", shape=(n, length, channels))
        return net.b.op("transpose", [y], name, perm=(0, 2, 1))

    y = net.b.op("relu", [conv1d(x, "first", 8)], "relu")
    z = net.b.op("mean", [conv1d(y, "second", 8)], "mean", axes=(2,), keepdims=False)
    literal = net.b.graph(z)
    graph = check(channels_last(literal), "FLOAT")
    assert [op.kind for op in graph.ops] == ["reshape", "conv2d", "relu", "conv2d", "mean", "reshape"]
    assert [op.name for op in graph.ops][1:4] == ["first", "relu", "second"]
    feeds = feeds_of(literal, np.random.default_rng(1))
    expected, got = reference.run(literal, feeds), run_in_source_layout(graph, feeds)
    np.testing.assert_allclose(got["mean"], expected["mean"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("two", [False, True])
def test_one_tensor_as_two_outputs(two):
    net = Literal(3)
    x = net.b.input("x", (1, 3, 4, 4))
    y = net.conv(x, 2)
    outputs = [net.b.op("transpose", [y], "last", perm=(0, 2, 3, 1)), y] if two else [y]
    literal = net.b.graph(*outputs)
    graph = check(channels_last(literal), "FLOAT")
    feeds = feeds_of(literal, np.random.default_rng(1))
    expected, got = reference.run(literal, feeds), run_in_source_layout(graph, feeds)
    for name in literal.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5)


def same_function(literal):
    """The graph after the pass; it was compared with `literal`."""
    graph = check(channels_last(check(literal, "FLOAT")), "FLOAT")
    feeds = feeds_of(literal, np.random.default_rng(1))
    expected, got = reference.run(literal, feeds), run_in_source_layout(graph, feeds)
    for name in literal.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-4, atol=1e-4)
    return graph


@pytest.mark.parametrize("turned", [False, True])
def test_an_output_and_its_view_as_two_outputs(turned):
    """The view is handed out first, and takes the tensor that the other one is named after."""
    net = Literal(3)
    y = net.b.op("relu", [net.b.input("x", (1, 3, 4, 5))], "y")
    view = ("transpose", {"perm": (0, 3, 1, 2)}) if turned else ("reshape", {"shape": (1, 3, 4, 5)})
    graph = same_function(net.b.graph(net.b.op(view[0], [y], "view", **view[1]), y))
    assert graph.outputs == ("view", "y")


def test_a_single_value_of_more_axes_than_what_it_is_added_to():
    net = Literal(3)
    x = net.b.input("x", (1, 5))
    y = net.b.op("reshape", [x], "unsqueezed", shape=(1, 1, 5))
    y = net.b.op("add", [y, net.weights("one", 1, 1, 1)], "sum")
    assert same_function(net.b.graph(net.b.op("transpose", [y], "y", perm=(0, 2, 1)))).ops[0].kind == "add"


@pytest.mark.parametrize("shape, turned", [((1, 6, 50), True), ((1, 50, 6), False)])
def test_a_sequence_that_comes_in_channels_last_stays_so(shape, turned):
    """[N, L, C] that the module turns for its own convolution is not taken for [N, C, L]."""
    net = Literal(3)
    x = y = net.b.input("x", shape)
    if not turned:
        x = net.b.op("relu", [net.b.op("transpose", [x], "ncl", perm=(0, 2, 1))], "relu")
    x = net.b.op("transpose", [x], "conv:last", perm=(0, 2, 1))
    x = net.b.op("reshape", [x], "conv:image", shape=(1, 1, 50, 6))
    x = net.b.op("conv2d", [x, net.weights("w", 4, 1, 3, 6), net.weights("b", 4)], "conv")
    graph = same_function(net.b.graph(x))
    assert transposes(graph) == 0 and graph.tensors[y].shape == (1, 50, 6)
    assert ("x" in graph.permutations) == turned


@pytest.mark.parametrize("grow", [
    lambda b, x, i: b.op("relu", [x], f"relu{i}"),
    lambda b, x, i: b.op("add", [x, b.op("relu", [x], f"relu{i}")], f"add{i}"),
], ids=["a chain", "paths that double"])
def test_an_input_is_followed_through_each_op_once(grow):
    b = Builder("deep")
    x = b.input("x", (1, 3, 4, 4))
    for i in range(1200):
        x = grow(b, x, i)
    literal = b.graph(x)
    assert channels_last(literal).digest == literal.digest


def before_fully_connected(weight, bias):
    """A convolution of which the flattened result goes to a fully connected op; weight(net), bias(net)."""
    net = Literal(3)
    y = net.conv(net.b.input("x", (1, 3, 4, 4)), 2)
    flat = net.b.op("reshape", [y], "flat", shape=(1, 32))
    return net.b.graph(net.b.op("fully_connected", [flat, weight(net), bias(net)], "fc"))


def known_bias(net):
    return net.weights("fc.bias", 5)


@pytest.mark.parametrize("weight, bias", [
    (lambda net: net.b.op("transpose", [net.weights("fc.w", 32, 5)], "fc.wt", perm=(1, 0)), known_bias),
    (lambda net: net.b.op("reshape", [net.weights("fc.w", 5, 1, 32)], "fc.w2", shape=(5, 32)),
     lambda net: net.b.op("reshape", [net.weights("fc.b", 5, 1)], "fc.b1", shape=(5,))),
], ids=["transposed", "reshaped"])
def test_columns_of_a_constant_behind_views_are_reordered(weight, bias):
    graph = same_function(before_fully_connected(weight, bias))
    assert [op.kind for op in graph.ops] == ["conv2d", "reshape", "fully_connected"]
    assert not any(":" in name for name in graph.tensors)


def test_columns_of_a_weight_that_is_computed_stay():
    """Then the features are put in the order that the weight expects."""
    literal = before_fully_connected(lambda net: net.b.input("w", (5, 32)), known_bias)
    graph = check(channels_last(check(literal, "FLOAT")), "FLOAT")
    assert [op.kind for op in graph.ops] == ["conv2d", "transpose", "reshape", "fully_connected"]
    assert graph.ops[1].attrs["perm"] == (0, 3, 1, 2)


def test_a_turned_output_that_the_source_turned_already():
    """The two permutations are composed; where they cancel, none is left."""
    net = Literal(0)
    x = net.b.input("x", (1, 3, 4, 5))
    turned = [net.b.op("transpose", [net.b.op("relu", [x], f"relu{i}")], f"y{i}", perm=(0, 3, 1, 2))
              for i in (0, 1)]
    literal = replace(net.b.graph(*turned), permutations={"y0": (0, 3, 1, 2), "y1": (0, 2, 3, 1)})
    graph = channels_last(literal)
    assert graph.permutations == {"y0": (0, 2, 3, 1)}
    feeds = feeds_of(literal, np.random.default_rng(1))
    expected, got = run_in_source_layout(literal, feeds), run_in_source_layout(graph, feeds)
    for name in literal.outputs:
        np.testing.assert_array_equal(got[name], expected[name])


@settings(max_examples=300)
@given(st.integers(0, 10**6))
def test_graphs_that_no_door_writes_keep_their_function(seed):
    """Broadcasts of other ranks, scalars, unit axes, features in another order, views as outputs."""
    graph = same_function(random_graph(seed))
    assert not any(name.endswith(":moved") for name in graph.tensors)
    folded = canonical(graph)
    feeds = feeds_of(graph, np.random.default_rng(seed))
    expected, got = reference.run(graph, feeds), reference.run(folded, feeds)
    for name in graph.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-3, atol=1e-3)


def test_most_transposes_of_any_graph_go():
    """Not all: a + transpose(a) needs one, and where several of those meet, one more may be left."""
    graphs = [random_graph(seed) for seed in range(200)]
    before, after = (sum(map(transposes, some)) for some in (graphs, map(channels_last, graphs)))
    assert before > 100 and after < before / 4


def test_an_input_that_is_an_output_too_stays_what_it_is():
    net = Literal(0)
    x = net.b.input("x", (1, 3, 4, 5))
    image = net.b.op("transpose", [x], "y:last", perm=(0, 2, 3, 1))
    pooled = net.b.op("max_pool2d", [image], "y:pool", kernel=(2, 2))
    y = net.b.op("transpose", [pooled], "y", perm=(0, 3, 1, 2))
    graph = check(channels_last(net.b.graph(y, x)), "FLOAT")
    assert graph.outputs == ("y", "x") and [op.kind for op in graph.ops] == ["max_pool2d"]
    assert graph.permutations == {"x": (0, 3, 1, 2), "y": (0, 3, 1, 2)}


def kinds_of(graph):
    return [op.kind for op in graph.ops]


def test_channel_maxima_and_means_are_joined_where_the_channels_lay():
    """Spatial attention: the channels go, and the axis that joins is one that no tensor has any more."""
    net = Literal(0)
    y = net.conv(net.b.input("x", (1, 3, 4, 5)), 6)
    maps = [net.b.op("reshape", [net.b.op(kind, [y], kind, axes=(1,), keepdims=False)], f"{kind}.map",
                     shape=(1, 1, 4, 5)) for kind in ("reduce_max", "mean")]
    graph = same_function(net.b.graph(net.conv(net.b.op("concat", maps, "maps", axis=1), 1)))
    assert kinds_of(graph) == ["conv2d", "reduce_max", "mean", "concat", "conv2d"]


@pytest.mark.parametrize("axis", [1, 4])
def test_images_are_stacked_behind_their_channels(axis):
    net = Literal(0)
    x = net.b.input("x", (1, 3, 4, 5))
    shape = (1, 1, 6, 4, 5) if axis == 1 else (1, 6, 4, 5, 1)
    images = [net.b.op("reshape", [net.conv(x, 6)], f"part{i}", shape=shape) for i in (0, 1)]
    y = net.b.op("sum", [net.b.op("concat", images, "stack", axis=axis)], "sum", axes=(axis,), keepdims=False)
    graph = same_function(net.b.graph(net.conv(y, 2)))
    assert kinds_of(graph) == ["conv2d", "conv2d", "reshape", "reshape", "concat", "sum", "reshape", "conv2d"]


def test_a_sequence_is_handed_out_as_its_convolution_makes_it():
    net = Literal(0)
    x = net.b.op("reshape", [net.b.input("x", (1, 3, 9))], "image", shape=(1, 3, 1, 9))
    graph = same_function(net.b.graph(net.b.op("reshape", [net.conv(x, 4)], "y", shape=(1, 4, 9))))
    assert transposes(graph) == 0
    assert graph.tensors["y"].shape == (1, 9, 4) and graph.permutations["y"] == (0, 2, 1)


def test_an_image_without_channels_stays_as_it_lies():
    """[N, H, W] that the network reads as [N, 1, H, W] is no sequence to turn."""
    net = Literal(0)
    x = net.b.op("relu", [net.b.input("x", (1, 10, 20))], "relu")
    graph = same_function(net.b.graph(net.conv(net.b.op("reshape", [x], "image", shape=(1, 1, 10, 20)), 4)))
    assert transposes(graph) == 0 and "x" not in graph.permutations


def test_an_input_whose_channels_are_picked_comes_in_channels_last():
    net = Literal(0)
    order = net.b.constant("order", np.array([2, 1, 0], np.int32))
    y = net.b.op("gather", [net.b.input("x", (1, 3, 4, 5)), order], "bgr", axis=1)
    graph = same_function(net.b.graph(net.conv(y, 2)))
    assert kinds_of(graph) == ["gather", "conv2d"] and graph.permutations["x"] == (0, 3, 1, 2)


@pytest.mark.parametrize("kernel, expected", [(1, ["conv2d"]), (3, ["transpose", "conv2d", "transpose"])])
def test_a_convolution_of_single_places_takes_rows_for_columns(kernel, expected):
    net = Literal(0)
    turned = net.b.op("transpose", [net.b.input("x", (1, 4, 5, 3))], "turned", perm=(0, 2, 1, 3))
    constants = [net.weights("w", 2, kernel, kernel, 3), net.weights("b", 2)]
    y = net.b.op("conv2d", [turned, *constants], "y", pads=(kernel // 2,) * 4)
    y = net.b.op("transpose", [y], "back", perm=(0, 2, 1, 3))
    graph = same_function(net.b.graph(net.b.op("reshape", [y], "flat", shape=(1, 40))))
    assert kinds_of(graph) == [*expected, "reshape"]
