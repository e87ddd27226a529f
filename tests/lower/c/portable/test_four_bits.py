"""4-bit weights in C: the reference's codes from half the flash."""

import numpy as np
import pytest

from tests.c_calls import compile_calls, distances
from tests.c_host import compile_graphs
from tests.lower.c.nets import Net
from tests.quantize.test_weight_only import network, treated
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.emit import CALLS
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.runtime import reference

CASES = 40
KINDS = {"fully_connected": "tk_fully_connected_s4", "conv2d": "tk_conv2d_s4",
         "depthwise_conv2d": "tk_depthwise_conv2d_s4"}


class FourBitNet(Net):
    """Its weights reach from -8 to 7."""

    def constant(self, name: str, data: np.ndarray, quant: QuantParams) -> str:
        if not name.endswith(".weight"):
            return super().constant(name, data, quant)
        codes = self.rng.choice([-8, -7, -1, 0, 1, 7, 3], data.shape).astype(np.int8)
        return super().constant(name, codes, QuantParams(quant.scale, quant.zero_point, quant.axis, "int4"))


def draw(kind: str, number: int) -> Graph:
    """Any sizes, windows and zero points. fully_connected: as the 1x1 convolution that is one"""
    rng = np.random.default_rng(number)
    net = FourBitNet(f"case{number}", number)
    channels, outputs = (int(rng.choice([2, 3, 4, 5, 8, 9])) for _ in range(2))
    height, width, kernel = 1, int(rng.integers(1, 8)), [1, 1]
    window = {}
    if kind != "fully_connected":
        height, width, kernel = int(rng.integers(3, 9)), width + 2, rng.integers(1, 4, 2).tolist()
        pads, stride = rng.integers(0, 2, 4).tolist(), rng.integers(1, 3, 2).tolist()
        window = {"pads": tuple(pads), "stride": tuple(stride)}
    x = net.codes_in("x", 1, height, width, channels, zero_point=int(rng.choice([-128, 127, 0, 3])))
    first, axis = (1, 3) if kind == "depthwise_conv2d" else (outputs, 0)
    weights = net.weights("w", x, (first, *kernel, channels), axis)
    kind = "conv2d" if kind == "fully_connected" else kind
    return net.finish(net.make(kind, (x, *weights), "y", 0.004, int(rng.choice([-128, 0, 127])), **window))


@pytest.mark.parametrize("kind", KINDS)
def test_the_codes_are_the_reference_s(kind, tmp_path):
    graphs = [draw(kind, number) for number in range(CASES)]
    calls = [CALLS[graph.ops[0].kind](graph, graph.ops[0]) for graph in graphs]
    assert {call.kernel for call in calls} == {KINDS[kind]}
    for graph, call, host in zip(graphs, calls, compile_calls(calls, tmp_path), strict=True):
        shape = graph.tensors["x"].shape
        x = np.random.default_rng(shape[2]).integers(-128, 128, shape).astype(np.int8)
        want = reference.run(graph, {"x": x})["y"].ravel()
        for over, distance in [(None, 0), *((each.operand, distance) for each in call.overlaps
                                            for distance in distances(each, x.size, want.size))]:
            np.testing.assert_array_equal(host.run([x], want.size, over, distance), want, graph.name)


@pytest.mark.parametrize("isa", ["", *{rooms: isa for isa, rooms in ROOMS.items()}.values()])
def test_a_network_with_4_bit_weights_on_every_kind_of_core(isa, tmp_path):
    """Its transposed convolution has 8 bits."""
    codes = treated(network(), "static_wi4_ai8")
    model, = compile_graphs([codes], tmp_path, machine=Machine(isa))
    samples = np.random.default_rng(0).integers(-128, 128, (4, *codes.tensors["x"].shape[1:]))
    feeds = {"x": samples.astype(np.int8)}
    np.testing.assert_array_equal(model.run(feeds)["y"], reference.run(codes, feeds)["y"])


def test_flash_halves():
    """conv 3x3x4 -> 12, depthwise 3x3 over 12, 12 -> 7 -> 3, which take whole fours of outputs."""
    codes = treated(network(), "static_wi4_ai8")
    found = [array.data.nbytes for op in codes.ops if op.kind in KINDS
             for array in CALLS[op.kind](codes, op).arrays if array.role == "weight"]
    assert found == [12 * 36 // 2, 9 * 12 // 2, 8 * 6 // 2, 4 * 7 // 2]


def test_kernels_without_a_4_bit_form_read_bytes():
    net = FourBitNet("grouped")
    x = net.codes_in("x", 1, 4, 4, 6)
    graph = net.finish(net.make("conv2d", (x, *net.weights("w", x, (4, 1, 1, 3))), "y"))
    assert CALLS["conv2d"](graph, graph.ops[0]).kernel == "tk_grouped_conv2d_s8"
