"""The .tflite door out: what is in the file, and that runtimes and our door read what the Graph says."""

from dataclasses import replace
import json

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
import msgspec
import numpy as np
import pytest

from tests.op_cases import cases
from tests.random_nets import RandomNet, noise, quantized, random_net, same_outputs
from toolchain.errors import BadInput, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.ir.passes import fold_pad
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_schema import SCHEMA_VERSION, WINDOWED
from toolchain.lower.tflite import builtin_of, write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.tflm import run_models

OPERATOR = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
SEEDS = range(12)


def parsed(model: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(model, 0)


def operators(model: bytes) -> list[tuple[str, int]]:
    """(builtin operator, version) of each op of the file."""
    file = parsed(model)
    codes = [(OPERATOR[code.builtinCode], code.version) for code in file.operatorCodes]
    return [codes[op.opcodeIndex] for op in file.subgraphs[0].operators]


def trimmed(graph: Graph) -> Graph:
    """Pads that no window reads left out, which is what a file can hold."""
    ops = []
    for op in graph.ops:
        if op.kind in WINDOWED:
            x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
            kernel = op.attrs.get("kernel") or graph.tensors[op.inputs[1]].shape[1:3]
            pads, dilation = list(op.attrs["pads"]), op.attrs.get("dilation", (1, 1))
            for i in (0, 1):
                reach = (y[1 + i] - 1) * op.attrs["stride"][i] + (kernel[i] - 1) * dilation[i] + 1
                pads[2 * i + 1] = max(reach - x[1 + i] - pads[2 * i], 0)
            op = replace(op, attrs={**op.attrs, "pads": tuple(pads)})
        ops.append(op)
    return graph.with_ops(ops)


def window(kind: str, size, pads, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), activation=None) -> Graph:
    """One convolution or pool on [1, H, W, 2]."""
    build, rng = Builder("window"), np.random.default_rng(7)
    x = build.input("x", (1, *size, 2))
    if kind == "max_pool2d":
        before = build.op("relu", [x], "relu") if activation else x
        return build.graph(build.op(kind, [before], "y", kernel=kernel, stride=stride, pads=pads))
    weight = build.constant("w", rng.integers(-4, 5, (3, *kernel, 2)).astype(np.float32))
    inputs = [x, weight, build.constant("b", np.arange(3, dtype=np.float32))]
    return build.graph(build.op(kind, inputs, "y", stride=stride, pads=pads, dilation=dilation))


# What is in the file ---------------------------------------------------------------------------------------

def test_the_head_of_the_file():
    graph = random_net(0)
    model = write_tflite(graph)
    file = parsed(model)
    assert model[4:8] == b"TFL3" and file.version == SCHEMA_VERSION == 3
    assert file.description.decode().startswith("edge-toolchain ")
    metadata = {entry.name.decode(): bytes(file.buffers[entry.buffer].data) for entry in file.metadata}
    assert metadata["min_runtime_version"] == b"1.14.0".ljust(16, b"\0")
    assert json.loads(metadata["edge-toolchain"]) == {"graph_digest": graph.digest, "permutations": {}}


def test_metadata_tells_the_sources_layout():
    graph = replace(random_net(0), permutations={"x": (0, 3, 1, 2)})
    file = parsed(write_tflite(graph))
    own = next(entry for entry in file.metadata if entry.name == b"edge-toolchain")
    assert json.loads(bytes(file.buffers[own.buffer].data))["permutations"] == {"x": [0, 3, 1, 2]}


def test_the_signature_has_the_graphs_names():
    graph = random_net(5)
    interpreter = Interpreter(model_content=write_tflite(graph))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["x"], "outputs": ["softmax"]}}
    names = {tensor.name.decode() for tensor in parsed(write_tflite(graph)).subgraphs[0].tensors}
    assert set(graph.tensors) <= names


@pytest.mark.parametrize("seed", SEEDS)
def test_every_buffer_is_inside_and_aligned(seed):
    """TFLite Micro maps buffers in place and reads none behind the flatbuffer."""
    model = write_tflite(quantized(random_net(seed)))
    root, base = schema.Model.GetRootAs(model, 0), np.frombuffer(model, np.uint8).ctypes.data
    full = [root.Buffers(i) for i in range(root.BuffersLength()) if root.Buffers(i).DataLength()]
    assert len(full) > 4
    for buffer in full:
        assert (buffer.DataAsNumpy().ctypes.data - base) % 16 == 0 and buffer.Offset() == buffer.Size() == 0


def test_equal_constants_are_stored_once():
    build = Builder("shared")
    x = build.input("x", (1, 8))
    for i in range(3):
        weight = build.constant(f"w{i}", np.eye(8, dtype=np.float32))
        bias = build.constant(f"b{i}", np.full(8, i, np.float32))
        x = build.op("fully_connected", [x, weight, bias], f"y{i}")
    file = parsed(write_tflite(build.graph(x)))
    buffers = {tensor.name.decode(): tensor.buffer for tensor in file.subgraphs[0].tensors}
    assert buffers["w0"] == buffers["w1"] == buffers["w2"] != 0
    assert len({buffers["b0"], buffers["b1"], buffers["b2"]}) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bytes_do_not_depend_on_the_order_of_dicts(seed):
    graph = quantized(random_net(seed))
    turned = replace(graph, tensors=dict(reversed(graph.tensors.items())),
                     ops=tuple(replace(op, attrs=dict(reversed(op.attrs.items()))) for op in graph.ops))
    assert write_tflite(turned) == write_tflite(graph)


IN_INT8 = {"conv2d": 3, "depthwise_conv2d": 3, "fully_connected": 4, "tile": 3, **dict.fromkeys((
    "reshape", "leaky_relu", "quantize", "elu", "hard_swish", "prelu", "div", "select", "sqrt"), 1)}


def expected_version(case) -> int:
    """Of the case's operator, from its row in op_version.cc."""
    op, tensors = case.graph.ops[-1], case.graph.tensors
    kind, attrs, dtype = op.kind, op.attrs, tensors[op.inputs[0]].dtype
    rank = len(tensors[op.inputs[0]].shape)
    if kind == "conv2d" and tensors[op.inputs[0]].shape[-1] != tensors[op.inputs[1]].shape[-1]:
        return 6
    if kind == "transpose_conv2d":
        return 4 if attrs["activation"] else 3
    if kind == "mul" and dtype == "int8":
        a, b, y = (float(tensors[name].quant.scale) for name in (*op.inputs, op.name))
        return 3 if a * b / y >= 1 else 2
    if kind.startswith("resize") and (attrs["half_pixel_centers"] or
                                      (attrs["align_corners"] and kind == "resize_nearest")):
        return 3
    if rank > 4 and kind in ("pad", "slice", "transpose"):
        return 5 if kind == "slice" and max(attrs["strides"]) == 1 else 4
    if dtype == "int8":
        return IN_INT8.get(kind, 2)
    return 2 if kind == "depthwise_conv2d" and attrs["dilation"] != (1, 1) else 1


@pytest.mark.parametrize("kind", [kind for kind in OPS if kind not in ("quantize", "dequantize")])
def test_versions_are_the_oldest_that_know_the_types(kind):
    """As TFLite's op_version.cc gives them; the runtimes of the op matrix check that they take them."""
    for dtype in {"float32", "int8"} & set(OPS[kind].dtypes):
        for case in cases(kind, dtype):
            written = operators(write_tflite(case.graph))
            op = case.graph.ops[-1]
            if len(written) == 1 and case.graph.tensors[op.inputs[0]].dtype == dtype:
                assert written == [(builtin_of(op).operator, expected_version(case))], case.name


def test_codes_above_127_hide_from_old_runtimes():
    file = parsed(write_tflite(random_net(0)))
    assert all(code.deprecatedBuiltinCode == min(code.builtinCode, 127) for code in file.operatorCodes)


# What is read from it --------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", OPS)
def test_our_door_reads_back_every_row(kind):
    """The same values. Where one operator writes the op, the same Graph but for pads that no window reads,
    zeros around a kernel, a slope for all channels, and one channel's scale, which reads per channel."""
    for dtype in OPS[kind].dtypes:
        for case in cases(kind, dtype):
            model = write_tflite(case.graph)
            loaded = fold_pad(check(load_tflite(model, case.graph.name), level_of(case.graph)))
            if dtype != "int8" or len(operators(model)) == 1:
                assert_same_values(loaded, case.graph, case.feeds)
            one_channel = any(t.dtype == "int32" and t.size == 1 and t.quant is not None
                              and t.quant.axis is None for t in case.graph.constants)
            one_slope = kind == "prelu" and case.graph.tensors["alpha"].shape[-1] == 1
            rewritten = (len(operators(model)) > 1 or one_slope
                         or any(".extended" in name for name in loaded.tensors))
            assert one_channel or rewritten or loaded.digest == trimmed(case.graph).digest, case.name


def assert_same_values(loaded: Graph, graph: Graph, feeds) -> None:
    """Floats to within rounding: what TFLite has no operator for is written as others."""
    got, expected = (reference.run(g, feeds)["y"] for g in (loaded, graph))
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * max(1, np.nanmax(np.abs(expected))))
    else:
        assert np.array_equal(got, expected), graph.name


@pytest.mark.parametrize("seed", SEEDS)
def test_our_door_reads_back_whole_networks(seed):
    for graph in (random_net(seed), quantized(random_net(seed))):
        loaded = fold_pad(load_tflite(write_tflite(graph), graph.name))
        assert loaded.digest == trimmed(graph).digest
        assert same_outputs(loaded, graph)


@pytest.mark.oracle
def test_whole_networks_are_in_tflite_micro_what_the_reference_says():
    graphs = [quantized(random_net(seed)) for seed in SEEDS]
    feeds = [noise(graph, 2) for graph in graphs]
    jobs = [(write_tflite(graph), [{"x": fed["x"][i:i + 1]} for i in range(2)])
            for graph, fed in zip(graphs, feeds, strict=True)]
    for graph, fed, outputs in zip(graphs, feeds, run_models(jobs), strict=True):
        codes = np.concatenate([output["softmax"] for output in outputs])
        assert np.array_equal(codes, reference.run(graph, fed)["softmax"]), graph.name


sizes = st.tuples(st.integers(3, 12), st.integers(3, 12))
small = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.oracle
@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["conv2d", "max_pool2d"]), size=sizes, kernel=small, stride=small, dilation=small,
       pads=st.tuples(*[st.integers(0, 2)] * 4), activation=st.sampled_from([None, "relu"]))
def test_any_window_is_written_as_it_is_meant(kind, size, kernel, stride, dilation, pads, activation):
    """SAME, VALID or an op that pads: on small whole numbers, LiteRT gives the numbers of the reference."""
    if kind == "max_pool2d":
        dilation, pads = (1, 1), tuple(min(pad, kernel[i // 2] - 1) for i, pad in enumerate(pads))
    reach = [size[i] + sum(pads[2 * i:2 * i + 2]) - dilation[i] * (kernel[i] - 1) for i in (0, 1)]
    if min(reach) < 1:
        return
    graph = window(kind, size, pads, kernel, stride, dilation, activation)
    x = np.random.default_rng(3).integers(-9, 10, (2, *size, 2)).astype(np.float32)
    assert np.array_equal(LiteRT(write_tflite(graph)).run({"x": x})["y"], reference.run(graph, {"x": x})["y"])


@pytest.mark.parametrize("kind, size, pads, stride, activation, expected", [
    ("conv2d", (8, 8), (0, 0, 0, 0), (1, 1), None, ["CONV_2D"]),
    ("conv2d", (8, 8), (1, 1, 1, 1), (1, 1), None, ["CONV_2D"]),
    ("conv2d", (8, 8), (0, 1, 0, 1), (2, 2), None, ["CONV_2D"]),
    ("conv2d", (9, 9), (1, 1, 1, 1), (2, 2), None, ["CONV_2D"]),
    ("conv2d", (8, 8), (1, 1, 1, 1), (2, 2), None, ["PAD", "CONV_2D"]),
    ("max_pool2d", (8, 8), (0, 1, 0, 1), (2, 2), None, ["MAX_POOL_2D"]),
    ("max_pool2d", (8, 8), (1, 1, 1, 1), (2, 2), None, ["PADV2", "MAX_POOL_2D"]),
    ("max_pool2d", (8, 8), (1, 1, 1, 1), (2, 2), "relu", ["RELU", "PAD", "MAX_POOL_2D"]),
])
def test_a_pad_op_only_where_tflite_has_no_name_for_the_pads(kind, size, pads, stride, activation, expected):
    model = write_tflite(window(kind, size, pads, stride=stride, activation=activation))
    assert [name for name, _ in operators(model)] == expected


def test_windows_that_stop_short_are_not_called_same():
    """SAME would do, but XNNPACK in tflite-runtime 2.14 computes something else there."""
    model = write_tflite(window("conv2d", (8, 9), (0, 0, 0, 1), kernel=(1, 2), stride=(2, 1)))
    assert [name for name, _ in operators(model)] == ["PAD", "CONV_2D"]


def convolutional_net() -> Graph:
    """What a network of convolutions has, in forms that networks have."""
    net = RandomNet(0)
    build, x = net.build, net.build.input("x", (1, 32, 32, 4))
    for name, stride, activation in (("stem", (2, 2), "relu6"), ("conv", (1, 1), None)):
        weight, bias = net.weight(f"{name}.weight", 8, 3, 3, net.shape(x)[-1]), net.weight(f"{name}.bias", 8)
        x = build.op("conv2d", [x, weight, bias], name, stride=stride, pads=(1,) * 4, activation=activation)
    weight, bias = net.weight("depthwise.weight", 1, 3, 3, 8), net.weight("depthwise.bias", 8)
    y = build.op("depthwise_conv2d", [x, weight, bias], "depthwise", pads=(1, 1, 1, 1), activation="relu")
    y = build.op("max_pool2d", [y], "max_pool", kernel=(3, 3), stride=(2, 2), pads=(1, 1, 1, 1))
    x = build.op("average_pool2d", [x], "average_pool", kernel=(2, 2), stride=(2, 2))
    for kind in ("add", "sub", "mul"):
        x = build.op(kind, [x, y], kind)
    for kind in ("relu", "relu6", "logistic", "tanh"):
        x = build.op(kind, [x], kind)
    x = build.op("leaky_relu", [x], "leaky_relu", alpha=0.1)
    x = build.op("concat", [x, y], "concat", axis=3)
    x = build.op("transpose", [x], "transpose", perm=(0, 3, 1, 2))
    x = build.op("reshape", [x], "reshape", shape=(1, 16, 16, 4))
    x = build.op("pad", [x], "pad", pads=((0, 0), (1, 2), (0, 1), (0, 0)))
    return build.graph(net.head(x))


@pytest.mark.oracle
def test_xnnpack_takes_a_float_network_whole():
    """One delegate for all: a second would mean copies, and a slower op between."""
    graph = convolutional_net()
    interpreter = Interpreter(model_content=write_tflite(graph))
    interpreter.allocate_tensors()
    (delegate,) = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    assert list(delegate["outputs"]) == [detail["index"] for detail in interpreter.get_output_details()]


# Borders ---------------------------------------------------------------------------------------------------

@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_uint8_borders_are_the_int8_codes_plus_128(seed):
    graph = quantized(random_net(seed))
    inner, outer = LiteRT(write_tflite(graph)), LiteRT(write_tflite(graph, io="uint8"))
    (codes,) = noise(graph, 3).values()
    raised = (codes.astype(np.int16) + 128).astype(np.uint8)
    expected = inner.run({"x": codes})["softmax"].astype(np.int16) + 128
    assert np.array_equal(outer.run({"x": raised})["softmax"], expected)
    for before, after in zip((*inner.inputs, *inner.outputs), (*outer.inputs, *outer.outputs), strict=True):
        assert after == msgspec.structs.replace(before, dtype="uint8", zero_point=before.zero_point + 128)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", SEEDS)
def test_float_borders_quantize_and_dequantize(seed):
    graph = quantized(random_net(seed))
    (codes,) = noise(graph, 3).values()
    x, y = (graph.tensors[name].quant for name in ("x", "softmax"))
    real = dequantize(codes, x)
    assert np.array_equal(codes_of(real, x), codes)
    outer = LiteRT(write_tflite(graph, io="float32"))
    assert {port.dtype for port in (*outer.inputs, *outer.outputs)} == {"float32"}
    expected = dequantize(LiteRT(write_tflite(graph)).run({"x": codes})["softmax"], y)
    assert np.array_equal(outer.run({"x": real})["softmax"], expected)


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_our_door_reads_back_borders(io):
    graph = quantized(random_net(4))
    loaded = load_tflite(write_tflite(graph, io=io), graph.name)
    assert loaded.inputs == graph.inputs and loaded.outputs == graph.outputs
    assert {loaded.tensors[name].dtype for name in (*loaded.inputs, *loaded.outputs)} == {io}
    last = "quantize" if io == "uint8" else "dequantize"
    assert (loaded.ops[0].kind, loaded.ops[-1].kind) == ("quantize", last)


def test_an_output_that_other_ops_read_keeps_its_name_outside():
    build, params = Builder("tap"), QuantParams(0.1, 3)
    x = build.input("x", (1, 4), "int8", params)
    tap = build.op("relu", [x], "tap", quant=params)
    graph = build.graph(tap, build.op("relu6", [tap], "end", quant=params))
    outputs = LiteRT(write_tflite(graph, io="float32")).run({"x": np.array([[-1, 0, 5, 100]], np.float32)})
    np.testing.assert_allclose(outputs["tap"], [[0, 0, 5, 12.4]], atol=1e-6)
    np.testing.assert_allclose(outputs["end"], [[0, 0, 5, 6]], atol=1e-6)


def test_a_float_graph_has_float_borders_whatever_io_says():
    assert write_tflite(random_net(0), io="uint8") == write_tflite(random_net(0))


# What it refuses -------------------------------------------------------------------------------------------

def test_all_that_does_not_fit_is_listed_at_once():
    build = Builder("net")
    x = build.input("x", (1, 2), "float64")
    build.op("relu", [x], "a")
    with pytest.raises(Unsupported) as caught:
        write_tflite(build.graph(build.op("tanh", ["a"], "b")))
    known = "known are float32, float16, int8, uint8, int16, int32, int64, bool"
    assert str(caught.value).splitlines() == [
        "net as .tflite: 2 unsupported:",
        f"  relu 'a': tensor 'x' is float64; {known}",
        f"  tanh 'b': tensor 'a' is float64; {known}"]


@pytest.mark.parametrize("graph, weights", [(random_net(0), "int2"), (quantized(random_net(0)), "int8")])
def test_weights_that_cannot_be_are_refused(graph, weights):
    with pytest.raises(BadInput, match=f"net0: weights='{weights}': a float graph's are one of 'float32', "
                                       f"'float16', 'int8', 'int4', a quantized graph's are as they are"):
        write_tflite(graph, weights=weights)


def test_an_unknown_border_is_refused():
    with pytest.raises(BadInput, match=r"io='int4': must be one of 'int8', 'uint8', 'float32'"):
        write_tflite(random_net(0), io="int4")
