"""Two tiny networks and the files that the doors out make of them. `files()` is what tests/golden/ holds.

A third file, module.pt2, is torch's own: scripts/regenerate_golden.py writes it, with other bytes each time.
"""

from functools import partial

import numpy as np

from toolchain.data import load_samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rules import observed
from toolchain.recipe import CalibrateConfig, QuantSpec


def _weights(b: Builder, name: str, *shape: int) -> str:
    size = int(np.prod(shape))
    return b.constant(name, ((np.arange(size) * 37 % 101 - 50) / 64).astype(np.float32).reshape(shape))


def float_graph() -> Graph:
    """x (1, 6, 6, 2), conv2d, batch_norm, relu6, depthwise_conv2d, add, mean, fully_connected, softmax.

    Weights are small fractions, so that no machine rounds them differently.
    """
    b = Builder("golden")
    weights = partial(_weights, b)
    x = b.input("x", (1, 6, 6, 2))
    w, bias = weights("conv.weight", 4, 3, 3, 2), weights("conv.bias", 4)
    y = b.op("conv2d", [x, w, bias], "conv", pads=(1, 1, 1, 1))
    scale = [b.constant(f"bn.{k}", np.full(4, v, np.float32)) for k, v in
             (("gamma", 0.5), ("beta", 0.25), ("mean", 0.125), ("variance", 0.9375))]
    y = b.op("relu6", [b.op("batch_norm", [y, *scale], "bn", epsilon=0.0625)], "act")
    w, bias = weights("dw.weight", 1, 3, 3, 4), weights("dw.bias", 4)
    z = b.op("depthwise_conv2d", [y, w, bias], "dw", pads=(1, 1, 1, 1))
    z = b.op("mean", [b.op("add", [y, z], "sum", activation="relu")], "pool", axes=(1, 2), keepdims=False)
    z = b.op("fully_connected", [z, weights("fc.weight", 3, 4), weights("fc.bias", 3)], "fc")
    return canonical(b.graph(b.op("softmax", [z], "probabilities")))


def modern_graph() -> Graph:
    """x (1, 6, 6, 4), tokens (1, 3): grouped and transposed convolutions, norm, curves, resize, slice, matrix
    product, embedding, two outputs of different dtypes."""
    b = Builder("modern")
    weights = partial(_weights, b)
    x, tokens = b.input("x", (1, 6, 6, 4)), b.input("tokens", (1, 3), "int32")
    y = b.op("conv2d", [x, weights("groups.weight", 4, 3, 3, 2), weights("groups.bias", 4)], "groups",
             pads=(1, 1, 1, 1))
    y = b.op("gelu", [b.op("layer_norm", [y, weights("norm.gamma", 4), weights("norm.beta", 4)], "norm",
                           axes=(3,), epsilon=0.0625)], "gelu")
    up = b.op("transpose_conv2d", [y, weights("up.weight", 3, 3, 3, 4), weights("up.bias", 3)], "up",
              stride=(2, 2), pads=(1, 0, 1, 0))
    part = b.op("slice", [y], "part", begin=(0, 0, 0, 0), end=(1, 6, 6, 3), strides=(1, 1, 1, 1))
    both = b.op("concat", [up, b.op("resize_bilinear", [part], "resized", size=(12, 12),
                                    half_pixel_centers=True)], "both", axis=3)
    both = b.op("hard_swish", [b.op("prelu", [both, weights("prelu.alpha", 6)], "prelu")], "swish")
    rows = b.op("mean", [both], "rows", axes=(2,))
    words = b.op("gather", [weights("table.weight", 5, 6), tokens], "words", axis=0)
    scores = b.op("batch_matmul", [words, rows], "scores", transpose_b=True)
    best = b.op("argmax", [scores], "best", axis=2, to="int32")
    return canonical(b.graph(b.op("softmax", [scores], "attention"), best))


def coded(graph: Graph, scheme: str) -> Graph:
    """Quantized by ranges that no machine has to compute."""
    stats = {name: TensorStats(-2.0, 1.5, 1) for name in observed(graph)}
    return quantize(graph, stats, QuantSpec(scheme=scheme))


def int8_graph(folder) -> Graph:
    """The same, calibrated on eight samples of small fractions, which are put into `folder`."""
    graph = float_graph()
    x = (np.arange(8 * 72) * 29 % 97 - 48).astype(np.float32).reshape(8, 6, 6, 2) / 32
    np.savez(folder / "samples.npz", x=x)
    samples = load_samples(folder / "samples.npz").fit_to(graph)
    stats = calibrate(graph, CalibrateConfig(observer="minmax"), samples)
    return quantize(graph, stats, QuantSpec())


def files(folder) -> dict[str, bytes]:
    """Golden file name -> bytes."""
    graph = int8_graph(folder)
    c = write_c(graph).files
    return {
        "float.tflite": write_tflite(float_graph()),
        "int8.tflite": write_tflite(graph),
        "float.onnx": write_onnx(float_graph()),
        "u8s8.onnx": write_onnx(graph, activations="uint8"),
        "s8s8.onnx": write_onnx(graph, activations="int8"),
        "modern.tflite": write_tflite(modern_graph()),
        "modern.onnx": write_onnx(modern_graph()),
        "modern_int8.tflite": write_tflite(coded(modern_graph(), "static_wi8_ai8")),
        "modern_int16.tflite": write_tflite(coded(modern_graph(), "static_wi8_ai16")),
        "modern_u8s8.onnx": write_onnx(coded(modern_graph(), "static_wi8_ai8")),
        "model.c": c["model.c"],
        "model.h": c["model.h"],
    }
