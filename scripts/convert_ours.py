"""From an nn.Module to an INT8 .tflite with this toolchain. A child of benchmark_peers.py.

convert_ours.py FILE.py:FUNCTION SAMPLES.npz OBSERVER FOLDER

Prints what it cost, then writes the float file and the .onnx files too.
"""

from dataclasses import replace
from pathlib import Path
import sys

from footprint import FOOTPRINT
import onnx  # noqa: F401 - what the toolchain imports when it is needed; here, so that memory is told apart
import onnxruntime  # noqa: F401
import torch._dynamo  # noqa: F401

from toolchain.data import Preprocessing, load_samples
from toolchain.load import load
import toolchain.load.torch  # noqa: F401
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import prepare
from toolchain.recipe import CalibrateConfig, Recipe


def main(spec: str, samples: str, observer: str, folder: str) -> None:
    FOOTPRINT.begin()
    graph = load(spec)
    FOOTPRINT.stage("convert")
    images = load_samples(samples)
    if images.x["x"].dtype == "uint8":
        images = replace(images, preprocessing=Preprocessing(127.0, 128.0), layout="channels_last")
    recipe = Recipe(calibrate=CalibrateConfig(observer=observer, samples=len(images)))
    prepared = prepare(graph, recipe, images)
    Path(folder, "int8.tflite").write_bytes(write_tflite(prepared.graph))
    FOOTPRINT.stage("quantize")
    print(FOOTPRINT.record())
    Path(folder, "float32.tflite").write_bytes(write_tflite(prepared.float_graph))
    Path(folder, "int8.onnx").write_bytes(write_onnx(prepared.graph))
    Path(folder, "float32.onnx").write_bytes(write_onnx(prepared.float_graph))


if __name__ == "__main__":
    main(*sys.argv[1:])
