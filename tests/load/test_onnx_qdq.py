"""Files that onnxruntime's own quantizer wrote arrive as integer graphs, and go out as any other."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
import pytest

from tests.c_host import compile_graphs
from tests.load.onnx_models import floats, model_of, node, normal, single, value
from toolchain.errors import Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize, quantize
from toolchain.load import load
from toolchain.load.onnx import load_onnx
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle

SHAPE = (1, 3, 12, 12)
FORMS = {f"{form.name} {'U8' if codes is QuantType.QUInt8 else 'S8'}S8{' per channel' if each else ''}":
         (form, codes, each) for form in QuantFormat for codes in (QuantType.QUInt8, QuantType.QInt8)
         for each in (False, True) if (codes is QuantType.QUInt8 or each)}


class Noise(CalibrationDataReader):
    def __init__(self):
        self.samples = iter([{"x": normal(*SHAPE, seed=seed)} for seed in range(8)])

    def get_next(self):
        return next(self.samples, None)


def network() -> bytes:
    """Convolutions of three kinds, a residual, a concat whose parts have other ranges, and a classifier."""
    nodes = [node("Conv", "x w1 b1", "c1", pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", "c1", "r1"),
             node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
             node("Conv", "p1 w2 b2", "c2", pads=[1, 1, 1, 1], group=8), node("Conv", "c2 w3 b3", "c3"),
             node("Add", "c3 p1", "s"), node("Relu", "s", "r2"), node("Sigmoid", "c3", "g"),
             node("Concat", "r2 g", "j", axis=1), node("GlobalAveragePool", "j", "m"),
             node("Flatten", "m", "f"), node("Gemm", "f w4 b4", "logits", transB=1),
             node("Softmax", "logits", "y", axis=1)]
    weights = {"w1": normal(8, 3, 3, 3), "w2": normal(8, 1, 3, 3), "w3": normal(8, 8, 1, 1) / 2,
               "w4": normal(5, 16)}
    biases = {f"b{i}": normal(len(weights[f"w{i}"]), seed=i) for i in range(1, 5)}
    return model_of(nodes, {"x": SHAPE}, {**weights, **biases})


def quantized(path: Path, form, codes, each) -> Path:
    quantize_static(onnx.load_from_string(network()), path, Noise(), quant_format=form, per_channel=each,
                    activation_type=codes, weight_type=QuantType.QInt8)
    return path


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_files_of_onnxruntimes_quantizer(form, tmp_path):
    """Close to ONNX Runtime from end to end, on integer kernels alone; in .tflite and C too."""
    path = quantized(tmp_path / "net.onnx", *form)
    graph = canonical(load(path))
    assert level_of(graph) == "QUANTIZED"
    assert {t.dtype for t in graph.activations} == {"int8"}
    kinds = Counter(op.kind for op in graph.ops)
    assert kinds["conv2d"] == 2 and kinds["depthwise_conv2d"] == kinds["fully_connected"] == kinds["add"] == 1
    x = normal(16, *SHAPE[1:], seed=99)
    theirs = OnnxRuntime(path.read_bytes()).run({"x": x})["y"]
    feeds = {"x": quantize(x.transpose(0, 2, 3, 1), graph.tensors["x"].quant)}
    ours = reference.run(graph, feeds)["y"]
    reals = dequantize(ours, graph.tensors["y"].quant)
    assert np.abs(reals - theirs).max() <= 3 / 256
    assert (reals.argmax(1) == theirs.argmax(1)).mean() >= 15 / 16
    litert = LiteRT(write_tflite(graph), reference_kernels=True).run(feeds)["y"]
    assert np.abs(litert.astype(int) - ours).max() <= 1
    (compiled,) = compile_graphs([graph], tmp_path)
    np.testing.assert_array_equal(compiled.run(feeds)["y"], ours)


def test_our_own_int8_files_come_back_as_they_were(tmp_path):
    graph = canonical(load(quantized(tmp_path / "net.onnx", QuantFormat.QDQ, QuantType.QUInt8, True)))
    for activations in ("uint8", "int8"):
        (tmp_path / "again.onnx").write_bytes(write_onnx(graph, activations=activations))
        again = canonical(load(tmp_path / "again.onnx"))
        assert [op.kind for op in again.ops] == [op.kind for op in graph.ops]
        feeds = {"x": quantize(normal(4, 12, 12, 3), graph.tensors["x"].quant)}
        np.testing.assert_array_equal(reference.run(again, feeds)["y"], reference.run(graph, feeds)["y"])


def on_codes(zero_point, weight) -> bytes:
    """x -> codes -> Conv with a quantized weight -> codes -> y."""
    scale = np.float32(0.05)
    middle = np.array(131 if weight.dtype == np.uint8 else 0, weight.dtype)
    constants = {"s": scale, "z": zero_point, "w": weight, "wz": middle}
    nodes = [node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xr"),
             node("DequantizeLinear", "w s wz", "wr"), node("Conv", "xr wr", "c"),
             node("QuantizeLinear", "c s z", "cq"), node("DequantizeLinear", "cq s z", "y")]
    return model_of(nodes, {"x": SHAPE}, constants)


def test_weights_with_a_zero_point_stay_codes(tmp_path):
    """As onnxruntime quantizes uint8 weights by default: in .tflite the whole network is uint8 then."""
    weight = np.arange(4 * 3 * 9, dtype=np.uint8).reshape(4, 3, 3, 3)
    (tmp_path / "net.onnx").write_bytes(on_codes(np.uint8(128), weight))
    graph = canonical(load(tmp_path / "net.onnx"))
    assert [op.kind for op in graph.ops] == ["conv2d"]
    assert int(graph.tensors[graph.ops[0].inputs[1]].quant.zero_point) == 3
    x = normal(4, *SHAPE[1:])
    theirs = OnnxRuntime((tmp_path / "net.onnx").read_bytes()).run({"x": x})["y"]
    feeds = {"x": quantize(x.transpose(0, 2, 3, 1), graph.tensors["x"].quant)}
    for codes in (reference.run(graph, feeds)["y"], LiteRT(write_tflite(graph)).run(feeds)["y"]):
        reals = dequantize(codes, graph.tensors["y"].quant).transpose(0, 3, 1, 2)
        assert np.abs(reals - theirs).max() <= 0.051  # a code


def test_weights_with_zero_points_for_each_channel_are_refused(tmp_path):
    proto = onnx.load_from_string(on_codes(np.uint8(128), np.zeros((4, 3, 3, 3), np.uint8)))
    for name, values in (("ws", np.full(4, 0.05, np.float32)), ("wzs", np.arange(4, dtype=np.uint8))):
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    proto.graph.node[2].CopyFrom(helper.make_node("DequantizeLinear", ["w", "ws", "wzs"], ["wr"], axis=0))
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(Unsupported, match="conv2d c: int8 weights with zero points for each channel"):
        load(tmp_path / "net.onnx")


def test_a_layer_over_rows_that_are_no_samples(tmp_path):
    """As onnxruntime's pre-processing writes MatMul and Add: (1, 3, 4) -> (3, 4) -> Gemm -> (1, 3, 5)."""
    grid = {"s": np.float32(0.05), "z": np.uint8(128)}
    nodes = [node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xr"),
             node("Reshape", "xr rows", "r"), node("DequantizeLinear", "w s wz", "wr"),
             node("Gemm", "r wr b", "g"), node("QuantizeLinear", "g s z", "gq"),
             node("DequantizeLinear", "gq s z", "gr"), node("Reshape", "gr back", "y")]
    weight = np.arange(-10, 10, dtype=np.int8).reshape(4, 5)
    constants = {**grid, "wz": np.int8(0), "w": weight, "b": normal(5), "rows": np.array([3, 4]),
                 "back": np.array([1, 3, 5])}
    (tmp_path / "net.onnx").write_bytes(model_of(nodes, {"x": (1, 3, 4)}, constants))
    assert [op.kind for op in canonical(load(tmp_path / "net.onnx")).ops] == [
        "reshape", "fully_connected", "reshape"]


def test_weights_in_float_between_codes_stay_float(tmp_path):
    """ONNX Runtime's optimizer would quantize them, and the source would not be judged as it is written."""
    nodes = [node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xr"),
             node("ConvTranspose", "xr w b", "c", strides=[2, 2]),
             node("QuantizeLinear", "c s z", "cq"), node("DequantizeLinear", "cq s z", "y")]
    constants = {"s": np.float32(0.05), "z": np.uint8(128), "w": normal(3, 4, 2, 2), "b": normal(4)}
    (tmp_path / "net.onnx").write_bytes(model_of(nodes, {"x": SHAPE}, constants))
    kinds = [op.kind for op in load(tmp_path / "net.onnx").ops]
    assert kinds == ["dequantize", "transpose_conv2d", "quantize"]


@pytest.mark.parametrize("model, reason", [
    (single("QuantizeLinear", SHAPE, floats(1, 2, 3), np.zeros(3, np.uint8)), "3 scales of uint8"),
    (single("QuantizeLinear", SHAPE, np.float32(1), np.uint16(0), opset=21), "1 scales of uint16"),
    (model_of([helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])], {"x": SHAPE},
              dtypes={"y": TensorProto.UINT8}), "dynamic quantization is not read: give the float model"),
])
def test_forms_without_a_row(model, reason):
    with pytest.raises(Unsupported, match=reason):
        load_onnx(model, "net")


def test_bytes_that_come_in_are_codes_where_they_are_read_as_such(tmp_path):
    nodes = [node("DequantizeLinear", "x s z", "r"), node("Relu", "r", "a"),
             node("QuantizeLinear", "a s z", "y")]
    model = model_of(nodes, {"x": (1, 6)}, {"s": np.float32(0.1), "z": np.uint8(100)},
                     dtypes={"x": TensorProto.UINT8, "y": TensorProto.UINT8})
    (tmp_path / "net.onnx").write_bytes(model)
    graph = load(tmp_path / "net.onnx")
    assert [op.kind for op in graph.ops] == ["quantize", "relu"]
    assert (graph.tensors["x"].dtype, int(graph.tensors["x"].quant.zero_point)) == ("uint8", 100)
    assert int(graph.tensors["x:codes"].quant.zero_point) == -28


def test_bytes_that_are_moved_before_they_are_read_are_codes_too(tmp_path):
    """As a camera's frames, channels last, go into a network of channels first."""
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("DequantizeLinear", "t s z", "r"),
             node("DequantizeLinear", "w s wz", "wr"), node("Conv", "r wr", "c"),
             node("QuantizeLinear", "c s z", "q"), node("DequantizeLinear", "q s z", "y")]
    weight = np.arange(-20, 34, dtype=np.int8).reshape(2, 3, 3, 3)
    constants = {"s": np.float32(0.1), "z": np.uint8(100), "wz": np.int8(0), "w": weight}
    model = model_of(nodes, {"x": (1, 8, 8, 3)}, constants, dtypes={"x": TensorProto.UINT8})
    (tmp_path / "net.onnx").write_bytes(model)
    graph = canonical(load(tmp_path / "net.onnx"))
    assert [op.kind for op in graph.ops] == ["quantize", "conv2d"]
    assert (graph.tensors["x"].dtype, graph.tensors["x"].shape) == ("uint8", (1, 8, 8, 3))


def test_constants_in_codes_are_shared_and_exact():
    """Two convolutions with one weight: one constant."""
    proto = onnx.load_from_string(on_codes(np.int8(3), np.arange(-50, 58, dtype=np.int8).reshape(4, 3, 3, 3)))
    proto.graph.node.insert(4, node("Conv", "xr wr", "other"))
    proto.graph.node.append(node("Add", "other c", "both"))
    proto.graph.output.append(helper.make_tensor_value_info("both", TensorProto.FLOAT, None))
    graph = load_onnx(proto.SerializeToString(), "net")
    stored = [t for t in graph.constants if t.dtype == "int8"]
    assert len(stored) == 1
    np.testing.assert_array_equal(stored[0].data.transpose(0, 3, 1, 2),
                                  numpy_helper.to_array(proto.graph.initializer[2]))


def test_each_reader_with_conversions_of_its_own(tmp_path):
    """As the option DedicatedQDQPair writes them: the layer before them is still one on codes."""
    proto = onnx.load_from_string(on_codes(np.int8(3), np.arange(-50, 58, dtype=np.int8).reshape(4, 3, 3, 3)))
    proto.graph.node.extend([node("QuantizeLinear", "c s z", "cq2"),
                             node("DequantizeLinear", "cq2 s z", "c2"), node("Relu", "c2", "other")])
    proto.graph.output.append(value("other", None))
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    graph = load(tmp_path / "net.onnx")
    assert [op.kind for op in graph.ops][0] == "conv2d"
    assert graph.tensors[graph.ops[0].name].dtype == "int8"


def test_a_constant_that_the_file_quantizes_as_it_runs():
    """As the option AddQDQPairToWeight writes them, single numbers too."""
    nodes = [node("QuantizeLinear", "k s z", "kq"), node("DequantizeLinear", "kq s z", "kr"),
             node("Add", "x kr", "y")]
    constants = {"k": np.float32(0.52), "s": np.float32(0.1), "z": np.int8(0)}
    graph = load_onnx(model_of(nodes, {"x": (1, 6)}, constants), "net")
    got = reference.run(graph, {"x": np.zeros((1, 6), np.float32)})["y"]
    np.testing.assert_allclose(got, 0.5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_codes_are_padded_with_a_code(dtype, tmp_path):
    """As our own files pad with their zero point where a runtime's kernel has no such padding."""
    nodes = [node("QuantizeLinear", "x s z", "xq"), node("Pad", "xq pads z", "p"),
             node("DequantizeLinear", "p s z", "y")]
    constants = {"s": np.float32(0.05), "z": dtype(100), "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1])}
    (tmp_path / "net.onnx").write_bytes(model_of(nodes, {"x": SHAPE}, constants))
    graph = load(tmp_path / "net.onnx")
    assert [op.attrs["value"] for op in graph.ops if op.kind == "pad"] == [0.0]
