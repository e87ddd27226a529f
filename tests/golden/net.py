"""One tiny network and every file that the doors out make of it. `files()` is what tests/golden/ holds."""

import numpy as np

from toolchain.data import load_samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference


def float_graph() -> Graph:
    """x (1, 6, 6, 2), conv2d, batch_norm, relu6, depthwise_conv2d, add, mean, fully_connected, softmax.

    Weights are small fractions, so that no machine rounds them differently.
    """
    b = Builder("golden")

    def weights(name, *shape):
        size = int(np.prod(shape))
        return b.constant(name, ((np.arange(size) * 37 % 101 - 50) / 64).astype(np.float32).reshape(shape))

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


def int8_graph(folder) -> Graph:
    """The same, calibrated on eight samples of small fractions, which are put into `folder`."""
    graph = float_graph()
    x = (np.arange(8 * 72) * 29 % 97 - 48).astype(np.float32).reshape(8, 6, 6, 2) / 32
    np.savez(folder / "samples.npz", x=x)
    samples = load_samples(folder / "samples.npz").fit_to(graph)

    def run(feeds, names):
        return reference.run(graph, feeds, keep=names)

    stats = calibrate(graph, CalibrateConfig(), samples, run)
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
        "model.c": c["model.c"],
        "model.h": c["model.h"],
    }
