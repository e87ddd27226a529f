"""Kernels for Cortex-M0, M3 and RISC-V against the reference, their outputs over their inputs too.

On this machine they run in C: as on RISC-V, and with the products of 16 bits that Armv6-M has; those that
Armv6-M alone has, in C of the same order.
"""

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.c_host import SANITIZED
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import Call
from toolchain.lower.c.emit import CALLS
from toolchain.lower.c.scalar import room as scalar
from toolchain.lower.c.thumb import room as thumb
from toolchain.runtime import reference

CASES = 60
KINDS = ("conv2d", "depthwise_conv2d", "fully_connected")
FLAGS = {"64 bits": (), "16 bits": ("-DTK_NO_LONG_MULTIPLY",)}


def special(graph: Graph) -> list[Call]:
    """The rooms' calls for the graph's one op."""
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    tables = [room.SPECIAL for room in (scalar, thumb)]
    return [made for table in tables if call.kernel in table and (made := table[call.kernel](call))]


def orders(graph: Graph) -> list[Call]:
    """From the first output to the last, and the other way round where there is one."""
    return [order for call in special(graph) for order in (call, call.backwards) if order]


def draw(kind: str, number: int) -> Graph:
    """Any shapes, windows and ranges of codes. fully_connected: as the 1x1 convolution that is one"""
    rng = np.random.default_rng(number)
    net = Net(f"case{number}", number)
    channels, zero_point = int(rng.choice([1, 2, 3, 4, 5, 8, 17])), int(rng.choice([-128, 127, 0, 3]))
    outputs = int(rng.choice([1, 2, 3, 4, 5, 8, 13, 20]))
    out = {"scale": float(rng.choice([0.02, 0.05, 0.2])), "zero_point": int(rng.choice([-128, 127, 0, -5])),
           "activation": [None, "relu", "relu6"][int(rng.integers(3))]}
    if kind == "fully_connected":
        x = net.codes_in("x", 1, 1, int(rng.integers(1, 8)), channels, zero_point=zero_point)
        weights = net.weights("w", x, (outputs, 1, 1, channels))
        return net.finish(net.make("conv2d", (x, *weights), "y", **out))
    kernel = rng.integers(1, 5, 2).tolist() if rng.random() < 0.6 else [3, 3]
    dilation = [int(rng.choice([1, 1, 1, 2])) for _ in kernel]
    reach = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
    same = [n for size in reach for n in (size // 2, size - size // 2)]
    window = {"pads": tuple(same if rng.random() < 0.6 else rng.integers(0, 3, 4).tolist()),
              "stride": tuple(rng.integers(1, 4, 2).tolist()), "dilation": tuple(dilation)}
    x = net.codes_in("x", 1, *(size + int(rng.integers(1, 12)) for size in reach), channels,
                     zero_point=zero_point)
    first, axis = (1, 3) if kind == "depthwise_conv2d" else (outputs, 0)
    weights = net.weights("w", x, (first, *kernel, channels), axis)
    return net.finish(net.make(kind, (x, *weights), "y", **window, **out))


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_codes_are_the_reference_s_wherever_the_output_lies(kind, flags, tmp_path):
    graphs = [draw(kind, number) for number in range(CASES)]
    pairs = [(graph, order) for graph in graphs for order in orders(graph)]
    assert len(pairs) > CASES * 0.7
    made = compile_calls([call for _, call in pairs], tmp_path, ("-O1", *SANITIZED, *flags))
    for (graph, call), host in zip(pairs, made, strict=True):
        shape = graph.tensors["x"].shape
        x = np.random.default_rng(len(graph.name)).integers(-128, 128, shape).astype(np.int8)
        want = reference.run(graph, {"x": x})["y"].ravel()
        places = [(None, 0), *((over.operand, distance) for over in call.overlaps
                               for distance in distances(over, x.size, want.size))]
        for over, distance in places:
            got = host.run([x], want.size, over, distance)
            np.testing.assert_array_equal(got, want, f"{graph.name} {call.kernel} {over} {distance}")


def test_rows_are_read_whole_on_armv6_m():
    """So that a 1x1 convolution that keeps its channels runs in place, and one that widens them backwards."""
    net = Net("wide")
    x = net.codes_in("x", 1, 4, 4, 8)
    same, wide = (net.make("conv2d", (x, *net.weights(f"w{n}", x, (n, 1, 1, 8))), f"y{n}") for n in (8, 12))
    graph = net.finish(same, wide)
    kept, widened = (thumb.SPECIAL["tk_fully_connected_s8"](CALLS["conv2d"](graph, op)) for op in graph.ops)
    assert kept.overlaps[0].exact
    assert widened.overlaps[0].before == widened.backwards.overlaps[0].after == (16 - 2) * 4


def test_weights_too_large_for_16_bits_are_left_to_others():
    net = Net("large")
    x = net.codes_in("x", 1, 2, 2, 2)
    graph = net.finish(net.make("conv2d", (x, *net.weights("w", x, (1, 1, 1, 2))), "y"))
    graph.tensors["w.weight"].data[:] = -128
    assert thumb.SPECIAL["tk_fully_connected_s8"](CALLS["conv2d"](graph, graph.ops[0])) is None


def test_a_depthwise_convolution_of_the_same_size_runs_in_place():
    net = Net("same")
    x = net.codes_in("x", 1, 9, 7, 4)
    operands = (x, *net.weights("w", x, (1, 3, 3, 4), 3))
    call, = special(net.finish(net.make("depthwise_conv2d", operands, "y", pads=(1, 1, 1, 1))))
    assert call.overlaps[0].exact
