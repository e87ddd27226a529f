"""The .tflite door in and what numbers are stored as: float16, dynamic range, int16, islands; and names."""

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
import numpy as np
import pytest

from tests.load.tflite_models import one_operator
from tests.random_nets import noise, random_net
from toolchain.data import Samples
from toolchain.errors import BadModel
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams
from toolchain.load import load
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_schema import packed
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime.litert import LiteRT


def dense(rows: int = 64, columns: int = 32) -> Graph:
    build, rng = Builder("dense"), np.random.default_rng(0)
    x = build.input("x", (1, columns))
    weight = build.constant("w", rng.normal(size=(rows, columns)).astype(np.float32))
    bias = build.constant("b", np.ones(rows, np.float32))
    return build.graph(build.op("fully_connected", [x, weight, bias], "y"))


def edited(model: bytes, change) -> bytes:
    file = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    change(file)
    return packed(file)


@pytest.mark.oracle
def test_float16_weights_behind_a_dequantize_are_widened(tmp_path):
    path = tmp_path / "half.tflite"
    path.write_bytes(write_tflite(dense(), weights="float16"))
    graph = load(path)
    assert [op.kind for op in graph.ops] == ["fully_connected"]
    weight = graph.tensors[graph.ops[0].inputs[1]].data
    assert weight.dtype == np.float32
    assert np.array_equal(weight, dense().tensors["w"].data.astype(np.float16).astype(np.float32))


@pytest.mark.oracle
@pytest.mark.parametrize("zero_point", [0, 117])
def test_uint8_weights_under_float_activations_are_dequantized(tmp_path, zero_point):
    """As converters before TFLite 2.2 wrote them: asymmetric, per tensor."""
    codes = np.random.default_rng(1).integers(0, 256, (64, 32)).astype(np.uint8)

    def hybrid(file):
        weight = next(t for t in file.subgraphs[0].tensors if t.name == b"w")
        weight.type, weight.buffer = schema.TensorType.UINT8, len(file.buffers)
        weight.quantization = schema.QuantizationParametersT(scale=np.float32([0.02]),
                                                             zeroPoint=np.int64([zero_point]))
        file.buffers.append(schema.BufferT(data=codes.reshape(-1)))

    path = tmp_path / "hybrid.tflite"
    path.write_bytes(edited(write_tflite(dense()), hybrid))
    graph = load(path)
    weight = graph.tensors[graph.ops[0].inputs[1]].data
    assert np.array_equal(weight, np.float32(0.02) * (codes.astype(np.float32) - zero_point))
    assert "dequantized: w" in graph.source.notes[-1]


def quantized(graph: Graph, scheme: str) -> Graph:
    ready = canonical(graph)
    samples = Samples("noise", dict(noise(ready, 8)), None, None, np.arange(8))
    return quantize(ready, calibrate(ready, CalibrateConfig(), samples), QuantSpec(scheme=scheme))


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_int16_activations_go_out_and_come_back(tmp_path, seed):
    graph = quantized(random_net(seed), "static_wi8_ai16")
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(graph))
    loaded = load(path)
    assert loaded.tensors["x"].dtype == "int16" and loaded.digest
    shape = (4, *graph.tensors["x"].shape[1:])
    feeds = {"x": np.random.default_rng(2).integers(-32768, 32768, shape, np.int16)}
    expected = LiteRT(path.read_bytes()).run(feeds)["softmax"]
    assert np.array_equal(LiteRT(write_tflite(loaded)).run(feeds)["softmax"], expected)


@pytest.mark.oracle
def test_int16_files_have_float_borders_if_asked():
    graph = quantized(random_net(1), "static_wi8_ai16")
    ports = LiteRT(write_tflite(graph, io="float32"))
    assert {port.dtype for port in (*ports.inputs, *ports.outputs)} == {"float32"}


@pytest.mark.oracle
def test_an_island_of_floats_is_read_as_it_stands():
    """And written as it was: ops of one island hand reals to each other, codes leave it once."""
    build, quant = Builder("island"), QuantParams(0.05, 3)
    x = build.input("x", (1, 6, 6, 4), "int8", quant)
    a = build.op("neg", [x], "a", quant=quant)
    b = build.op("softplus", [a], "b", quant=quant)
    model = write_tflite(build.graph(build.op("relu", [b], "y", quant=quant)), integer_only=True)
    graph = load_tflite(model, "island")
    kinds = [op.kind for op in graph.ops]
    assert kinds == ["dequantize", "neg", "abs", "logistic", "log", "relu", "sub", "quantize", "relu"]
    feeds = noise(graph, 2)
    again = write_tflite(graph, integer_only=True)
    assert np.array_equal(LiteRT(again).run(feeds)["y"], LiteRT(model).run(feeds)["y"])


def test_names_of_the_signature_are_kept():
    def signed(file):
        (signature,) = file.signatureDefs
        signature.inputs[0].name, signature.outputs[0].name = "image", "scores"

    graph = load_tflite(edited(write_tflite(dense()), signed), "dense")
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))
    assert graph.source.ports == (("x", "image"), ("y", "scores"))
    interpreter = Interpreter(model_content=write_tflite(graph))
    (signature,) = interpreter.get_signature_list().values()
    assert signature == {"inputs": ["image"], "outputs": ["scores"]}


def test_shape_arithmetic_is_computed():
    """RESHAPE to (shape(x)[0], -1), as exporters of an open batch write it."""
    build = Builder("flat")
    x = build.input("x", (1, 4, 6))
    model = write_tflite(build.graph(build.op("reshape", [x], "y", shape=(1, 24))))

    def computed(file):
        graph = file.subgraphs[0]
        target = graph.operators[0].inputs[1]
        graph.tensors[target].buffer = 0
        for name, values in (("begin", [0]), ("end", [1]), ("strides", [1]), ("rest", 24)):
            data = np.array(values, np.int32)
            graph.tensors.append(schema.TensorT(name=name, shape=np.array(data.shape, np.int32), type=2,
                                                buffer=len(file.buffers)))
            file.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        first = len(graph.tensors)
        graph.tensors += [schema.TensorT(name="shape", shape=np.array([3], np.int32), type=2),
                          schema.TensorT(name="batch", shape=np.zeros(0, np.int32), type=2)]
        codes = [getattr(schema.BuiltinOperator, name) for name in ("SHAPE", "STRIDED_SLICE", "PACK")]
        file.operatorCodes += [schema.OperatorCodeT(builtinCode=c, deprecatedBuiltinCode=c) for c in codes]
        begin = first - 4
        graph.operators[:0] = [
            schema.OperatorT(1, np.int32([0]), np.int32([first])),
            schema.OperatorT(2, np.int32([first, begin, begin + 1, begin + 2]), np.int32([first + 1]),
                             schema.BuiltinOptions.StridedSliceOptions,
                             schema.StridedSliceOptionsT(shrinkAxisMask=1)),
            schema.OperatorT(3, np.int32([first + 1, begin + 3]), np.int32([target]),
                             schema.BuiltinOptions.PackOptions, schema.PackOptionsT(valuesCount=2, axis=0))]

    graph = load_tflite(edited(model, computed), "flat")
    assert [(op.kind, op.attrs["shape"]) for op in graph.ops] == [("reshape", (1, 24))]


def test_a_small_file_cannot_compute_an_endless_constant():
    column, row = np.zeros((20_000, 1), np.float32), np.zeros((1, 20_000), np.float32)
    model = one_operator("ADD", {"a": column, "b": row}, {"y": (1, 2)}, options="AddOptions")

    def inner(file):
        graph = file.subgraphs[0]
        graph.tensors += [schema.TensorT(name=name, shape=np.array([1, 2], np.int32)) for name in ("x", "z")]
        file.operatorCodes.append(schema.OperatorCodeT(builtinCode=19, deprecatedBuiltinCode=19))
        graph.operators.append(schema.OperatorT(1, np.int32([3]), np.int32([4])))
        graph.inputs, graph.outputs = np.int32([3]), np.int32([4])

    with pytest.raises(BadModel, match=r"makes 400,000,000 values for an output of shape \(1, 2\)"):
        load_tflite(edited(model, inner), "net")


@pytest.mark.oracle
@pytest.mark.parametrize("kept", [True, False])
def test_a_mean_over_rows_that_are_no_batch(tmp_path, kept):
    build = Builder("rows")
    x = build.input("x", (1, 24))
    rows = build.op("reshape", [x], "rows", shape=(1, 8, 3))
    model = write_tflite(build.graph(build.op("mean", [rows], "y", axes=(1,), keepdims=kept)))

    def without_batch(file):
        named = {t.name: t for t in file.subgraphs[0].tensors}
        named[b"rows"].shape, named[b"rows.shape"].shape = np.int32([8, 3]), np.int32([2])
        named[b"y"].shape = np.int32([1, 3] if kept else [3])
        for name, values in ((b"rows.shape", [8, 3]), (b"y.axes", [0])):
            file.buffers[named[name].buffer].data = np.frombuffer(np.int32(values).tobytes(), np.uint8)

    path = tmp_path / "rows.tflite"
    path.write_bytes(edited(model, without_batch))
    graph = load(path)
    feeds = {"x": np.arange(24, dtype=np.float32)[None]}
    expected = feeds["x"].reshape(8, 3).mean(axis=0, keepdims=kept)
    assert np.allclose(LiteRT(write_tflite(graph)).run(feeds)["y"], expected)
