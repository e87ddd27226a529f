"""What computes nothing new goes, and the function stays."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.passes import canonical
from toolchain.ir.redundant import drop_neutral, drop_repeated, join_slices
from toolchain.runtime import reference


def kinds(graph):
    return [op.kind for op in graph.ops]


def same_function(before, after):
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal(before.tensors[name].shape, np.float32) for name in before.inputs}
    expected, got = reference.run(before, feeds), reference.run(after, feeds)
    for name in before.outputs:
        np.testing.assert_array_equal(got[name], expected[name])


def with_constant(kind, value, shape=(), **attrs):
    """x of (1, 4, 3) -> relu -> kind with a constant -> exp."""
    b = Builder("constant")
    x = b.op("relu", [b.input("x", (1, 4, 3))], "relu")
    constant = b.constant("c", np.full(shape, value, np.float32))
    return b.graph(b.op("exp", [b.op(kind, [x, constant], kind, **attrs)], "exp"))


@pytest.mark.parametrize("kind, value", [("add", 0), ("sub", 0), ("mul", 1), ("div", 1)])
@pytest.mark.parametrize("shape", [(), (3,), (1, 4, 1)])
def test_neutral_constants_go(kind, value, shape):
    graph = with_constant(kind, value, shape)
    assert kinds(drop_neutral(graph)) == ["relu", "exp"]
    same_function(graph, canonical(graph))


@pytest.mark.parametrize("kind, value, shape, attrs", [
    ("add", 1, (), {}), ("mul", 0, (), {}), ("maximum", 0, (), {}), ("pow", 1, (), {}),
    ("add", 0, (2, 1, 1), {}), ("add", 0, (), {"activation": "relu6"})])
def test_constants_that_change_something_stay(kind, value, shape, attrs):
    graph = with_constant(kind, value, shape, **attrs)
    assert kinds(drop_neutral(graph)) == kinds(graph)


def test_a_neutral_op_that_makes_an_output_stays():
    b = Builder("output")
    graph = b.graph(b.op("add", [b.input("x", (1, 4)), b.constant("zero", np.zeros((), np.float32))], "y"))
    assert kinds(drop_neutral(graph)) == kinds(graph)


def test_what_was_computed_already_is_read_again():
    """Mean and deviation of one tensor, each from its own mean."""
    b = Builder("twice")
    x = b.input("x", (1, 4, 3))
    mean, again, other = (b.op("mean", [x], name, axes=axes, keepdims=True)
                          for name, axes in (("mean", (1,)), ("again", (1,)), ("other", (2,))))
    centred = [b.op("sub", [x, each], f"centred.{each}") for each in (mean, again, other)]
    graph = b.graph(*(b.op("exp", [each], f"{each}.exp") for each in centred), again)
    fewer = drop_repeated(graph)
    assert [op.name for op in fewer.ops] == ["mean", "again", "other", "centred.mean", "centred.other",
                                             "centred.mean.exp", "centred.again.exp", "centred.other.exp"]
    same_function(graph, fewer)


@pytest.mark.parametrize("cuts", [
    [((1, 0), (7, 9), (2, 1)), ((0, 2), (3, 8), (1, 3))],
    [((0, 1), (9, 9), (4, 1)), ((1, 0), (3, 8), (2, 2)), ((0, 1), (1, 3), (1, 1))],
    [((3, 3), (4, 4), (5, 5)), ((0, 0), (1, 1), (1, 1))]])
def test_slices_of_slices_become_one(cuts):
    b = Builder("slices")
    y = b.input("x", (1, 9, 9))
    for i, (begin, end, strides) in enumerate(cuts):
        y = b.op("slice", [y], f"slice{i}", begin=(0, *begin), end=(1, *end), strides=(1, *strides))
    graph = b.graph(b.op("exp", [y], "exp"))
    assert kinds(join_slices(graph)) == ["slice", "exp"]
    same_function(graph, join_slices(graph))


def test_a_slice_that_others_read_stays():
    b = Builder("slices")
    first = b.op("slice", [b.input("x", (1, 9))], "first", begin=(0, 1), end=(1, 9), strides=(1, 1))
    second = b.op("slice", [first], "second", begin=(0, 1), end=(1, 4), strides=(1, 1))
    graph = b.graph(b.op("exp", [first], "a"), b.op("exp", [second], "b"))
    assert kinds(join_slices(graph)) == kinds(graph)
