"""Equalisation keeps the function, does what the papers say, and helps where codes lose channels."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.quantize.nets import Net, run_quantized, samples_of
from tests.random_nets import modern_net, noise, random_net
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.channels import column_peaks, row_peaks, scalable_groups
from toolchain.quantize.equalise import cross_layer, cross_layer_factors, equalised, smoothing_factors
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def assert_same_function(before: Graph, after: Graph, feeds) -> None:
    exact, found = reference.run(before, feeds), reference.run(after, feeds)
    for name, y in exact.items():
        assert np.abs(found[name] - y).max() <= 2e-5 * max(np.abs(y).max(), 1), name


def sqnr_db(exact: np.ndarray, found: np.ndarray) -> float:
    noise = np.square(exact - found).sum()
    return float(10 * np.log10(np.square(exact).sum() / noise))


def int8_sqnr_db(graph: Graph, exact: Graph, samples, fresh) -> float:
    """Of the first output on samples that did not calibrate."""
    found = run_quantized(quantize(graph, calibrate(graph, CalibrateConfig(), samples)), fresh.x)
    name = graph.outputs[0]
    return sqnr_db(reference.run(exact, fresh.x)[name], found[name])


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), make=st.sampled_from([random_net, modern_net]))
def test_the_function_stays(seed, make):
    graph = canonical(make(seed))
    feeds = noise(graph, 3)
    samples = samples_of(graph, 6, seed=2)
    assert_same_function(graph, cross_layer(graph).graph, feeds)
    assert_same_function(graph, equalised(graph, samples, by_reference).graph, samples.x)


def branching_net() -> Graph:
    """Every weighted kind, a residual, a concatenation, pools, a flattening head."""
    net = Net("branching", 3)
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "stem", activation="relu")
    depthwise = [x, net.weights("depthwise.weight", 1, 3, 3, 16), net.weights("depthwise.bias", 16)]
    y = net.op("depthwise_conv2d", depthwise, "depthwise", pads=(1, 1, 1, 1), multiplier=2)
    y = net.op("leaky_relu", [y], "leaky", alpha=0.1)
    grouped = [y, net.weights("grouped.weight", 8, 3, 3, 4), net.weights("grouped.bias", 8)]
    y = net.op("conv2d", grouped, "grouped", pads=(1, 1, 1, 1))
    y = net.op("add", [y, net.conv(x, 8, "side", kernel=1)], "sum", activation="relu")
    pools = [net.op(kind, [of], kind, kernel=(2, 2), stride=(2, 2))
             for kind, of in (("max_pool2d", y), ("average_pool2d", x))]
    y = net.op("concat", pools, "both", axis=3)
    up = [y, net.weights("up.weight", 4, 2, 2, 16), net.weights("up.bias", 4)]
    y = net.op("transpose_conv2d", up, "up", stride=(2, 2), activation="relu")
    flat = net.op("reshape", [y], "flat", shape=(1, 256))
    return canonical(net.graph(net.dense(flat, 5, "head")))


def test_every_weighted_kind_takes_part_and_ranges_meet():
    """Nagel et al. 2019: the solution of eq. 9 is where r1 = r2 for every channel."""
    graph = branching_net()
    result = cross_layer(graph)
    assert_same_function(graph, result.graph, samples_of(graph, 4).x)
    groups = scalable_groups(result.graph).groups
    assert {op.name for group in groups for op in (*group.makers, *group.readers)} == {
        "stem", "depthwise", "grouped", "side", "up", "head"}
    for group in groups:
        r1, r2 = row_peaks(result.graph, group), column_peaks(result.graph, group)
        np.testing.assert_allclose(r1, r2, rtol=1e-3)
    assert not np.allclose(row_peaks(graph, groups[0]), column_peaks(graph, groups[0]), rtol=0.1)


def test_factors_of_a_pair_are_equation_11():
    """Done by hand in torch: W1 / s, b1 / s, W2 s leave conv -> relu -> conv as it was, with equal ranges."""
    torch.manual_seed(0)
    first = torch.randn(6, 3, 3, 3) * torch.logspace(-2, 1, 6).view(-1, 1, 1, 1)
    second, bias = torch.randn(4, 6, 1, 1), torch.randn(6)
    r1, r2 = first.abs().amax((1, 2, 3)), second.abs().amax((0, 2, 3))
    s = (r1 * r2).sqrt() / r2
    x = torch.randn(2, 3, 8, 8)
    before = functional.conv2d(functional.relu(functional.conv2d(x, first, bias)), second)
    hidden = functional.relu(functional.conv2d(x, first / s.view(-1, 1, 1, 1), bias / s))
    after = functional.conv2d(hidden, second * s.view(1, -1, 1, 1))
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)

    net = Net()
    weight = net.constant("a.weight", first.permute(0, 2, 3, 1).contiguous().numpy())
    y = net.op("conv2d", [net.input("x", (1, 8, 8, 3)), weight, net.constant("a.bias", bias.numpy())], "a",
               activation="relu")
    weight = net.constant("z.weight", second.permute(0, 2, 3, 1).contiguous().numpy())
    graph = net.graph(net.op("conv2d", [y, weight, net.weights("z.bias", 4)], "z"))
    tensors = cross_layer(graph).graph.tensors
    made = tensors["a.weight"].data.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made, (first / s.view(-1, 1, 1, 1)).numpy(), rtol=1e-5)
    np.testing.assert_allclose(tensors["a.bias"].data, (bias / s).numpy(), rtol=1e-5)
    read = tensors["z.weight"].data.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(read, (second * s.view(1, -1, 1, 1)).numpy(), rtol=1e-5)


def test_a_dead_channel_is_left_alone():
    made, read = np.array([4.0, 0.0, 1e-12, 1.0]), np.array([1.0, 2.0, 1.0, 0.0])
    np.testing.assert_array_equal(cross_layer_factors(made, read), [2, 1, 1, 1])


def test_smoothing_is_equation_4():
    """Figure 5 of Xiao et al. 2023: max |X| = (2, 16, 1, 9)..., max |W| = (2, 1, 2, 1), alpha 0.5 gives
    s = (1, 4, 0.7, 3); the figure's 1st and 3rd channels in units of the widest one's 4."""
    factors = smoothing_factors(np.array([2.0, 16.0, 1.0, 9.0]), np.array([2.0, 1.0, 2.0, 1.0]), 0.5, 0.5)
    np.testing.assert_allclose(4 * factors, [1, 4, np.sqrt(0.5), 3])


def test_what_stands_in_the_way_is_named():
    net = Net("stopped")
    y = net.conv(net.input("x", (1, 6, 6, 3)), 4, "a", activation="relu6")
    y = net.op("hard_swish", [net.conv(y, 4, "b")], "curve")
    graph = net.graph(net.conv(y, 4, "c"))
    assert cross_layer(graph).lines == ("a: left, a (conv2d) clamps at 6",
                                        "b: left, curve (hard_swish) does not hand a scale on")


def test_a_reader_that_cannot_follow_keeps_its_tensor_as_it_is():
    """One of two readers is a logistic: the other one's weights may not change either."""
    net = Net("branch")
    y = net.conv(net.input("x", (1, 6, 6, 3)), 4, "a", activation="relu")
    gate = net.op("logistic", [y], "gate")
    graph = net.graph(net.op("mul", [net.conv(y, 4, "b"), gate], "y"))
    assert not scalable_groups(graph).groups
    assert "a: left, gate (logistic) does not hand a scale on" in cross_layer(graph).lines


@pytest.mark.parametrize("gain, expected", [(0.2, "relu"), (30.0, "relu6")])
def test_relu6_is_relu_only_where_no_sample_comes_near_6(gain, expected):
    net = Net("capped")
    x = net.input("x", (1, 6, 6, 3))
    scales = np.float32([1, 0.1, 0.01, 0.001])[:, None, None, None]
    weight = gain * scales * net.rng.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32)
    bias = net.constant("a.bias", np.zeros(4, np.float32))
    y = net.op("conv2d", [x, net.constant("a.weight", weight), bias], "a", activation="relu6")
    graph = net.graph(net.conv(y, 4, "z"))
    result = equalised(graph, samples_of(graph), by_reference)
    assert result.graph.producers["a"].attrs["activation"] == expected
    assert ("a" in result.factors) == (expected == "relu")


def spread_net(channels: int = 16) -> Graph:
    """Scales of channels from 1 to 1/1000, as batch norms may leave them; to the reader all are equals."""
    net = Net("spread", 4)
    scales = np.logspace(0, -3, channels).astype(np.float32)
    x = net.input("x", (1, 8, 8, 3))
    weight = net.rng.normal(0, 0.3, (channels, 3, 3, 3)).astype(np.float32) * scales[:, None, None, None]
    y = net.op("conv2d", [x, net.constant("a.weight", weight),
                          net.constant("a.bias", 0.3 * scales)], "a", pads=(1, 1, 1, 1), activation="relu")
    weight = net.rng.normal(0, 0.3, (10, 1, 1, channels)).astype(np.float32) / scales
    y = net.op("conv2d", [y, net.constant("b.weight", weight), net.weights("b.bias", 10)], "b",
               activation="relu")
    return net.graph(net.dense(net.op("mean", [y], "mean", axes=(1, 2)), 5, "logits"))


@pytest.mark.parametrize("given_samples", [False, True])
def test_channels_that_codes_lose_are_recovered(given_samples):
    graph = spread_net()
    samples, fresh = samples_of(graph, 32, seed=1), samples_of(graph, 64, seed=2)
    before = int8_sqnr_db(graph, graph, samples, fresh)
    result = equalised(graph, samples if given_samples else None, by_reference)
    after = int8_sqnr_db(result.graph, graph, samples, fresh)
    assert before < 15 and after > before + 15


def test_a_norm_before_matrices_is_smoothed():
    """Outlier channels of a layer norm (Xiao et al. 2023, section 3) go into gamma, beta and both readers."""
    net = Net("attention", 5)
    x = net.input("x", (1, 6, 32))
    gamma = np.ones(32, np.float32)
    gamma[[3, 17]] = 60
    y = net.op("layer_norm", [x, net.constant("gamma", gamma), net.weights("beta", 32)], "norm", axes=(2,),
               epsilon=1e-5)
    y = net.op("reshape", [y], "rows", shape=(6, 32))
    graph = net.graph(net.op("add", [net.dense(y, 8, "query"), net.dense(y, 8, "key")], "y"))
    for name in ("query.weight", "key.weight"):
        graph.tensors[name].data[:, [3, 17]] /= 60
    samples, fresh = samples_of(graph, 32, seed=1), samples_of(graph, 64, seed=2)
    result = equalised(graph, samples, by_reference)
    assert_same_function(graph, result.graph, fresh.x)
    assert result.factors["norm"][[3, 17]].min() > 3 * np.median(result.factors["norm"])
    assert int8_sqnr_db(result.graph, graph, samples, fresh) > int8_sqnr_db(graph, graph, samples, fresh) + 3


def test_wide_activations_leave_the_weights_to_be_equalised():
    """With int16 codes channels of unlike range cost nothing, but columns of unlike weights still do."""
    net = Net("columns", 6)
    y = net.conv(net.input("x", (1, 6, 6, 3)), 8, "a", activation="relu")
    weight = net.rng.normal(0, 0.3, (6, 3, 3, 8)).astype(np.float32) * np.logspace(0, -2, 8, dtype=np.float32)
    graph = net.graph(net.op("conv2d", [y, net.constant("z.weight", weight), net.weights("z.bias", 6)], "z"))
    samples = samples_of(graph, 16)
    wide = equalised(graph, samples, by_reference, "int16")
    (group,) = scalable_groups(graph).groups
    before, after = (np.ptp(np.log(column_peaks(of, group))) for of in (graph, wide.graph))
    assert after < 0.6 * before
    assert_same_function(graph, wide.graph, samples.x)
