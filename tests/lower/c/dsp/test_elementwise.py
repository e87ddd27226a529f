"""add, sub and mul by kernels of rows, for DSP cores and for plain ones, against the reference."""

from collections import Counter

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.dsp import room as dsp
from toolchain.lower.c.emit import CALLS
from toolchain.lower.c.scalar import room as scalar
from toolchain.runtime import reference

CASES = 40
KINDS = {"dsp": (dsp, ("add", "sub", "mul")), "scalar": (scalar, ("add", "sub"))}


def draw(number: int, kinds: tuple[str, ...]) -> Graph:
    """Same shapes, a row for all pixels, one of each operand; scales that give halves among them."""
    rng = np.random.default_rng(number)
    net, kind = Net(f"case{number}"), kinds[number % len(kinds)]
    shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 20)))
    scales = rng.uniform(0.01, 0.1, 3) if rng.random() < 0.7 else rng.choice([0.25, 0.5, 1], 3)
    a_zero, b_zero, zero = rng.choice([-128, 127, 0, -3, 40], 3).tolist()
    a = net.codes_in("a", *shape, scale=scales[0], zero_point=a_zero)
    b = net.codes_in("b", *(shape if rng.random() < 0.6 else (1, 1, 1, shape[3])), scale=scales[1],
                     zero_point=b_zero)
    operands = (a, b) if rng.random() < 0.7 else (b, a)
    out_scale = scales[2] if kind != "mul" else scales[0] * scales[1] * float(rng.choice([3, 20, 70]))
    return net.finish(net.make(kind, operands, "y", float(out_scale), zero,
                               activation=[None, None, "relu", "relu6"][int(rng.integers(4))]))


@pytest.mark.parametrize("room", KINDS)
def test_the_codes_are_the_reference_s_wherever_the_output_lies(room, tmp_path):
    module, kinds = KINDS[room]
    graphs = [draw(number, kinds) for number in range(CASES)]
    made = [module.SPECIAL[call.kernel](call) for call in (CALLS[g.ops[0].kind](g, g.ops[0]) for g in graphs)]
    pairs = [(graph, call) for graph, call in zip(graphs, made, strict=True) if call]
    assert len(pairs) > CASES * 0.8, Counter(graph.ops[0].kind for graph, _ in pairs)
    for (graph, call), host in zip(pairs, compile_calls([call for _, call in pairs], tmp_path), strict=True):
        rng = np.random.default_rng(len(pairs))
        feeds = {name: rng.integers(-128, 128, graph.tensors[name].shape, np.int8) for name in graph.inputs}
        want, operands = reference.run(graph, feeds)["y"].ravel(), [feeds[name] for name in call.operands]
        places = [(None, 0), *((over.operand, distance) for over in call.overlaps
                               for distance in distances(over, operands[over.operand].size, want.size))]
        for over, distance in places:
            got = host.run(operands, want.size, over, distance)
            np.testing.assert_array_equal(got, want, f"{graph.ops[0]} {over} {distance}")


@pytest.mark.parametrize("room, kind", [(room, kind) for room, (_, kinds) in KINDS.items() for kind in kinds])
def test_every_pair_of_codes(room, kind, tmp_path):
    module, net = KINDS[room][0], Net("pairs")
    a, b = (net.codes_in(name, 1, 256, 256, scale=scale, zero_point=zero)
            for name, scale, zero in (("a", 0.031, -128), ("b", 0.047, 11)))
    graph = net.finish(net.make(kind, (a, b), "y", 0.053, -20))
    portable = CALLS[kind](graph, graph.ops[0])
    host, = compile_calls([module.SPECIAL[portable.kernel](portable)], tmp_path)
    codes = np.arange(-128, 128, dtype=np.int8)
    feeds = dict(zip("ab", (x[None] for x in np.meshgrid(codes, codes)), strict=True))
    want = reference.run(graph, feeds)["y"].ravel()
    np.testing.assert_array_equal(host.run([feeds["a"], feeds["b"]], want.size), want)
