"""MVE kernels on this machine, where their vectors are loops in C, under the sanitizers: the reference's
codes, wherever the output may lie."""

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.lower.c.mve import draws
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import Call
from toolchain.lower.c.emit import CALLS
from toolchain.lower.c.mve.room import SPECIAL
from toolchain.runtime import reference

COUNT = 60
ROOM = {"convolution": {"tk_conv2d_s8_mve", "tk_pointwise_s8_mve"},
        "depthwise": {f"tk_depthwise_{way}_s8_mve" for way in ("rows", "columns", "taps")},
        "dense": {"tk_fully_connected_s8_mve", "tk_pointwise_s8_mve"},
        "pointwise": {"tk_pointwise_s8_mve", "tk_fully_connected_s8_mve"},
        "elementwise": {"tk_weighted_sum_s8_mve", "tk_mul_s8_mve"}}
"""What is drawn -> the kernels that must come up."""


def special(graph: Graph) -> list[Call]:
    """The room's calls for the graph's one op, those in descending order too."""
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    made = SPECIAL[call.kernel](call) if call.kernel in SPECIAL else None
    made = made if isinstance(made, list) else [made] if made else []
    return [order for each in made for order in (each, each.backwards) if order]


@pytest.mark.parametrize("what", ROOM)
def test_the_reference_s_codes_wherever_the_output_lies(what, tmp_path):
    graphs = [getattr(draws, what)(number) for number in range(COUNT)]
    pairs = [(graph, call) for graph in graphs for call in special(graph)]
    assert len(pairs) > COUNT * 0.6 and {call.kernel for _, call in pairs} == ROOM[what]
    for (graph, call), host in zip(pairs, compile_calls([call for _, call in pairs], tmp_path), strict=True):
        given = draws.feeds(graph)
        want = reference.run(graph, given)["y"].ravel()
        operands = [given[name] for name in call.operands]
        places = [(None, 0), *((over.operand, distance) for over in call.overlaps
                               for distance in distances(over, operands[over.operand].size, want.size))]
        for over, distance in places:
            got = host.run(operands, want.size, over, distance)
            np.testing.assert_array_equal(got, want, f"{graph.name} {call.kernel} {over} {distance}")


def test_sizes_that_do_not_fit_their_parameters_are_left_to_others():
    draw = draws.Draw("wide", 0)
    x = draw.net.codes_in("x", 1, 1, 2**15, 1)
    graph = draw.finish("conv2d", (x, *draw.weights(x, (1, 1, 3, 1))))
    assert special(graph) == []
