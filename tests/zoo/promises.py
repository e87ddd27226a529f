"""What every network of the zoo must keep, one column of docs/zoo.md each; which do not, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.zoo.judge import ZooResult

FLOAT_ERROR = 1e-4
"""Of an output's range."""
SQNR_DB = 20.0
COLUMNS = ("float .tflite", "float .onnx", "INT8 .tflite", "INT8 .onnx", "C", "transposes")
REFUSED = "refused"

TEXT = ("`p2o.Add.11`, the first pointwise convolution, spans 433 while most values are near 0; clipped to "
        "269 it alone leaves 14 dB, and with it in a float32 island the network has 17 dB. On the same "
        "samples onnxruntime's quantize_static has 11.4 dB")
VOICE = ("`stft.conv` to `stft.sqrt`, a Fourier transform and its magnitudes: squares span twice the "
         "decibels that 8 bits tell. With these eight ops in a float32 island its outputs have 22 to 28 dB")
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("text_detector", "INT8 .tflite"): TEXT,
    ("text_detector", "INT8 .onnx"): TEXT,
    ("silero_vad", "INT8 .tflite"): VOICE,
    ("silero_vad", "INT8 .onnx"): VOICE,
}
"""(network, column) -> why the promise is not kept; a test holds that these are not and all others are."""


@dataclass(frozen=True)
class Cell:
    """A figure, and whether it is what was promised."""

    text: str
    kept: bool


def cells(result: ZooResult) -> dict[str, Cell]:
    """Column -> its cell."""
    return {"float .tflite": _float(result, ".tflite"), "float .onnx": _float(result, ".onnx"),
            "INT8 .tflite": _int8(result, ".tflite"), "INT8 .onnx": _int8(result, ".onnx"),
            "C": _c(result), "transposes": _transposes(result)}


def broken(result: ZooResult) -> set[tuple[str, str]]:
    """(network, column) of every promise that is not kept."""
    return {(result.name, column) for column, cell in cells(result).items() if not cell.kept}


def _float(result: ZooResult, fmt: str) -> Cell:
    if fmt not in result.float_error:
        return Cell(REFUSED, False)
    return Cell(f"{result.float_error[fmt]:.0e}", result.float_error[fmt] <= FLOAT_ERROR)


def _int8(result: ZooResult, fmt: str) -> Cell:
    if fmt not in result.sqnr_db:
        return Cell(REFUSED, False)
    worst = min(result.sqnr_db[fmt].values())
    return Cell(f"{worst:.1f} dB", worst >= SQNR_DB)


def _c(result: ZooResult) -> Cell:
    if not result.constant_bytes or "C" in result.refused:
        return Cell(REFUSED, False)
    if result.c_equals is None:
        return Cell("-", True)
    return Cell("equal" if result.c_equals else "differs", result.c_equals)


def _transposes(result: ZooResult) -> Cell:
    """The most in one of the files, and the source's own."""
    if not result.transposes:
        return Cell(REFUSED, False)
    most = max(result.transposes.values())
    return Cell(f"{most} of {result.own_transposes}", most <= result.own_transposes)
