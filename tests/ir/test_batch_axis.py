"""Tokens leave the batch's axis, and nothing else happens."""

import numpy as np
import pytest

from tests.zoo.catalogue import ZOO
from toolchain.ir.batch_axis import batch_first
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.runtime import reference
from toolchain.runtime.reference import keeps_batch

RNG = np.random.default_rng(1)


def unchanged(graph):
    """The graph behind the pass, which computes the same to the last bit of float products."""
    made = check(batch_first(graph), "FLOAT")
    feeds = {"x": RNG.standard_normal(graph.tensors["x"].shape, np.float32)}
    expected, found = reference.run(graph, feeds), reference.run(made, feeds)
    for name in graph.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    return made


def layer(b, x, kind, width=5):
    inner = (1, 1) if kind == "conv2d" else ()
    weight = RNG.standard_normal((width, *inner, b.tensors[x].shape[-1])).astype(np.float32)
    return b.op(kind, [x, b.constant("w", weight), b.constant("b", np.ones(width, np.float32))], "y")


def test_a_transpose_that_only_moves_the_batch_is_a_reshape():
    b = Builder("tokens first")
    turned = b.op("transpose", [b.input("x", (1, 6, 4))], "turned", perm=(1, 0, 2))
    made = unchanged(b.graph(b.op("sum", [turned], "y", axes=(2,))))
    assert [op.kind for op in made.ops] == ["reshape", "sum"]


@pytest.mark.parametrize("perm", [(1, 0, 2, 3), (2, 1, 0, 3), (3, 2, 1, 0)])
def test_a_transpose_behind_tokens_has_the_batch_first(perm):
    b = Builder("heads")
    apart = b.op("reshape", [b.input("x", (1, 6, 8))], "apart", shape=(6, 1, 2, 4))
    made = unchanged(b.graph(b.op("relu", [b.op("transpose", [apart], "turned", perm=perm)], "y")))
    assert all(op.attrs["perm"][0] == 0 and made.of(op)[0].shape[0] == 1 for op in made.ops
               if op.kind == "transpose")


@pytest.mark.parametrize("kind, shape", [("conv2d", (6, 1, 1, 4)), ("fully_connected", (6, 4))])
def test_linear_layers_of_tokens_are_1x1_convolutions_over_one_sample(kind, shape):
    b = Builder("linear")
    y = layer(b, b.op("reshape", [b.input("x", (1, 6, 4))], "rows", shape=shape), kind)
    made = canonical(unchanged(b.graph(b.op("reshape", [y], "out", shape=(1, 6, 5)))))
    assert [(op.kind, op.name) for op in made.ops] == [("reshape", "y:batch"), ("conv2d", "y"),
                                                       ("reshape", "out")]
    assert all(t.shape[0] == 1 for t in made.activations)


def test_products_and_softmax_of_heads_have_a_batch_before_them():
    b = Builder("heads")
    x = b.op("reshape", [b.input("x", (1, 3, 5, 4))], "heads", shape=(3, 5, 4))
    scores = b.op("batch_matmul", [x, x], "scores", transpose_b=True)
    scaled = b.op("mul", [scores, b.constant("half", np.float32([0.5]))], "scaled")
    shares = b.op("softmax", [scaled], "shares")
    y = b.op("reshape", [b.op("batch_matmul", [shares, x], "values")], "y", shape=(1, 60))
    made = canonical(unchanged(b.graph(y)))
    assert [op.kind for op in made.ops] == ["batch_matmul", "mul", "softmax", "batch_matmul", "reshape"]


def test_an_output_keeps_its_name_and_its_shape():
    b = Builder("output")
    y = layer(b, b.op("reshape", [b.input("x", (1, 6, 4))], "rows", shape=(6, 4)), "fully_connected")
    made = unchanged(b.graph(y))
    assert made.outputs == ("y",) and made.tensors["y"].shape == (6, 5)


def test_what_has_its_batch_stays_as_it_is():
    b = Builder("image")
    y = layer(b, b.op("transpose", [b.input("x", (1, 4, 3, 3))], "turned", perm=(0, 2, 3, 1)), "conv2d")
    graph = b.graph(y)
    assert [op.name for op in batch_first(graph).ops] == [op.name for op in graph.ops]


def test_of_reshapes_that_put_tokens_first_and_back_the_last_is_left():
    b = Builder("there and back")
    y = b.op("reshape", [b.op("relu", [b.input("x", (1, 6, 8))], "relu")], "tokens", shape=(6, 1, 8))
    y = b.op("reshape", [b.op("reshape", [y], "rows", shape=(6, 8))], "heads", shape=(1, 6, 2, 4))
    made = unchanged(b.graph(b.op("exp", [y], "y")))
    assert [(op.name, *op.inputs) for op in made.ops] == [("relu", "x"), ("heads", "relu"), ("y", "heads")]


@pytest.mark.parametrize("name", ["keyword_transformer", "vit", "mobilevit", "text_transformer"])
def test_what_attends_runs_on_many_samples_at_once(name):
    """So that it can be trained: tokens lie nowhere on axis 0, which reshapes and transposes leave alone."""
    graph = load(ZOO[name].open())
    assert [op.name for op in graph.ops if not keeps_batch(graph, op)] == []
