"""Which tensors share parameters, and from which ranges these come."""

import numpy as np
import pytest

from tests.quantize.nets import Net, stats_of
from toolchain.errors import BadSamples
from toolchain.ir.quant import QuantParams, activation_params
from toolchain.quantize.rules import SIGNED_UNIT, UNIT
from toolchain.quantize.scales import activation_scales


def test_a_chain_of_moves_keeps_its_producer_s_parameters():
    net = Net()
    x = net.op("relu", [net.input("x", (1, 4, 4, 2))], "relu")
    x = net.op("max_pool2d", [x], "pool", kernel=(2, 2), stride=(2, 2))
    x = net.op("pad", [x], "pad", pads=((0, 0), (0, 0), (0, 0), (1, 0)))
    x = net.op("transpose", [x], "turn", perm=(0, 3, 1, 2))
    graph = net.graph(net.op("reshape", [x], "y", shape=(1, 12)))
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "relu": (0, 2.55)}))
    chain = ("relu", "pool", "pad", "turn", "y")
    assert all(scales[name].same_as(activation_params(0, 2.55)) for name in chain)
    assert scales["x"].same_as(activation_params(-1, 1))


def test_inputs_of_a_concat_share_the_union_of_their_ranges():
    net = Net()
    x = net.input("x", (1, 4))
    a, b = net.dense(x, 2, "a"), net.dense(x, 3, "b")
    graph = net.graph(net.op("concat", [a, b], "both", axis=1), a)
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "a": (-1, 2), "b": (-8, 1)}))
    assert all(scales[name].same_as(activation_params(-8, 2)) for name in ("a", "b", "both"))


def test_concats_that_share_an_input_form_one_group():
    net = Net()
    x = net.input("x", (1, 4))
    a, b, c = (net.dense(x, 2, name) for name in "abc")
    graph = net.graph(net.op("concat", [a, b], "ab", axis=1), net.op("concat", [b, c], "bc", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "a": (-1, 0), "b": (0, 2), "c": (0, 5)}))
    assert all(scales[name].same_as(activation_params(-1, 5)) for name in ("a", "b", "c", "ab", "bc"))


def test_a_constant_in_a_concat_widens_the_range():
    net = Net()
    x = net.dense(net.input("x", (1, 4)), 2, "dense")
    table = net.rng.normal(0, 9, (1, 3)).astype(np.float32)
    graph = net.graph(net.op("concat", [x, net.constant("table", table)], "y", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "dense": (-1, 1)}))
    expected = activation_params(min(-1, table.min()), max(1, table.max()))
    assert scales["table"].same_as(expected) and scales["y"].same_as(expected)


def test_moves_behind_a_fixed_output_take_its_parameters():
    net = Net()
    x = net.op("softmax", [net.input("x", (1, 4))], "probability")
    y = net.op("logistic", [net.input("z", (1, 4))], "gate")
    graph = net.graph(net.op("concat", [net.op("reshape", [x], "flat", shape=(1, 4)), y], "y", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-4, 4), "z": (-4, 4)}))
    assert all(scales[name].same_as(UNIT) for name in ("probability", "gate", "flat", "y"))


@pytest.mark.parametrize("other, shared", [("tanh", (-1.0, 1 - 2**-8)), ("relu", (0.0, 7.0))])
def test_a_fixed_output_keeps_its_parameters_beside_others(other, shared):
    net = Net()
    x = net.input("x", (1, 4))
    gate, more = net.op("logistic", [x], "gate"), net.op(other, [x], "more")
    graph = net.graph(net.op("concat", [gate, more], "y", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-9, 9), "more": (0, 7)}))
    assert scales["gate"].same_as(UNIT)
    if other == "tanh":
        assert scales["more"].same_as(SIGNED_UNIT)
        assert float(scales["y"].scale) == pytest.approx((255 / 256 + 1) / 255)
    else:
        assert scales["more"].same_as(activation_params(*shared)) and scales["y"].same_as(scales["more"])


@pytest.mark.parametrize("seen, expected", [
    ((0.0, 0.0), QuantParams(1.0, -128)),
    ((3.0, 3.0), activation_params(0.0, 3.0)),
    ((-3.0, -3.0), activation_params(-3.0, 0.0)),
    ((2.0, 6.0), activation_params(0.0, 6.0)),
])
def test_ranges_are_widened_to_zero_and_one_without_width_gets_scale_one(seen, expected):
    net = Net()
    graph = net.graph(net.op("relu", [net.input("x", (1, 4))], "y"))
    assert activation_scales(graph, stats_of({"x": (0, 1), "y": seen}))["y"].same_as(expected)


def test_what_a_pad_writes_is_in_range():
    net = Net()
    x = net.op("pad", [net.input("x", (1, 4))], "y", pads=((0, 0), (1, 1)), value=-7.0)
    scales = activation_scales(net.graph(x), stats_of({"x": (-1, 1)}))
    assert scales["x"].same_as(activation_params(-7, 1)) and scales["y"].same_as(scales["x"])


@pytest.mark.parametrize("kind, bound, expected", [
    ("minimum", 6.0, (-1, 4)), ("minimum", 2.0, (-1, 4)), ("minimum", -9.0, (-9, 4)),
    ("maximum", -6.0, (-1, 4)), ("maximum", 2.0, (-1, 4)), ("maximum", 9.0, (-1, 9))])
def test_a_bound_widens_the_range_only_where_it_is_reached(kind, bound, expected):
    """As a code, a bound beyond the other operand is the outermost one, and bounds nothing."""
    net = Net()
    y = net.op(kind, [net.input("x", (1, 4)), net.constant("bound", np.float32([bound]))], "y")
    scales = activation_scales(net.graph(y), stats_of({"x": (-1, 4)}))
    assert all(scales[name].same_as(activation_params(*expected)) for name in ("x", "bound", "y"))


def test_a_condition_and_indices_are_tied_to_nothing():
    net = Net()
    x, y = net.input("x", (1, 4)), net.input("y", (1, 4))
    choice = net.op("select", [net.input("which", (1, 4), "bool"), x, y], "choice")
    graph = net.graph(net.op("gather", [choice, net.constant("order", np.int64([2, 0]))], "picked", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "y": (0, 5)}))
    assert set(scales) == {"x", "y", "choice", "picked"}
    assert all(params.same_as(activation_params(-1, 5)) for params in scales.values())


def test_statistics_of_another_graph_are_named():
    net = Net()
    graph = net.graph(net.dense(net.input("x", (1, 4)), 2, "y"))
    with pytest.raises(BadSamples, match="net: no statistics of y; calibrate this very graph"):
        activation_scales(graph, stats_of({"x": (0, 1), "z": (0, 1)}))


def test_a_pinned_input_keeps_its_parameters_and_those_tied_to_it_take_them():
    net, pin = Net(), QuantParams(1 / 128, -1)
    x = net.op("max_pool2d", [net.input("x", (1, 4, 4, 2))], "pool", kernel=(2, 2), stride=(2, 2))
    graph = net.graph(net.conv(x, 2, "y"))
    scales = activation_scales(graph, stats_of({"x": (-0.3, 0.2), "y": (-1, 1)}), {"x": pin})
    assert scales["x"].same_as(pin) and scales["pool"].same_as(pin)


def test_what_a_pinned_input_is_joined_with_has_its_own_range():
    net, pin = Net(), QuantParams(1 / 128, -1)
    x = net.input("x", (1, 4))
    graph = net.graph(net.op("concat", [x, net.op("relu", [x], "relu")], "y", axis=1))
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "relu": (0, 9)}), {"x": pin})
    assert scales["x"].same_as(pin)
    assert scales["y"].same_as(scales["relu"]) and scales["y"].same_as(activation_params(-127 / 128, 9))


def test_a_range_that_is_known_takes_the_place_of_what_was_seen_for_all_that_share_it():
    net = Net()
    x = net.op("max_pool2d", [net.op("relu", [net.input("x", (1, 4, 4, 2))], "relu")], "pool", kernel=(2, 2))
    graph, known = net.graph(x), QuantParams(0.5, -128)
    per_channel = QuantParams(np.float32([1, 2]), [0, 0], 0)
    scales = activation_scales(graph, stats_of({"x": (-1, 1), "relu": (0, 2.55)}),
                               {"relu": known, "pool": known, "x": per_channel})
    assert scales["relu"] is known and scales["pool"] is known
    assert scales["x"].same_as(activation_params(-1, 1))
