"""From an nn.Module to an INT8 .tflite with litert-torch and litert-quantizer. A child of benchmark_peers.py.

convert_theirs.py FILE.py:FUNCTION SAMPLES.npz CALIBRATION_MODE FOLDER        in .venv-peers

Prints what it cost.
"""

from pathlib import Path
import sys

from footprint import FOOTPRINT, network
from litert_quantizer import Quantizer, recipe
from litert_quantizer.calibrator import CalibrationMode
import litert_torch
import numpy as np

SIGNATURE, INPUT = "serving_default", "args_0"


def main(spec: str, samples: str, mode: str, folder: str) -> None:
    """It gets a channels-last input (`to_channel_last_io`), as our files have: it spares a transpose."""
    FOOTPRINT.begin()
    module, example = network(spec)
    model = litert_torch.convert(litert_torch.to_channel_last_io(module, args=[0]).eval(),
                                 tuple(x.permute(0, 2, 3, 1).contiguous() for x in example))
    model.export(f"{folder}/float32.tflite")
    FOOTPRINT.stage("convert")
    images = (np.load(samples)["x"].astype(np.float32) - 127) / 128
    quantizer = Quantizer(f"{folder}/float32.tflite", recipe.static_wi8_ai8())
    dataset = [{INPUT: images[i:i + 1]} for i in range(len(images))]
    ranges = quantizer.calibrate({SIGNATURE: dataset}, num_threads=1, mode=CalibrationMode[mode])
    Path(folder, "int8.tflite").write_bytes(quantizer.quantize(ranges).quantized_model)
    FOOTPRINT.stage("quantize")
    print(FOOTPRINT.record())


if __name__ == "__main__":
    main(*sys.argv[1:])
