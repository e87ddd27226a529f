"""From an nn.Module to an INT8 .tflite with litert-torch and litert-quantizer. A child of benchmark_peers.py.

convert_theirs.py FILE.py:FUNCTION SAMPLES.npz CALIBRATION_MODE FOLDER [BORDERS]        in .venv-peers

BORDERS: the inputs and outputs that our file has channels last, "0/" or "0/0,2" by their numbers
Prints what it cost.
"""

from pathlib import Path
import sys

from calibration_file import channels_last, source_floats
from footprint import FOOTPRINT, network
from litert_quantizer import Quantizer, recipe
from litert_quantizer.calibrator import CalibrationMode
import litert_torch

SIGNATURE, INPUT = "serving_default", "args_0"


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def main(spec: str, samples: str, mode: str, folder: str, borders: str = "0/") -> None:
    """Its borders are laid out as our files' are (`to_channel_last_io`): that spares transposes."""
    FOOTPRINT.begin()
    module, (example,) = network(spec)
    turned, outputs = map(numbers, borders.split("/"))
    if turned or outputs:
        module = litert_torch.to_channel_last_io(module, args=turned, outputs=outputs).eval()
    example = example.movedim(1, -1).contiguous() if turned else example
    model = litert_torch.convert(module, (example,))
    model.export(f"{folder}/float32.tflite")
    FOOTPRINT.stage("convert")
    images = channels_last(source_floats(samples)) if turned else source_floats(samples)
    quantizer = Quantizer(f"{folder}/float32.tflite", recipe.static_wi8_ai8())
    dataset = [{INPUT: images[i:i + 1]} for i in range(len(images))]
    ranges = quantizer.calibrate({SIGNATURE: dataset}, num_threads=1, mode=CalibrationMode[mode])
    Path(folder, "int8.tflite").write_bytes(quantizer.quantize(ranges).quantized_model)
    FOOTPRINT.stage("quantize")
    print(FOOTPRINT.record())


if __name__ == "__main__":
    main(*sys.argv[1:])
