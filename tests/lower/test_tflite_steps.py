"""Steps cut out and put together in LiteRT: no reshape of one step, the same answers."""

from collections import Counter

import numpy as np
import pytest

from tests.ir.recurrent_nets import LAYERS, STEPS, network
from tests.random_nets import noise, quantized
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.unrolling import unrolled
from toolchain.lower.tflite import write_tflite
from toolchain.lower.tflite_steps import with_rows
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT


def kinds(graph: Graph) -> Counter:
    return Counter(op.kind for op in graph.ops)


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("codes", [False, True])
def test_a_layer_has_no_reshape_of_one_step(kind, asked, reverse, codes):
    net = network(kind, reverse, leaves="sequence", **asked)
    graph = unrolled(quantized(net) if codes else canonical(net)).graph
    rows = with_rows(graph)
    assert kinds(graph)["reshape"] >= 2 * STEPS > STEPS > kinds(rows)["reshape"]
    assert kinds(rows) - Counter(reshape=99) == kinds(graph) - Counter(reshape=99)
    feeds = noise(graph, 3)
    for name, want in reference.run(graph, feeds).items():
        np.testing.assert_allclose(reference.run(rows, feeds)[name], want, rtol=0, atol=0 if codes else 1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
def test_litert_computes_the_same(kind, asked):
    graph = canonical(network(kind, **asked))
    feeds = noise(graph, 3)
    got = LiteRT(write_tflite(graph)).run(feeds)
    for name, want in reference.run(graph, feeds).items():
        np.testing.assert_allclose(got[name], want, atol=1e-6)


def cut_and_joined(shape: tuple[int, ...], axis: int, row: tuple[int, ...]) -> Graph:
    """Every place along the axis cut out and reshaped to a row, and those put together again."""
    build = Builder("net")
    x = build.input("x", shape)
    size = (*shape[:axis], 1, *shape[axis + 1:])
    parts = []
    for place in range(shape[axis]):
        begin = [place if at == axis else 0 for at in range(len(shape))]
        end = [b + s for b, s in zip(begin, size)]
        cut = build.op("slice", [x], f"cut{place}", begin=begin, end=end, strides=[1] * len(shape))
        parts.append(build.op("reshape", [cut], f"row{place}", shape=row))
    doubled = [build.op("add", [part, part], f"{part}.doubled") for part in parts]
    wide = [build.op("reshape", [part], f"{part}.wide", shape=size) for part in doubled]
    return build.graph(build.op("concat", wide, "y", axis=axis))


@pytest.mark.oracle
def test_the_last_step_of_what_was_put_together():
    """Rows of all steps, and all steps end to end, are two tensors, and none that has such a name."""
    build = Builder("net")
    x = build.input("x", (1, STEPS, 3))
    mean = build.op("mean", [x], "whole:rows", axes=(1,), keepdims=True)
    parts = [build.op("slice", [x], f"cut{at}", begin=(0, at, 0), end=(1, at + 1, 3), strides=(1, 1, 1))
             for at in range(STEPS)]
    rows = [build.op("reshape", [part], f"{part}.row", shape=(1, 3)) for part in parts]
    wide = [build.op("reshape", [row], f"{row}.wide", shape=(1, 1, 3)) for row in rows]
    whole = build.op("concat", wide, "whole", axis=1)
    last = build.op("slice", [whole], "last", begin=(0, STEPS - 1, 0), end=(1, STEPS, 3), strides=(1, 1, 1))
    graph = build.graph(build.op("reshape", [last], "y", shape=(1, 3)), mean)
    feeds = noise(graph, 2)
    got = LiteRT(write_tflite(with_rows(graph))).run(feeds)
    np.testing.assert_array_equal(got["y"], feeds["x"][:, -1])
    np.testing.assert_allclose(got[mean], feeds["x"].mean(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("shape, axis, row, reshapes", [
    ((1, 5, 3), 1, (1, 3), 2),
    ((1, 1, 5, 3), 2, (1, 3), 2),
    ((1, 5, 2, 3), 1, (1, 2, 3), 2),
    ((1, 2, 5, 3), 2, (1, 2, 3), 10),   # rows do not lie end to end
    ((1, 5, 2, 3), 1, (1, 6), 10),      # the reshape does more than drop the axis
])
def test_only_what_lies_end_to_end_is_taken_as_rows(shape, axis, row, reshapes):
    graph = cut_and_joined(shape, axis, row)
    rows = with_rows(graph)
    assert kinds(rows)["reshape"] == reshapes
    feeds = noise(graph, 2)
    np.testing.assert_array_equal(reference.run(rows, feeds)["y"], reference.run(graph, feeds)["y"])
