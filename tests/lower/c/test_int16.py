"""C on 16-bit codes: every kernel gives the reference's codes; what has none is refused by name."""

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.op_cases_int16 import CASES, Net, drawn
from tests.quantize.nets import Net as FloatNet
from tests.quantize.nets import samples_of
from toolchain.errors import Unsupported
from toolchain.ir.quant import QuantParams
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.c.emit import write_c
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.kernels_int16 import INTEGER_KINDS


@pytest.mark.parametrize("kind", CASES)
def test_codes_equal_the_references(kind, tmp_path):
    found = drawn(kind)
    models = compile_graphs([graph for graph, _ in found], tmp_path)
    for (graph, feeds), model in zip(found, models, strict=True):
        expected, got = reference.run(graph, feeds)["y"], model.in_arena().run(feeds)["y"]
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(got, expected), f"{np.mean(got != expected):.2%} of codes differ"


def whole_net(kind, islands, scheme):
    """A residual network with a gate, curves of every kind that C has on 16 bits, and a softmax."""
    net = FloatNet()
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "stem", activation="relu6")
    y = net.op("hard_swish", [net.conv(x, 8, "body")], "swish")
    y = net.op("max_pool2d", [net.op("add", [y, x], "sum")], "pool", kernel=(2, 2), stride=(2, 2))
    y = net.op("mul", [y, net.op(kind, [net.conv(y, 8, "gate", 1)], "open")], "gated")
    y = net.op("concat", [y, net.op("leaky_relu", [y], "leaky", alpha=0.1)], "both", axis=3)
    y = net.dense(net.op("mean", [y], "mean", axes=(1, 2)), 6, "dense")
    graph = net.graph(net.op("softmax", [y], "probability"))
    samples = samples_of(graph)
    stats = calibrate(graph, CalibrateConfig(), samples)
    return quantize(graph, stats, QuantSpec(scheme=scheme, islands=islands)), samples.x["x"]


@pytest.mark.parametrize("kind, islands, scheme", [
    ("logistic", {}, "static_wi8_ai16"), ("tanh", {"*": "int16"}, "static_wi8_ai8"),
    ("tanh", {"swish": "int16"}, "static_wi8_ai8"), ("logistic", {"s*": "int16"}, "static_wi8_ai8"),
    ("logistic", {"both": "int16", "stem": "int16"}, "static_wi8_ai8")])
def test_networks_on_16_bits_and_with_islands_of_them(kind, islands, scheme, tmp_path):
    graph, x = whole_net(kind, islands, scheme)
    model, = compile_graphs([graph], tmp_path)
    feeds = {"x": codes_of(x, graph.tensors["x"].quant)}
    expected, got = reference.run(graph, feeds)["probability"], model.in_arena().run(feeds)["probability"]
    assert got.dtype == expected.dtype and np.array_equal(got, expected)


@pytest.mark.parametrize("ratio, refused", [(2.0**13.9, False), (2.0**14.1, True)])
def test_an_output_can_be_too_fine(ratio, refused):
    net = Net(0)
    x = net.input(1, 8)
    weight, bias = net.weights(x, (3, 8), 0)
    step = float(net.b.tensors[weight].quant.scale.max() * net.b.tensors[x].quant.scale)
    graph = net.out("fully_connected", [x, weight, bias], QuantParams(step / ratio, 0, dtype="int16"))
    if not refused:
        assert write_c(graph).files
        return
    with pytest.raises(Unsupported, match="a step of its sums is 16,384 steps or more of its output"):
        write_c(graph)


def test_every_kind_with_16_bit_arithmetic_is_tried():
    tried = {graph.ops[0].kind for kind in CASES for graph, _ in drawn(kind)[:1]}
    assert tried == INTEGER_KINDS | {"quantize"}


@pytest.mark.parametrize("kind", ["gelu", "exp", "elu"])
def test_kinds_that_16_bit_codes_leave_to_reals_are_refused(kind):
    net = Net(0)
    attrs = {"approximate": True} if kind == "gelu" else {}
    graph = net.out(kind, [net.input(1, 4)], net.params(), **attrs)
    with pytest.raises(Unsupported, match=f"y: {kind} has no 16-bit kernel; C is integer only"):
        write_c(graph)


def test_16_bit_codes_are_padded_with_zero():
    net = Net(0)
    x = net.input(1, 4)
    graph = net.out("pad", [x], net.b.tensors[x].quant, pads=((0, 0), (1, 1)), value=0.5)
    with pytest.raises(Unsupported, match="pad of 16-bit codes with 0.5; C pads them with 0"):
        write_c(graph)
