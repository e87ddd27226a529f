"""Ops in two thinner ones: the same network at full rank, what it may cost, what stays and why."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.data import Samples
from toolchain.errors import BadConfig, BadInput
from toolchain.execution import watch
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.graph import constant
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.prune.cost import MACS, PARAMETERS, Cost, Limit
from toolchain.prune.factors import FORMS, product
from toolchain.prune.in_two import Prices
from toolchain.prune.low_rank import _choice, _forms, low_rank, thinned
from toolchain.prune.ranks import Option
from toolchain.prune.seen import seen_by
from toolchain.runtime import reference
from toolchain.shape_sections import LowRankConfig

HALF = LowRankConfig(macs=0.5)


def network(activation="relu", norm=True, **attrs):
    """A convolution, a batch norm, a wide fully connected op."""
    rng, b = np.random.default_rng(0), Builder("net")

    def numbers(name, *shape, low=-1.0):
        return b.constant(name, rng.uniform(low, 1, shape).astype(np.float32))

    x = b.op("conv2d", [b.input("x", (1, 9, 8, 6)), numbers("conv.weight", 16, 3, 3, 6),
                        numbers("conv.bias", 16)], "conv", activation=None if norm else activation, **attrs)
    if norm:
        x = b.op("batch_norm", [x, *(numbers(f"bn.{name}", 16) for name in ("gamma", "beta", "mean")),
                                numbers("bn.variance", 16, low=0.1)], "bn", epsilon=1e-3)
        x = b.op("relu", [x], "act")
    x = b.op("reshape", [x], "flat", shape=(1, int(np.prod(b.tensors[x].shape))))
    x = b.op("fully_connected", [x, numbers("fc.weight", 40, b.tensors[x].shape[1]), numbers("fc.bias", 40)],
             "fc", activation=activation)
    return b.graph(x)


def noise(graph, count=24):
    shape = graph.tensors["x"].shape[1:]
    x = np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32) + 0.5
    return Samples("noise", {"x": x}, None, None, np.arange(count))


def outputs(graph, samples):
    return reference.run(graph, {"x": samples.x["x"]})[graph.outputs[0]]


def at_ranks(graph, form, share, samples=None):
    """The graph with every op that can in this form, at that share of its full rank."""
    config = LowRankConfig(macs=0.5, form=form)
    ops = [op for op in graph.ops if op.kind in ("conv2d", "fully_connected")
           and _forms(op, graph.of(op)[1], config)]
    prices = Prices.of(graph, (MACS,))
    choices = [_choice(graph, op, seen, config, prices)
               for op, seen in zip(ops, seen_by(graph, ops, samples))]
    return thinned(graph, [(choice, Option(form, max(1, round(share * choice.factors[form].rank)), 0, 0))
                           for choice in choices])


GEOMETRY = [{}, {"stride": (2, 1), "pads": (1, 0, 2, 1)}, {"dilation": (2, 3), "pads": (2, 2, 3, 3)},
            {"stride": (2, 2), "dilation": (1, 2), "pads": (0, 1, 0, 2)}]


@pytest.mark.parametrize("attrs", GEOMETRY)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("norm, activation", [(True, None), (False, "relu6"), (False, None)])
@pytest.mark.parametrize("given", [False, True])
def test_at_full_rank_it_is_the_same_network(form, attrs, norm, activation, given):
    graph = network(activation, norm, **attrs)
    samples = noise(graph)
    thin = at_ranks(graph, form, 1.0, samples if given else None)
    assert len(thin.ops) == len(graph.ops) + (2 if form == "channel" else 1)
    expected, found = outputs(graph, samples), outputs(thin, samples)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.oracle
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
@pytest.mark.parametrize("form", FORMS)
def test_other_runtimes_agree_at_any_rank(form, runtime):
    graph = canonical(at_ranks(network(**GEOMETRY[1]), form, 0.4))
    samples = noise(graph)
    expected = outputs(graph, samples)
    found = watch(graph, graph.outputs, runtime)({"x": samples.x["x"]})[graph.outputs[0]]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_of_both_forms_the_one_that_loses_less():
    """A kernel made of two columns and two rows, which takes six channels."""
    graph, rng = network(norm=False, pads=(1, 1, 1, 1)), np.random.default_rng(0)
    first, second = rng.standard_normal((2, 3, 1, 6)), rng.standard_normal((16, 1, 3, 2))
    weight = constant("conv.weight", product(first, second).astype(np.float32))
    spatial = low_rank(graph.with_tensors(weight), LowRankConfig(macs=0.9, keep=("fc",)),
                       Limit(MACS, graph_macs(graph) - 35000), noise(graph)).lines[0]
    assert (spatial.form, spatial.rank) == ("spatial", 2) and spatial.kept > 0.9999


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("given", [False, True])
def test_the_error_falls_with_the_rank(form, given):
    graph = network(pads=(1, 1, 1, 1))
    samples = noise(graph)
    errors = [np.square(outputs(at_ranks(graph, form, share, samples if given else None), samples)
                        - outputs(graph, samples)).mean() for share in (0.1, 0.4, 0.7, 0.9, 1.0)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-8 * errors[0]


@pytest.mark.parametrize("form", FORMS)
def test_samples_do_better_than_weights_alone_and_keep_the_mean(form, monkeypatch):
    """All windows are looked at."""
    monkeypatch.setattr("toolchain.prune.seen.ROWS", 10**6)
    graph = network(activation=None, norm=False)
    samples = noise(graph, 100)
    expected, blind, told = (
        reference.run(thin, {"x": samples.x["x"]}, keep=["conv"])["conv"]
        for thin in (graph, *(at_ranks(graph, form, 0.5, s) for s in (None, samples))))
    assert np.square(told - expected).mean() < 0.9 * np.square(blind - expected).mean()
    np.testing.assert_allclose(told.mean(axis=(0, 1, 2)), expected.mean(axis=(0, 1, 2)), atol=1e-3)


def test_names_come_from_the_op():
    graph = low_rank(network(), HALF, Limit(MACS, 0.5 * graph_macs(network()))).graph
    assert [op.name for op in graph.ops if op.kind == "fully_connected"] == ["fc.thin", "fc"]
    first, second = graph.producers["fc.thin"], graph.producers["fc"]
    assert first.inputs == ("flat", "fc.thin.weight", "fc.thin.bias")
    assert second.inputs == ("fc.thin", "fc.weight", "fc.bias")
    assert (first.attrs["activation"], second.attrs["activation"]) == (None, "relu")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 4), share=st.floats(0.5, 0.99),
       cost=st.sampled_from([MACS, PARAMETERS]))
def test_random_networks_keep_their_budget(seed, blocks, share, cost):
    graph = RandomNet(seed).graph(blocks)
    whole = cost.of(canonical(graph))
    try:
        made = low_rank(graph, LowRankConfig(macs=share), Limit(cost, share * whole))
    except BadInput as error:
        assert "cannot be reached; the least is" in str(error)
        return
    check(made.graph, "FLOAT")
    after = cost.of(canonical(made.graph))
    assert after <= share * whole
    assert whole - after == pytest.approx(sum(line.cost[0] - line.cost[1] for line in made.lines))
    assert all(bool(line.form) != bool(line.reason) for line in made.lines)


def test_a_network_within_its_budget_is_left_as_it_is():
    graph = network()
    made = low_rank(graph, HALF, Limit(MACS, graph_macs(graph)))
    assert made.graph.digest == graph.digest
    assert {line.reason for line in made.lines} == {"the budget is kept without it"}
    assert made.summary == ("in two thinner ops: none; left as they are: conv: the budget is kept without "
                            "it; fc: the budget is kept without it")


def kinds():
    """One op of each kind that stays, and a convolution."""
    rng, b = np.random.default_rng(0), Builder("kinds")

    def weights(name, *shape, outputs):
        return [b.constant(f"{name}.weight", rng.standard_normal(shape).astype(np.float32)),
                b.constant(f"{name}.bias", np.zeros(outputs, np.float32))]

    x = b.op("conv2d", [b.input("x", (1, 6, 6, 8)), *weights("plain", 32, 1, 1, 8, outputs=32)], "plain")
    x = b.op("depthwise_conv2d", [x, *weights("deep", 1, 3, 3, 32, outputs=32)], "deep")
    x = b.op("conv2d", [x, *weights("grouped", 32, 3, 3, 8, outputs=32)], "grouped")
    shared = weights("shared", 32, 3, 3, 32, outputs=32)
    x = b.op("conv2d", [x, *shared], "shared", pads=(1, 1, 1, 1))
    x = b.op("conv2d", [x, *shared], "again", pads=(1, 1, 1, 1))
    x = b.op("transpose_conv2d", [x, *weights("up", 8, 2, 2, 32, outputs=8)], "up")
    x = b.op("conv2d", [x, *weights("wide", 64, 3, 3, 8, outputs=64)], "wide")
    return b.graph(x)


def reasons(graph, config, limit, **given):
    return {line.name: line.reason for line in low_rank(graph, config, limit, **given).lines}


def test_what_stays_says_why():
    graph = kinds()
    limit = Limit(MACS, 0.99 * graph_macs(graph))
    told = reasons(graph, LowRankConfig(macs=0.99, keep=("pl*",)), limit)
    assert told == {
        "plain": "[low_rank] keep", "deep": "each output of a depthwise convolution reads one input alone",
        "grouped": "a convolution in 4 groups stays as it is", "shared": "it shares its weight or bias",
        "again": "it shares its weight or bias", "up": "a transposed convolution stays as it is", "wide": ""}
    told = reasons(graph, LowRankConfig(macs=0.99, form="spatial"), limit)
    assert told["plain"] == 'its kernel has not the two sides that form = "spatial" parts'


def test_what_does_not_pay_on_the_target_stays():
    """By a table where every op costs the same, two never pay."""
    graph, limit = network(), Limit(MACS, 0.5 * graph_macs(network()))
    with pytest.raises(BadInput, match=r"no rank pays: channel of rank 2 takes 2 us for 1, spatial of r"):
        low_rank(graph, HALF, limit, table=Cost("latency", "us", of_op=lambda *_: 1.0))


def test_what_cannot_be_done_is_said():
    graph = network()
    with pytest.raises(BadInput, match=r"net: \[low_rank\]: 10 multiply-accumulates cannot be reached; the"):
        low_rank(graph, HALF, Limit(MACS, 10))
    with pytest.raises(BadConfig, match=r'net: \[low_rank\] keep "head" matches no op with weights; it has'):
        low_rank(graph, LowRankConfig(macs=0.5, keep=("head",)), Limit(MACS, 10))
    b = Builder("int8")
    with pytest.raises(BadInput, match="int8: only a float graph becomes thinner ops; do so before q"):
        low_rank(b.graph(b.op("relu", [b.input("x", (1, 4), "int8")], "y")), HALF, Limit(MACS, 10))
