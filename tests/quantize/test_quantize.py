"""The rewrite into integers: what it computes, and each corner of the specification it has to turn."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.nets import Net, run_quantized, samples_of, stats_of
from toolchain.errors import BadModel, BadSamples, Unsupported
from toolchain.ir.check import check
from toolchain.ir.quant import activation_params, dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rules import UNIT
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.tflm import run_tflm


def kinds(graph):
    return [op.kind for op in graph.ops]


def every_kind_net():
    """All ops that have a rule, in one graph with two inputs."""
    net = Net()
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "conv", activation="relu6")
    depthwise = [x, net.weights("depthwise.weight", 1, 3, 3, 8), net.weights("depthwise.bias", 8)]
    y = net.op("depthwise_conv2d", depthwise, "depthwise", pads=(1, 1, 1, 1))
    y = net.op("add", [net.op("relu", [y], "relu"), x], "sum")
    y = net.op("leaky_relu", [y], "leaky", alpha=0.1)
    y = net.op("sub", [y, net.weights("offset", 8)], "difference")
    y = net.op("max_pool2d", [net.op("relu6", [y], "relu6")], "pool", kernel=(2, 2), stride=(2, 2))
    y = net.op("mul", [y, net.op("logistic", [net.input("gate", (1, 1, 1, 8))], "open")], "gated")
    y = net.op("concat", [y, net.op("tanh", [y], "tanh")], "both", axis=3)
    y = net.op("pad", [y], "pad", pads=((0, 0), (1, 1), (1, 1), (0, 0)))
    y = net.op("average_pool2d", [y], "average", kernel=(2, 2), stride=(2, 2))
    y = net.op("mean", [net.op("transpose", [y], "turn", perm=(0, 2, 1, 3))], "mean", axes=(1,))
    y = net.dense(net.op("reshape", [y], "flat", shape=(1, 48)), 6, "dense")
    return net.graph(net.op("softmax", [y], "probability"), y)


def test_a_net_of_every_kind_stays_close_to_its_float_self():
    graph = every_kind_net()
    samples = samples_of(graph)
    stats = calibrate(graph, CalibrateConfig(), samples)
    codes = quantize(graph, stats)
    exact, found = reference.run(graph, samples.x), run_quantized(codes, samples.x)
    span = np.ptp(exact["dense"])
    assert np.abs(found["dense"] - exact["dense"]).max() < 0.03 * span
    assert np.abs(found["probability"] - exact["probability"]).max() < 0.1
    assert set(kinds(graph)) <= set(kinds(codes)) and kinds(codes).count("quantize") == 1


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai16"])
def test_an_average_over_the_whole_map_is_told_in_steps_of_its_own(scheme):
    """Of 64 independent values in -1..1 the average has an eighth of their deviation: at their scale three of
    eight bits would be lost."""
    net = Net()
    graph = net.graph(net.op("average_pool2d", [net.input("x", (1, 8, 8, 3))], "pool", kernel=(8, 8)))
    x = np.random.default_rng(0).uniform(-1, 1, (200, 8, 8, 3)).astype(np.float32)
    samples = replace(samples_of(graph, 200), x={"x": x})
    stats = calibrate(graph, CalibrateConfig(observer="minmax", samples=200), samples)
    codes = quantize(graph, stats, QuantSpec(scheme=scheme))
    exact, found = x.mean(axis=(1, 2), keepdims=True), run_quantized(codes, {"x": x})["pool"]
    assert kinds(codes) == ["mean"] and codes.tensors["pool"].shape == (1, 1, 1, 3)
    step = np.ptp(exact) / 255 if scheme == "static_wi8_ai8" else np.abs(exact).max() / 32767
    assert np.abs(found - exact).max() < 1.7 * step  # half for the output, the rest for the input's codes


def test_every_activation_is_int8_and_names_stay():
    graph = every_kind_net()
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph)))
    assert {t.name for t in graph.activations} <= {t.name for t in codes.activations}
    assert {t.dtype for t in codes.activations} == {"int8"}
    assert {t.dtype for t in codes.constants} == {"int8", "int32"}
    assert (codes.inputs, codes.outputs, codes.name) == (graph.inputs, graph.outputs, graph.name)
    check(codes, "QUANTIZED")


def test_quantizing_is_deterministic():
    graph = every_kind_net()
    stats = [calibrate(graph, CalibrateConfig(), samples_of(graph)) for _ in range(2)]
    assert quantize(graph, stats[0]).digest == quantize(graph, stats[1]).digest


def test_float32_leaves_the_graph_as_it_is():
    graph = every_kind_net()
    assert quantize(graph, {}, QuantSpec(scheme="float32")) is graph


@pytest.mark.parametrize("activation, low, high", [("relu6", 0, 6), ("relu", 0, 40), (None, -40, 40)])
def test_the_range_is_that_behind_the_fused_activation(activation, low, high):
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 4, 4, 2)), 3, "conv", activation=activation))
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph, scale=20)))
    reached = dequantize(np.array([-128, 127], np.int8), codes.tensors["conv"].quant)
    assert reached[0] == pytest.approx(low) if low == 0 else reached[0] < low
    assert reached[1] == pytest.approx(high) if high == 6 else reached[1] > high


def test_two_layers_that_share_weights_get_biases_of_their_own():
    net = Net()
    x, weight, bias = net.input("x", (1, 4)), net.weights("w", 4, 4), net.weights("b", 4)
    y = net.op("fully_connected", [x, weight, bias], "first")
    graph = net.graph(net.op("fully_connected", [y, weight, bias], "second"))
    codes = quantize(graph, stats_of({"x": (-1, 1), "first": (-5, 5), "second": (-9, 9)}))
    first, second = codes.ops
    assert first.inputs == ("x", "w", "b") and second.inputs == ("first", "w", "b.1")
    for op in (first, second):
        x, w, b = codes.of(op)
        found = dequantize(b.data, b.quant)
        assert np.allclose(found, graph.tensors["b"].data, atol=float(b.quant.scale.max()))


def test_shared_weights_part_where_only_one_layer_s_bias_overflows():
    net = Net()
    x, y = net.input("x", (1, 2)), net.input("y", (1, 2))
    weight = net.constant("w", np.full((1, 2), 1e-3, np.float32))
    bias = net.constant("b", np.array([1.0], np.float32))
    outputs = [net.op("fully_connected", [source, weight, bias], f"of_{source}") for source in (x, y)]
    ranges = {"x": (-1, 1), "y": (-1e-6, 1e-6), "of_x": (0, 1), "of_y": (0, 1)}
    codes = quantize(net.graph(*outputs), stats_of(ranges))
    assert [op.inputs[1:] for op in codes.ops] == [("w", "b"), ("w.1", "b.1")]
    assert codes.tensors["w.1"].quant.scale > codes.tensors["w"].quant.scale


def test_a_fixed_output_is_requantized_for_the_concat_alone():
    net = Net()
    x = net.input("x", (1, 4))
    gate, wide = net.op("logistic", [x], "gate"), net.dense(x, 3, "wide")
    graph = net.graph(net.op("concat", [gate, wide], "both", axis=1), net.op("mul", [gate, x], "gated"))
    codes = quantize(graph, stats_of({"x": (-1, 1), "wide": (-4, 4), "gated": (-1, 1)}))
    assert kinds(codes) == ["logistic", "fully_connected", "quantize", "concat", "mul"]
    assert [op.inputs for op in codes.ops[2:]] == [("gate",), ("both.gate", "wide"), ("gate", "x")]
    assert codes.tensors["gate"].quant.same_as(UNIT)
    assert codes.tensors["both.gate"].quant.same_as(activation_params(-4, 4))


def test_a_tensor_that_several_ops_read_keeps_one_set_of_parameters():
    net = Net()
    x = net.conv(net.input("x", (1, 4, 4, 2)), 2, "conv")
    y = net.op("add", [x, net.op("relu", [x], "relu")], "sum")
    pool = net.op("max_pool2d", [x], "pool", kernel=(4, 4))
    graph = net.graph(net.op("concat", [x, y], "both", axis=3), pool)
    codes = quantize(graph, stats_of({"x": (-1, 1), "conv": (-2, 2), "relu": (0, 2), "sum": (-2, 4)}))
    shared = activation_params(-2, 4)
    assert all(codes.tensors[name].quant.same_as(shared) for name in ("conv", "sum", "both", "pool"))
    assert "quantize" not in kinds(codes)


def test_a_constant_operand_is_quantized_as_an_activation():
    net = Net()
    x = net.input("x", (1, 4, 4, 3))
    table = net.constant("table", np.array([0.0, 1.0, 2.55], np.float32))
    graph = net.graph(net.op("mul", [net.op("add", [x, table], "sum"), table], "y"))
    codes = quantize(graph, stats_of({"x": (-1, 1), "sum": (-1, 4), "y": (-1, 9)}))
    assert codes.tensors["table"].data.tolist() == [-128, -28, 127]
    assert codes.tensors["table"].quant.same_as(activation_params(0, 2.55))
    assert [op.inputs[1] for op in codes.ops] == ["table", "table"]


def test_a_constant_that_is_both_weight_and_operand_gets_codes_for_each():
    net = Net()
    table = net.weights("table", 4, 4)
    y = net.op("fully_connected", [net.input("x", (1, 4)), table, net.weights("b", 4)], "y")
    graph = net.graph(net.op("add", [y, table], "sum"))
    codes = quantize(graph, stats_of({"x": (-1, 1), "y": (-1, 1), "sum": (-2, 2)}))
    assert codes.tensors["table"].quant.axis == 0 and codes.tensors["table.1"].quant.axis is None
    for name in ("table", "table.1"):
        found = dequantize(codes.tensors[name].data, codes.tensors[name].quant)
        assert np.abs(found - graph.tensors["table"].data).max() < 0.01


@pytest.mark.parametrize("kind", ["fully_connected", "conv2d"])
def test_a_layer_of_a_constant_reads_its_codes(kind):
    """Such as a learned row that a dense layer makes something of, whatever the network is fed."""
    net = Net()
    x = net.input("x", (1, 4, 4, 3) if kind == "conv2d" else (1, 3))
    row = net.weights("row", *(1, 4, 4, 6) if kind == "conv2d" else (1, 6))
    made = net.conv(row, 3, "made") if kind == "conv2d" else net.dense(row, 3, "made")
    graph = net.graph(net.op("add", [x, made], "y"))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    exact, found = reference.run(graph, samples.x)["y"], run_quantized(codes, samples.x)["y"]
    assert np.abs(found - exact).max() < 0.02 * np.ptp(exact)


def test_a_dead_layer_gives_its_zeros():
    net = Net()
    x = net.conv(net.input("x", (1, 4, 4, 2)), 2, "dead", activation="relu")
    graph = net.graph(net.conv(x, 3, "y"))
    graph = graph.with_tensors(replace(graph.tensors["dead.bias"], data=np.full(2, -100, np.float32)))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    assert float(codes.tensors["dead"].quant.scale) == 1.0
    exact, found = reference.run(graph, samples.x)["y"], run_quantized(codes, samples.x)["y"]
    steps = codes.tensors["y"].quant.scale + codes.tensors["y.bias"].quant.scale.max()
    assert np.abs(found - exact).max() <= 0.51 * steps


def test_pruned_channels_answer_with_their_bias():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 4, 4, 2)), 4, "y"))
    weight = graph.tensors["y.weight"].data.copy()
    weight[1:3] = 0
    graph = graph.with_tensors(replace(graph.tensors["y.weight"], data=weight))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    found = run_quantized(codes, samples.x)["y"][..., 1:3]
    step = float(codes.tensors["y"].quant.scale)
    assert np.abs(found - graph.tensors["y.bias"].data[1:3]).max() <= 0.51 * step


def test_nan_in_a_weight_is_named():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 4, 4, 2)), 4, "y"))
    weight = graph.tensors["y.weight"].data.copy()
    weight[2, 0, 1, 1] = np.nan
    graph = graph.with_tensors(replace(graph.tensors["y.weight"], data=weight))
    with pytest.raises(BadModel, match=r"weight y.weight holds nan at \[2, 0, 1, 1\]"):
        quantize(graph, stats_of({"x": (0, 1), "y": (0, 1)}))


def test_an_output_that_hardly_moved_is_refused():
    net = Net()
    graph = net.graph(net.dense(net.input("x", (1, 4)), 2, "y"))
    with pytest.raises(BadSamples, match="y hardly moved in calibration"):
        quantize(graph, stats_of({"x": (-1, 1), "y": (0, 1e-12)}))


@pytest.mark.parametrize("kind", ["mul", "div", "relu", "abs", "mean"])
def test_results_of_rescaled_codes_that_hardly_moved_are_refused(kind):
    net = Net()
    operands = [net.input(name, (1, 4)) for name in ("ab" if kind in ("mul", "div") else "a")]
    attrs = {"axes": (1,), "keepdims": True} if kind == "mean" else {}
    graph = net.graph(net.op(kind, operands, "y", **attrs))
    with pytest.raises(BadSamples, match="y hardly moved in calibration"):
        quantize(graph, stats_of({"a": (0, 1), "b": (0, 1), "y": (0, 1e-12)}))


def test_a_sum_that_hardly_moved_is_refused_before_tflite_micro_aborts():
    net = Net()
    graph = net.graph(net.op("sub", [net.input("a", (1, 4)), net.input("b", (1, 4))], "y"))
    ranges = {"a": (0, 1), "b": (-1, 0)}
    quantize(graph, stats_of({**ranges, "y": (0, 2.1 * 2.0**-20)}))
    with pytest.raises(BadSamples, match="y hardly moved in calibration"):
        quantize(graph, stats_of({**ranges, "y": (0, 1.9 * 2.0**-20)}))


@pytest.mark.parametrize("kind", ["logistic", "tanh"])
def test_sigmoids_of_a_range_beyond_their_table_are_refused(kind):
    """At the widest range that goes through, 0 is still told from what saturates."""
    net = Net()
    graph = net.graph(net.op(kind, [net.input("x", (1, 4))], "y"))
    quantized = quantize(graph, stats_of({"x": (-1000, 1000)}))
    half = {"logistic": 0.5, "tanh": 0.0}[kind]
    assert run_quantized(quantized, {"x": np.zeros((1, 4), np.float32)})["y"] == pytest.approx(half, abs=0.02)
    with pytest.raises(BadSamples, match=rf"y \({kind}\) reads values over 2,100 wide"):
        quantize(graph, stats_of({"x": (-1050, 1050)}))


def test_an_already_quantized_graph_is_refused():
    net = Net()
    graph = net.graph(net.op("relu", [net.op("relu", [net.input("x", (1, 4))], "a")], "y"))
    codes = quantize(graph, stats_of({"x": (-1, 1), "a": (0, 1), "y": (0, 1)}))
    with pytest.raises(Exception, match="int8") as caught:
        quantize(codes, {})
    assert caught.value.exit_code in (2, 4)


def test_a_graph_that_only_moves_its_input():
    net = Net()
    graph = net.graph(net.op("reshape", [net.input("x", (1, 2, 3))], "y", shape=(1, 6)))
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    exact = samples.x["x"].reshape(-1, 6)
    step = float(codes.tensors["y"].quant.scale)
    assert np.abs(run_quantized(codes, samples.x)["y"] - exact).max() <= 0.5001 * step


def test_an_op_that_has_no_int8_form_stops_it_with_exit_code_4():
    net = Net()
    graph = net.graph(net.dense(net.input("x", (1, 4)), 2, "y"))
    graph = replace(graph, ops=(replace(graph.ops[0], kind="relu", inputs=("x",), attrs={}),))
    graph = replace(graph, ops=(replace(graph.ops[0], kind="dequantize"),))
    graph = graph.with_tensors(replace(graph.tensors["y"], shape=(1, 4)))
    with pytest.raises(Unsupported, match="net in INT8") as caught:
        quantize(graph, {})
    assert caught.value.exit_code == 4


@pytest.mark.oracle
def test_a_net_of_every_kind_gives_tflite_micro_s_codes():
    graph = every_kind_net()
    samples = samples_of(graph)
    codes = quantize(graph, calibrate(graph, CalibrateConfig(), samples))
    feeds = {name: codes_of(x[:4], codes.tensors[name].quant) for name, x in samples.x.items()}
    ours = reference.run(codes, feeds)
    rows = [{name: x[i:i + 1] for name, x in feeds.items()} for i in range(4)]
    for i, found in enumerate(run_tflm(write_tflite(codes), rows)):
        for name in codes.outputs:
            assert np.array_equal(found[name].reshape(ours[name][i].shape), ours[name][i]), name
