"""Depthwise convolutions for DSP cores against the reference, their outputs over their inputs too."""

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import Call
from toolchain.lower.c.channels import Channel
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.dsp.scale import Scale, scale_of
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference

CASES = 60


def special(graph: Graph) -> Call | None:
    """The room's call for the graph's one op."""
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    return SPECIAL[call.kernel](call)


def draw(number: int, kernel: tuple[int, int] | None) -> Graph:
    """Any shapes, windows and ranges of codes; kernel: None for any."""
    rng = np.random.default_rng(number)
    net = Net(f"case{number}", number)
    rows, columns = kernel or rng.integers(1, 6, 2).tolist()
    stride, dilation = rng.integers(1, 3 if kernel else 4, 2).tolist(), [int(rng.choice([1, 1, 2])), 1]
    dilation[1] = 1 if kernel else int(rng.choice([1, 1, 2]))
    reach = [(size - 1) * step for size, step in zip((rows, columns), dilation, strict=True)]
    same = [n for size in reach for n in (size // 2, size - size // 2)]
    pads = tuple(same if rng.random() < 0.6 else rng.integers(0, 3, 4).tolist())
    height, width = (size + int(rng.integers(1, 14)) for size in reach)
    channels, multiplier = int(rng.choice([3, 4, 5, 7, 8, 10])), int(rng.choice([1, 1, 1, 2, 3]))
    x = net.codes_in("x", 1, height, width, channels, zero_point=int(rng.choice([-128, 127, 0, 3])))
    operands = (x, *net.weights("dw", x, (1, rows, columns, channels * multiplier), 3))
    stride = (stride[0], stride[0] if rng.random() < 0.7 else stride[1])
    return net.finish(net.make(
        "depthwise_conv2d", operands, "dw", float(rng.choice([0.02, 0.05, 0.2])),
        int(rng.choice([-128, -128, 127, 0, -5])), pads=pads, stride=stride, dilation=tuple(dilation),
        multiplier=multiplier, activation=[None, "relu", "relu6"][int(rng.integers(3))]))


@pytest.mark.parametrize("kernel", [(3, 3), None], ids=["3x3", "any"])
def test_the_codes_are_the_reference_s_wherever_the_output_lies(kernel, tmp_path):
    graphs = [draw(number, kernel) for number in range(CASES)]
    pairs = [(graph, call) for graph in graphs if (call := special(graph)) is not None]
    assert len(pairs) > CASES * 0.7
    for (graph, call), host in zip(pairs, compile_calls([call for _, call in pairs], tmp_path), strict=True):
        x = np.random.default_rng(len(call.params)).integers(-128, 128, graph.tensors["x"].shape, np.int8)
        want = reference.run(graph, {"x": x})["dw"].ravel()
        places = [(None, 0), *((over.operand, distance) for over in call.overlaps
                               for distance in distances(over, x.size, want.size))]
        for over, distance in places:
            got = host.run([x], want.size, over, distance)
            np.testing.assert_array_equal(got, want, f"{call.kernel} {over} {distance}")


@pytest.mark.parametrize("bias, multiplier, shift", [
    (40, 2**30, -7), (-3 * 2**20, 1_500_000_001, -16), (2**26, 1_600_000_001, -22),
    (2**25 - 2**17, 1_431_655_765, -21), (-2**24, 2**31 - 1, -18), (3 * 2**24, 1_431_655_765, -23),
    (2**31 - 2**20, 2**30, -31), (900, 2**31 - 1, 0), (5, 1_300_000_000, 3)])
def test_channels_scale_to_the_same_codes_whatever_their_bias(bias, multiplier, shift):
    channel = Channel(bias, multiplier, shift, -3, -125, 130, least=-140_000, most=120_001)
    made = scale_of(channel)
    for total in [*range(channel.least, channel.most, 499), channel.most]:
        assert _code(made, total) == channel.code(total), total


def test_sums_that_wrap_have_no_such_scale():
    limits = {"zero_point": 0, "low": -128, "high": 127, "least": -100, "most": 100}
    assert scale_of(Channel(2**31 - 1, 2**30, -31, **limits)) is None
    assert scale_of(Channel(0, 2**30, 30, **limits)) is None


def _code(scale: Scale, total: int) -> int:
    """As tk_depthwise3x3_s8_dsp.h has it, with the ending `full`."""
    acc = 256 * total + scale.bias
    offset = (1 << (scale.shift - 1)) + (64 if scale.shift > 7 else 0) + (scale.code << scale.shift)
    away = -128 if scale.shift > 7 and acc < 0 else 0
    return min(max(((acc * scale.multiplier >> 32) + offset + away) >> scale.shift, -128), 127)
