"""uint8 .tflite files, as TF1's quantization-aware training made them: in, against LiteRT, and out again."""

from dataclasses import replace

from ai_edge_litert import schema_py_generated as schema
import numpy as np
import pytest

from tests.load.tflite_models import one_operator
from toolchain.errors import BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.load import load
from toolchain.load.selfcheck import unit
from toolchain.load.tflite import load_tflite
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

I32 = np.int32
X, XZ = {"x": (1, 6, 5, 4)}, {"x": (1, 6, 5, 4), "z": (1, 6, 5, 4)}
SAME = {name: (0.04, 130) for name in "xzy"}
CONV = {"strideW": 1, "strideH": 2, "padding": 0, "fusedActivationFunction": 3}
POOL = {"filterWidth": 2, "filterHeight": 2, "strideW": 1, "strideH": 2, "padding": 0}


def weights(shape: tuple[int, ...], channels: int, zero_point: int = 97) -> dict[str, object]:
    rng = np.random.default_rng(7)
    return {"w": rng.integers(0, 256, shape).astype(np.uint8), "b": rng.integers(-900, 900, channels, I32)}


def file_of(operator: str, inputs, output: tuple[int, ...], options: str | None = None, y=(0.05, 120),
            version: int = 1, **fields) -> bytes:
    quant = {"x": (0.04, 130), "z": (0.09, 20), "w": (0.01, 97), "b": (0.04 * np.float32(0.01), 0), "y": y}
    return one_operator(operator, inputs, {"y": output}, options=options, fields=fields, dtype="uint8",
                        quant=quant, version=version)


FILES = {
    "conv": file_of("CONV_2D", {**X, **weights((3, 3, 3, 4), 3)}, (1, 3, 5, 3), "Conv2DOptions", **CONV),
    "depthwise": file_of("DEPTHWISE_CONV_2D", {**X, **weights((1, 3, 3, 8), 8)}, (1, 3, 5, 8),
                         "DepthwiseConv2DOptions", depthMultiplier=2, **CONV),
    "transposed": file_of("TRANSPOSE_CONV", {"shape": I32([1, 12, 10, 3]), "w": weights((3, 3, 3, 4), 3)["w"],
                                             **X}, (1, 12, 10, 3), "TransposeConvOptions", y=(0.5, 120),
                          strideW=2, strideH=2, version=2),
    "dense": file_of("FULLY_CONNECTED", {"x": (1, 20), **weights((7, 20), 7)}, (1, 7),
                     "FullyConnectedOptions", fusedActivationFunction=1),
    "add": file_of("ADD", XZ, (1, 6, 5, 4), "AddOptions", fusedActivationFunction=3),
    "sub": file_of("SUB", XZ, (1, 6, 5, 4), "SubOptions", y=(0.1, 77), fusedActivationFunction=2),
    "mul": file_of("MUL", XZ, (1, 6, 5, 4), "MulOptions"),
    "max_pool": file_of("MAX_POOL_2D", X, (1, 3, 5, 4), "Pool2DOptions", y=SAME["x"], **POOL),
    "average_pool": file_of("AVERAGE_POOL_2D", X, (1, 3, 5, 4), "Pool2DOptions", y=SAME["x"], **POOL),
    "mean": file_of("MEAN", {**X, "axes": I32([1, 2])}, (1, 4), "ReducerOptions"),
    "concat": file_of("CONCATENATION", XZ, (1, 6, 5, 8), "ConcatenationOptions", axis=3),
    "softmax": file_of("SOFTMAX", {"x": (1, 20)}, (1, 20), "SoftmaxOptions", y=(1 / 256, 0), beta=1.0),
    "logistic": file_of("LOGISTIC", X, (1, 6, 5, 4), y=(1 / 256, 0)),
    "tanh": file_of("TANH", X, (1, 6, 5, 4), y=(1 / 128, 128)),
    "relu6": file_of("RELU6", X, (1, 6, 5, 4), y=SAME["x"]),
    "pad": file_of("PAD", {**X, "pads": I32([[0, 0], [1, 0], [2, 1], [0, 0]])}, (1, 7, 8, 4), "PadOptions",
                   y=SAME["x"]),
    "reshape": file_of("RESHAPE", {**X, "shape": I32([1, 120])}, (1, 120), y=SAME["x"]),
    "resize": file_of("RESIZE_BILINEAR", {**X, "size": I32([9, 11])}, (1, 9, 11, 4), "ResizeBilinearOptions",
                      y=SAME["x"]),
    "nearest": file_of("RESIZE_NEAREST_NEIGHBOR", {**X, "size": I32([9, 11])}, (1, 9, 11, 4),
                       "ResizeNearestNeighborOptions", y=SAME["x"]),
    "l2_normalization": file_of("L2_NORMALIZATION", X, (1, 6, 5, 4), "L2NormOptions", y=(1 / 128, 128)),
}
A_CODE_OFF = {"average_pool", "resize", "concat", "l2_normalization"}
"""Halves are rounded up where int8 kernels round them away from zero; codes are rescaled in float."""


def feeds_of(graph: Graph, count: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.integers(0, 256, (count, *graph.tensors[name].shape[1:])).astype(np.uint8)
            for name in graph.inputs}


@pytest.mark.oracle
@pytest.mark.parametrize("name", FILES)
def test_an_operator_gives_the_codes_of_litert(tmp_path, name):
    path = tmp_path / "net.tflite"
    path.write_bytes(FILES[name])
    graph = load(path)
    assert {graph.tensors[port].dtype for port in (*graph.inputs, *graph.outputs)} == {"uint8"}
    feeds = feeds_of(graph)
    expected = LiteRT(FILES[name], reference_kernels=True).run(feeds)["y"].astype(int)
    assert np.ptp(expected) > 10
    worst = np.abs(reference.run(graph, feeds)["y"] - expected).max()
    assert worst <= (1 if name in A_CODE_OFF else 0)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["conv", "depthwise", "transposed", "dense"])
def test_a_file_written_again_gives_the_same_bits(name):
    graph = load_tflite(FILES[name], "net")
    feeds = feeds_of(graph)
    for kernels in ({}, {"preserve_all": True}, {"reference_kernels": True}):
        first, second = (LiteRT(model, **kernels).run(feeds)["y"]
                         for model in (FILES[name], write_tflite(graph)))
        assert np.array_equal(first, second), kernels


def network() -> Graph:
    """A classifier as it would come from such a file, but with int8 inputs and outputs."""
    build, rng = Builder("net"), np.random.default_rng(0)

    def parameters(x: str, shape: tuple[int, ...], channels: int) -> list[str]:
        scale = build.tensors[x].quant.scale * np.float32(0.005)
        weight = rng.integers(-128, 128, shape).astype(np.int8)
        bias = rng.integers(-500, 500, channels).astype(np.int32)
        return [build.constant("w", weight, QuantParams(0.005, int(rng.integers(1, 60)))),
                build.constant("b", bias, QuantParams(scale, 0, dtype="int32"))]

    q, wide = QuantParams(0.02, 3), QuantParams(0.1, 0)
    x = build.input("x", (1, 12, 12, 3), "int8", QuantParams(1 / 128, 0))
    c = build.op("conv2d", [x, *parameters(x, (8, 3, 3, 3), 8)], "c", quant=q, stride=(2, 2),
                 pads=(0, 1, 0, 1), activation="relu6")
    d = build.op("depthwise_conv2d", [c, *parameters(c, (1, 3, 3, 8), 8)], "d", quant=q, pads=(1, 1, 1, 1),
                 multiplier=1, activation="relu6")
    a = build.op("add", [c, d], "a", quant=QuantParams(0.04, -5))
    # pads that SAME does not name, and what only the bias reaches: zeros around the kernel are zero points
    t = build.op("transpose_conv2d", [a, *parameters(a, (4, 3, 3, 8), 4)], "t", quant=wide, stride=(2, 2),
                 pads=(1, 0, 0, -1))
    f = build.op("reshape", [t], "f", shape=(1, 12 * 14 * 4), quant=wide)
    y = build.op("fully_connected", [f, *parameters(f, (10, 12 * 14 * 4), 10)], "y",
                 quant=QuantParams(0.8, 10))
    return build.graph(y)


@pytest.mark.oracle
@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_a_graph_with_zero_points_of_weights_goes_out_in_uint8_whole(io):
    graph = network()
    model = write_tflite(graph, io=io)
    inside = {t.type for t in schema.ModelT.InitFromPackedBuf(model).subgraphs[0].tensors}
    ports = {"int8": {schema.TensorType.INT8}, "uint8": set(), "float32": {schema.TensorType.FLOAT32}}[io]
    assert inside == {schema.TensorType.UINT8, schema.TensorType.INT32} | ports
    codes = np.random.default_rng(1).integers(-128, 128, (3, 12, 12, 3)).astype(np.int8)
    moved = {"int8": codes, "uint8": (codes + np.int16(128)).astype(np.uint8),
             "float32": codes / np.float32(128)}
    session = LiteRT(model, reference_kernels=True)
    assert {port.dtype for port in (*session.inputs, *session.outputs)} == {io}
    ours, theirs = reference.run(graph, {"x": codes})["y"], session.run({"x": moved[io]})["y"]
    back = {"int8": theirs, "uint8": theirs - 128.0, "float32": theirs / np.float32(0.8) + 10}[io]
    assert np.ptp(ours.astype(int)) > 50 and np.abs(back - ours).max() < 1e-3


@pytest.mark.oracle
def test_a_network_loads_and_is_written_as_it_was(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(network(), io="uint8"))
    graph = load(path)
    again = write_tflite(graph)
    feeds = feeds_of(graph)
    for plain in (False, True):
        first, second = (LiteRT(model, preserve_all=plain).run(feeds)["y"]
                         for model in (path.read_bytes(), again))
        assert np.array_equal(first, second)


@pytest.mark.oracle
def test_onnx_keeps_the_zero_points():
    """Op by op, within the code that rounding in float is away."""
    graph = network()
    codes = np.random.default_rng(1).integers(-128, 128, (3, 12, 12, 3)).astype(np.int8)
    values = {"x": codes, **reference.run(graph, {"x": codes}, keep=[op.name for op in graph.ops])}
    for op in graph.ops:
        single, out = unit(graph, op, values), graph.tensors[op.name].quant
        feeds = {name: dequantize(values[name], graph.tensors[name].quant) for name in single.inputs}
        reals = OnnxRuntime(write_onnx(single, activations="int8")).run(feeds)[op.name]
        assert np.abs(reals / out.scale + out.zero_point - values[op.name]).max() <= 1.001, op.kind


@pytest.mark.parametrize("operator, inputs, message", [
    ("LOGISTIC", {}, r"op 0 LOGISTIC has inputs \(\)"),
    ("TRANSPOSE_CONV", {"shape": I32([1, 12, 9, 3]), "w": weights((3, 3, 3, 4), 3)["w"], **X},
     r"'y:codes' is \(1, 12, 10, 3\), its shape operand says \[1, 12, 9, 3\]")])
def test_contradictions_are_named(operator, inputs, message):
    options = {"TRANSPOSE_CONV": "TransposeConvOptions"}.get(operator)
    strides = {"strideW": 2, "strideH": 2} if options else {}
    with pytest.raises(BadModel, match=message):
        load_tflite(file_of(operator, inputs, (1, 12, 10, 3), options, **strides), "net")


def test_c_refuses_them_by_name():
    with pytest.raises(Unsupported, match="c: conv2d with a zero point of its weights"):
        write_c(network())


def test_a_weight_per_channel_beside_them_is_refused():
    graph = network()
    op = next(op for op in graph.ops if op.kind == "depthwise_conv2d")
    weight = graph.tensors[op.inputs[1]]
    scales = np.full(8, 0.005, np.float32)
    graph = graph.with_tensors(replace(weight, quant=QuantParams(scales, np.zeros(8), 3)))
    with pytest.raises(Unsupported, match="'d': weights quantized per channel; uint8 ones are per tensor"):
        write_tflite(graph)
