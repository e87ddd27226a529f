"""The `local` transport: this host's own runtimes."""

from pathlib import Path
from typing import Protocol

import numpy as np

from toolchain.artifact import MODEL_FILE
from toolchain.errors import BadInput, Unsupported
from toolchain.port import Port
from toolchain.profile import Format

RUNTIME = {"tflite": "LiteRT", "onnx": "ONNX Runtime"}


class Session(Protocol):
    """A model loaded somewhere, ready to run.

    at_once: samples that `run` is given, of many
    """

    runtime: str
    at_once: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feeds of N samples each, in the file's own layout and dtype -> every output, stacked."""


def open_session(fmt: Format, model: bytes) -> Session:
    """Load a model file into the host's runtime for its format. Raises BadModel, Unsupported."""
    if fmt == "tflite":
        from toolchain.runtime.litert import LiteRT
        return LiteRT(model)
    if fmt == "onnx":
        from toolchain.runtime.onnxruntime import OnnxRuntime
        return OnnxRuntime(model)
    raise Unsupported(f"format '{fmt}' has no runtime on this host; run it on its own device with --device")


def format_of(path: Path) -> Format:
    """The format of a model file, by its suffix. Raises BadInput."""
    for fmt, name in MODEL_FILE.items():
        if path.suffix == Path(name).suffix and fmt in RUNTIME:
            return fmt
    raise BadInput(f"{path}: neither an artefact folder nor a .tflite or .onnx file")
