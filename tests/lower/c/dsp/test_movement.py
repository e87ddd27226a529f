"""Pools and means for DSP cores against the reference, their outputs over their inputs too."""

import numpy as np

from tests.c_calls import compile_calls, distances
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference

CASES = 60
KINDS = ("average_pool2d", "max_pool2d", "mean", "sum")


def draw(number: int) -> Graph:
    rng = np.random.default_rng(number)
    net, kind = Net(f"case{number}"), KINDS[number % len(KINDS)]
    height, width = rng.integers(1, 20, 2).tolist()
    channels, zero = int(rng.choice([4, 5, 7, 8, 12])), int(rng.choice([-128, 0, 5, 127]))
    x = net.codes_in("x", 1, height, width, channels, zero_point=zero)
    if kind in ("mean", "sum"):
        axes = [(1,), (2,), (1, 2)][int(rng.integers(3))]
        scale = float(rng.choice([0.05, 0.2]))
        return net.finish(net.make(kind, x, "y", scale, -5, axes=axes, keepdims=True))
    kernel = tuple(int(rng.integers(1, 1 + min(size, 16))) for size in (height, width))
    pads = (0, 0, 0, 0) if rng.random() < 0.5 else tuple(
        n for k in kernel for n in ((k - 1) // 2, k // 2))
    stride = (1, 1) if kind == "average_pool2d" and any(pads) else tuple(rng.integers(1, 3, 2).tolist())
    return net.finish(net.make(kind, x, "y", 0.05, zero, kernel=kernel, pads=pads, stride=stride,
                               activation=[None, "relu", "relu6"][int(rng.integers(3))]))


def test_the_codes_are_the_reference_s_wherever_the_output_lies(tmp_path):
    graphs = [draw(number) for number in range(CASES)]
    calls = [SPECIAL[call.kernel](call) for call in (CALLS[g.ops[0].kind](g, g.ops[0]) for g in graphs)]
    for graph, call, host in zip(graphs, calls, compile_calls(calls, tmp_path), strict=True):
        x = np.random.default_rng(len(graph.name)).integers(-128, 128, graph.tensors["x"].shape, np.int8)
        want = reference.run(graph, {"x": x})["y"].ravel()
        places = [(None, 0), *((0, distance) for over in call.overlaps
                               for distance in distances(over, x.size, want.size) if distance > -2**30)]
        for over, distance in places:
            got = host.run([x], want.size, over, distance)
            np.testing.assert_array_equal(got, want, f"{graph.ops[0]} {over} {distance}")


def test_long_means_leave_the_halves_in_time(tmp_path):
    net = Net("long")
    x = net.codes_in("x", 1, 700, 4, zero_point=0)
    graph = net.finish(net.make("mean", x, "y", 0.05, 0, axes=(1,), keepdims=False))
    host, = compile_calls([SPECIAL["tk_mean_s8"](CALLS["mean"](graph, graph.ops[0]))], tmp_path)
    for code in (-128, 127):
        assert (host.run([np.full((1, 700, 4), code, np.int8)], 4) == code).all()


def test_windows_whose_sums_leave_a_half_stay_portable():
    net = Net("wide")
    x = net.codes_in("x", 1, 17, 17, 4)
    graph = net.finish(net.make("average_pool2d", x, "y", 0.05, 3, kernel=(17, 17)))
    assert SPECIAL["tk_average_pool2d_s8"](CALLS["average_pool2d"](graph, graph.ops[0])) is None
