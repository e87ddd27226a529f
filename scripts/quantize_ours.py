"""INT8 of a float file by a recipe. A child of benchmark_accuracy.py.

quantize_ours.py FLOAT SAMPLES.npz OUT RECIPE        FLOAT and OUT: .tflite or .onnx; RECIPE: TOML itself;
                                                     SAMPLES: x in the file's layout
"""

from pathlib import Path
import sys

import msgspec
import numpy as np

from toolchain.data import Samples
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.post_training import PostTraining
from toolchain.recipe import Recipe

WRITE = {".tflite": write_tflite, ".onnx": write_onnx}


def main(source: str, samples: str, target: str, recipe: str) -> None:
    x = np.load(samples)["x"]
    given = Samples("calibration", {"x": x}, None, None, np.arange(len(x)))
    stages = PostTraining(canonical(load(source)), given, print)
    quantized = stages.quantized(msgspec.toml.decode(recipe, type=Recipe))
    Path(target).write_bytes(WRITE[Path(target).suffix](quantized))


if __name__ == "__main__":
    main(*sys.argv[1:])
