"""Which channels can be scaled together, through which ops, and that scaling them keeps the function."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.ir.passes import canonical
from toolchain.quantize.channels import PINNED, rescaled, scalable_groups
from toolchain.runtime import reference


def members(group) -> set[str]:
    return set(group.channels)


def scaled_at_random(graph, seed: int = 0):
    rng = np.random.default_rng(seed)
    for group in scalable_groups(graph).groups:
        graph = rescaled(graph, group, np.exp(rng.normal(0, 1.5, group.count)))
    return graph


def assert_kept(graph) -> None:
    feeds = samples_of(graph, 5).x
    exact, found = reference.run(graph, feeds), reference.run(scaled_at_random(graph), feeds)
    for name, y in exact.items():
        np.testing.assert_allclose(found[name], y, rtol=0, atol=1e-4 * np.abs(y).max())


def between(net: Net, through, channels: int = 6):
    """conv a -> what `through` adds -> conv z."""
    made = net.conv(net.input("x", (1, 6, 6, 3)), channels, "a")
    return canonical(net.graph(net.conv(through(made), 4, "z")))


def shuffled(net: Net, y: str) -> str:
    order = net.constant("order", np.int32([0, 3, 1, 4, 2, 5]))
    return net.op("gather", [y, order], "shuffled", axis=3)


THROUGH = {
    "relu": lambda net, y: net.op("relu", [y], "relu"),
    "leaky relu": lambda net, y: net.op("leaky_relu", [y], "leaky", alpha=0.2),
    "prelu": lambda net, y: net.op("prelu", [y, net.weights("alpha", 6)], "prelu"),
    "pool": lambda net, y: net.op("max_pool2d", [y], "pool", kernel=(2, 2), pads=(0, 1, 0, 1)),
    "zero pad": lambda net, y: net.op("pad", [net.op("relu", [y], "r")], "pad",
                                      pads=((0, 0), (3, 3), (0, 1), (0, 0))),
    "shuffle": shuffled,
    "half": lambda net, y: net.op("slice", [y], "half", begin=(0, 0, 0, 2), end=(1, 6, 6, 6),
                                  strides=(1, 1, 1, 1)),
    "constant factor": lambda net, y: net.op("mul", [net.op("relu", [y], "r"), net.weights("k", 6)], "times"),
    "turned": lambda net, y: net.op("transpose", [y], "turned", perm=(0, 2, 1, 3)),
    "resized": lambda net, y: net.op("resize_bilinear", [y], "resized", size=(9, 5)),
}


@pytest.mark.parametrize("name", THROUGH)
def test_a_scale_goes_through(name):
    net = Net(name)
    graph = between(net, lambda y: THROUGH[name](net, y))
    (group,) = scalable_groups(graph).groups
    assert (group.makers[0].name, group.readers[0].name) == (group.name, "z")
    assert_kept(graph)


STOPPED = {
    "hard swish": lambda net, y: net.op("hard_swish", [y], "op"),
    "padding other than 0": lambda net, y: net.op("pad", [y], "op", pads=((0, 0), (1, 1), (1, 1), (0, 0)),
                                                  value=1.0),
    "constant term": lambda net, y: net.op("add", [net.op("relu", [y], "r"), net.weights("k", 6)], "op"),
    "square": lambda net, y: net.op("mul", [y, y], "op"),
    "norm over channels": lambda net, y: net.op(
        "layer_norm", [y, net.weights("g", 1), net.weights("b", 1)], "op", axes=(3,), epsilon=1e-5),
    "bound": lambda net, y: net.op("minimum", [y, net.weights("k", 6)], "op"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_scale_is_stopped(name):
    net = Net(name)
    graph = between(net, lambda y: STOPPED[name](net, y))
    grouping = scalable_groups(graph)
    assert not grouping.groups and "does not hand a scale on" in grouping.pinned[graph.ops[0].name]


def test_a_gated_image_is_scaled_and_its_gate_is_not():
    """Squeeze and excite: the image's channels go through the product, and into the gate's first layer."""
    net = Net("gated")
    y = net.conv(net.input("x", (1, 6, 6, 3)), 6, "a", activation="relu")
    pooled = net.op("mean", [y], "pooled", axes=(1, 2), keepdims=True)
    gate = net.conv(net.conv(pooled, 2, "squeeze", 1, activation="relu"), 6, "excite", 1)
    y = net.op("mul", [y, net.op("logistic", [gate], "gate")], "gated")
    graph = net.graph(net.conv(y, 4, "z"))
    groups = {group.name: group for group in scalable_groups(graph).groups}
    assert members(groups["a"]) == {"a", "pooled", "gated"}
    assert [op.name for op in groups["a"].readers] == ["squeeze", "z"]
    assert members(groups["squeeze"]) == {"squeeze"}
    assert_kept(graph)


def test_attention_values_are_scaled_through_the_weights_of_attention():
    net = Net("attention")
    rows = net.op("reshape", [net.input("x", (1, 5, 8))], "rows", shape=(5, 8))
    scores = net.op("softmax", [net.op("reshape", [net.dense(rows, 5, "score")], "s", shape=(1, 5, 5))], "p")
    value = net.op("reshape", [net.dense(rows, 6, "value")], "v", shape=(1, 5, 6))
    mixed = net.op("reshape", [net.op("batch_matmul", [scores, value], "mixed")], "m", shape=(5, 6))
    graph = net.graph(net.dense(mixed, 4, "z"))
    (group,) = scalable_groups(graph).groups
    assert members(group) == {"value", "v", "mixed", "m"}
    assert_kept(graph)


def test_one_part_of_a_concatenation_may_be_pinned():
    net = Net("parts")
    x = net.input("x", (1, 6, 6, 3))
    curve = net.op("tanh", [net.conv(x, 2, "b")], "curve")
    both = net.op("concat", [net.conv(x, 4, "a"), curve], "both", axis=3)
    graph = net.graph(net.conv(both, 5, "z"))
    (group,) = scalable_groups(graph).groups
    assert group.channels["both"].tolist() == [0, 1, 2, 3, PINNED, PINNED]
    assert_kept(graph)


def test_shared_weights_are_left():
    """Two ops with one weight: scaling the channels of one would scale the other's."""
    net = Net("shared")
    weight, bias = net.weights("w", 3, 3, 3, 3), net.weights("c", 3)
    y = net.op("conv2d", [net.input("x", (1, 9, 9, 3)), weight, bias], "first")
    graph = net.graph(net.op("conv2d", [y, weight, bias], "second"))
    assert not scalable_groups(graph).groups
