"""What is pruned and what is not, and why, in plain data."""

from dataclasses import asdict
import json

import numpy as np

from tests.prune.block_nets import ResidualNet
from tests.prune.composed_nets import ComposedNet
from toolchain.ir.build import Builder
from toolchain.prune.blocks import fixed_branches
from toolchain.prune.explanation import KeptLine, Scores, branch_lines, explain
from toolchain.prune.groups import Grouping, channel_groups


def zeros(b, *shape):
    return b.constant("c", np.zeros(shape, np.float32))


def conv(b, x, count, name):
    return b.op("conv2d", [x, zeros(b, count, 1, 1, b.tensors[x].shape[-1]), zeros(b, count)], name)


def every_reason():
    """Convolutions whose channels all stay, each for a reason of its own, and one group."""
    b = Builder("reasons")
    x = conv(b, b.input("x", (1, 4, 4, 3)), 8, "free")
    d = b.op("depthwise_conv2d", [x, zeros(b, 1, 1, 1, 8), zeros(b, 8)], "depthwise", multiplier=1)
    outputs = [
        b.op("softmax", [conv(b, d, 4, "scores")], "softmax"),
        b.op("mean", [conv(b, d, 4, "averaged")], "average", axes=(3,), keepdims=True),
        b.op("layer_norm", [conv(b, d, 4, "normed"), zeros(b, 4), zeros(b, 4)], "norm",
             axes=(3,), epsilon=1e-3),
        b.op("slice", [conv(b, d, 4, "strided")], "every second", begin=(0,) * 4, end=(1, 4, 4, 4),
             strides=(1, 1, 1, 2)),
        b.op("gather", [conv(b, d, 4, "indexed"), b.input("places", (1, 2), "int64")], "picked", axis=3),
        b.op("argmax", [conv(b, d, 4, "ranked")], "best", axis=3)]
    return b.graph(*outputs, b.op("relu", [conv(b, d, 1, "single")], "flag"))


def explained(graph, **known):
    return explain(graph, channel_groups(graph), **known)


def test_everything_that_stays_has_its_reason():
    kept = {line.name: line for line in explained(every_reason()).kept}
    assert {name: line.reason for name, line in kept.items()} == {
        "scores": "softmax (softmax) needs all channels of scores: they compete",
        "averaged": "average (mean) needs all channels of averaged: it is taken over them",
        "normed": "norm (layer_norm) needs all channels of normed: "
                  "they are normalized by what all of them are",
        "strided": "every second (slice) needs all channels of strided: it takes one of several",
        "indexed": "picked (gather) needs all channels of indexed: its indices count along them",
        "ranked": "best (argmax) needs all channels of ranked: it counts along them",
        "single": "flag is an output of the network"}
    assert kept["scores"] == KeptLine("scores", "conv2d", 4, kept["scores"].reason)


def test_a_group_lists_who_makes_and_reads_it_its_scores_and_what_goes():
    scores = [np.array([4, 1, 3, 2, 8, 7, 6, 5.0])]
    (line,) = explained(every_reason(), scores=scores, gone={0: np.array([1, 3])}).groups
    assert (line.name, line.channels, line.gone) == ("free", 8, 2)
    assert line.makers == ("free", "depthwise")
    assert line.readers == ("scores", "averaged", "normed", "strided", "indexed", "ranked", "single")
    assert line.scores == Scores(1.0, 4.5, 8.0)
    assert {"free", "depthwise"} < set(line.tensors)


def test_a_narrow_group_is_told_as_a_group():
    graph = every_reason()
    reason = "has 8 channels, not more than the multiple 8"
    narrow = explain(graph, Grouping(channel_groups(graph).groups, {"free channels": reason}))
    assert narrow.kept == (KeptLine("free channels", "group", 0, reason),)


def test_an_explanation_is_plain_data():
    found = explained(ComposedNet(7).graph(6))
    told = json.loads(json.dumps(asdict(found)))
    assert [line["name"] for line in told["groups"]] == [line.name for line in found.groups]


def test_branches_that_go_take_those_within_them():
    net = ResidualNet(0)
    x = net.plain(net.x)
    outer = net.nested(x)
    chained = net.chained(outer)
    graph = net.build.graph(net.conv(chained, 3))
    lines = {line.name: line for line in branch_lines(graph, [outer])}
    assert [line.name for line in lines.values() if line.gone] == ["add", outer]
    assert lines["add"].ops < lines[outer].ops
    assert {line.name: line.reason for line in lines.values() if line.reason} == dict(fixed_branches(graph))
    assert fixed_branches(graph) and set(lines) == {op.name for op in graph.ops if op.kind == "add"}
