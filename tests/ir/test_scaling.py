"""Factors go into weights where nothing else reads what they scale."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.scaling import fold_factor
from toolchain.runtime import reference

RNG = np.random.default_rng(2)


def layer(b, x, width, **attrs):
    shape = (width, 1, 1, b.tensors[x].shape[-1])
    weight, bias = (RNG.standard_normal(s).astype(np.float32) for s in (shape, (width,)))
    return b.op("conv2d", [x, b.constant("w", weight), b.constant("b", bias)], "layer", **attrs)


def halves(b, x):
    return [b.op("slice", [x], f"half{n}", begin=(0, 0, 0, 4 * n), end=(1, 1, 6, 4 * n + 4), strides=(1,) * 4)
            for n in range(2)]


def factor(b, x, value=0.25):
    return b.op("mul", [x, b.constant("factor", np.float32([value]))], "scaled")


def muls_after(graph):
    made = check(fold_factor(graph), "FLOAT")
    feeds = {"x": RNG.standard_normal((2, *graph.tensors["x"].shape[1:]), np.float32)}
    expected, found = reference.run(graph, feeds), reference.run(made, feeds)
    for name in graph.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    return sum(op.kind == "mul" for op in made.ops)


def test_a_factor_of_one_half_goes_into_its_rows():
    b = Builder("queries")
    queries, keys = halves(b, layer(b, b.input("x", (1, 1, 6, 5)), 8))
    y = b.op("batch_matmul", [factor(b, queries), keys], "scores", transpose_b=True)
    assert muls_after(b.graph(y)) == 0


def test_a_factor_of_scores_goes_into_the_rows_of_the_first():
    b = Builder("scores")
    queries, keys = halves(b, layer(b, b.input("x", (1, 1, 6, 5)), 8))
    scores = b.op("batch_matmul", [queries, keys], "scores", transpose_b=True)
    assert muls_after(b.graph(b.op("softmax", [factor(b, scores)], "y"))) == 0


def test_what_others_read_too_is_not_scaled():
    b = Builder("shared")
    queries, keys = halves(b, layer(b, b.input("x", (1, 1, 6, 5)), 8))
    y = b.op("batch_matmul", [factor(b, queries), keys], "scores", transpose_b=True)
    assert muls_after(b.graph(y, b.op("exp", [queries], "other"))) == 1
    b = Builder("output")
    made = layer(b, b.input("x", (1, 1, 6, 5)), 8)
    assert muls_after(b.graph(b.op("exp", [factor(b, halves(b, made)[0])], "y"), made)) == 1
    b = Builder("itself")
    x = layer(b, b.input("x", (1, 1, 6, 5)), 8)
    scores = b.op("batch_matmul", [x, x], "scores", transpose_b=True)
    assert muls_after(b.graph(b.op("softmax", [factor(b, scores)], "y"))) == 1


def test_behind_an_activation_and_at_an_output_factors_stay():
    b = Builder("clamped")
    clamped = layer(b, b.input("x", (1, 1, 6, 5)), 8, activation="relu6")
    assert muls_after(b.graph(b.op("exp", [factor(b, halves(b, clamped)[0])], "y"))) == 1
    b = Builder("output")
    assert muls_after(b.graph(factor(b, halves(b, layer(b, b.input("x", (1, 1, 6, 5)), 8))[0]))) == 1
