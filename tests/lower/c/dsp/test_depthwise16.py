"""Depthwise convolutions of 16-bit codes for DSP cores against the reference, over their inputs too."""

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.op_cases_int16 import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import Call
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference

CASES = 40


def special(graph: Graph) -> Call | None:
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    return SPECIAL[call.kernel](call)


def drawn(number: int, kernel: tuple[int, int]) -> tuple[Graph, np.ndarray]:
    """Odd and even numbers of channels and taps, any pads and strides."""
    net = Net(number)
    channels, stride = int(net.rng.choice([2, 3, 4, 7])), int(net.rng.integers(1, 3))
    pads = tuple(net.rng.integers(0, 2, 4).tolist())
    x = net.input(1, *(np.array(kernel) + net.rng.integers(0, 6, 2)).tolist(), channels)
    operands = [x, *net.weights(x, (1, *kernel, channels), 3)]
    graph = net.out("depthwise_conv2d", operands, net.params(3e-4, 3e-2), stride=(stride, stride), pads=pads,
                    multiplier=1)
    return graph, net.feeds[x][:1]


def test_the_codes_are_the_reference_s_wherever_the_output_lies(tmp_path):
    kernels = [(3, 3), (1, 4), (2, 3), (1, 1)]
    cases = [drawn(number, kernels[number % len(kernels)]) for number in range(CASES)]
    calls = [special(graph) for graph, _ in cases]
    for (graph, x), call, host in zip(cases, calls, compile_calls(calls, tmp_path), strict=True):
        want = reference.run(graph, {"x0": x})["y"].ravel()
        places = [(None, 0), *((0, distance) for over in call.overlaps
                               for distance in distances(over, x.nbytes, want.nbytes)
                               if distance % 2 == 0 and distance > -2**30)]
        for over, distance in places:
            got = host.run([x], want.nbytes, over, distance).view(np.int16)
            np.testing.assert_array_equal(got, want, f"{over} {distance}")


@pytest.mark.parametrize("kernel, taken", [((8, 64), True), ((8, 65), False)])
def test_sums_must_fit_32_bits(kernel, taken):
    graph, _ = drawn(0, kernel)
    graph.tensors[graph.ops[0].inputs[1]].data[:] = 127
    assert (special(graph) is not None) == taken
