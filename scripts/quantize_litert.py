"""Static INT8 (static_wi8_ai8) by litert-quantizer of a float .tflite file.

quantize_litert.py FLOAT.tflite SAMPLES.npz OUT.tflite MODE        in .venv-peers; SAMPLES: x, channels last
"""

from pathlib import Path
import sys

from litert_quantizer import Quantizer, recipe
from litert_quantizer.calibrator import CalibrationMode
from litert_quantizer.utils import tfl_interpreter_utils
import numpy as np

SIGNATURE = tfl_interpreter_utils.DEFAULT_SIGNATURE_KEY


def main(source: str, samples: str, target: str, mode: str) -> None:
    interpreter = tfl_interpreter_utils.create_tfl_interpreter(source)
    (name,) = interpreter.get_signature_runner(SIGNATURE).get_input_details()
    x = np.load(samples)["x"]
    quantizer = Quantizer(source, recipe.static_wi8_ai8())
    dataset = [{name: x[i:i + 1]} for i in range(len(x))]
    ranges = quantizer.calibrate({SIGNATURE: dataset}, num_threads=1, mode=CalibrationMode[mode])
    Path(target).write_bytes(quantizer.quantize(ranges).quantized_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
