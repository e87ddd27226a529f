"""Static INT8 (QDQ, U8S8, per channel) by onnxruntime's quantizer. A child of benchmark_peers.py.

quantize_onnx.py FLOAT.onnx SAMPLES.npz OUT.onnx [MinMax|Entropy|Percentile]
"""

from pathlib import Path
import sys
import tempfile

from calibration_file import source_floats
import numpy as np
import onnxruntime
from onnxruntime import quantization as ort


class Images(ort.CalibrationDataReader):
    """One sample at a time, in the source's layout."""

    def __init__(self, name: str, images: np.ndarray):
        self._feeds = ({name: np.ascontiguousarray(x[None])} for x in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def main(source: str, samples: str, target: str, method: str = "MinMax") -> None:
    name = onnxruntime.InferenceSession(source).get_inputs()[0].name
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        ort.quant_pre_process(source, prepared)
        ort.quantize_static(prepared, target, Images(name, source_floats(samples)), ort.QuantFormat.QDQ,
                            per_channel=True, activation_type=ort.QuantType.QUInt8,
                            weight_type=ort.QuantType.QInt8, calibrate_method=ort.CalibrationMethod[method])


if __name__ == "__main__":
    main(*sys.argv[1:])
