"""Parts of channels are sliced where they are made, so that each has channels of its own."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.layout import transposes
from toolchain.ir.parting import slice_where_made
from toolchain.ir.passes import canonical
from toolchain.prune.groups import channel_groups
from toolchain.runtime import reference

TOKENS, HEADS, EACH = 6, 2, 4


def sliced(b: Builder, x: str, axis: int, ends: list[int], name: str = "part") -> list[str]:
    """x from one end to the next, along an axis."""
    shape, made = b.tensors[x].shape, []
    for first, last in zip([0, *ends], ends):
        begin, end = [0] * len(shape), list(shape)
        begin[axis], end[axis] = first, last
        made.append(b.op("slice", [x], name, begin=begin, end=end, strides=(1,) * len(shape)))
    return made


def linear(b: Builder, x: str, outputs: int, name: str) -> str:
    shape = (outputs, 1, 1, b.tensors[x].shape[-1])
    weight = np.random.default_rng(outputs).standard_normal(shape, np.float32)
    return b.op("conv2d", [x, b.constant(f"{name}.weight", weight),
                           b.constant(f"{name}.bias", np.zeros(outputs, np.float32))], name)


def heads_of(b: Builder, x: str) -> str:
    apart = b.op("reshape", [x], "heads", shape=(1, TOKENS, HEADS, EACH))
    return b.op("transpose", [apart], "turned", perm=(0, 2, 1, 3))


def chunked(b: Builder, qkv: str) -> list[str]:
    """As `qkv.chunk(3, -1)`."""
    return [heads_of(b, part) for part in sliced(b, qkv, 3, [8, 16, 24])]


def stacked(b: Builder, qkv: str) -> list[str]:
    """As `qkv.unflatten(-1, (3, heads, -1)).unbind(2)`."""
    parts = b.op("reshape", [qkv], "parts", shape=(1, TOKENS, 3, HEADS, EACH))
    return [heads_of(b, part) for part in sliced(b, parts, 2, [1, 2, 3])]


def turned(b: Builder, qkv: str) -> list[str]:
    """As `qkv.unflatten(-1, (3, heads, -1)).permute(0, 2, 3, 1, 4).unbind(1)`, and as `ir.slicing`."""
    parts = b.op("reshape", [qkv], "parts", shape=(1, TOKENS, 3, HEADS, EACH))
    parts = b.op("transpose", [parts], "turned", perm=(0, 2, 3, 1, 4))
    return [b.op("reshape", [part], "one", shape=(1, HEADS, TOKENS, EACH))
            for part in sliced(b, parts, 1, [1, 2, 3])]


def attention(form) -> Graph:
    b = Builder("attention")
    query, key, value = form(b, linear(b, b.input("x", (1, 1, TOKENS, 5)), 3 * HEADS * EACH, "qkv"))
    weights = b.op("softmax", [b.op("batch_matmul", [query, key], "product", transpose_b=True)], "weights")
    mixed = b.op("transpose", [b.op("batch_matmul", [weights, value], "mixed")], "back", perm=(0, 2, 1, 3))
    merged = b.op("reshape", [mixed], "merged", shape=(1, 1, TOKENS, HEADS * EACH))
    return b.graph(linear(b, merged, 5, "y"))


def assert_same(graph: Graph, made: Graph) -> None:
    feeds = {name: np.random.default_rng(0).standard_normal((2, *graph.tensors[name].shape[1:]), np.float32)
             for name in graph.inputs}
    expected, found = reference.run(graph, feeds), reference.run(made, feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(found[name], expected[name])


def sources(graph: Graph) -> set[str]:
    """What slices read."""
    return {op.inputs[0] for op in graph.ops if op.kind == "slice"}


def form_of(graph: Graph) -> list[tuple]:
    """Of each op all but names."""
    place = {name: number for number, name in enumerate([*graph.inputs, *(op.name for op in graph.ops)])}
    return [(op.kind, [place.get(name) for name in op.inputs], op.attrs, graph.tensors[op.name].shape)
            for op in graph.ops]


@pytest.mark.parametrize("form", [chunked, stacked, turned])
def test_values_lose_channels_without_queries_and_keys(form):
    """What a device runs has all three turned at once, and one axis for the channels of all. Of a file that
    is read back they are apart again."""
    graph = check(slice_where_made(attention(form)), "FLOAT")
    assert_same(attention(form), graph)
    joined = canonical(graph)
    assert form_of(joined) == form_of(canonical(attention(chunked)))
    assert [group.channels for group in channel_groups(joined).groups] == [EACH]
    again = check(slice_where_made(joined), "FLOAT")
    assert_same(joined, again)
    for apart in (graph, again):
        assert sources(apart) == {"qkv"}
        assert [group.channels for group in channel_groups(apart).groups] == [EACH, EACH]


@st.composite
def parted(draw) -> Graph:
    """[1, T, P * H * K] in other shapes, perhaps turned, then parted along P; any other axis may be unit."""
    size = st.integers(1, 3)
    tokens, part, heads, each = draw(size), draw(st.integers(2, 4)), draw(size), draw(size)
    b = Builder("parted")
    x = b.op("relu", [b.input("x", (1, tokens, part * heads * each))], "relu")
    if draw(st.booleans()):
        x = b.op("reshape", [x], "rows", shape=(1, 1, tokens, part * heads * each))
    x = b.op("reshape", [x], "parts", shape=(1, tokens, part, heads, each))
    perm = (0, *draw(st.permutations(range(1, 5)))) if draw(st.booleans()) else tuple(range(5))
    if perm != tuple(range(5)):
        x = b.op("transpose", [x], "turned", perm=perm)
    parts = sliced(b, x, perm.index(2), list(range(1, part + 1)))
    return b.graph(*(b.op("exp", [each], "y") for each in parts))


@settings(deadline=None, max_examples=50)
@given(parted())
def test_parts_keep_their_values_and_names_and_are_turned_as_rarely(graph: Graph):
    made = check(slice_where_made(graph), "FLOAT")
    assert transposes(canonical(made)) <= transposes(canonical(graph))
    assert_same(graph, made)
    assert sources(made) == {"relu"}
    parts = [op.name for op in graph.ops if op.kind == "slice"]
    assert all(made.tensors[name].shape == graph.tensors[name].shape for name in parts)


def test_parts_of_unlike_sizes_are_sliced_first_where_nothing_turns():
    """Four heads of queries for one of keys and one of values."""
    b = Builder("grouped queries")
    heads = b.op("reshape", [linear(b, b.input("x", (1, 1, 6, 5)), 24, "qkv")], "heads", shape=(1, 6, 6, 4))
    graph = b.graph(*(b.op("exp", [part], "y") for part in sliced(b, heads, 2, [4, 5, 6])))
    made = check(slice_where_made(graph), "FLOAT")
    assert_same(graph, made)
    assert sources(made) == {"qkv"}


def stays(b: Builder, *outputs: str) -> bool:
    graph = b.graph(*outputs)
    return form_of(slice_where_made(graph)) == form_of(graph)


def ended(b: Builder, parts: list[str]) -> list[str]:
    return [b.op("exp", [part], "y") for part in parts]


@pytest.mark.parametrize("shape, axis, ends", [
    ((1, 6, 3, 8), 1, [3, 6]),      # parts of the tokens
    ((1, 6, 3, 8), 3, [4, 8]),      # of each of the three
    ((1, 48, 3), 1, [24, 48]),      # of the tokens again
    ((1, 48, 3), 1, [20, 48])])     # two tokens, and half of the third
def test_what_is_no_row_of_channels_stays(shape, axis, ends):
    b = Builder("otherwise")
    x = b.op("reshape", [b.op("relu", [b.input("x", (1, 6, 24))], "relu")], "shown", shape=shape)
    assert stays(b, *ended(b, sliced(b, x, axis, ends)))


def test_unlike_parts_that_are_turned_at_once_stay_so():
    b = Builder("unlike")
    x = b.op("reshape", [b.op("relu", [b.input("x", (1, 6, 24))], "relu")], "heads", shape=(1, 6, 6, 4))
    x = b.op("transpose", [x], "turned", perm=(0, 2, 1, 3))
    assert stays(b, *ended(b, sliced(b, x, 1, [4, 5, 6])))


@pytest.mark.parametrize("reads", ["relu", "shown"])
def test_what_others_read_stays(reads):
    b = Builder("shared")
    b.op("reshape", [b.op("relu", [b.input("x", (1, 6, 24))], "relu")], "shown", shape=(1, 6, 3, 8))
    parts = ended(b, sliced(b, "shown", 2, [1, 2, 3]))
    assert stays(b, *parts, b.op("exp", [reads], "also"))
    assert stays(b, *parts, reads)


def test_every_second_coordinate_stays():
    b = Builder("strided")
    x = b.op("reshape", [b.op("relu", [b.input("x", (1, 6, 24))], "relu")], "shown", shape=(1, 6, 4, 6))
    parts = [b.op("slice", [x], "part", begin=(0, 0, first, 0), end=(1, 6, 4, 6), strides=(1, 1, 2, 1))
             for first in (0, 1)]
    assert stays(b, *ended(b, parts))
