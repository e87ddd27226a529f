"""Reals and whole numbers beside codes in a quantized graph."""

import numpy as np
import pytest

from tests.quantize.nets import Net, run_quantized, samples_of, stats_of
from toolchain.data import Samples
from toolchain.ir.quant import dequantize
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT


def kinds(graph):
    return [op.kind for op in graph.ops]


def computed_weights_net():
    """y = fully_connected(x, tanh(w)): the matrix is an activation; what follows goes on in codes."""
    net = Net()
    weight = net.op("tanh", [net.op("reshape", [net.input("w", (1, 8))], "rows", shape=(2, 4))], "weight")
    y = net.op("fully_connected", [net.input("x", (1, 4)), weight, net.weights("bias", 2)], "y")
    return net.graph(net.op("relu", [y], "z"))


def test_an_op_without_an_integer_form_stands_between_conversions():
    graph = computed_weights_net()
    codes = quantize(graph, stats_of({"x": (-2, 2), "w": (-1, 1), "y": (-3, 3), "z": (0, 3)}))
    assert kinds(codes) == ["reshape", "tanh", "dequantize", "dequantize", "fully_connected", "quantize",
                            "relu"]
    assert codes.ops[4].inputs == ("x.float", "weight.float", "bias") and codes.ops[5].outputs == ("y",)
    assert codes.tensors["bias"].dtype == "float32" and codes.tensors["y"].dtype == "int8"
    assert codes.source.notes == ("y (fully_connected) computes in float",)
    rng = np.random.default_rng(0)
    reals = {"x": rng.uniform(-1, 1, (1, 4)), "w": rng.uniform(-1, 1, (1, 8))}
    reals = {name: value.astype(np.float32) for name, value in reals.items()}
    exact = reference.run(graph, reals)["z"]
    assert np.abs(run_quantized(codes, reals)["z"] - exact).max() < 0.05


def test_reals_that_only_ops_on_reals_read_are_never_told_in_codes():
    net = Net()
    x, exponents = net.input("x", (1, 4)), net.weights("exponents", 4)
    y = net.op("pow", [net.op("pow", [x, exponents], "first"), exponents], "second")
    codes = quantize(net.graph(y), stats_of({"x": (0.5, 1), "first": (0, 2), "second": (0, 4)}))
    assert kinds(codes) == ["dequantize", "pow", "pow", "quantize"]
    assert codes.tensors["first"].dtype == "float32" and codes.tensors["exponents"].dtype == "float32"


def test_tokens_and_answers_stay_whole_numbers():
    """Embedding, dense, argmax; and a mask of the tokens that chooses between two activations."""
    net = Net()
    tokens = net.input("tokens", (1, 3), "int32")
    rows = net.op("gather", [net.weights("table", 9, 4), tokens], "rows", axis=0)
    known = net.op("compare", [tokens, net.constant("pad", np.int32([0]))], "known", relation="greater")
    mask = net.op("reshape", [known], "mask", shape=(1, 3, 1))
    kept = net.op("select", [mask, rows, net.constant("none", np.float32([0]))], "kept")
    graph = net.graph(net.op("argmax", [kept], "best", axis=2), kept)
    codes = quantize(graph, {})
    assert kinds(codes) == kinds(graph)
    assert {name: t.dtype for name, t in codes.tensors.items()} == {
        "tokens": "int32", "table": "int8", "rows": "int8", "pad": "int32", "known": "bool", "mask": "bool",
        "none": "int8", "kept": "int8", "best": "int64"}
    feeds = {"tokens": np.array([[0, 4, 8], [3, 0, 1]], np.int32)}
    exact, found = reference.run(graph, feeds), reference.run(codes, feeds)
    assert np.array_equal(found["best"], exact["best"])
    assert np.abs(dequantize(found["kept"], codes.tensors["kept"].quant) - exact["kept"]).max() < 0.01


def test_a_net_that_reads_tokens_is_calibrated_with_tokens():
    net = Net()
    words = net.input("tokens", (1, 3), "int32")
    rows = net.op("gather", [net.weights("table", 9, 4), words], "rows", axis=0)
    scores = net.op("batch_matmul", [rows, net.weights("w", 4, 5)], "scores")
    graph = net.graph(net.op("argmax", [scores], "best", axis=2), scores)
    tokens = np.random.default_rng(0).integers(0, 9, (16, 3))
    samples = Samples("text", {"tokens": tokens}, None, None, np.arange(16))
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    feeds = {"tokens": tokens.astype(np.int32)}
    exact, found = reference.run(graph, feeds), reference.run(codes, feeds)
    assert np.mean(found["best"] == exact["best"]) > 0.9
    scale = codes.tensors["scores"].quant
    assert np.abs(dequantize(found["scores"], scale) - exact["scores"]).max() < 0.05


def test_a_matrix_of_constants_is_symmetric_where_a_table_is_not():
    net = Net()
    table = net.weights("table", 4, 4)
    y = net.op("batch_matmul", [net.input("x", (1, 4, 4)), table], "y")
    codes = quantize(net.graph(net.op("add", [y, table], "sum")),
                     stats_of({"x": (-1, 1), "y": (-2, 2), "sum": (-3, 3)}))
    matrix, operand = (codes.tensors[op.inputs[1]] for op in codes.ops)
    assert matrix.quant.zero_point == 0 and np.abs(matrix.data.astype(int)).max() == 127
    assert operand.name == "table.1" and operand.quant.zero_point != 0


def test_layer_norm_keeps_its_parameters_in_float():
    net = Net()
    gamma, beta = net.weights("gamma", 4), net.weights("beta", 4)
    graph = net.graph(net.op("layer_norm", [net.input("x", (1, 5, 4)), gamma, beta], "y", axes=(2,),
                             epsilon=1e-5))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples))
    assert codes.tensors["gamma"].dtype == codes.tensors["beta"].dtype == "float32"
    exact, found = reference.run(graph, samples.x)["y"], run_quantized(codes, samples.x)["y"]
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.02 * np.ptp(exact)


@pytest.mark.parametrize("divisors, kind", [((0, 1), "maximum"), ((-1, 0), "minimum")])
def test_divisors_that_round_to_zero_are_taken_as_the_next_code(divisors, kind):
    """TFLite's kernel stops at a division by 0."""
    net = Net()
    graph = net.graph(net.op("div", [net.input("a", (1, 5)), net.input("b", (1, 5))], "y"))
    codes = quantize(graph, stats_of({"a": (0, 1), "b": divisors, "y": sorted(4 * b for b in divisors)}))
    assert kinds(codes) == [kind, "div"]
    step, = np.float32(1 / 255) * np.sign(np.float32([sum(divisors)]))
    reals = {"a": np.float32([[0, 1, 1, 0.5, 2 / 255]]), "b": step * np.float32([[0, 255, 51, 1, 0.2]])}
    exact = np.clip(reals["a"] / np.where(abs(reals["b"]) < abs(step), step, reals["b"]), -4, 4)
    expected = run_quantized(codes, reals)["y"]
    np.testing.assert_allclose(expected, exact, atol=4 / 255 + 1e-6)
    answers = LiteRT(write_tflite(codes, io="float32")).run(reals)["y"]
    np.testing.assert_allclose(answers, expected, atol=4 / 255 + 1e-6)


@pytest.mark.parametrize("divisor", [None, np.float32([1, -1, 1e-6, 1])])
def test_divisors_on_both_sides_of_zero_divide_reals(divisor):
    net = Net()
    b = net.input("b", (1, 4)) if divisor is None else net.constant("b", divisor)
    graph = net.graph(net.op("div", [net.input("a", (1, 4)), b], "y"))
    codes = quantize(graph, stats_of({"a": (0, 1), "b": (-1, 1), "y": (-8, 8)}))
    assert "div" in kinds(codes) and kinds(codes)[-1] == "quantize"
    assert codes.source.notes == ("y (div) computes in float",)


def test_int16_codes_may_be_made_of_reals_alone():
    """An island of int16 that reads an island of float32, where nothing else has 16 bits."""
    net = Net()
    graph = net.graph(net.conv(net.conv(net.input("x", (1, 4, 4, 2)), 3, "first"), 2, "second"))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples),
                     QuantSpec(islands={"first": "float32", "second": "int16"}))
    assert kinds(codes) == ["dequantize", "conv2d", "conv2d", "quantize"]
    assert codes.tensors["second"].dtype == "int16"
    found, exact = run_quantized(codes, samples.x)["second"], reference.run(graph, samples.x)["second"]
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
