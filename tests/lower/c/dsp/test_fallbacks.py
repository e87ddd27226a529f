"""What the fast DSP kernels have no room for: other kernels of the room take it, to the reference's codes."""

import numpy as np
import pytest

from tests.c_calls import compile_calls
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import Call
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference


def first_call(graph: Graph) -> Call:
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    found = SPECIAL[call.kernel](call)
    return found[0] if isinstance(found, list) else found


def matrix(depth: int, outputs: int, scale: float, kernel: int = 1) -> Graph:
    net = Net(f"matrix{depth}", depth)
    x = net.codes_in("x", 1, 3, 2, depth)
    weights = net.weights("w", x, (outputs, kernel, kernel, depth))
    return net.finish(net.make("conv2d", (x, *weights), "y", scale, pads=(kernel // 2,) * 4))


def few_channels(channels: int, kernel: int) -> Graph:
    net = Net(f"few{channels}", channels)
    x = net.codes_in("x", 1, 9, 7, channels)
    weights = net.weights("w", x, (1, kernel, kernel, channels), 3)
    return net.finish(net.make("depthwise_conv2d", (x, *weights), "y", pads=(1, 1, 1, 1)))


@pytest.mark.parametrize("graph, kernel", [
    (matrix(3001, 5, 4.0), "tk_fully_connected_any_s8_dsp"),
    (matrix(6, 7, 2e-5), "tk_fully_connected_any_s8_dsp"),
    (matrix(501, 6, 3.0, kernel=3), "tk_conv2d_any_s8_dsp"),
    (matrix(5, 3, 1e-6, kernel=3), "tk_conv2d_any_s8_dsp"),
    (few_channels(3, 3), "tk_depthwise3x3_conv2d_s8_scalar"),
    (few_channels(2, 4), "tk_depthwise_conv2d_s8_scalar")],
    ids=["long sums", "left shifts", "long windows", "left shifts of windows", "three channels",
         "two channels"])
def test_what_is_beyond_the_fast_kernels(graph, kernel, tmp_path):
    call = first_call(graph)
    assert call.kernel == kernel
    x = np.random.default_rng(1).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    want = reference.run(graph, {"x": x})["y"].ravel()
    assert len(np.unique(want)) > 1
    host, = compile_calls([call], tmp_path)
    np.testing.assert_array_equal(host.run([x], want.size), want)
    for over in call.overlaps:
        np.testing.assert_array_equal(host.run([x], want.size, over.operand, over.before), want)
