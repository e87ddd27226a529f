"""Islands of wider numbers: what they hold, what computes in them, and that every runtime agrees."""

from functools import cache

import numpy as np
import pytest

from tests.quantize.nets import Net, run_quantized, samples_of, stats_of
from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.quant import dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.islands import numbers_of
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime
from toolchain.runtime.tflm import run_tflm


def gated_net():
    """Convolutions, a residual sum, a gate, a concat and a head."""
    net = Net()
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "stem", activation="relu6")
    y = net.op("leaky_relu", [net.conv(x, 8, "body")], "leaky", alpha=0.1)
    y = net.op("max_pool2d", [net.op("add", [y, x], "sum")], "pool", kernel=(2, 2), stride=(2, 2))
    gate = net.op("logistic", [net.conv(y, 8, "gate", 1)], "open")
    y = net.op("concat", [net.op("mul", [y, gate], "gated"), net.op("tanh", [y], "tanh")], "both", axis=3)
    y = net.dense(net.op("mean", [y], "mean", axes=(1, 2)), 6, "dense")
    return net.graph(net.op("softmax", [y], "probability"))


@cache
def calibrated():
    graph = gated_net()
    samples = samples_of(graph)
    return graph, samples.x, calibrate(graph, CalibrateConfig(), samples)


def islanded(**islands):
    graph, x, stats = calibrated()
    return quantize(graph, stats, QuantSpec(islands={key.replace("_", "*"): n for key, n in islands.items()}))


def numbers(islands, base="int8"):
    return numbers_of(calibrated()[0], base, islands)


def test_the_output_of_a_named_op_is_held_wide_and_its_readers_compute_wide():
    found = numbers({"stem": "int16"})
    assert {name for name, number in found.held.items() if number != "int8"} == {"stem"}
    assert {name for name, number in found.computes.items() if number != "int8"} == {"stem", "body", "sum"}


def test_what_hands_codes_on_hands_wide_ones_on():
    found = numbers({"sum": "float32"})
    assert {name for name, number in found.held.items() if number == "float32"} == {"sum", "pool"}
    assert {name for name, number in found.computes.items() if number == "float32"} == {
        "sum", "pool", "gate", "gated", "tanh"}


def test_the_widest_numbers_win_and_a_name_goes_before_a_pattern():
    found = numbers({"*": "int16", "g*": "float32", "gated": "int16"})
    assert (found.held["gate"], found.held["gated"], found.held["stem"]) == ("float32", "int16", "int16")
    assert found.computes["open"] == "float32" and found.held["x"] == "int8"


def test_an_island_that_is_no_op_names_those_near():
    message = r'"stern" is the name of no op, and no pattern of one; did you mean stem'
    with pytest.raises(BadConfig, match=message):
        numbers({"stern": "int16"})


def test_an_op_without_a_16_bit_kernel_is_refused_by_name_and_passed_over_by_a_pattern():
    net = Net()
    y = net.op("gelu", [net.conv(net.input("x", (1, 4, 4, 2)), 2, "conv")], "gelu")
    graph = net.graph(net.conv(y, 2, "head"))
    with pytest.raises(Unsupported, match="gelu: gelu has no 16-bit kernel"):
        numbers_of(graph, "int8", {"gelu": "int16"})
    assert numbers_of(graph, "int8", {"*": "int16"}).held == {
        "x": "int8", "conv": "int16", "gelu": "int8", "head": "int16"}
    codes = quantize(graph, stats_of({"x": (-1, 1), "conv": (-4, 4), "gelu": (-1, 4), "head": (-2, 2)}),
                     QuantSpec(islands={"conv": "int16"}))
    assert [op.kind for op in codes.ops] == ["quantize", "conv2d", "quantize", "gelu", "conv2d"]


def test_widening_loses_nothing():
    """int8 codes less their zero point fit in 9 bits; 7 more below the point are those of int16."""
    net = Net()
    graph = net.graph(net.op("add", [net.input("x", (1, 256)), net.input("z", (1, 256))], "y"))
    codes = quantize(graph, stats_of({"x": (-0.3, 2), "z": (0, 1), "y": (-1, 3)}),
                     QuantSpec(islands={"y": "int16"}))
    narrow = np.arange(-128, 128, dtype=np.int8)[None]
    wide = reference.run(codes, {"x": narrow, "z": narrow}, ["x.int16"])["x.int16"]
    np.testing.assert_array_equal(dequantize(wide, codes.tensors["x.int16"].quant),
                                  dequantize(narrow, codes.tensors["x"].quant))


def outlier_net(kind):
    """A layer one of whose channels is 200 times as large as the others, which alone count in the next."""
    net = Net()
    x = net.input("x", (1, 6, 6, 3))
    weight, head = (np.array(net.rng.normal(0, 0.5, shape), np.float32) for shape in ((8, 3, 3, 3), (4, 8)))
    weight[5] *= 200
    head[:, 5] = 0
    zeros = np.zeros(8, np.float32)
    y = net.op("conv2d", [x, net.constant("w", weight), net.constant("b", zeros)], "wide", pads=(1,) * 4)
    y = net.op(kind, [y], "curve") if kind else y
    y = net.op("mean", [net.op("conv2d", [y, net.constant("h", head.reshape(4, 1, 1, 8)),
                                          net.weights("hb", 4)], "head")], "pooled", axes=(1, 2))
    return net.graph(y)


@pytest.mark.parametrize("kind, islands", [(None, {"wide"}), ("relu", {"wide", "curve"})])
@pytest.mark.parametrize("number", ["int16", "float32"])
def test_an_island_repairs_a_layer_with_an_outlier_channel(kind, islands, number):
    graph = outlier_net(kind)
    samples = samples_of(graph, 64)
    stats, exact = calibrate(graph, CalibrateConfig(), samples), reference.run(graph, samples.x)["pooled"]
    errors = [np.abs(run_quantized(quantize(graph, stats, QuantSpec(islands=dict.fromkeys(names, number))),
                                   samples.x)["pooled"] - exact).mean() for names in ((), islands)]
    assert errors[1] < errors[0] / 4, errors


def test_notes_name_the_islands_and_their_cost():
    notes = islanded(stem="int16").source.notes
    assert notes[:3] == ("stem (conv2d) computes in 16 bits", "body (conv2d) computes in 16 bits",
                         "sum (add) computes in 16 bits")
    assert notes[3].startswith("islands: 1 activations in wider numbers; 3 of 13 ops compute in them, ")
    assert notes[3].endswith(" % of the multiply-accumulates; 5 conversions")
    assert not islanded().source.notes


@pytest.mark.oracle
@pytest.mark.parametrize("islands", [
    {"stem": "int16"}, {"leaky": "int16"}, {"sum": "int16", "g_": "float32"}, {"_": "int16"},
    {"tanh": "int16"}, {"body": "float32"}, {"_": "float32"}, {"pool": "int16", "dense": "float32"}],
    ids=lambda islands: "-".join((*islands, *islands.values())))
def test_mixed_files_run_as_the_reference_does(islands):
    codes, x = islanded(**islands), calibrated()[1]
    feeds = {"x": codes_of(x["x"], codes.tensors["x"].quant)}
    ours, model = reference.run(codes, feeds)["probability"], write_tflite(codes, integer_only=True)
    theirs = run_tflm(model, [{"x": feeds["x"][i:i + 1]} for i in range(4)])
    unit = 1e-5 if ours.dtype == np.float32 else 1
    micro = np.concatenate([sample["probability"] for sample in theirs])
    assert np.abs(micro.astype(np.float64) - ours[:4]).max() <= (unit if "float32" in islands.values() else 0)
    exact = ours if ours.dtype == np.float32 else dequantize(ours, codes.tensors["probability"].quant)
    onnx = OnnxRuntime(write_onnx(codes, activations="int8")).run(x)["probability"]
    assert np.abs(onnx - exact).max() <= 10 / 256
    lite = LiteRT(model, reference_kernels=True).run(feeds)["probability"].astype(np.float64)
    assert np.abs(lite - ours).max() <= 6 * unit  # a code of the logits is several of a probability
