"""Weights on a grid of n bits: the formula against torch's, files that store codes, runtimes that agree."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.ir.quant import affine_params, dequantize, weight_params
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.weight_only import with_weights_on_grid
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

BITS = range(2, 9)


def network():
    """A convolution, a depthwise and a transposed one, a reduction, two dense layers of which one is odd."""
    net = Net()
    x = net.conv(net.input("x", (1, 8, 8, 4)), 12, "conv", activation="relu")
    depthwise = [x, net.weights("depth.weight", 1, 3, 3, 12), net.weights("depth.bias", 12)]
    x = net.op("depthwise_conv2d", depthwise, "depth", pads=(1, 1, 1, 1))
    turned = [x, net.weights("up.weight", 6, 2, 2, 12), net.weights("up.bias", 6)]
    x = net.op("transpose_conv2d", turned, "up", stride=(2, 2))
    x = net.op("mean", [x], "mean", axes=(1, 2))
    return net.graph(net.dense(net.dense(x, 7, "dense"), 3, "y"))


def feeds_of(graph, codes):
    x = samples_of(graph, 4).x["x"]
    return {"x": x if codes.tensors["x"].quant is None else codes_of(x, codes.tensors["x"].quant)}


def treated(graph, scheme):
    stats = calibrate(graph, CalibrateConfig(), samples_of(graph))
    return quantize(graph, stats, QuantSpec(scheme=scheme))


@pytest.mark.oracle
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("axis, shape", [(0, (5, 3, 3, 4)), (3, (1, 3, 3, 6))])
def test_the_grid_is_torchs(bits, axis, shape):
    import torch
    from torch.ao.quantization.observer import PerChannelMinMaxObserver

    weight = np.random.default_rng(bits).normal(0.1, 1, shape).astype(np.float32)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    observer = PerChannelMinMaxObserver(axis, dtype=torch.qint8, qscheme=torch.per_channel_affine,
                                        quant_min=low, quant_max=high)
    observer(torch.from_numpy(weight))
    scale, zero_point = observer.calculate_qparams()
    ours = affine_params(weight, axis, f"int{bits}")
    np.testing.assert_allclose(ours.scale, scale.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(ours.zero_point, zero_point.numpy())
    theirs = torch.fake_quantize_per_channel_affine(
        torch.from_numpy(weight), torch.from_numpy(ours.scale), torch.from_numpy(ours.zero_point), axis, low,
        high)
    np.testing.assert_array_equal(dequantize(codes_of(weight, ours), ours), theirs.numpy())


def test_one_sided_and_empty_channels_hold_zero_exactly():
    weight = np.float32([[1, 2, 3], [-3, -2, -1], [0, 0, 0]])
    params = affine_params(weight, 0, "int4")
    np.testing.assert_allclose(params.scale, [3 / 15, 3 / 15, 1], rtol=1e-6)
    assert params.zero_point.tolist()[:2] == [-8, 7]
    assert not dequantize(codes_of(np.zeros((3, 1)), params), params).any()
    assert not dequantize(codes_of(weight, params), params)[2].any()


@pytest.mark.parametrize("bits", BITS)
def test_a_weight_is_at_most_half_a_step_off_and_computes_as_rounded(bits):
    graph = network()
    rounded = with_weights_on_grid(graph, f"int{bits}")
    for name in ("conv.weight", "depth.weight", "up.weight", "dense.weight", "y.weight"):
        was, now = graph.tensors[name], rounded.tensors[name]
        apart = np.abs(now.data - was.data) / now.quant.along(now.data.ndim)[0]
        assert now.dtype == "float32" and apart.max() <= 0.5001
    channel = rounded.tensors["conv.weight"].data[0]
    assert len(np.unique(channel)) <= 2**bits
    study = "" if bits in (8, 4) else "; study: stored as float32"
    assert rounded.source.notes[-1] == (f"891 weights of 5 tensors rounded to {bits} bits, each output "
                                        f"channel with its scale and zero point{study}")


@pytest.mark.oracle
@pytest.mark.parametrize("bits", BITS)
def test_files_compute_with_the_rounded_weights(bits):
    codes = treated(network(), f"weight_only_wi{bits}_afp32")
    feeds = feeds_of(network(), codes)
    expected = reference.run(codes, feeds)["y"]
    for session in (LiteRT(write_tflite(codes)), OnnxRuntime(write_onnx(codes))):
        np.testing.assert_allclose(session.run(feeds)["y"], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.oracle
def test_static_4_bit_weights_run_everywhere_as_in_the_reference():
    codes = treated(network(), "static_wi4_ai8")
    assert {n: t.quant.dtype for n, t in codes.tensors.items() if n.endswith("weight")} == {
        "conv.weight": "int4", "depth.weight": "int4", "up.weight": "int8", "dense.weight": "int4",
        "y.weight": "int4"}
    assert max(np.abs(t.data).max() for t in codes.constants if t.quant.dtype == "int4") == 7
    feeds = feeds_of(network(), codes)
    expected = reference.run(codes, feeds)["y"]
    apart = LiteRT(write_tflite(codes)).run(feeds)["y"].astype(np.int64) - expected
    assert np.abs(apart).max() <= 2
    reals = {"x": dequantize(feeds["x"], codes.tensors["x"].quant)}
    quant = codes.tensors["y"].quant
    onnx = OnnxRuntime(write_onnx(codes, activations="int8")).run(reals)["y"]
    assert np.abs(onnx - dequantize(expected, quant)).max() <= 2.01 * quant.scale


def test_symmetric_4_bit_codes_reach_from_minus_7_to_7():
    weight = np.float32([[0.7, -1.4], [0, 0]])
    params = weight_params(weight, 0, "int4")
    np.testing.assert_allclose(params.scale, [0.2, 1], rtol=1e-6)
    assert codes_of(weight, params, narrow=True).tolist() == [[4, -7], [0, 0]]


def wide_network():
    net = Net()
    return net.graph(net.dense(net.dense(net.input("x", (1, 256)), 257, "dense"), 64, "y"))


def test_files_shrink_with_the_bits():
    graph = wide_network()
    sizes = {scheme: [len(write(treated(graph, scheme))) for write in (write_tflite, write_onnx)]
             for scheme in ("float32", "weight_only_wi8_afp32", "weight_only_wi4_afp32", "static_wi8_ai8",
                            "static_wi4_ai8")}
    weights = 256 * 257 + 257 * 64
    for method in ("weight_only_{}_afp32", "static_{}_ai8"):
        for eight, four in zip(sizes[method.format("wi8")], sizes[method.format("wi4")], strict=True):
            assert abs(eight - four - weights / 2) < 1500
    assert all(full > 3.5 * eight for full, eight in zip(sizes["float32"], sizes["weight_only_wi8_afp32"]))
    dynamic = [len(write_tflite(graph, weights=dtype)) for dtype in ("int8", "int4")]
    assert abs(dynamic[0] - dynamic[1] - weights / 2) < 200
