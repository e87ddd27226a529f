"""Views: what shares bytes means the same, and generated C that moves nothing gives the reference's codes."""

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.lower.c.nets import Net, residual_net, two_ended_net
from tests.lower.c.test_emit import random_feeds
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.lower.c.arena.plan import plan_arena
from toolchain.lower.c.arena.views import Place, lay_out
from toolchain.runtime import reference

SAME = {"scale": 0.05, "zero_point": 3}


def cut(net: Net, x: str, name: str, begin: int, end: int, axis: int = 1) -> str:
    shape = net.tensors[x].shape
    starts, ends = [0] * len(shape), list(shape)
    starts[axis], ends[axis] = begin, end
    return net.make("slice", x, name, **SAME, begin=starts, end=ends, strides=[1] * len(shape))


def join(net: Net, parts: tuple[str, ...], name: str, axis: int = 1) -> str:
    return net.make("concat", parts, name, **SAME, axis=axis)


def banded_net() -> Graph:
    """Two overlapping bands of rows of the input, each through a convolution; put together, cut again."""
    net = Net("banded")
    x = net.codes_in("x", 1, 8, 4, 3)
    bands = [net.conv(cut(net, x, f"rows{i}", *rows), f"band{i}", 3, **SAME)
             for i, rows in enumerate(((0, 5), (3, 8)))]
    whole = join(net, tuple(bands), "whole")
    return net.finish(net.make("relu", cut(net, whole, "middle", 2, 7), "y"))


def dense_net() -> Graph:
    """Joined with its own input: a graph input, a tensor twice, one joined before, an inner axis."""
    net = Net("dense")
    x = net.codes_in("x", 1, 4, 2, 2)
    one = net.make("tanh", x, "one", 1 / 128, 0)
    one = net.make("quantize", one, "codes", **SAME, dtype="int8")
    first = join(net, (x, one), "first")
    twice = join(net, (one, first, one), "twice")
    flat = net.make("reshape", twice, "flat", **SAME, shape=(1, 16, 2, 2))
    inner = join(net, (flat, flat), "inner", axis=3)
    last = cut(net, inner, "last", 1, 2, axis=3)
    return net.finish(first, last, cut(net, flat, "end", 15, 16))


def mixed_net() -> Graph:
    """Slices of slices, of a reshape, of an input straight to an output; int16 beside int8."""
    net = Net("mixed")
    x = net.codes_in("x", 1, 6, 5)
    half = cut(net, x, "half", 2, 6)
    part = cut(net, half, "part", 1, 3)
    flat = net.make("reshape", part, "flat", **SAME, shape=(1, 10))
    few = cut(net, flat, "few", 3, 9)
    return net.finish(half, net.make("relu", few, "y"), cut(net, x, "column", 2, 3, axis=2))


NETS = (banded_net, dense_net, mixed_net)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return compile_graphs([net() for net in NETS], tmp_path_factory.mktemp("views"))


@pytest.mark.parametrize("index", range(len(NETS)))
@pytest.mark.parametrize("where", ["own buffers", "arena"])
def test_codes_are_the_references(models, index, where):
    model = models[index] if where == "own buffers" else models[index].in_arena()
    feeds = random_feeds(model.graph)
    expected, got = reference.run(model.graph, feeds), model.run(feeds)
    assert [name for name in expected if not np.array_equal(got[name], expected[name])] == []


def test_bands_are_read_and_written_where_they_are():
    graph = banded_net()
    layout = lay_out(graph)
    assert layout.views == {"rows0", "rows1", "middle"}
    assert layout.places["rows1"] == Place("x", 3 * 4 * 3)
    assert layout.places["band1"] == Place("whole", 5 * 4 * 3)
    assert layout.places["middle"] == Place("whole", 2 * 4 * 3)


def test_what_the_caller_hands_in_is_no_part_of_anything():
    graph = dense_net()
    layout = lay_out(graph)
    assert layout.in_place(graph, graph.producers["first"]) == [False, True]
    assert layout.places["first"] == Place("first")
    assert layout.in_place(graph, graph.producers["twice"]) == [False] * 3
    assert layout.in_place(graph, graph.producers["inner"]) == [False] * 2
    assert "last" not in layout.views and "end" not in layout.views


def test_rows_that_are_done_with_are_free():
    """Each band's output may lie over rows of x that no later band reads; a band's input goes bit by bit."""
    build = Builder("rows")
    x = build.input("x", (1, 8, 64), "int8")
    parts = []
    for i in range(4):
        rows = build.op("slice", (x,), f"rows{i}", begin=(0, 2 * i, 0), end=(1, 2 * i + 2, 64),
                        strides=(1, 1, 1))
        parts.append(build.op("relu", (rows,), f"band{i}"))
    graph = build.graph(build.op("concat", parts, "y", axis=1))
    plan = plan_arena(graph, {}, lay_out(graph))
    assert plan.peak_bytes == plan.floor_bytes == 512 + 128


def test_other_codes_are_no_view():
    net = Net("scales")
    x = net.codes_in("x", 1, 4, 2)
    y = net.op("slice", (x,), "y", begin=(0, 0, 0), end=(1, 2, 2), strides=(1, 1, 1))
    assert lay_out(net.graph(net.op("relu", (y,), "z"))).views == frozenset()


@pytest.mark.parametrize("net", [residual_net, two_ended_net, *NETS])
def test_bytes_serve_one_graph_input_or_output(net):
    graph = net()
    places = lay_out(graph).places
    outside = [places[name].owner for name in dict.fromkeys((*graph.inputs, *graph.outputs))]
    assert len(outside) == len(set(outside))
    assert all(places[name].offset == 0 for name in (*graph.inputs, *graph.outputs))


def test_an_output_that_renames_an_input_has_bytes_of_its_own():
    assert lay_out(two_ended_net()).places["flat"] == Place("flat")
    assert lay_out(residual_net()).places["flat"] == Place("pooled")
