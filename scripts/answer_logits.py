"""What a file with one input and one output answers, in reals. A child of benchmark_accuracy.py.

answer_logits.py FILE SAMPLES.npz OUT.npy        FILE: .tflite or .onnx; SAMPLES: x, float32 in its layout
"""

from pathlib import Path
import sys

import numpy as np

from toolchain.port import Port, convert
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime


def main(file: str, samples: str, target: str) -> None:
    open_session = LiteRT if file.endswith(".tflite") else OnnxRuntime
    session, x = open_session(Path(file).read_bytes()), np.load(samples)["x"]
    (have,), (out,) = session.inputs, session.outputs
    found = session.run({have.name: convert(x, Port("x", have.shape, "float32"), have)})[out.name]
    np.save(target, convert(found, out, Port("y", out.shape, "float32")))


if __name__ == "__main__":
    main(*sys.argv[1:])
