"""Door in: Keras models (.keras, .h5, .hdf5) and SavedModel folders, through TensorFlow's TFLiteConverter.

TensorFlow runs in an environment and a process of its own (keras_child/), once a load: it converts, and says
what the model itself makes of a seeded sample, so that the self-check spans the converter too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
import hashlib
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import tempfile

import numpy as np

from toolchain.errors import BadModel, DeviceUnavailable, Unsupported
from toolchain.ir.graph import Graph, Source
from toolchain.load.keras_names import Trace, with_layer_names
from toolchain.load.selfcheck import SEED, Arrays, Oracle
from toolchain.load.tflite import load_tflite

CHILD = Path(__file__).with_name("keras_child")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-tensorflow" / "bin" / "python"
PYTHON_VARIABLE = "EDGE_TENSORFLOW_PYTHON"
TIMEOUT_S = 600
INSTALL = f"`make setup-tensorflow` installs TensorFlow; or let ${PYTHON_VARIABLE} name a python that has it"

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0",
         "KERAS_BACKEND": "tensorflow", "MALLOC_ARENA_MAX": "2"}
"""Of the child: plain CPU kernels, the same on every machine, and little said."""
OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "OOM when allocating")
"""How Python, C++ and TensorFlow say so."""


def load_keras(path: Path) -> tuple[Graph, Oracle]:
    """The graph of a model, and the model itself as its oracle.

    Raises BadModel for what is no model or what TensorFlow fails on, Unsupported listing what is not run or
    has no row, DeviceUnavailable where TensorFlow is not installed.
    """
    converted = _convert(path)
    graph = load_tflite(converted.model, str(path))
    source = Source("keras", sha256=_sha256(path), notes=(*converted.notes, *graph.source.notes))
    return replace(graph, source=source), _oracle(path, converted)


@dataclass(frozen=True, eq=False)
class Converted:
    """What the child made of a model.

    model:          a .tflite file, its tensors called after the layers
    feeds, outputs: a sample of each input, and what the model itself makes of it
    """

    model: bytes
    feeds: Arrays
    outputs: Arrays
    notes: tuple[str, ...]


def _convert(path: Path) -> Converted:
    with tempfile.TemporaryDirectory(prefix="edge-keras-") as name:
        folder = Path(name)
        report = _tensorflow("convert", path, folder)
        trace = Trace(*(tuple(report[key]) for key in ("inputs", "outputs", "nodes")), report["layers"])
        model = with_layer_names((folder / "model.tflite").read_bytes(), trace)
        seen = _arrays(folder / "seen.npz")
    return Converted(model, _part(seen, "input/"), _part(seen, "output/"), tuple(report["notes"]))


def _oracle(path: Path, converted: Converted) -> Oracle:
    """Inner tensors are what LiteRT makes of the converted file; outputs are the model's own."""
    from toolchain.runtime.litert import LiteRT

    def run(feeds: Arrays, keep: Collection[str]) -> Arrays:
        seen = all(np.array_equal(feeds[name], value) for name, value in converted.feeds.items())
        outputs = converted.outputs if seen else _predict(path, feeds)
        if not keep:
            return outputs
        session = LiteRT(converted.model, preserve_all=True)
        session.run(feeds)
        return {**session.tensors(), **outputs}

    return run


def _predict(path: Path, feeds: Arrays) -> Arrays:
    with tempfile.TemporaryDirectory(prefix="edge-keras-") as name:
        folder = Path(name)
        np.savez(folder / "feeds.npz", **{f"input/{key}": value for key, value in feeds.items()})
        _tensorflow("predict", path, folder)
        return _part(_arrays(folder / "seen.npz"), "output/")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _part(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _sha256(path: Path) -> str:
    """Of the file's bytes; of a folder, of its files' paths and digests in order."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = [f"{name} {_sha256(path / name)}" for name in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _tensorflow(task: str, path: Path, folder: Path) -> Mapping:
    """Run the child. Returns its report."""
    command = [_python(path), "-IB", CHILD, task, path.resolve(), folder, str(SEED)]
    environment = {**os.environ, **QUIET, "KERAS_HOME": str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BadModel(f"{path}: TensorFlow was not done with it after {TIMEOUT_S} s") from None
    report = folder / "report.json"
    if not report.is_file():
        raise BadModel(f"{path}: TensorFlow {_fate(done)}")
    return _taken(path, json.loads(report.read_text()))


def _taken(path: Path, report: Mapping) -> Mapping:
    """The report of a model that was taken; else raises what it says."""
    if "missing" in report:
        raise DeviceUnavailable(f"{path}: {_python(path)} has no {report['missing']}; {INSTALL}")
    if "refused" in report:
        raise Unsupported.listing(str(path), report["refused"])
    if "damaged" in report:
        raise BadModel(f"{path}: {report['damaged']}")
    return report


def _python(path: Path) -> Path:
    chosen = os.environ.get(PYTHON_VARIABLE)
    python = Path(chosen) if chosen else PYTHON
    if not python.is_file():
        raise DeviceUnavailable(f"{path}: Keras models are read by TensorFlow, and there is no {python}; "
                                f"{INSTALL}")
    return python


def _fate(done: subprocess.CompletedProcess) -> str:
    """How the child ended, and the line that says why."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
    if any(word in line for word in OUT_OF_MEMORY for line in lines):
        return "needs more memory for it than a model of its size may take; is a shape too large?"
    if done.returncode < 0:
        return f"died of {signal.Signals(-done.returncode).name} on it: {lines[-1]}; save it again"
    return (f"fails on it: {_why(lines)}; replace what it names, or save it again with "
            f"TensorFlow 2.16 or newer")


def _why(lines: list[str]) -> str:
    """The last line that begins with an exception's name, as Python prints it under a traceback.

    Keras says there in which call it was, and what happened in bold on the next line.
    """
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    named = [i for i, line in enumerate(lines) if line.partition(":")[0].endswith(("Error", "Exception"))]
    last = named[-1] if named else len(lines) - 1
    name, colon, message = lines[last].partition(":")
    if message.startswith(" Exception encountered") and lines[last + 1:]:
        message = f" {lines[last + 1]}"
    return f"{name.rpartition('.')[2]}{colon}{message}"[:400].rstrip(". ")
