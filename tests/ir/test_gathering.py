"""Channel gathers baked into weights."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.gathering import fold_gather
from toolchain.runtime import reference

RNG = np.random.default_rng(5)


def normal(b, name, *shape):
    return b.constant(name, RNG.normal(size=shape).astype(np.float32))


def picked(b, x, indices, axis=-1):
    rank = len(b.tensors[x].shape)
    order = b.constant("order", np.array(indices))
    return b.op("gather", [x, order], "picked", axis=axis % rank)


def conv(b, x, outputs, name, kind="conv2d", **attrs):
    channels = b.tensors[x].shape[-1]
    inner = (2, 2) if kind != "fully_connected" else ()
    return b.op(kind, [x, normal(b, f"{name}.w", outputs, *inner, channels), normal(b, f"{name}.b", outputs)],
                name, **attrs)


def kinds_after(graph):
    folded = check(fold_gather(graph), "FLOAT")
    (name,), tensor = graph.inputs, graph.tensors[graph.inputs[0]]
    feeds = {name: RNG.normal(size=(2, *tensor.shape[1:])).astype(np.float32)}
    expected, got = reference.run(graph, feeds), reference.run(folded, feeds)
    for output in graph.outputs:
        np.testing.assert_allclose(got[output], expected[output], rtol=1e-5, atol=1e-5)
    return [op.kind for op in folded.ops]


@pytest.mark.parametrize("indices", [[2, 0, 1, 3], [3, 3, 0], [1]])
@pytest.mark.parametrize("kind", ["conv2d", "transpose_conv2d", "fully_connected"])
def test_a_gather_beside_a_weighted_op_is_the_order_of_its_weights(kind, indices):
    shape = (1, 4) if kind == "fully_connected" else (1, 5, 5, 4)
    b = Builder("after")
    y = conv(b, b.input("x", shape), 4, "conv", kind, activation="relu")
    assert kinds_after(b.graph(picked(b, y, indices))) == [kind]
    b = Builder("before")
    assert kinds_after(b.graph(conv(b, picked(b, b.input("x", shape), indices), 3, "conv", kind))) == [kind]


def test_a_gather_of_rows_or_of_what_others_read_stays():
    b = Builder("rows")
    y = conv(b, b.input("x", (1, 5, 5, 4)), 4, "conv")
    assert kinds_after(b.graph(picked(b, y, [1, 0], axis=1))) == ["conv2d", "gather"]
    b = Builder("shared")
    y = conv(b, b.input("x", (1, 5, 5, 4)), 4, "conv")
    assert kinds_after(b.graph(picked(b, y, [1, 0]), y)) == ["conv2d", "gather"]


def test_a_convolution_in_groups_keeps_its_order():
    b = Builder("groups")
    x = b.input("x", (1, 5, 5, 4))
    grouped = b.op("conv2d", [x, normal(b, "w", 4, 1, 1, 2), normal(b, "b", 4)], "grouped")
    assert kinds_after(b.graph(picked(b, grouped, [2, 0, 1, 3]))) == ["conv2d", "gather"]
