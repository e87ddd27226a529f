"""Convolutions and matrices for DSP cores: the reference's codes, wherever the output may lie over x."""

from collections.abc import Iterator
import ctypes
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.c_calls import compile_calls
from tests.c_host import SANITIZED, compile_c
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams, requantize
from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.dsp.block import packed_block, scales_of
from toolchain.lower.c.dsp.room import SPECIAL
from toolchain.lower.c.emit import CALLS
from toolchain.lower.c.pages import kernel_files
from toolchain.runtime import reference

CASES = 120


def special(graph: Graph) -> list[Call]:
    """The room's calls for the graph's one op."""
    call = CALLS[graph.ops[0].kind](graph, graph.ops[0])
    found = SPECIAL[call.kernel](call)
    return found if isinstance(found, list) else [found] if found else []


def drawn_quant(rng: np.random.Generator) -> dict[str, object]:
    return {"scale": float(rng.choice([0.05, 0.2, 1.0])), "zero_point": int(rng.choice([-128, 127, 0, -5])),
            "activation": [None, "relu", "relu6"][int(rng.integers(3))]}


def drawn_convolution(number: int) -> Graph:
    """Any window, strides, dilations, pads and groups; 1x1 without stride often."""
    rng, net = np.random.default_rng(number), Net(f"convolution{number}", number)
    kernel = [(1, 1), (1, 1), (3, 3), (1, 5), (4, 2), (2, 7)][number % 6]
    stride, dilation = rng.integers(1, 4, 2), rng.choice([1, 1, 2], 2)
    reach = (np.array(kernel) - 1) * dilation
    pads = rng.integers(0, 4, 4) * int(rng.integers(2))
    if number % 12 == 0:
        stride, pads = np.ones(2, int), np.zeros(4, int)
    depth, groups, outputs = (int(rng.choice(options)) for options in (
        [1, 2, 3, 4, 7, 8, 16], [1, 1, 1, 2, 3], [1, 2, 5, 8]))
    sizes = (reach + rng.integers(1, 12, 2)).tolist()
    x = net.codes_in("x", 1, *sizes, depth * groups, zero_point=int(rng.choice([-128, 127, 3])))
    operands = (x, *net.weights("w", x, (outputs * groups, *kernel, depth)))
    return net.finish(net.make("conv2d", operands, "y", stride=tuple(stride.tolist()),
                               pads=tuple(pads.tolist()), dilation=tuple(dilation.tolist()),
                               **drawn_quant(rng)))


def drawn_matrix(number: int) -> Graph:
    """Rows and channels that leave a remainder, or none."""
    rng, net = np.random.default_rng(number), Net(f"matrix{number}", number)
    depth, outputs = int(rng.choice([2, 3, 8, 9, 30, 64, 100])), int(rng.choice([1, 2, 3, 8, 17]))
    x = net.codes_in("x", 1, 1, int(rng.integers(1, 9)), depth, zero_point=int(rng.choice([-128, 127, 3])))
    operands = (x, *net.weights("w", x, (outputs, 1, 1, depth)))
    return net.finish(net.make("conv2d", operands, "y", **drawn_quant(rng)))


def codes_of(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Input codes and what the reference makes of them."""
    x = np.random.default_rng(len(graph.name)).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    return x, reference.run(graph, {"x": x})["y"].ravel()


def nearest(order: Call, input_bytes: int, output_bytes: int) -> Iterator[tuple[int, bool]]:
    """How many bytes before x the output may just begin, and whether it is worse to begin later."""
    for over in order.overlaps:
        if over.before is not None and over.before > -2**31:
            yield over.before, True
        elif over.after is not None and over.after > -2**31:
            yield output_bytes - input_bytes - over.after, False


@pytest.mark.parametrize("draw", [drawn_convolution, drawn_matrix])
def test_the_codes_are_the_reference_s_wherever_the_output_lies(draw, tmp_path):
    pairs = [(graph, call) for graph in map(draw, range(CASES)) for call in special(graph)]
    assert len(pairs) > CASES * 0.8
    orders = [(graph, order) for graph, call in pairs for order in (call, call.backwards) if order]
    too_near = []
    hosts = compile_calls([order for _, order in orders], tmp_path)
    for (graph, order), host in zip(orders, hosts, strict=True):
        x, want = codes_of(graph)
        np.testing.assert_array_equal(host.run([x], want.size), want, graph.name)
        for distance, ascending in nearest(order, x.size, want.size):
            got = host.run([x], want.size, 0, distance)
            np.testing.assert_array_equal(got, want, f"{graph.name}, {distance} bytes before")
            nearer = host.run([x], want.size, 0, distance - 1 if ascending else distance + 1)
            too_near.append(np.array_equal(nearer, want))
    assert len(too_near) > CASES / 2 and sum(too_near) < len(too_near) / 2


SOURCE = """#include "tk_output_s8_dsp.h"
int8_t code(int32_t twice, int32_t multiplier, int32_t offset, int32_t shift);
int8_t code(int32_t twice, int32_t multiplier, int32_t offset, int32_t shift) {
    const int32_t record[3] = {multiplier, offset, shift};
    return tk_output_s8_dsp(record, twice);
}
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    for name, data in kernel_files(["tk_output_s8_dsp"]).items():
        (folder / name).write_bytes(data)
    (folder / "code.c").write_text(SOURCE)
    compile_c([folder / "code.c"], folder / "code.so", ["-O1", *SANITIZED, "-shared", "-fPIC"])
    function = ctypes.CDLL(str(folder / "code.so")).code
    function.restype = ctypes.c_int8
    return function


def portable_output(bias: list[int], multiplier: list[int], shift: list[int], zero_point: int = 3,
                    low: int = -128, high: int = 127) -> dict[str, object]:
    """tk_output_s8_params; low and high as codes."""
    return {"bias": Array("bias", np.array(bias, np.int32)),
            "multiplier": Array("multiplier", np.array(multiplier, np.int32)),
            "shift": Array("shift", np.array(shift, np.int8)),
            "zero_point": zero_point, "low": low - zero_point, "high": high - zero_point}


near_halves = st.builds(lambda n, k, d: (2 * k + 1) * 2**n + d, st.integers(0, 22), st.integers(-100, 100),
                        st.integers(-2, 2))


@given(total=st.integers(-(2**30) + 1, 2**30 - 1) | near_halves, zero_point=st.integers(-128, 127),
       multiplier=st.integers(2**30, 2**31 - 1) | st.just(2**30), shift=st.integers(-31, -1))
def test_a_record_gives_the_code_of_every_sum_that_it_takes(code, total, zero_point, multiplier, shift):
    """One weight of 1 makes each channel depend on its input."""
    total = min(max(total, 127 - 2**30), 2**30 - 128)
    made = scales_of(np.array([[1]]), portable_output([total], [multiplier], [shift], zero_point))
    if made is None:
        assert abs(requantize(total, multiplier, shift)) < 2**30 and shift < -22
        return
    for x in (-128, -1, 0, 127):
        want = np.clip(requantize(total + x, multiplier, shift) + zero_point, -128, 127)
        twice = 0 if made.constant[0] else 2 * (total + x)
        assert code(twice, *(int(each[0]) for each in (made.multiplier, made.offset, made.shift))) == want


@pytest.mark.parametrize("bias, multiplier, shift", [(2**30, 2**30, -30), (0, 2**30, 0), (0, 2**30, 3)])
def test_what_a_record_cannot_say(bias, multiplier, shift):
    """A sum of 32 bits; no shift to the right."""
    assert scales_of(np.full((1, 1), 100), portable_output([bias], [multiplier], [shift])) is None


@pytest.mark.parametrize("bias, multiplier, shift, want", [
    (2**30, 2**30, -31, 3), (-2**30, 2**30 + 1, 0, -128), (5, 0, 0, 3), (2**30, 2**30, -25, 19)])
def test_a_channel_of_one_code_needs_no_sum(bias, multiplier, shift, want):
    """Whatever its bias and shift are, as long as nothing wraps: networks have dead channels."""
    made = scales_of(np.zeros((1, 4), int), portable_output([bias], [multiplier], [shift]))
    assert made.constant[0] and made.bias[0] == 0 and made.offset[0] >> made.shift[0] == want


@pytest.mark.parametrize("excess, taken", [(0, True), (1, False)])
def test_a_second_channel_s_sum_must_fit_24_bits(excess, taken):
    weight = np.full((1, 2, 1, 512), 100, np.int8)
    bias = 2**23 - 1 - 512 * 100 * 127 + excess
    output = portable_output([2**29, bias], [2**30] * 2, [-20] * 2)
    assert (packed_block(weight, output) is not None) == taken


@pytest.mark.parametrize("first, taken", [(5, True), (-5, False)])
def test_a_second_channel_s_least_weight_lends_nothing(first, taken):
    weight = np.array([[[[first]], [[-128]]]], np.int8)
    assert (packed_block(weight, portable_output([0, 0], [2**30] * 2, [-8] * 2)) is not None) == taken


def test_sums_at_the_24_bits_edge(tmp_path):
    """All products of one sign, in both channels of a pair, so that both sums are as large as they can be."""
    net = Net("edge")
    x = net.codes_in("x", 1, 500, zero_point=0)
    scale = QuantParams(np.full(4, 1e-4, np.float32), np.zeros(4, np.int32), 0)
    signs = np.array([[1], [1], [-1], [-1]])
    weight = net.constant("w", np.broadcast_to(signs * 127, (4, 500)).astype(np.int8), scale)
    sums = QuantParams(scale.scale * np.float32(0.05), scale.zero_point, 0, "int32")
    bias = net.constant("b", np.zeros(4, np.int32), sums)
    graph = net.finish(net.make("fully_connected", (x, weight, bias), "y", 0.7, 0))
    for host, value in product(compile_calls(special(graph), tmp_path), (-128, 127)):
        codes = np.full((1, 500), value, np.int8)
        want = reference.run(graph, {"x": codes})["y"].ravel()
        np.testing.assert_array_equal(host.run([codes], 4), want)
        assert len(set(want.tolist())) == 2 and abs(want).max() < 127
