"""Convolutions and matrices on 16-bit codes for DSP cores: the reference's codes, over their inputs too."""

import numpy as np
import pytest

from tests.c_calls import compile_calls
from tests.op_cases_int16 import Net
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.call import Call
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference

CASES = 60


def special(graph: Graph) -> Call | None:
    """The room's call for the graph's one op."""
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    return SPECIAL[call.kernel](call)


def drawn(number: int) -> tuple[Graph, np.ndarray]:
    """A convolution, 1x1 without stride often, with a remainder of pixels, channels and values or without."""
    net = Net(number)
    kernel = [(1, 1), (3, 3), (1, 4), (1, 1)][number % 4]
    stride, depth, outputs = (int(net.rng.choice(options)) for options in (
        [1, 1, 2], [1, 2, 3, 8, 15], [1, 2, 5, 8]))
    pads = tuple(net.rng.integers(0, 2 if kernel[0] > 1 else 1, 4).tolist())
    x = net.input(1, *(np.array(kernel) + net.rng.integers(0, 6, 2)).tolist(), depth)
    graph = net.out("conv2d", [x, *net.weights(x, (outputs, *kernel, depth), 0)], net.params(3e-4, 3e-2),
                    stride=(stride, stride), pads=pads)
    return graph, net.feeds[x][:1]


def test_the_codes_are_the_reference_s_wherever_the_output_lies(tmp_path):
    cases = [drawn(number) for number in range(CASES)]
    calls = [special(graph) for graph, _ in cases]
    for (graph, x), call, host in zip(cases, calls, compile_calls(calls, tmp_path), strict=True):
        want = reference.run(graph, {"x0": x})["y"].ravel()
        np.testing.assert_array_equal(host.run([x], want.nbytes).view(np.int16), want)
        before = call.overlaps[0].before
        got = host.run([x], want.nbytes, 0, before).view(np.int16)
        np.testing.assert_array_equal(got, want, f"{before} bytes before")


@pytest.mark.parametrize("weights, taken", [(516, True), (517, False)])
def test_sums_must_fit_32_bits(weights, taken, tmp_path):
    """And they do, with all products as large as they can be."""
    net = Net(0)
    x = net.b.input("x0", (1, 1, 1, weights), "int16", QuantParams(1e-4, 0, dtype="int16"))
    weight, bias = net.weights(x, (2, 1, 1, weights), 0)
    net.b.tensors[weight].data[:] = 127
    net.b.tensors[bias].data[:] = -100_000, 131_071
    graph = net.out("conv2d", [x, weight, bias], QuantParams(3.0, 0, dtype="int16"))
    call = special(graph)
    assert (call is not None) == taken
    if taken:
        codes = np.full((1, 1, 1, weights), -2**15, np.int16)
        want = reference.run(graph, {"x0": codes})["y"].ravel()
        assert (abs(want) > 100).all() and (abs(want) < 2**15 - 1).all()
        host, = compile_calls([call], tmp_path)
        np.testing.assert_array_equal(host.run([codes], want.nbytes).view(np.int16), want)


@pytest.mark.parametrize("ratio, taken", [(0.2499, True), (0.2501, False), (1e-9, True)])
def test_a_multiplier_is_less_than_a_quarter(ratio, taken, tmp_path):
    net = Net(1)
    x = net.b.input("x0", (1, 1, 1, 64), "int16", QuantParams(1e-4, 0, dtype="int16"))
    weight, bias = net.weights(x, (3, 1, 1, 64), 0)
    largest = float(net.b.tensors[weight].quant.scale.max()) * 1e-4
    graph = net.out("conv2d", [x, weight, bias], QuantParams(largest / ratio, 0, dtype="int16"))
    call = special(graph)
    assert (call is not None) == taken
    if taken:
        codes = net.rng.integers(-2**15, 2**15, (1, 1, 1, 64)).astype(np.int16)
        host, = compile_calls([call], tmp_path)
        want = reference.run(graph, {"x0": codes})["y"].ravel()
        np.testing.assert_array_equal(host.run([codes], want.nbytes).view(np.int16), want)
