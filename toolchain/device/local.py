"""The `local` transport: this host's own runtimes."""

import json
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Protocol

import numpy as np

from toolchain.artifact import MODEL_FILE, Port
from toolchain.errors import BadInput, InvalidMeasurement, Unsupported
from toolchain.profile import Format

RUNTIME = {"tflite": "LiteRT", "onnx": "ONNX Runtime"}


class Session(Protocol):
    """A model loaded somewhere, ready to run."""

    runtime: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feeds of N samples each, in the file's own layout and dtype -> every output, stacked."""


def open_session(fmt: Format, model: bytes, threads: int = 1) -> Session:
    """Load a model file into the host's runtime for its format. Raises BadModel, Unsupported."""
    if fmt == "tflite":
        from toolchain.runtime.litert import LiteRT
        return LiteRT(model, threads=threads)
    if fmt == "onnx":
        from toolchain.runtime.onnxruntime import OnnxRuntime
        return OnnxRuntime(model, threads=threads)
    raise Unsupported(f"format '{fmt}' has no runtime on this host; run it on its own device with --device")


def format_of(path: Path) -> Format:
    """The format of a model file, by its suffix. Raises BadInput."""
    for fmt, name in MODEL_FILE.items():
        if path.suffix == Path(name).suffix and fmt in RUNTIME:
            return fmt
    raise BadInput(f"{path}: neither an artefact folder nor a .tflite or .onnx file")


def time_model(fmt: Format, model: bytes, *, threads: int = 1, seconds: float = 1.0) -> dict:
    """Time single inferences in a process of its own, so that its peak memory is the model's and runtime's.

    Returns the child's record: "samples_us", "load_us", "first_us", "peak_rss_bytes", "runtime".
    Raises BadInput where the runtime refuses the model, InvalidMeasurement where the child fails otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        path = Path(folder) / MODEL_FILE[fmt]
        path.write_bytes(model)
        child = subprocess.run([sys.executable, "-m", "toolchain.device.bench_child", fmt, str(path),
                                str(threads), str(seconds)], capture_output=True, text=True)
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        if child.returncode == BadInput.exit_code:
            raise BadInput(last)
        raise InvalidMeasurement(f"the {RUNTIME[fmt]} process ended with code {child.returncode}: {last}")
    return json.loads(child.stdout)
