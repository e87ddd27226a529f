"""The ONNX door out: what the Graph computes, in the source's layout, on integer kernels throughout."""

from collections import Counter
from dataclasses import replace
import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import onnx
import onnxruntime
import pytest

from tests.literal import random_literal
from tests.models import NETWORKS
from tests.quantize.nets import Net, samples_of
from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.load.onnx import load_onnx
from toolchain.load.torch import load_torch
from toolchain.lower.onnx import write_onnx
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle

INTEGER_KERNELS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearAdd", "QGemm", "Reshape",
                   "QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearSoftmax", "NhwcMaxPool",
                   "Transpose"}


def ops_of(model: bytes) -> Counter:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def network(name: str) -> Graph:
    module, example = NETWORKS[name]()
    return canonical(channels_last(load_torch(module, example, name)))


def in_int8(graph: Graph) -> Graph:
    return quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph)))


def noise(graph: Graph, count: int) -> dict[str, np.ndarray]:
    """In the Graph's own layout."""
    return samples_of(graph, count, seed=3).feeds(slice(None))


def run_file(graph: Graph, model: bytes, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Everything the file hands out, in the Graph's layout, for feeds in the Graph's layout."""
    session, perm = OnnxRuntime(model), graph.permutations
    outputs = session.run({name: x.transpose(perm[name]) if name in perm else x for name, x in feeds.items()})
    return {name: y.transpose(session.permutations[name]) if name in session.permutations else y
            for name, y in outputs.items()}


def kernels(model: bytes, tmp_path) -> Counter:
    """What ONNX Runtime makes of the model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def small_net(**fields) -> Graph:
    """A conv, a residual, flattened into a classifier, and a feature map handed out."""
    net = Net()
    y = net.conv(net.input("x", (1, 6, 5, 3)), 8, "stem", activation="relu6")
    y = net.op("add", [y, net.conv(y, 8, "branch")], "sum", activation="relu")
    y = net.op("max_pool2d", [y], "pool", kernel=(2, 2), stride=(2, 2))
    z = net.op("reshape", [y], "flat", shape=(1, 48))
    return replace(net.graph(net.dense(z, 4, "logits"), y), **fields)


CHANNELS_FIRST = {"x": (0, 3, 1, 2), "pool": (0, 3, 1, 2)}


# Float -----------------------------------------------------------------------------------------------------

@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_every_activation_of_a_random_network_is_what_the_reference_gives(seed):
    graph = canonical(channels_last(random_literal(seed)))
    names, feeds = [t.name for t in graph.activations], noise(graph, 2)
    expected = reference.run(graph, feeds, keep=names)
    got = run_file(graph, write_onnx(graph, keep=names), feeds)
    assert set(got) == set(names)
    for name in names:
        assert np.abs(got[name] - expected[name]).max() <= 1e-5 * max(1, np.abs(expected[name]).max()), name
    assert "Transpose" not in ops_of(write_onnx(graph))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_written_loads_as_the_same_network(seed):
    graph = canonical(channels_last(random_literal(seed)))
    back = canonical(channels_last(load_onnx(write_onnx(graph), graph.name)))
    assert len(back.ops) <= len(graph.ops) and back.permutations == graph.permutations
    feeds = noise(graph, 2)
    expected, got = reference.run(graph, feeds), reference.run(back, feeds)
    for name in graph.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_known_networks_get_out_and_in_again_without_a_transpose(name):
    graph = network(name)
    model = write_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert "Transpose" not in ops_of(model)
    feeds = noise(graph, 1)
    expected, got = reference.run(graph, feeds), run_file(graph, model, feeds)
    for output in graph.outputs:
        assert np.abs(got[output] - expected[output]).max() <= 1e-5 * np.ptp(expected[output])
    back = canonical(channels_last(load_onnx(model, name)))
    assert [op.kind for op in back.ops] == [op.kind for op in graph.ops]


def test_inputs_and_outputs_lie_as_in_the_source():
    model = write_onnx(small_net(permutations=CHANNELS_FIRST))
    session = OnnxRuntime(model)
    assert session.inputs[0].shape == (1, 3, 6, 5)
    assert [port.shape for port in session.outputs] == [(1, 4), (1, 8, 3, 2)]
    assert "Transpose" not in ops_of(model)


def test_a_network_that_came_channels_last_is_turned_once_at_each_border():
    model = write_onnx(small_net())
    session = OnnxRuntime(model)
    assert (session.inputs[0].shape, session.outputs[1].shape) == ((1, 6, 5, 3), (1, 3, 2, 8))
    assert ops_of(model)["Transpose"] == 2
    assert session.permutations == {}


def test_kept_values_say_how_they_lie():
    graph = small_net(permutations=CHANNELS_FIRST)
    session = OnnxRuntime(write_onnx(graph, keep=("x", "sum", "flat", "sum")))
    assert [port.name for port in session.outputs] == ["logits", "pool", "sum", "flat", "x"]
    assert session.permutations == dict.fromkeys(("x", "pool", "sum"), (0, 2, 3, 1))


def test_the_same_graph_gives_the_same_bytes_in_opset_17():
    graph = small_net()
    shuffled = replace(graph, tensors=dict(reversed(graph.tensors.items())))
    assert write_onnx(graph) == write_onnx(shuffled)
    model = onnx.load_from_string(write_onnx(graph))
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["edge.graph_digest"] == graph.digest
    assert json.loads(metadata["edge.permutations"]) == {}


def test_values_carry_the_names_of_the_graph():
    graph = small_net(permutations=CHANNELS_FIRST)
    proto = onnx.load_from_string(write_onnx(graph)).graph
    assert {op.name for op in graph.ops} <= {value for node in proto.node for value in node.output}
    assert {t.name for t in graph.constants} <= {tensor.name for tensor in proto.initializer}


# INT8 ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("activations", ["uint8", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_known_networks_run_on_integer_kernels_throughout(name, activations, tmp_path):
    graph = in_int8(network(name))
    model = write_onnx(graph, activations=activations)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    made, kinds = kernels(model, tmp_path), Counter(op.kind for op in graph.ops)
    assert not set(made) - INTEGER_KERNELS
    assert made["QLinearConv"] == kinds["conv2d"] + kinds["depthwise_conv2d"]
    assert made["QGemm"] == kinds["fully_connected"]


@pytest.mark.parametrize("activations", ["uint8", "int8"])
@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2", "sensor_net"])
def test_known_networks_give_the_references_codes(name, activations):
    """Op by op the op matrix holds 1 code; through a whole network a code off may grow, rarely and little."""
    graph = in_int8(network(name))
    feeds = noise(graph, 16)
    codes = {key: codes_of(x, graph.tensors[key].quant) for key, x in feeds.items()}
    expected = reference.run(graph, codes)
    got = run_file(graph, write_onnx(graph, activations=activations), feeds)
    for output in graph.outputs:
        apart = np.abs(codes_of(got[output], graph.tensors[output].quant) - expected[output].astype(int))
        assert apart.max() <= 3 and (apart <= 1).mean() > 0.97


def test_uint8_and_int8_activations_mean_the_same():
    graph = in_int8(canonical(small_net()))
    feeds = noise(graph, 8)
    first, second = (run_file(graph, write_onnx(graph, activations=a), feeds) for a in ("uint8", "int8"))
    for output in graph.outputs:
        np.testing.assert_array_equal(first[output], second[output])


def test_weights_stay_int8_per_channel_and_biases_int32():
    graph = in_int8(canonical(small_net()))
    initializers = onnx.load_from_string(write_onnx(graph)).graph.initializer
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in initializers}
    codes, scale, bias = (stored[f"stem.{name}"] for name in ("weight:codes", "weight:scale", "bias:codes"))
    assert (codes.dtype, codes.shape, scale.shape, bias.dtype) == (np.int8, (8, 3, 3, 3), (8,), np.int32)
    np.testing.assert_array_equal(codes, graph.tensors["stem.weight"].data.transpose(0, 3, 1, 2))


def test_codes_are_turned_at_the_borders_not_floats():
    """A quarter of the bytes."""
    nodes = onnx.load_from_string(write_onnx(in_int8(canonical(small_net())))).graph.node
    assert [node.input[0] for node in nodes if node.op_type == "Transpose"] == ["x:codes", "pool:inner:codes"]


def wide(activation: str | None) -> Graph:
    """A conv whose output range, [-8, 7.94], is wider than its fused activation's."""
    net = Net()
    x = net.input("x", (1, 5, 5, 3), "int8", QuantParams(1 / 32, 3))
    codes = net.rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    weight = net.constant("w", codes, QuantParams(1 / 64, 0))
    bias = net.constant("b", np.zeros(4, np.int32), QuantParams(1 / 64 / 32, 0, dtype="int32"))
    y = net.op("conv2d", [x, weight, bias], "y", activation=activation, quant=QuantParams(1 / 16, 0))
    return net.graph(y)


@pytest.mark.parametrize("activation, codes", [("relu", (0, 127)), ("relu6", (0, 96)), (None, (-128, 127))])
def test_an_activation_that_the_range_does_not_imply_clips_codes(activation, codes, tmp_path):
    """And the conv is an integer kernel all the same."""
    graph = wide(activation)
    model = write_onnx(graph)
    assert ops_of(model)["Clip"] == (activation is not None) and "Relu" not in ops_of(model)
    assert "QLinearConv" in kernels(model, tmp_path)
    x = np.random.default_rng(0).integers(-128, 128, (8, 5, 5, 3)).astype(np.int8)
    got = OnnxRuntime(model).run({"x": dequantize(x, graph.tensors["x"].quant)})["y"]
    got = codes_of(got, graph.tensors["y"].quant).astype(int)
    assert (got.min(), got.max()) == codes
    assert np.abs(got - reference.run(graph, {"x": x})["y"]).max() <= 1


def test_an_activation_that_the_range_implies_costs_nothing():
    assert not {"Clip", "Relu"} & set(ops_of(write_onnx(in_int8(canonical(small_net())))))


def test_kept_values_of_a_quantized_graph_come_dequantized():
    graph = in_int8(canonical(small_net()))
    feeds = noise(graph, 4)
    got = run_file(graph, write_onnx(graph, keep=("stem",)), feeds)["stem"]
    codes = {"x": codes_of(feeds["x"], graph.tensors["x"].quant)}
    quant = graph.tensors["stem"].quant
    expected = dequantize(reference.run(graph, codes, keep=["stem"])["stem"], quant)
    assert np.abs(got - expected).max() <= 1.01 * quant.scale


@pytest.mark.parametrize("quantized", [False, True])
def test_zeros_padded_for_a_max_pool_stay_zeros(quantized):
    """onnxruntime's own fusion would make them -inf, which shows where everything else is negative."""
    net = Net()
    x = net.op("pad", [net.input("x", (1, 5, 5, 2))], "padded", pads=((0, 0), (1, 1), (1, 1), (0, 0)))
    graph = net.graph(net.op("max_pool2d", [x], "y", kernel=(2, 2), stride=(2, 2)))
    if quantized:
        params = QuantParams(1 / 32, 0)
        graph = graph.with_tensors(*(replace(t, dtype="int8", quant=params) for t in graph.activations))
    session = onnxruntime.InferenceSession(write_onnx(graph, activations="int8"))
    (y,) = session.run(None, {"x": np.full((1, 5, 5, 2), -1, np.float32)})
    assert (y[:, 0] == 0).all() and (y[:, 1:, 1:] == -1).all()


# Refusals --------------------------------------------------------------------------------------------------

def test_what_cannot_be_kept_or_written_is_named():
    graph = small_net()
    with pytest.raises(BadInput, match="net: no activation named stem.weight, nowhere to keep"):
        write_onnx(graph, keep=("stem", "stem.weight", "nowhere"))
    with pytest.raises(BadInput, match="activations='int16': must be one of 'uint8', 'int8'"):
        write_onnx(graph, activations="int16")


def test_activations_of_other_widths_are_listed():
    net = Net()
    x = net.input("x", (1, 4), "int16", QuantParams(0.5, 0, dtype="int16"))
    graph = net.graph(net.op("relu", [x], "y", quant=QuantParams(0.5, 0, dtype="int16")))
    with pytest.raises(Unsupported) as error:
        write_onnx(graph)
    assert error.value.items == ("x: int16 activations have no ONNX form here; quantize to int8",
                                 "y: int16 activations have no ONNX form here; quantize to int8")


# Half precision --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["resnet8", "sensor_net"])
def test_half_precision_is_close_and_half_the_size(name):
    graph = network(name)
    whole, half = write_onnx(graph), write_onnx(graph, weights="float16")
    onnx.checker.check_model(onnx.load_from_string(half), full_check=True)
    assert len(half) < 0.65 * len(whole)
    feeds = noise(graph, 2)
    expected, got = run_file(graph, whole, feeds), run_file(graph, half, feeds)
    for output in graph.outputs:
        assert got[output].dtype == np.float32
        assert np.abs(got[output] - expected[output]).max() <= 0.01 * np.ptp(expected[output])
    stored = onnx.load_from_string(half).graph.initializer
    assert not any(tensor.data_type == onnx.TensorProto.FLOAT for tensor in stored)


def test_whole_numbers_stay_whole_in_half_precision():
    net = Net()
    x = net.input("x", (1, 4), "int64")
    table = net.weights("table", 8, 3)
    graph = net.graph(net.op("gather", [table, x], "y", axis=0), net.op("cast", [x], "z", to="float32"))
    session = OnnxRuntime(write_onnx(graph, weights="float16"))
    assert [port.dtype for port in (*session.inputs, *session.outputs)] == ["int64", "float32", "float32"]
    got = session.run({"x": np.array([[0, 7, 3, 3]])})
    np.testing.assert_allclose(got["y"], graph.tensors["table"].data[[0, 7, 3, 3]][None], rtol=1e-3)


def test_what_half_precision_cannot_hold_is_refused():
    net = Net()
    x = net.op("mul", [net.input("x", (1, 4)), net.constant("huge", np.float32([1e6]))], "y")
    with pytest.raises(Unsupported, match="huge: holds numbers beyond float16's 65,504; keep it in float32"):
        write_onnx(net.graph(x), weights="float16")
    with pytest.raises(BadInput, match="net: is quantized, and float16 weights are a float network's"):
        write_onnx(in_int8(canonical(small_net())), weights="float16")
    with pytest.raises(BadInput, match="weights='int4': must be one of 'float32', 'float16'"):
        write_onnx(small_net(), weights="int4")
