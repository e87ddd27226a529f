"""Runs a runner in a folder as a device would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import subprocess

import numpy as np

from toolchain.device.runner.command import command
from toolchain.device.runner.record import Record, parse
from toolchain.device.runner.samples import pack, unpack
from toolchain.port import Port

SUFFIX = {"litert": ".tflite", "onnxruntime": ".onnx"}


@dataclass(frozen=True)
class Runner:
    """program: of the command line; libraries: runtime -> what the native runner loads"""

    program: Sequence[str]
    folder: Path
    libraries: Mapping[str, Path] = field(default_factory=dict)

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def start(self, runtime: str, mode: str, model: bytes | str, **keys) -> subprocess.CompletedProcess:
        if isinstance(model, bytes):
            model = self.file(f"model{SUFFIX[runtime]}", model)
        keys.setdefault("library", self.libraries.get(runtime))
        return self.words(*command((), runtime, mode, model, **keys))

    def words(self, *words: object) -> subprocess.CompletedProcess:
        return subprocess.run([*self.program, *map(str, words)], capture_output=True, timeout=120,
                              stdin=subprocess.DEVNULL, cwd=self.folder)

    def record(self, runtime: str, mode: str, model: bytes | str, **keys) -> Record:
        done = self.start(runtime, mode, model, **keys)
        assert done.returncode == 0, done.stderr[-2000:].decode()
        return parse(done.stdout, mode)

    def outputs(self, runtime: str, model: bytes | str, inputs: Sequence[Port], outputs: Sequence[Port],
                feeds: Mapping[str, np.ndarray], **keys) -> tuple[dict[str, np.ndarray], Record]:
        given, written = self.file("input", pack(inputs, feeds)), self.folder / "output"
        record = self.record(runtime, "run", model, input=given, output=str(written), **keys)
        return unpack(outputs, written.read_bytes(), record.inferences), record

    def refusal(self, *words: object) -> tuple[int, str]:
        """Exit code and the one line on standard error; nothing is on standard output."""
        done = self.words(*words)
        assert done.stdout == b""
        lines = [line for line in done.stderr.decode().splitlines() if line.startswith("edge-runner: ")]
        assert len(lines) == 1, done.stderr[-2000:].decode()
        return done.returncode, lines[0].removeprefix("edge-runner: ")


def random_feeds(inputs: Sequence[Port], count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Over the whole range of each input's type; normal for floats."""
    rng = np.random.default_rng(seed)

    def draw(port: Port) -> np.ndarray:
        shape, dtype = (count, *port.shape[1:]), np.dtype(port.dtype)
        if dtype.kind == "f":
            return rng.standard_normal(shape).astype(dtype)
        if dtype.kind == "b":
            return rng.random(shape) < 0.5
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return {port.name: draw(port) for port in inputs}
