"""Channels that nothing depends on are taken out, and every output code stays what it was."""

import re

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.lower.c.nets import Net, residual_net
from tests.quantize.nets import Net as FloatNet
from tests.quantize.nets import samples_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.emit import write_c
from toolchain.lower.dead_channels import known_channels, without_dead_channels
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference

DEAD = (1, 4)
"""Of the eight channels of each net's first convolution."""


def kill(net: Net, weight: str, channels=DEAD, bias: int = 0) -> None:
    """Outputs that depend on nothing."""
    net.tensors[f"{weight}.weight"].data[list(channels)] = 0
    net.tensors[f"{weight}.bias"].data[list(channels)] = bias


def assert_same_codes(smaller: Graph, graph: Graph, count: int = 20) -> None:
    rng = np.random.default_rng(0)
    feeds = {name: rng.integers(-128, 128, (count, *graph.tensors[name].shape[1:])).astype(np.int8)
             for name in graph.inputs}
    expected = reference.run(graph, feeds)
    for name, got in reference.run(smaller, feeds).items():
        np.testing.assert_array_equal(got, expected[name])


def chain(seed: int, pad: int = 1, bias: int = 0, zero_point: int = -128) -> tuple[Net, str]:
    """conv -> depthwise -> add with itself -> max pool -> conv, mean, dense; and the last one's name."""
    net = Net("chain", seed)
    x = net.codes_in("x", 1, 7, 6, 3)
    first = net.make("conv2d", (x, *net.weights("first", x, (8, 3, 3, 3))), "first", zero_point=zero_point,
                     pads=(1, 1, 1, 1), activation="relu")
    kill(net, "first", bias=bias)
    spread = net.make("depthwise_conv2d", (first, *net.weights("spread", first, (1, 3, 3, 8), 3)), "spread",
                      zero_point=zero_point, pads=(pad,) * 4)
    twice = net.make("add", (spread, spread), "twice", 0.07, 5)
    pooled = net.make("max_pool2d", twice, "pooled", 0.07, 5, kernel=(2, 2), stride=(1, 1))
    second = net.make("conv2d", (pooled, *net.weights("second", pooled, (5, 1, 1, 8))), "second", 0.3)
    flat = net.make("mean", second, "flat", 0.3, axes=(1, 2))
    return net, net.make("fully_connected", (flat, *net.weights("dense", flat, (4, 5))), "dense", 0.4, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pad, bias, zero_point", [(1, 0, -128), (0, 0, -128), (0, 9000, -128), (0, 0, 3)])
def test_constant_channels_go_with_all_that_is_made_of_them(seed, pad, bias, zero_point):
    net, out = chain(seed, pad, bias, zero_point)
    graph = net.finish(out)
    smaller = without_dead_channels(graph)
    assert smaller.tensors["first"].shape[-1] == smaller.tensors["pooled"].shape[-1] == 6
    assert smaller.tensors["second.weight"].shape == (5, 1, 1, 6)
    assert graph_macs(smaller) < graph_macs(graph)
    assert_same_codes(smaller, graph)


def test_a_code_that_padding_tells_from_its_neighbours_stays():
    """The depthwise convolution's border sees the zero point where the inside sees another code."""
    net, out = chain(0, pad=1, bias=9000)
    graph = net.finish(out)
    known = known_channels(graph)
    assert known["first"].mask[list(DEAD)].all() and not known["spread"].mask.any()
    assert without_dead_channels(graph) is graph


@pytest.mark.parametrize("pads, rest", [((0, 0, 0, 0), 6), ((1, 1, 1, 1), 8)])
def test_a_code_moves_into_biases_where_every_tap_sees_it(pads, rest):
    net = Net("wide")
    x = net.codes_in("x", 1, 5, 5, 2)
    first = net.make("conv2d", (x, *net.weights("first", x, (8, 1, 1, 2))), "first", 0.2)
    kill(net, "first", bias=7000)
    operands = first, *net.weights("second", first, (3, 3, 3, 8))
    graph = net.finish(net.make("conv2d", operands, "second", 0.5, pads=pads))
    smaller = without_dead_channels(graph)
    assert smaller.tensors["first"].shape[-1] == rest
    assert_same_codes(smaller, graph)


def test_what_has_no_weight_goes_and_then_what_made_only_that():
    """second reads nothing of first's channel 2 but for its own channel 0, which dense does not read."""
    net = Net("unread")
    x = net.codes_in("x", 1, 4, 4, 3)
    first = net.make("conv2d", (x, *net.weights("first", x, (6, 1, 1, 3))), "first", 0.2)
    second = net.make("conv2d", (first, *net.weights("second", first, (5, 1, 1, 6))), "second", 0.5)
    flat = net.make("mean", second, "flat", 0.5, axes=(1, 2))
    dense = net.make("fully_connected", (flat, *net.weights("dense", flat, (4, 5))), "dense", 0.4, 0)
    net.tensors["second.weight"].data[1:, ..., 2] = 0
    net.tensors["dense.weight"].data[:, 0] = 0
    graph = net.finish(dense)
    smaller = without_dead_channels(graph)
    assert [smaller.tensors[name].shape[-1] for name in ("first", "second")] == [5, 4]
    assert_same_codes(smaller, graph)


def test_one_channel_stays_where_all_are_dead():
    net, out = chain(1)
    kill(net, "first", range(8))
    graph = net.finish(out)
    smaller = without_dead_channels(graph)
    assert smaller.tensors["first"].shape[-1] == 1
    assert_same_codes(smaller, graph)


def test_scales_per_channel_go_along():
    smaller = without_dead_channels(chain(2)[0].finish("dense"))
    for name in ("first.weight", "first.bias", "spread.weight"):
        quant: QuantParams = smaller.tensors[name].quant
        assert len(quant.scale) == smaller.tensors[name].shape[quant.axis] == 6


def test_generated_c_is_that_of_the_smaller_network(tmp_path):
    net, out = chain(3)
    graph = net.finish(out)
    model, = compile_graphs([graph], tmp_path)
    x = np.random.default_rng(1).integers(-128, 128, (5, *graph.tensors["x"].shape[1:])).astype(np.int8)
    np.testing.assert_array_equal(model.run({"x": x})[out], reference.run(graph, {"x": x})[out])
    assert model.source.weight_bytes == write_c(without_dead_channels(graph)).weight_bytes
    assert model.source.macs == graph_macs(without_dead_channels(graph))
    note, = model.source.notes
    assert re.fullmatch(f"4 of .* channels of its layers change no output and are left out: "
                        f"{model.source.macs:,} of {graph_macs(graph):,} .* parameters stay", note)


def test_nothing_dead_nothing_changed():
    graph = residual_net()
    assert without_dead_channels(graph) is graph and write_c(graph).notes == ()


def covariance(net: Net) -> str:
    """Channels of a convolution with dead ones end in a product, as rows that are summed over."""
    x = net.codes_in("x", 1, 4, 4, 3)
    first = net.make("conv2d", (x, *net.weights("first", x, (8, 1, 1, 3))), "first")
    rows = net.make("reshape", first, "rows", shape=(1, 16, 8))
    return net.make("batch_matmul", (rows, rows), "product", 0.3, transpose_b=True)


def summed(net: Net) -> str:
    """Channels of a convolution with dead ones are summed."""
    x = net.codes_in("x", 1, 4, 4, 3)
    first = net.make("conv2d", (x, *net.weights("first", x, (8, 1, 1, 3))), "first")
    return net.make("sum", first, "total", 0.3, axes=(3,))


@pytest.mark.parametrize("made", [covariance, summed])
@pytest.mark.parametrize("seed", range(3))
def test_channels_that_end_in_no_weights_stay(made, seed):
    net = Net("chain", seed)
    out = made(net)
    kill(net, "first", bias=5000)
    graph = net.finish(out)
    assert_same_codes(without_dead_channels(graph), graph)


def test_a_mean_over_channels_knows_nothing_of_as_many_rows():
    """Columns 1 and 4 of a square are known; rows 1 and 4 are not."""
    net = Net("chain", 0)
    x = net.codes_in("x", 1, 8, 3)
    rows = net.make("reshape", x, "rows", 0.05, 3, shape=(8, 3))
    first = net.make("fully_connected", (rows, *net.weights("first", rows, (8, 3))), "first")
    square = net.make("reshape", first, "square", shape=(1, 8, 8))
    kill(net, "first", bias=5000)
    known = known_channels(net.finish(net.make("mean", square, "mean", axes=(2,))))
    assert known["square"].mask[list(DEAD)].all() and not known["mean"].mask.any()


def test_what_a_layer_reads_of_a_constant_stays():
    """Of a learned row that a dense layer makes something of; nothing that comes in reaches its channels."""
    net = FloatNet()
    made = net.dense(net.weights("row", 1, 6), 3, "made")
    graph = net.graph(net.op("add", [net.input("x", (1, 3)), made], "y"))
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph)))
    assert without_dead_channels(codes) is codes
