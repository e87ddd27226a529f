"""The .tflite door in: real files, other ways of saying a thing, what is refused; and nothing is trusted."""

from collections.abc import Callable
import time

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np
import pytest

from tests.random_nets import noise, quantized, random_net
from toolchain.errors import BadModel, ToolchainError, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, constant
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.load import load
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_hybrid import with_float_weights
from toolchain.load.tflite_schema import packed
from toolchain.lower.tflite import IO, write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

FLOAT = ("kws_ref_model_float32", "pretrainedResnet", "vww_96_float", "ad01_fp32")
INT8 = ("kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8", "hello_world_int8")


def edited(model: bytes, change: Callable[[schema.ModelT], None]) -> bytes:
    """The file as another writer could have written it."""
    file = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    change(file)
    return packed(file)


def operator(file: schema.ModelT, name: str) -> schema.OperatorT:
    """The first operator of that builtin name."""
    wanted = getattr(schema.BuiltinOperator, name)
    return next(op for op in file.subgraphs[0].operators
                if file.operatorCodes[op.opcodeIndex].builtinCode == wanted)


def tensor(file: schema.ModelT, name: str) -> schema.TensorT:
    return next(t for t in file.subgraphs[0].tensors if t.name == name.encode())


def put(file: schema.ModelT, name: str, data: np.ndarray) -> None:
    """Give a constant other values, in a buffer of its own."""
    tensor(file, name).buffer = len(file.buffers)
    file.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))


def classifier() -> Graph:
    """conv [1,4,4,2] -> [1,2,2,3], flattened, fully connected to 5."""
    build, rng = Builder("classifier"), np.random.default_rng(11)
    x = build.input("x", (1, 4, 4, 2))
    values = {name: build.constant(name, rng.normal(size=shape).astype(np.float32)) for name, shape in {
        "conv.weight": (3, 3, 3, 2), "conv.bias": (3,), "fc.weight": (5, 12), "fc.bias": (5,)}.items()}
    x = build.op("conv2d", [x, values["conv.weight"], values["conv.bias"]], "conv", activation="relu")
    x = build.op("reshape", [x], "flat", shape=(1, 12))
    return build.graph(build.op("fully_connected", [x, values["fc.weight"], values["fc.bias"]], "fc"))


def assert_same_codes(ours: bytes, theirs: bytes, graph: Graph) -> None:
    """Bit for bit, on 20 inputs, in XNNPACK and in TFLite's reference kernels."""
    feeds = noise(graph, 20)
    for reference_kernels in (False, True):
        a, b = (LiteRT(model, reference_kernels=reference_kernels).run(feeds) for model in (ours, theirs))
        assert a.keys() == b.keys()
        for name in a:
            assert np.array_equal(a[name], b[name]) and a[name].std() > 0


# Files of others -------------------------------------------------------------------------------------------

@pytest.mark.oracle
@pytest.mark.parametrize("name", [*FLOAT, *INT8])
def test_reference_models_go_through_both_doors_unchanged(kit, name):
    model = (kit / "models" / f"{name}.tflite").read_bytes()
    graph = load(kit / "models" / f"{name}.tflite")
    assert graph.source.worst_error <= (1e-6 if name in FLOAT else 1 / 255)
    assert graph.source.notes[0].startswith("batch of ") and graph.source.notes[0].endswith(" bound to 1")
    written = write_tflite(graph)
    assert load_tflite(written, graph.name).digest == graph.digest
    assert_same_codes(written, with_float_weights(model, name), graph)


def test_a_dynamic_range_file_is_dequantized_and_says_so(kit):
    graph = load(kit / "models" / "kws_ref_model_float32.tflite")
    assert "dynamic range quantization" in graph.source.notes[1] and "conv2d_4" in graph.source.notes[1]
    assert {t.dtype for t in graph.tensors.values()} == {"float32"}
    weight = graph.tensors[graph.ops[0].inputs[1]].data
    assert len(np.unique(weight)) <= 255 and abs(weight).max() > 0.1


def test_a_network_of_a_sequence_lstm_is_one_of_a_loop(kit):
    graph = load(kit / "models" / "trained_lstm.tflite")
    assert graph.source.worst_error < 1e-5
    assert {"state", "step", "sequence"} <= {op.kind for op in graph.ops}


def test_a_state_elsewhere_is_refused_by_name():
    def remember(file):
        tensor(file, "conv").isVariable = True

    with pytest.raises(Unsupported, match="tensor 'conv': it is a state variable; stateful networks have no"):
        load_tflite(edited(write_tflite(classifier()), remember), "net")


# Ways of saying a thing ------------------------------------------------------------------------------------

def test_a_missing_bias_is_zeros():
    model = write_tflite(classifier())

    def drop(file):
        operator(file, "CONV_2D").inputs = operator(file, "CONV_2D").inputs[:2]
        operator(file, "FULLY_CONNECTED").inputs[2] = -1

    graph = load_tflite(edited(model, drop), "net")
    for op in (graph.ops[0], graph.ops[-1]):
        bias = graph.tensors[op.inputs[2]]
        assert bias.dtype == "float32" and not bias.data.any()


def test_a_missing_int8_bias_has_the_products_scale():
    written = quantized(classifier())
    graph = load_tflite(edited(write_tflite(written), lambda file: setattr(
        operator(file, "CONV_2D"), "inputs", operator(file, "CONV_2D").inputs[:2])), "net")
    x, weight, bias = graph.of(graph.ops[0])
    assert bias.dtype == "int32" and not bias.data.any() and bias.quant.axis == 0
    np.testing.assert_allclose(bias.quant.scale, x.quant.scale * weight.quant.scale, rtol=1e-6)
    check(graph, "QUANTIZED")


def test_fully_connected_on_four_dimensions_gets_a_reshape():
    def unflatten(file):
        operator(file, "FULLY_CONNECTED").inputs[0] = operator(file, "RESHAPE").inputs[0]
        file.subgraphs[0].operators.remove(operator(file, "RESHAPE"))

    model = write_tflite(classifier())
    graph = load_tflite(edited(model, unflatten), "net")
    assert [op.kind for op in graph.ops] == ["conv2d", "reshape", "fully_connected"]
    feeds = noise(graph, 3)
    assert np.array_equal(reference.run(graph, feeds)["fc"], reference.run(classifier(), feeds)["fc"])


def test_fully_connected_that_keeps_dimensions_gives_them_back():
    def keep(file):
        operator(file, "FULLY_CONNECTED").builtinOptions.keepNumDims = True
        tensor(file, "flat").shape = tensor(file, "flat.shape").shape = np.array([1, 1, 12], np.int32)
        tensor(file, "flat.shape").shape = np.array([3], np.int32)
        put(file, "flat.shape", np.array([1, 1, 12], np.int32))
        tensor(file, "fc").shape = np.array([1, 1, 5], np.int32)

    graph = load_tflite(edited(write_tflite(classifier()), keep), "net")
    assert graph.tensors["fc"].shape == (1, 1, 5)
    assert [op.kind for op in graph.ops][-3:] == ["reshape", "fully_connected", "reshape"]
    feeds = noise(graph, 3)
    assert np.array_equal(reference.run(graph, feeds)["fc"][:, 0], reference.run(classifier(), feeds)["fc"])


def test_an_open_batch_is_bound_to_one_and_said():
    def opened(file):
        tensor(file, "x").shapeSignature = np.array([-1, 4, 4, 2], np.int32)

    graph = load_tflite(edited(write_tflite(classifier()), opened), "net")
    assert graph.source.notes == ("batch of x bound to 1",)
    assert load_tflite(write_tflite(classifier()), "net").source.notes == ()


def test_axes_count_from_the_end_too():
    build = Builder("axes")
    x = build.input("x", (1, 4, 5, 3))
    mean = build.op("mean", [x], "mean", axes=(1, 2), keepdims=True)
    build.op("concat", [mean, mean], "y", axis=3)

    def negative(file):
        put(file, "mean.axes", np.array([-3, -2], np.int32))
        operator(file, "CONCATENATION").builtinOptions.axis = -1

    graph = build.graph("y")
    assert load_tflite(edited(write_tflite(graph), negative), "axes").digest == graph.digest


def test_squeeze_is_a_reshape():
    def squeeze(file):
        op = operator(file, "RESHAPE")
        file.operatorCodes[op.opcodeIndex].builtinCode = schema.BuiltinOperator.SQUEEZE
        file.operatorCodes[op.opcodeIndex].deprecatedBuiltinCode = schema.BuiltinOperator.SQUEEZE
        op.inputs = op.inputs[:1]

    build = Builder("squeeze")
    graph = build.graph(build.op("reshape", [build.input("x", (1, 1, 4, 1))], "y", shape=(1, 4)))
    assert load_tflite(edited(write_tflite(graph), squeeze), "squeeze").digest == graph.digest


def test_buffers_behind_the_flatbuffer_are_read():
    """As litert-quantizer writes them: offset and size in place of data."""
    graph, marker = classifier(), 0x1122334455667788
    weights = graph.tensors["conv.weight"].data.tobytes()

    def outside(file):
        buffer = file.buffers[tensor(file, "conv.weight").buffer]
        buffer.data, buffer.offset, buffer.size = None, marker, len(weights)

    inside = edited(write_tflite(graph), outside)
    offset = marker.to_bytes(8, "little")
    assert inside.count(offset) == 1
    model = inside.replace(offset, len(inside).to_bytes(8, "little")) + weights
    assert load_tflite(model, graph.name).digest == graph.digest
    with pytest.raises(BadModel, match=r"buffer \d+ at byte [\d,]+, 216 long, ends behind the file"):
        load_tflite(model[:-1], "net")


def test_per_tensor_weights_stay_per_tensor():
    build = Builder("dense")
    x = build.input("x", (1, 4), "int8", QuantParams(0.5, 1))
    weight = build.constant("w", np.arange(12, dtype=np.int8).reshape(3, 4), QuantParams(0.25, 0))
    bias = build.constant("b", np.arange(3, dtype=np.int32), QuantParams(0.125, 0, dtype="int32"))
    graph = build.graph(build.op("fully_connected", [x, weight, bias], "y", quant=QuantParams(2.0, -7)))
    loaded = load_tflite(write_tflite(graph), "dense")
    assert loaded.tensors["w"].quant.axis is None and loaded.digest == graph.digest


@pytest.mark.oracle
@pytest.mark.parametrize("io", IO)
def test_int8_files_with_any_border_pass_the_self_check(tmp_path, io):
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(quantized(random_net(5)), io=io))
    graph = load(path)
    assert graph.tensors["x"].dtype == graph.tensors["softmax"].dtype == io
    assert graph.source.worst_error <= 1 / 255


def test_an_int8_file_may_hold_an_op_that_changes_nothing(tmp_path):
    build, quant = Builder("idle"), QuantParams(0.1, 0)
    x = build.op("reshape", [build.input("x", (1, 4), "int8", quant)], "same", shape=(1, 4), quant=quant)
    path = tmp_path / "idle.tflite"
    graph = build.graph(build.op("relu", [x], "y", quant=quant))
    path.write_bytes(write_tflite(graph, integer_only=True))
    assert load(path).ops[-1].kind == "relu"


@pytest.mark.oracle
def test_int8_weights_under_float_activations_are_dequantized():
    graph, scale = classifier(), np.array([0.01, 0.02, 0.03], np.float32)
    codes = np.random.default_rng(0).integers(-127, 128, (3, 3, 3, 2)).astype(np.int8)

    def hybrid(file):
        weight = tensor(file, "conv.weight")
        weight.type = schema.TensorType.INT8
        weight.quantization = schema.QuantizationParametersT(
            scale=scale, zeroPoint=np.zeros(3, np.int64), quantizedDimension=0)
        put(file, "conv.weight", codes)

    model = edited(write_tflite(graph), hybrid)
    loaded = load_tflite(model, "net")
    expected = dequantize(codes, QuantParams(scale, np.zeros(3), 0))
    assert np.array_equal(loaded.tensors["conv.weight"].data, expected)
    feeds = noise(loaded, 3)
    judged = LiteRT(with_float_weights(model, "net")).run(feeds)["fc"]
    np.testing.assert_allclose(reference.run(loaded, feeds)["fc"], judged, atol=1e-5)


def test_two_tensors_of_one_name_are_told_apart():
    graph = load_tflite(edited(write_tflite(classifier()), lambda file: setattr(
        tensor(file, "flat"), "name", "fc")), "net")
    assert graph.outputs == ("fc",) and [op.name for op in graph.ops] == ["conv", "fc.1", "fc"]


def test_a_tensor_without_a_name_is_called_after_its_index():
    model = edited(write_tflite(classifier()), lambda file: setattr(tensor(file, "x"), "name", None))
    assert load_tflite(model, "net").inputs == ("tensor_0",) == (LiteRT(model).inputs[0].name,)


# What it refuses -------------------------------------------------------------------------------------------

def refused(graph: Graph, change: Callable[[schema.ModelT], None]) -> str:
    with pytest.raises(ToolchainError) as caught:
        load_tflite(edited(write_tflite(graph), change), "net")
    return str(caught.value)


def test_everything_unsupported_is_listed_at_once():
    def strange(file):
        file.operatorCodes.append(schema.OperatorCodeT(
            builtinCode=schema.BuiltinOperator.CUSTOM, deprecatedBuiltinCode=32, customCode="Vendor"))
        operator(file, "RESHAPE").opcodeIndex = len(file.operatorCodes) - 1
        operator(file, "CONV_2D").builtinOptions.fusedActivationFunction = 4
        operator(file, "FULLY_CONNECTED").inputs[1] = 0

    assert refused(classifier(), strange).splitlines() == [
        "net: 3 unsupported:",
        "  op 0 CONV_2D 'conv': fused activation TANH, which LiteRT leaves out; NONE, RELU, RELU6 and "
        "RELU_N1_TO_1 have rows: put an operator behind",
        "  op 1 CUSTOM Vendor 'flat': no row for this operator; replace it in the source network, "
        "or bench the file as it is",
        "  op 2 FULLY_CONNECTED 'fc': weight and bias must be constants"]


@pytest.mark.parametrize("change, why", [
    (lambda file: setattr(tensor(file, "x"), "type", schema.TensorType.FLOAT16),
     "input or output 'x': dtype float16; bool, float32, int16, int32, int64, int8, uint8 have rows"),
    (lambda file: setattr(tensor(file, "conv"), "type", schema.TensorType.INT16),
     "mixes float32 x, int16 conv"),
    (lambda file: (setattr(tensor(file, "fc.weight"), "type", schema.TensorType.FLOAT16),
                   put(file, "fc.weight", np.zeros((5, 12), np.float16))),
     "weight 'fc.weight' is float16 under float32 activations"),
    (lambda file: setattr(tensor(file, "conv"), "isVariable", True), "it is a state variable"),
    (lambda file: setattr(tensor(file, "fc.weight"), "sparsity", schema.SparsityParametersT()),
     "stored sparse"),
    (lambda file: setattr(tensor(file, "fc.weight"), "externalBuffer", 1), "its values are in another file"),
    (lambda file: setattr(tensor(file, "x"), "shape", np.array([8, 4, 4, 2], np.int32)),
     "input 'x': shape (8, 4, 4, 2) is a fixed batch; export it with batch 1"),
    (lambda file: setattr(tensor(file, "x"), "shapeSignature", np.array([1, -1, -1, 2], np.int32)),
     "input 'x': shape (1, -1, -1, 2) is open beyond the batch"),
    (lambda file: setattr(operator(file, "FULLY_CONNECTED").builtinOptions, "weightsFormat", 1),
     "shuffled weights"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_has_no_row_says_why(change, why):
    message = refused(classifier(), change)
    assert message.startswith("net: ") and "unsupported:" in message and why in message


def test_int8_with_uint8_or_per_channel_activations_is_refused():
    graph = quantized(classifier())

    def strange(file):
        tensor(file, "flat").type = schema.TensorType.UINT8
        quantization = tensor(file, "conv").quantization
        quantization.scale, quantization.zeroPoint = np.full(3, 0.1, np.float32), np.zeros(3, np.int64)
        quantization.quantizedDimension = 3

    message = refused(graph, strange)
    assert "mixes int8 pool" in message or "tensor 'flat' is uint8; bool, float32" in message
    assert "activation 'conv' is quantized per channel; per tensor has a row" in message


def padded_pool() -> Graph:
    """A max pool whose pads become a PADV2."""
    build = Builder("padded")
    x = build.input("x", (1, 8, 8, 2))
    return build.graph(build.op("max_pool2d", [x], "y", kernel=(3, 3), stride=(2, 2), pads=(1, 0, 1, 0)))


def test_a_lowest_pad_is_the_max_pools_own():
    graph = padded_pool()
    assert load_tflite(write_tflite(graph), "padded").digest == graph.digest
    model = edited(write_tflite(graph), lambda file: put(file, "y.padded.value", np.array([3.5], np.float32)))
    pad, pool = load_tflite(model, "padded").ops
    assert (pad.kind, pad.attrs["value"], pool.attrs["pads"]) == ("pad", 3.5, (0, 0, 0, 0))


@pytest.mark.parametrize("rectify, kinds", [(False, ["pad", "max_pool2d"]), (True, ["relu", "max_pool2d"])])
def test_zeros_before_a_max_pool_are_its_own_where_they_never_win(rectify, kinds):
    build = Builder("zeros")
    x = build.input("x", (1, 6, 6, 2))
    x = build.op("relu", [x], "relu") if rectify else x
    x = build.op("pad", [x], "pad", pads=((0, 0), (1, 0), (0, 1), (0, 0)))
    graph = build.graph(build.op("max_pool2d", [x], "y", kernel=(2, 2)))
    loaded = load_tflite(write_tflite(graph), "zeros")
    assert [op.kind for op in loaded.ops] == kinds
    feeds = noise(graph, 3)
    assert np.array_equal(reference.run(loaded, feeds)["y"], reference.run(graph, feeds)["y"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(tmp_path, bad):
    graph = classifier()
    weight = graph.tensors["fc.weight"].data.copy()
    weight[2, 7] = bad
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(graph.with_tensors(constant("fc.weight", weight))))
    with pytest.raises(BadModel, match=rf"weight fc.weight holds {bad} at \[2, 7\]"):
        load(path)


@pytest.mark.parametrize("change, message", [
    (lambda file: setattr(tensor(file, "conv").quantization, "scale", np.array([0.0], np.float32)),
     "net: tensor 'conv': scale must be finite and > 0, got [0.]; export it again"),
    (lambda file: setattr(tensor(file, "conv"), "quantization", None),
     "net: int8 tensor 'conv' has no scale; export it again"),
    (lambda file: setattr(tensor(file, "conv").quantization, "zeroPoint", np.array([300], np.int64)),
     "net: tensor 'conv': zero_point [300] is outside int8 [-128, 127]; export it again"),
    (lambda file: setattr(operator(file, "CONV_2D").builtinOptions, "strideH", 0),
     "net: op 0 CONV_2D: kernel (3, 3), stride (0, 1), dilation (1, 1) on input (1, 4, 4, 2); "
     "the file contradicts itself: export it again"),
    (lambda file: setattr(tensor(file, "conv"), "shape", np.array([1, 2, 3, 3], np.int32)),
     "net: op 0 CONV_2D: makes (1, 2, 2, 3) but 'conv' is (1, 2, 3, 3); "
     "the file contradicts itself: export it again"),
    (lambda file: operator(file, "RESHAPE").inputs.__setitem__(0, 1),
     "net: op 1 RESHAPE: reads 'fc' before anything makes it; the file contradicts itself: export it again"),
    (lambda file: setattr(operator(file, "CONV_2D"), "opcodeIndex", 9),
     "net: op 0 has operator code 9 of 3; the file is damaged: copy or export it again"),
    (lambda file: setattr(tensor(file, "fc.weight"), "shape", np.array([5, 13], np.int32)),
     "net: constant 'fc.weight' int8 (5, 13) needs 65 bytes, has 60; "
     "the file is damaged: copy or export it again"),
])
def test_contradictions_name_the_tensor_or_op(change, message):
    assert refused(quantized(classifier()), change) == message


def test_other_formats_are_told_from_damage():
    with pytest.raises(BadModel, match=r"^net: not a .tflite file: bytes 4 to 8 are b'abcd', not b'TFL3'"):
        load_tflite(b"\x00" * 4 + b"abcd" + b"\x00" * 100, "net")


def test_old_schema_versions_are_told():
    old = bytearray(write_tflite(classifier()))
    old[4:8] = b"TFL2"
    with pytest.raises(BadModel, match=r"^net: .tflite schema version 2, which no runtime of today reads"):
        load_tflite(bytes(old), "net")
    assert "net: schema version 1; runtimes of today read 3" in refused(
        classifier(), lambda file: setattr(file, "version", 1))


@pytest.mark.oracle
def test_names_end_where_a_runtime_ends_them(tmp_path):
    path = tmp_path / "net.tflite"
    named = edited(write_tflite(classifier()), lambda file: setattr(tensor(file, "fc"), "name", "f\0c"))
    path.write_bytes(named)
    assert load(path).outputs == ("f",)


# Nothing is trusted ----------------------------------------------------------------------------------------

def mutations(model: bytes, count: int, seed: int):
    """Cut and overwritten copies; half of the damage is at the ends of the file, where its tables are."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        data = np.frombuffer(model, np.uint8).copy()
        if i % 5 == 0:
            yield data[:rng.integers(len(data))].tobytes()
            continue
        low = (0, max(0, len(data) - 20_000), 0, 0)[i % 4]
        high = (min(3_000, len(data)), len(data), len(data), len(data))[i % 4]
        for at in rng.integers(low, high, rng.integers(1, 8)):
            if i % 2:
                data[at] = rng.integers(256)
            else:
                word = rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), rng.integers(2**32)])
                patch = np.frombuffer(np.uint32(word).tobytes(), np.uint8)[:len(data) - at]
                data[at:at + len(patch)] = patch
        yield data.tobytes()


def assert_survives(model: bytes, count: int) -> None:
    outcomes = set()
    for damaged in mutations(model, count, seed=1):
        started = time.process_time()
        try:
            graph = load_tflite(damaged, "net")
            check(graph, level_of(graph))
            outcomes.add("loaded")
        except ToolchainError as error:
            assert error.exit_code in (2, 4) and str(error)
            outcomes.add(type(error).__name__)
        assert time.process_time() - started < 2
    assert {"loaded", "BadModel"} <= outcomes


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_of_ours_never_crash(seed):
    assert_survives(write_tflite(quantized(random_net(seed)), io="uint8"), 300)


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [*FLOAT, *INT8])
def test_damaged_files_of_others_never_crash(kit, name, count):
    assert_survives((kit / "models" / f"{name}.tflite").read_bytes(), count)


def aliased(operators: int, name: str) -> bytes:
    """A subgraph whose operator vector points `operators` times at one table: small, and endless to read."""
    builder = flatbuffers.Builder(1 << 20)
    ports = builder.CreateNumpyVector(np.zeros(1, np.int32))
    op = schema.OperatorT(inputs=np.zeros(1, np.int32), outputs=np.zeros(1, np.int32)).Pack(builder)
    tensor_at = schema.TensorT(name=name, shape=np.ones(2, np.int32)).Pack(builder)
    vectors = []
    for table, count in ((tensor_at, 1), (op, operators)):
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(table)
        vectors.append(builder.EndVector())
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vectors[0])
    schema.SubGraphAddInputs(builder, ports)
    schema.SubGraphAddOutputs(builder, ports)
    schema.SubGraphAddOperators(builder, vectors[1])
    subgraph = schema.SubGraphEnd(builder)
    return finished(builder, subgraph)


def finished(builder: flatbuffers.Builder, subgraph: int) -> bytes:
    code = schema.OperatorCodeT(builtinCode=schema.BuiltinOperator.LSTM).Pack(builder)
    buffer = schema.BufferT().Pack(builder)
    tables = []
    for table in (subgraph, code, buffer):
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(table)
        tables.append(builder.EndVector())
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, tables[0])
    schema.ModelAddOperatorCodes(builder, tables[1])
    schema.ModelAddBuffers(builder, tables[2])
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def test_tables_that_overlap_cannot_describe_more_than_the_file_holds():
    with pytest.raises(Unsupported, match="net: 3 unsupported"):
        load_tflite(aliased(3, "y"), "net")
    hostile = aliased(100_000, "y" * 50_000)
    started = time.process_time()
    with pytest.raises(BadModel, match="its tables describe more than its [0-9,]+ bytes can hold"):
        load_tflite(hostile, "net")
    assert time.process_time() - started < 2 and len(hostile) < 600_000
