"""The sliced network is the masked one, its shapes are legal, and kept channels are what the target likes."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.models import NETWORKS
from tests.prune.nets import RandomNet
from tests.prune.tasks import evidence
from toolchain.errors import BadInput, SelfCheckFailed
from toolchain.ir import ops
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.layout import channels_last
from toolchain.load.torch import load_torch
from toolchain.prune.cost import CHANNELS, MACS, Limit
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.prune.masks import scales_of, with_masks
from toolchain.prune.prune import (
    Aim,
    Pruned,
    cost_of,
    criterion_of,
    cut_to,
    grouping_of,
    scores_of,
    told_by,
)
from toolchain.prune.steps import liked_steps
from toolchain.recipe import PruneConfig
from toolchain.runtime import reference
from toolchain.train.evidence import task_loss


def ran(graph, seed=0):
    rng = np.random.default_rng(seed)
    feeds = {n: rng.standard_normal((2, *graph.tensors[n].shape[1:]), np.float32) for n in graph.inputs}
    return reference.run(graph, feeds)[graph.outputs[0]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 6), share=st.floats(0.05, 0.95))
def test_sliced_equals_masked(seed, blocks, share):
    """Any channels of any groups: residuals, concat, flatten, depthwise with multiplier, gates."""
    graph = RandomNet(seed).graph(blocks)
    groups = channel_groups(graph).groups
    rng = np.random.default_rng(seed)
    cuts = [(g, np.flatnonzero(rng.random(g.channels)[: g.channels - 1] < share)) for g in groups]
    kept = kept_elements(graph, cuts)
    smaller = check(sliced(graph, kept), "FLOAT")
    scales = scales_of(groups, {number: channels for number, (_, channels) in enumerate(cuts)})
    got, expected = ran(smaller), ran(with_masks(graph, groups).at(scales))
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()
    gone = sum(len(channels) for _, channels in cuts)
    assert (smaller.parameters < graph.parameters) == (gone > 0)


def prune(graph, config, multiples=None) -> Pruned:
    """One step by the channels, without samples."""
    aim = Aim((), lambda graph, groups: liked_steps(graph, groups, multiples or {}))
    grouping = grouping_of(graph, config)
    whole = cost_of(graph, grouping.groups, CHANNELS)
    smaller = cut_to(graph, config, replace(aim, limits=(Limit(CHANNELS, (1 - config.ratio) * whole),)))
    return Pruned.of(graph, grouping, aim.steps(graph, grouping.groups), smaller)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 6), ratio=st.floats(0, 0.4),
       multiple=st.integers(1, 3))
def test_kept_channels_are_multiples_and_never_none(seed, blocks, ratio, multiple):
    graph = RandomNet(seed).graph(blocks)
    try:
        pruned = prune(graph, PruneConfig(ratio=ratio), {"conv2d": multiple, "fully_connected": 1})
    except BadInput as error:
        assert "cannot be reached" in str(error)
        return
    check(pruned.graph, "FLOAT")
    steps = liked_steps(graph, channel_groups(graph).groups, {"conv2d": multiple})
    for group, step in zip(pruned.groups, steps):
        assert 0 < group.kept <= group.channels
        assert group.kept % step == 0 or group.kept == group.channels
    slack = max(steps, default=0) / max(1, sum(g.channels for g in pruned.groups))
    assert ratio <= pruned.ratio + 1e-9 and pruned.ratio <= ratio + 2 * slack


def test_nothing_asked_nothing_changed():
    graph = RandomNet(1).graph(4)
    pruned = prune(graph, PruneConfig(ratio=0.0))
    assert pruned.graph.digest == graph.digest and pruned.ratio == 0


def test_the_least_important_channels_go():
    b = Builder("rank")
    rows = np.diag([5, 1, 4, 2, 3]).astype(np.float32)
    v, zeros = np.ones((2, 5), np.float32), np.zeros(5, np.float32)
    h = b.op("fully_connected", [b.input("x", (1, 5)), b.constant("w", rows), b.constant("b", zeros)], "h")
    y = b.op("fully_connected", [h, b.constant("v", v), b.constant("c", zeros[:2])], "y")
    pruned = prune(b.graph(y), PruneConfig(ratio=0.4))
    smaller = pruned.graph
    np.testing.assert_array_equal(smaller.tensors["w"].data, rows[[0, 2, 4]])
    assert smaller.tensors["v"].shape == (2, 3)
    assert pruned.macs == (35, 21) and pruned.parameters == (42, 26)


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_shrink(name):
    """Without 40 % of the channels a third to a half of the arithmetic is left; multiples of 4."""
    module, example = NETWORKS[name]()
    graph = channels_last(load_torch(module, example, name))
    pruned = prune(graph, PruneConfig(ratio=0.4), {"conv2d": 4, "depthwise_conv2d": 4})
    smaller = pruned.graph
    assert pruned.ratio == pytest.approx(0.4, abs=0.05)
    assert 0.3 < pruned.macs[1] / pruned.macs[0] < 0.55
    assert smaller.tensors[graph.outputs[0]].shape == graph.tensors[graph.outputs[0]].shape
    assert set(smaller.tensors) == set(graph.tensors)


def test_narrow_groups_are_reported():
    module, example = NETWORKS["resnet8"]()
    graph = channels_last(load_torch(module, example, "net"))
    pruned = prune(graph, PruneConfig(ratio=0.4), {"conv2d": 16})
    assert pruned.fixed["stem.0"] == "has 16 channels, not more than the multiple 16"
    assert pruned.fixed["fc"] == "fc is an output of the network"
    assert pruned.summary.startswith("pruned 4") and "MACs 12,501,632 -> " in pruned.summary
    assert pruned.summary.endswith("stem.0: has 16 channels, not more than the multiple 16; blocks.0.conv1: "
                                    "has 16 channels, not more than the multiple 16")


def test_norms_of_weights_are_not_set_against_costs():
    """Every group keeps some three fifths of its channels; by cost the dearest would be emptied first."""
    module, example = NETWORKS["resnet8"]()
    graph = channels_last(load_torch(module, example, "resnet8"))
    config = PruneConfig(macs=0.5)
    grouping = grouping_of(graph, config)
    smaller = cut_to(graph, config, Aim((Limit(MACS, 0.5 * MACS.of(graph)),)))
    cuts = Pruned.of(graph, grouping, [1] * len(grouping.groups), smaller).groups
    assert all(0.5 < cut.kept / cut.channels < 1 for cut in cuts)


def with_dead_rows(dead):
    """x (4) -> h (8), relu -> y (3): rows of h without weights hold their bias, 2."""
    rng, b = np.random.default_rng(0), Builder("dead")
    w = rng.standard_normal((8, 4)).astype(np.float32)
    w[dead] = 0
    parts = [b.constant("w", w), b.constant("b", np.where(w.any(1), 0, 2).astype(np.float32))]
    h = b.op("fully_connected", [b.input("x", (1, 4)), *parts], "h", activation="relu")
    v = b.constant("v", 10 * rng.standard_normal((3, 8)).astype(np.float32))
    return b.graph(b.op("fully_connected", [h, v, b.constant("c", np.zeros(3, np.float32))], "y"))


@pytest.mark.parametrize("measure", ["l2", "lamp", "taylor"])
def test_channels_that_hold_a_constant_go_first_and_nothing_changes(measure):
    """However large the weights are that read them."""
    graph = with_dead_rows([1, 4, 6])
    aim = Aim((Limit(CHANNELS, 5),), evidence=evidence(graph))
    config = PruneConfig(ratio=0.4, importance=measure)
    groups = grouping_of(graph, config).groups
    scores, = scores_of(graph, groups, config, aim)
    assert np.flatnonzero(scores == 0).tolist() == [1, 4, 6] and (scores >= 0).all()
    smaller = cut_to(graph, config, aim)
    assert smaller.tensors["w"].shape == (5, 4) and smaller.tensors["c"].data.any()
    np.testing.assert_allclose(ran(smaller), ran(graph), rtol=1e-5, atol=1e-4)


def test_where_all_channels_hold_a_constant_one_stays():
    graph = with_dead_rows(list(range(8)))
    smaller = cut_to(graph, PruneConfig(ratio=0.9), Aim((Limit(CHANNELS, 1),)))
    assert smaller.tensors["w"].shape == (1, 4)
    np.testing.assert_allclose(ran(smaller), ran(graph), rtol=1e-5, atol=1e-4)


def test_a_share_of_the_channels_that_a_network_had_stays():
    """Not of those that an earlier step left: 2 of 20, 1 of 8; the limit is out of reach for less."""
    b, rng = Builder("wide"), np.random.default_rng(2)
    x = b.input("x", (1, 4))
    for name, rows, columns in (("h", 20, 4), ("k", 8, 20), ("y", 3, 8)):
        parts = [b.constant("w", rng.standard_normal((rows, columns)).astype(np.float32)),
                 b.constant("b", np.zeros(rows, np.float32))]
        x = b.op("fully_connected", [x, *parts], name)
    graph = b.graph(x)
    aim, config = Aim((), channels={"h": 20, "k": 8}), PruneConfig(ratio=0.5, scope="layer")
    for most in range(10, 0, -1):
        try:
            graph = cut_to(graph, config, replace(aim, limits=(Limit(CHANNELS, most),)))
        except BadInput:
            break
    assert graph.tensors["h"].shape == (1, 2) and graph.tensors["k"].shape == (1, 1)
    free = Aim((Limit(CHANNELS, most),))
    assert cut_to(graph, config, free).tensors["h"].shape == (1, 1)


@pytest.mark.parametrize("config, labels, measure, tells", [
    (PruneConfig(macs=0.5), None, "l2", "channels"),
    (PruneConfig(macs=0.5), True, "taylor", "loss"),
    (PruneConfig(macs=0.5, blocks=True), True, "fisher", "increase"),
    (PruneConfig(macs=0.5), False, "hessian", "increase"),
    (PruneConfig(macs=0.5, blocks=True), False, "perturbation", "increase"),
    (PruneConfig(macs=0.5, importance="apoz"), True, "apoz", "channels"),
    (PruneConfig(macs=0.5, importance="apoz", scope="sensitivity"), True, "apoz", "increase")])
def test_what_judges_where_nothing_is_said(config, labels, measure, tells):
    """labels: None: no samples; False: numbers, without labels"""
    graph = RandomNet(1).graph(0)
    shown = None if labels is None else evidence(graph) if labels else against_itself(graph)
    assert (criterion_of(config, shown), told_by(config, shown)) == (measure, tells)


def test_a_network_held_against_itself_can_be_pruned():
    """Better than by what its weights say."""
    graph = RandomNet(7).graph(3)
    shown, losses = against_itself(graph), {}
    for measure in ("auto", "random"):
        config = PruneConfig(macs=0.7, importance=measure)
        smaller = cut_to(graph, config, Aim((Limit(MACS, 0.7 * MACS.of(graph)),), evidence=shown))
        feeds = shown.samples.feeds(np.arange(len(shown.samples)))
        got, expected = (reference.run(one, feeds)[graph.outputs[0]] for one in (smaller, graph))
        losses[measure] = np.square(got - expected).mean()
    assert losses["auto"] < 0.5 * losses["random"]


def against_itself(graph):
    """Of numbers without labels: squared differences from what the network gives."""
    return task_loss(graph, replace(evidence(graph, count=32).samples, y=None), "mse")


def test_a_quantized_graph_is_refused():
    b = Builder("int8")
    graph = b.graph(b.op("relu", [b.input("x", (1, 4), "int8")], "y"))
    with pytest.raises(BadInput, match="int8: only a float graph can be pruned; prune before quantizing"):
        prune(graph, PruneConfig(ratio=0.5))


def test_a_wrong_channel_rule_is_caught(monkeypatch):
    """With concat's parts swapped in the rule the sliced network is another one, and says so."""
    right = ops.OPS["concat"].channels

    def swapped(op, shapes):
        (a, first), (b, second), *others = right(op, shapes)
        return [(a, second), (b, first), *others]
    net = RandomNet(3)
    x = net.plain(net.x)
    parts = net.build.op("concat", [net.conv(x, 8), net.conv(x, 8)], "parts", axis=3)
    graph = net.build.graph(net.conv(parts, 4))
    prune(graph, PruneConfig(ratio=0.5))
    monkeypatch.setattr(ops, "OPS", {**ops.OPS, "concat": replace(ops.OPS["concat"], channels=swapped)})
    monkeypatch.setattr("toolchain.ir.elements.OPS", ops.OPS)
    with pytest.raises(SelfCheckFailed, match="is a bug in a channel rule"):
        prune(graph, PruneConfig(ratio=0.5))


def test_pruning_twice_gives_one_digest():
    graph = RandomNet(5).graph(5)
    config = PruneConfig(ratio=0.5, importance="l1")
    first, second = (prune(graph, config, {"conv2d": 2}).graph for _ in range(2))
    assert first.digest == second.digest != graph.digest
