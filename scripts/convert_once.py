"""Write a network as a float file. A child of benchmark_calibration_cost.py, which needs no torch itself.

convert_once.py FILE.py:FUNCTION OUT.tflite|OUT.onnx
"""

from pathlib import Path
import sys

from toolchain.conversion import convert_model

if __name__ == "__main__":
    convert_model(sys.argv[1], Path(sys.argv[2]))
