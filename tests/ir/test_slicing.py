"""Parts that are turned alike are turned together."""

import numpy as np
import pytest

from tests.zoo.catalogue import ZOO
from toolchain.ir.build import Builder
from toolchain.ir.channels_first import channels_first
from toolchain.ir.check import check
from toolchain.ir.layout import transposes
from toolchain.ir.passes import canonical
from toolchain.ir.slicing import turn_before_slicing
from toolchain.load import load
from toolchain.runtime import reference

HEADS = (1, 6, 2, 4)


def parts(b, x, count=3, axis=2):
    """The equal parts of x along an axis."""
    shape = b.tensors[x].shape
    size, made = shape[axis] // count, []
    for n in range(count):
        begin, end = [0] * len(shape), list(shape)
        begin[axis], end[axis] = n * size, (n + 1) * size
        made.append(b.op("slice", [x], f"part{n}", begin=begin, end=end, strides=(1,) * len(shape)))
    return made


def turned(b, x, name, shape=HEADS, perm=(0, 2, 1, 3)):
    return b.op("transpose", [b.op("reshape", [x], f"{name}.apart", shape=shape)], name, perm=perm)


def after(graph):
    """(transposes, slices) behind the pass, whose values are the same."""
    made = check(turn_before_slicing(graph), "FLOAT")
    feeds = {"x": np.random.default_rng(0).standard_normal((2, *graph.tensors["x"].shape[1:]), np.float32)}
    expected, found = reference.run(graph, feeds), reference.run(made, feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(found[name], expected[name])
    return tuple(sum(op.kind == kind for op in made.ops) for kind in ("transpose", "slice"))


@pytest.mark.parametrize("shape, axis", [((1, 6, 24), 2), ((1, 6, 3, 8), 2), ((1, 6, 3, 1, 8), 2),
                                         ((1, 3, 48), 1), ((1, 1, 6, 24), 3)])
def test_equal_parts_are_turned_at_once(shape, axis):
    b = Builder("qkv")
    x = b.op("relu", [b.input("x", shape)], "relu")
    assert after(b.graph(*(b.op("exp", [turned(b, part, f"t{n}")], f"y{n}")
                           for n, part in enumerate(parts(b, x, axis=axis))))) == (1, 3)


def test_parts_inside_an_axis_that_a_reshape_joins_stay():
    """Its rows are pieces of what the whole has in a row: no axis could hold the parts."""
    b = Builder("inside")
    x = b.op("relu", [b.input("x", (1, 6, 3, 8))], "relu")
    joined = [turned(b, part, f"t{n}", (1, 6, 12), (0, 2, 1)) for n, part in enumerate(parts(b, x, 2, 3))]
    assert after(b.graph(*(b.op("exp", [t], f"y{n}") for n, t in enumerate(joined)))) == (2, 2)


def test_what_is_turned_otherwise_or_read_by_others_stays():
    b = Builder("unlike")
    x = b.op("relu", [b.input("x", (1, 6, 24))], "relu")
    perms = (0, 2, 1, 3), (0, 2, 1, 3), (0, 2, 3, 1)
    ends = [turned(b, part, f"t{n}", perm=perm) for n, (part, perm) in enumerate(zip(parts(b, x), perms))]
    assert after(b.graph(*(b.op("exp", [t], f"y{n}") for n, t in enumerate(ends)))) == (3, 3)
    b = Builder("shared")
    x = b.op("relu", [b.input("x", (1, 6, 24))], "relu")
    ends = [turned(b, part, f"t{n}") for n, part in enumerate(parts(b, x))]
    assert after(b.graph(*(b.op("exp", [t], f"y{n}") for n, t in enumerate(ends)), x)) == (3, 3)


@pytest.mark.parametrize("name, layers, images", [
    ("keyword_transformer", 4, (0, 0)), ("vit", 4, (0, 1)), ("text_transformer", 3, (0, 0)),
    ("mobilevit", 4, (4, 10))])
def test_a_layer_of_attention_has_two_transposes_and_in_onnx_a_third(name, layers, images):
    """images: what turns images, into tokens and back."""
    graph = canonical(load(ZOO[name].open()))
    assert transposes(graph) == 2 * layers + images[0]
    assert transposes(channels_first(graph)) == 3 * layers + images[1]
