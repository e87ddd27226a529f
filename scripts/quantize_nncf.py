"""Static INT8 (QDQ) by NNCF of a float .onnx file, with its fast bias correction.

quantize_nncf.py FLOAT.onnx SAMPLES.npz OUT.onnx PRESET        in .venv-nncf; SAMPLES: x in the file's layout

PRESET: PERFORMANCE, its default: symmetric activations; MIXED: asymmetric ones
"""

import sys

import nncf
import numpy as np
import onnx


def main(source: str, samples: str, target: str, preset: str) -> None:
    model = onnx.load(source)
    name, x = model.graph.input[0].name, np.load(samples)["x"]
    dataset = nncf.Dataset([{name: x[i:i + 1]} for i in range(len(x))])
    quantized = nncf.quantize(model, dataset, preset=nncf.QuantizationPreset[preset], subset_size=len(x),
                              fast_bias_correction=True)
    onnx.save(quantized, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
