"""The self-check finds what a door or the layout pass gets wrong, and never passes without having looked."""

from dataclasses import replace

import numpy as np
import pytest

from tests.literal import Literal
from toolchain.errors import SelfCheckFailed
from toolchain.ir.build import Builder
from toolchain.ir.layout import channels_last
from toolchain.load.selfcheck import self_check
from toolchain.runtime import reference


@pytest.fixture
def literal():
    net = Literal(1)
    x = net.b.input("x", (1, 3, 6, 6))
    return net.b.graph(net.classify(net.b.op("relu", [net.conv(x, 4)], "act")))


def honest(graph):
    """An oracle that computes what `graph` says and knows every inner tensor."""
    return lambda feeds, keep: reference.run(graph, feeds, keep=tuple(keep))


def test_an_honest_door_passes(literal):
    assert self_check(literal, channels_last(literal), honest(literal)) < 1e-6


def test_the_first_tensor_that_diverges_is_named(literal):
    wrong = literal.with_tensors(replace(literal.tensors["conv.bias"], data=np.ones(4, np.float32)))
    with pytest.raises(SelfCheckFailed, match=r"output fc differs .*first tensor that diverges is conv:last"):
        self_check(wrong, channels_last(wrong), honest(literal))


def test_a_wrong_layout_is_not_blamed_on_the_door(literal):
    laid = channels_last(literal)
    weight = laid.tensors["fc.weight"]
    wrong = laid.with_tensors(replace(weight, data=weight.data[:, ::-1]))
    with pytest.raises(SelfCheckFailed, match="every inner tensor .* agrees, so the layout pass changed it"):
        self_check(literal, wrong, honest(literal))


@pytest.mark.parametrize("broken", ["fc", "act"])
def test_nan_in_any_output_fails(literal, broken):
    literal = replace(literal, outputs=("fc", "act"))

    def oracle(feeds, keep):
        return {name: np.full_like(value, np.nan) if name == broken else value
                for name, value in reference.run(literal, feeds, keep=tuple(keep)).items()}

    with pytest.raises(SelfCheckFailed, match=f"output {broken} differs from the source by inf"):
        self_check(literal, channels_last(literal), oracle)


def test_codes_are_checked_op_by_op_and_through_the_layout_pass(tmp_path):
    from tests.golden.net import int8_graph

    graph = int8_graph(tmp_path)
    assert self_check(graph, graph, honest(graph)) == 0
    with pytest.raises(SelfCheckFailed, match="does not show its inner tensors, so nothing could be checked"):
        self_check(graph, graph, lambda feeds, keep: {})
    bias = graph.tensors["conv.bias"]
    wrong = graph.with_tensors(replace(bias, data=bias.data + 1000))
    with pytest.raises(SelfCheckFailed, match=r"act \(conv2d\) differs from the source runtime's kernel"):
        self_check(wrong, graph, honest(graph))
    with pytest.raises(SelfCheckFailed, match="differs from before the layout pass .* pass changed it"):
        self_check(graph, wrong, honest(graph))


@pytest.mark.parametrize("off, passes", [(2.0**-22, True), (1e-5, False)])
def test_rounding_of_outputs_that_hardly_differ_is_no_error(off, passes):
    """A mean over a softmax is constant but for the last bit, in which runtimes differ."""
    b = Builder("net")
    b.op("add", [b.input("x", (1, 4)), b.constant("k", np.ones(1, np.float32))], "y")
    graph = b.graph("y")
    feeds = {"x": np.float32([[0, 0, 0, 2.0**-23]])}

    def oracle(feeds, keep):
        return {"y": feeds["x"] + np.float32(1 + off)}

    if passes:
        assert self_check(graph, graph, oracle, feeds) < 1e-4
    else:
        with pytest.raises(SelfCheckFailed, match="output y differs"):
            self_check(graph, graph, oracle, feeds)
