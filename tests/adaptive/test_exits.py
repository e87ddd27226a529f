"""Early exits: what is attached, and that a network in stages is the same network."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of, small_net
from toolchain.adaptive.exits import exit_stages, pooled, require_places, with_exits, without_exits
from toolchain.chain import Chain, every_logits, run_chain
from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.quant import quantize as codes_of
from toolchain.policy import ONE, Policy
from toolchain.post_training import PostTraining
from toolchain.recipe import Recipe
from toolchain.runtime import reference


def residual() -> Graph:
    """Two blocks; what the first has made goes around the second."""
    net = Net("residual")
    stem = net.conv(net.input("x", (1, 6, 6, 2)), 4, "stem", activation="relu")
    first = net.op("add", [net.conv(stem, 4, "one"), stem], "first")
    second = net.op("add", [net.conv(net.conv(first, 4, "two"), 4, "three"), first], "second")
    pool = net.op("mean", [second], "pool", axes=(1, 2))
    return net.graph(net.dense(pool, 3, "logits"))


def heads(graph: Graph, *after: str) -> dict:
    random = np.random.default_rng(3)
    return {name: (random.normal(size=(3, graph.tensors[name].shape[-1])).astype(np.float32),
                   random.normal(size=3).astype(np.float32)) for name in after}


def test_an_exit_is_the_mean_and_a_classifier():
    given = heads(residual(), "first")
    graph, x = with_exits(residual(), given), samples_of(residual(), 5).x
    found = reference.run(graph, x, keep=("first",))
    weight, bias = given["first"]
    assert graph.outputs == ("logits", "first.exit")
    expected = pooled(found["first"]) @ weight.T + bias
    np.testing.assert_allclose(found["first.exit"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found["logits"], reference.run(residual(), x)["logits"])
    assert without_exits(graph).digest == residual().digest


@pytest.mark.parametrize("level", ["float", "int8"])
def test_in_stages_it_is_the_same_network(level):
    graph = with_exits(residual(), heads(residual(), "stem", "first"))
    feeds = samples_of(graph, 24).x
    if level == "int8":
        graph = PostTraining(graph, samples_of(graph, 64), lambda message: None).quantized(Recipe())
        feeds = {"x": codes_of(feeds["x"], graph.tensors["x"].quant)}
    stages = exit_stages(graph)
    ends = [stage.outputs for stage in stages]
    assert ends == [("stem.exit", "stem"), ("first.exit", "first"), ("logits",)]
    assert [stage.inputs for stage in stages] == [("x",), ("stem",), ("first",)]
    never = Policy(temperature=1.0, bound=0, table=(ONE,) if level == "int8" else ())
    chain = Chain("net", stages, (never, never))
    whole = reference.run(graph, feeds)
    for found, name in zip(every_logits(chain, feeds), ("stem.exit", "first.exit", "logits"), strict=True):
        np.testing.assert_array_equal(found, whole[name])
    assert (run_chain(chain, feeds)["path"] == 2).all()
    assert chain.macs == sum(Chain("x", (stage, stage), (never,)).macs for stage in stages) // 2


def test_what_a_later_stage_reads_is_handed_on_past_others():
    """An exit inside a branch: what went around it is read behind."""
    graph = with_exits(residual(), heads(residual(), "two"))
    first, last = exit_stages(graph)
    assert first.outputs == ("two.exit", "first", "two") and set(last.inputs) == {"first", "two"}


@pytest.mark.parametrize("after, error, message", [
    ("frist", BadConfig, "makes no such tensor on its way; near: first"),
    ("logits", BadConfig, "makes no such tensor on its way"),
    ("x", BadConfig, "makes no such tensor on its way")])
def test_places_that_there_are_not(after, error, message):
    with pytest.raises(error, match=message):
        require_places(residual(), [after])


def test_a_place_without_reals():
    graph = PostTraining(residual(), samples_of(residual(), 64), lambda message: None).quantized(Recipe())
    with pytest.raises(Unsupported, match=r"it is int8 \[1, 6, 6, 4\]; an exit takes channels of reals"):
        require_places(graph, ["first"])


def test_a_vector_needs_no_mean():
    graph = with_exits(small_net(), heads(small_net(), "flat"))
    assert [op.kind for op in graph.ops].count("mean") == 0 and graph.outputs[1] == "flat.exit"
