"""A network without branches is the one whose branches are zero, and what must stay says why."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.block_nets import ResidualNet
from toolchain.errors import BadInput
from toolchain.ir.check import check
from toolchain.ir.ops import graph_macs
from toolchain.prune.blocks import (
    Branch,
    branch_savings,
    fixed_branches,
    remove_branches,
    residual_branches,
    with_branch_masks,
)
from toolchain.runtime import reference


def ran(graph, count=2, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {name: graph.tensors[name].shape[1:] for name in graph.inputs}
    feeds = {name: rng.standard_normal((count, *shape), np.float32) for name, shape in shapes.items()}
    return reference.run(graph, feeds)


def masked(graph, branches, gone):
    """Without the branches of these positions, in full size."""
    scales = [np.full(1, number not in gone, np.float32) for number in range(len(branches))]
    return with_branch_masks(graph, branches).at(scales)


def built(*blocks, seed=0):
    """(graph, builder, what each block gave) of these blocks in a row."""
    net, made = ResidualNet(seed), []
    x = net.plain(net.x)
    for block in blocks:
        x = block(net, x)
        made.append(x)
    return net.build.graph(net.build.op("mean", [net.conv(x, 3)], "y", axes=(1, 2))), net, made


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(1, 7), share=st.floats(0, 1))
def test_removed_is_masked_at_zero(seed, blocks, share):
    """Any branches together: nested, chained, projected, gated, broadcast. The graph is legal."""
    graph = check(ResidualNet(seed).graph(blocks), "FLOAT")
    branches = residual_branches(graph)
    gone = np.flatnonzero(np.random.default_rng(seed).random(len(branches)) < share).tolist()
    smaller = check(remove_branches(graph, [branches[number].name for number in gone]), "FLOAT")
    got, expected = ran(smaller), ran(masked(graph, branches, gone))
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], expected[name])
    assert not {op for number in gone for op in branches[number].ops} & {op.name for op in smaller.ops}
    assert (smaller.parameters < graph.parameters) == bool(gone)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(1, 6))
def test_masks_of_one_change_nothing_and_a_scale_scales_the_branch(seed, blocks):
    """At any scale the masked add is shortcut + scale * branch, by the reference's own values of both."""
    graph = ResidualNet(seed).graph(blocks)
    branches = residual_branches(graph)
    same = ran(with_branch_masks(graph, branches).graph)
    for name, value in ran(graph).items():
        np.testing.assert_array_equal(same[name], value)
    for number, branch in enumerate(branches):
        scales = [np.full(1, 0.25 if other == number else 1, np.float32) for other in range(len(branches))]
        halved = with_branch_masks(graph, branches).at(scales)
        feeds = {"x": np.random.default_rng(seed).standard_normal((1, 6, 6, 4), np.float32)}
        values = reference.run(halved, feeds, keep=[branch.operand, branch.shortcut, branch.name])
        total = values[branch.shortcut] + np.float32(0.25) * values[branch.operand]
        low, high = {None: (None, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}[
            graph.producers[branch.name].attrs["activation"]]
        np.testing.assert_allclose(values[branch.name], np.clip(total, low, high), rtol=1e-6, atol=1e-6)


def test_every_branch_is_one_that_brute_force_finds():
    """Of each add with an identity shortcut: dead are the ops that no output reaches any more, by search."""
    graph, _, _ = built(ResidualNet.basic, ResidualNet.nested, ResidualNet.gated, ResidualNet.projected)
    for branch in residual_branches(graph):
        needed, stack = set(), list(graph.outputs)
        while stack:
            name = stack.pop()
            if name not in needed and name in graph.producers:
                needed.add(name)
                stack += [branch.shortcut] if name == branch.name else graph.producers[name].inputs
        assert branch.ops == tuple(op.name for op in graph.ops if op.name not in needed)
    assert len(residual_branches(graph)) == 5


def test_a_basic_block_goes_and_leaves_the_activation():
    graph, net, (add,) = built(ResidualNet.basic, seed=1)
    (branch,) = residual_branches(graph)
    assert branch == Branch(add, "conv.2", "conv", ("conv.1", "conv.2"))
    smaller = remove_branches(graph, [add])
    activation = graph.producers[add].attrs["activation"]
    left = [activation] if activation else []
    assert [op.kind for op in smaller.ops] == ["conv2d", *left, "conv2d", "mean"]
    assert branch_savings(graph, [branch]).tolist() == [graph_macs(graph) - graph_macs(smaller)]
    count = net.channels("conv")
    assert graph_macs(graph) - graph_macs(smaller) == 36 * (6 * count + 9 * 6 * count)
    assert branch_savings(graph, [branch], lambda g: g.parameters).tolist() == [
        6 * count + 6 + 9 * 6 * count + count]


def test_a_projection_stays_and_its_branch_goes():
    graph, _, (add,) = built(ResidualNet.projected)
    (branch,) = residual_branches(graph)
    assert (branch.ops, branch.shortcut) == (("conv.1", "conv.2"), "conv.3")
    assert "conv.3" in remove_branches(graph, [add]).tensors


def test_a_branch_that_feeds_something_else_stays_and_says_what():
    graph, _, (add,) = built(ResidualNet.chained)
    assert [branch.ops for branch in residual_branches(graph)] == [
        ("conv.2",), ("conv.1", "conv.2", "add", "add.1")]
    assert fixed_branches(graph) == {"add": "conv.1 of the branch also feeds conv.2 (conv2d)"}


def test_a_branch_that_is_an_output_stays():
    net = ResidualNet(0)
    inner = net.conv(net.x, 4)
    graph = net.build.graph(net.add(inner, net.x), inner)
    assert residual_branches(graph) == ()
    assert fixed_branches(graph) == {"add": "conv of the branch is an output of the network"}


def test_a_shortcut_that_is_broadcast_is_no_identity():
    net = ResidualNet(0)
    pooled = net.build.op("mean", [net.x], "pooled", axes=(1, 2), keepdims=True)
    up = net.build.op("resize_nearest", [net.conv(pooled, 4)], "up", size=(6, 6))
    graph = net.build.graph(net.add(up, pooled))
    assert residual_branches(graph) == ()
    assert fixed_branches(graph) == {
        "add": "its shortcut pooled (1, 1, 1, 4) is broadcast to (1, 6, 6, 4)"}


def test_an_add_of_two_inputs_or_of_no_arithmetic_joins_no_branch():
    net = ResidualNet(0)
    other = net.build.input("other", (1, 6, 6, 4))
    towers = net.build.op("add", [net.conv(net.x, 4), net.conv(other, 4)], "towers")
    curve = net.build.op("add", [towers, net.build.op("tanh", [towers], "tanh")], "curve")
    shifted = net.build.op("add", [curve, net.constant(4)], "shifted")
    graph = net.build.graph(net.build.op("add", [shifted, shifted], "twice"))
    assert residual_branches(graph) == () and fixed_branches(graph) == {}


def test_an_output_keeps_its_name_without_its_branch():
    """An add without activation that is an output, and whose shortcut is an input: both names stay."""
    net = ResidualNet(0)
    y = net.build.op("add", [net.conv(net.x, 4), net.x], "y")
    smaller = check(remove_branches(net.build.graph(y), ["y"]), "FLOAT")
    assert (smaller.inputs, smaller.outputs) == (("x",), ("y",)) and smaller.constants == ()
    x = np.random.default_rng(0).standard_normal((3, 6, 6, 4), np.float32)
    np.testing.assert_array_equal(reference.run(smaller, {"x": x})["y"], x)


def test_a_branch_that_reads_an_input_of_its_own_goes_with_what_reads_it():
    net = ResidualNet(0)
    condition = net.build.input("condition", (1, 1, 1, 4))
    scale = net.conv(condition, 4)
    y = net.add(net.build.op("mul", [net.conv(net.x, 4), scale], "scaled"), net.x)
    graph = net.build.graph(net.conv(y, 2))
    (branch,) = residual_branches(graph)
    assert branch.ops == ("conv", "conv.1", "scaled")
    assert remove_branches(graph, [branch.name]).inputs == ("x", "condition")


def test_an_unknown_branch_is_named_with_those_that_there_are():
    graph, _, (add,) = built(ResidualNet.basic)
    with pytest.raises(BadInput, match=f"^residual: no removable branch nothing; there are {add}$"):
        remove_branches(graph, ["nothing"])
    assert remove_branches(graph, []).digest == graph.digest


def test_an_outer_branch_takes_the_inner_one_along():
    graph, _, (outer,) = built(ResidualNet.nested)
    inner, whole = residual_branches(graph)
    assert whole.name == outer and set(inner.ops) < set(whole.ops)
    both = remove_branches(graph, [inner.name, outer])
    assert both.digest == remove_branches(graph, [outer]).digest
