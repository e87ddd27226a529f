"""static_wi8_ai16: the same rewrite with 16-bit activations."""

import numpy as np
import pytest

from tests.quantize.nets import Net, run_quantized, samples_of
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.tflm import run_tflm


def small_net():
    net = Net()
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "conv", activation="relu6")
    depthwise = [x, net.weights("depthwise.weight", 1, 3, 3, 8), net.weights("depthwise.bias", 8)]
    y = net.op("depthwise_conv2d", depthwise, "depthwise", pads=(1, 1, 1, 1))
    y = net.op("add", [net.op("leaky_relu", [y], "leaky", alpha=0.1), x], "sum", activation="relu")
    y = net.op("max_pool2d", [y], "pool", kernel=(2, 2), stride=(2, 2))
    gate = net.op("logistic", [net.conv(y, 8, "gate", 1)], "open")
    y = net.op("concat", [net.op("mul", [y, gate], "gated"), net.op("tanh", [y], "tanh")], "both", axis=3)
    y = net.dense(net.op("mean", [y], "mean", axes=(1, 2)), 6, "dense")
    return net.graph(net.op("softmax", [y], "probability"))


def quantized(graph, samples, scheme):
    return quantize(graph, calibrate(graph, CalibrateConfig(), samples), QuantSpec(scheme=scheme))


def test_sixteen_bits_are_far_closer_to_float_than_eight():
    graph = small_net()
    samples = samples_of(graph)
    exact = reference.run(graph, samples.x)["probability"]
    errors = {scheme: np.abs(run_quantized(quantized(graph, samples, scheme), samples.x)["probability"]
                             - exact).max() for scheme in ("static_wi8_ai8", "static_wi8_ai16")}
    assert errors["static_wi8_ai16"] < errors["static_wi8_ai8"] / 2 and errors["static_wi8_ai16"] < 0.02


def test_activations_are_int16_and_symmetric_and_biases_int64():
    graph = small_net()
    codes = quantized(graph, samples_of(graph), "static_wi8_ai16")
    assert {t.dtype for t in codes.activations} == {"int16"}
    assert not any(t.quant.zero_point for t in codes.activations)
    assert {t.dtype for t in codes.constants} == {"int8", "int64"}


@pytest.mark.oracle
def test_the_file_gives_tflite_micro_and_litert_the_same_codes():
    graph = small_net()
    samples = samples_of(graph)
    codes = quantized(graph, samples, "static_wi8_ai16")
    feeds = {"x": codes_of(samples.x["x"][:4], codes.tensors["x"].quant)}
    ours, model = reference.run(codes, feeds)["probability"], write_tflite(codes)
    theirs = run_tflm(model, [{"x": feeds["x"][i:i + 1]} for i in range(4)])
    np.testing.assert_array_equal(ours, np.concatenate([sample["probability"] for sample in theirs]))
    apart = np.abs(LiteRT(model).run(feeds)["probability"].astype(np.int64) - ours)
    assert apart.max() <= 8  # of 32,768: rounded in float on the way
