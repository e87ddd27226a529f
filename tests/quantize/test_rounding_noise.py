"""The estimate against noise that is measured: codes rounded in numpy, sums taken with and without."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.ir.graph import Graph
from toolchain.quantize.channels import Group, rescaled, scalable_groups
from toolchain.quantize.equalise import smoothing_factors
from toolchain.quantize.rounding_noise import ChannelStats, GroupNoise
from toolchain.quantize.rules import observed
from toolchain.runtime import reference


def rounded(x: np.ndarray, steps: int, axis: tuple[int, ...] | None = None) -> np.ndarray:
    """To `steps` steps over the range with 0 in it, or to as many of the largest magnitude along `axis`."""
    if axis is None:
        step = (max(x.max(), 0) - min(x.min(), 0)) / steps
    else:
        step = np.abs(x).max(axis=axis, keepdims=True) / steps
    return (np.round(x / step) * step).astype(np.float32)


def pair(depthwise: bool) -> Graph:
    """Eight channels, ranges spread over 30 to 1, and an op that reads them."""
    net = Net("pair", 9)
    x = net.input("x", (1, 12, 12, 3))
    scales = np.logspace(0, -1.5, 8).astype(np.float32)
    weight = net.rng.normal(0, 0.3, (8, 1, 1, 3)).astype(np.float32) * scales[:, None, None, None]
    y = net.op("conv2d", [x, net.constant("a.weight", weight), net.constant("a.bias", 0.2 * scales)], "a",
               activation="relu")
    if depthwise:
        return net.graph(net.op("depthwise_conv2d", [y, net.weights("b.weight", 1, 3, 3, 8),
                                                     net.constant("b.bias", np.zeros(8, np.float32))], "b"))
    weight = net.rng.normal(0, 0.3, (64, 3, 3, 8)).astype(np.float32)
    zero = net.constant("b.bias", np.zeros(64, np.float32))
    return net.graph(net.op("conv2d", [y, net.constant("b.weight", weight), zero], "b"))


def measured_noise(graph: Graph, depthwise: bool, a: np.ndarray) -> float:
    """Energy of the error that rounding a, and b's weights, makes in b."""
    weight = graph.tensors["b.weight"]
    coded = replace(weight, data=rounded(weight.data, 127, (0, 1, 2) if depthwise else (1, 2, 3)))
    part = replace(graph, ops=graph.ops[1:], inputs=("a",))
    exact = reference.run(part, {"a": a})["b"]
    found = reference.run(part.with_tensors(coded), {"a": rounded(a, 255)})["b"]
    return float(np.square(found - exact).sum())


@pytest.mark.parametrize("depthwise", [False, True])
def test_the_estimate_follows_what_is_measured(depthwise):
    """Of two scalings the estimate says which makes less noise, and by how much to within 2 dB."""
    graph = pair(depthwise)
    rng = np.random.default_rng(3)
    feeds = {"x": rng.standard_normal((64, 12, 12, 3), np.float32)}
    a = reference.run(graph, feeds, keep=["a"])["a"]
    (group,) = scalable_groups(graph).groups
    stats = ChannelStats.of(a)
    noise = GroupNoise(graph, group, {"a": stats}, observed(graph))
    before, floor = noise(np.ones(8)), measured_noise(graph, depthwise, a)
    for exponents in ((0.25, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.0)):
        factors = smoothing_factors(noise.reach, np.ones(8), *exponents)
        after = measured_noise(rescaled(graph, group, factors), depthwise,
                               (a / factors).astype(np.float32))
        estimated, found = (10 * np.log10(value) for value in (noise(factors) / before, after / floor))
        assert estimated == pytest.approx(found, abs=2), exponents


def test_stats_of_parts_are_those_of_the_whole():
    x = np.random.default_rng(1).normal(1, 2, (10, 5, 4)).astype(np.float32)
    merged, whole = ChannelStats.of(x[:3]).merge(ChannelStats.of(x[3:])), ChannelStats.of(x)
    for field in ("low", "high", "energy"):
        np.testing.assert_allclose(getattr(merged, field), getattr(whole, field), rtol=1e-12)
    flat = x.reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(whole.energy, (flat**2).mean(axis=0), rtol=1e-6)
    width = np.maximum(flat.max(0), 0) - np.minimum(flat.min(0), 0)
    np.testing.assert_allclose(whole.reach, np.maximum(width, 4 * np.sqrt(whole.energy)))


def test_few_values_reach_as_far_as_their_deviation_says():
    """4 root mean squares at least, whatever few extremes say; a long tail keeps its own end."""
    few, many = (np.random.default_rng(0).uniform(-1, 1, (n, 1)).astype(np.float32) for n in (4, 40_000))
    assert ChannelStats.of(few).reach == pytest.approx(4 * np.sqrt(np.mean(few.astype(float)**2)))
    assert ChannelStats.of(many).reach == pytest.approx(4 * np.sqrt(1 / 3), rel=0.01)
    long_tailed = np.random.default_rng(0).standard_exponential((40_000, 1), np.float32)
    assert ChannelStats.of(long_tailed).reach == pytest.approx(float(long_tailed.max()))


def test_a_tensor_inherits_the_rounding_of_those_before_it():
    """On a residual trunk the second reader's input was rounded three times: stem, branch, sum."""
    net = Net("trunk", 2)
    x = net.conv(net.input("x", (1, 6, 6, 3)), 4, "stem", activation="relu")
    y = net.conv(net.conv(x, 8, "inner", activation="relu"), 4, "branch")
    total = net.op("add", [x, y], "sum")
    graph = net.graph(net.conv(total, 3, "head"))
    group: Group = next(g for g in scalable_groups(graph).groups if g.name == "stem")
    unit = ChannelStats(np.full(4, -1.0), np.ones(4), np.ones(4), 1)
    noise = GroupNoise(graph, group, dict.fromkeys(group.channels, unit), observed(graph))
    through = {op.name: set(reader.through) for op, reader in zip(group.readers, noise.readers, strict=True)}
    assert through == {"inner": {"stem"}, "head": {"stem", "branch", "sum"}}
