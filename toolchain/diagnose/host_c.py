"""Generated C, compiled for this machine and run in a child process."""

from collections.abc import Mapping
import ctypes
from pathlib import Path
import shutil
import subprocess
import tempfile

import numpy as np

from toolchain.errors import DeviceUnavailable
from toolchain.ir.graph import Graph, Tensor
from toolchain.lower.c.emit import write_c
from toolchain.runtime.apart import apart

FLAGS = ("-std=c99", "-O1", "-shared", "-fPIC")
ALIGNMENT = 16
"""Bytes; of the arena."""
Arrays = Mapping[str, np.ndarray]


def run_c(graph: Graph, feeds: Arrays) -> dict[str, np.ndarray]:
    """Outputs for N samples; feeds are codes (N, ...) in the graph's layout.

    Raises DeviceUnavailable without a C compiler, Unsupported for an op without a C kernel, BadModel where
    the program crashes.
    """
    source = write_c(graph, "model")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise DeviceUnavailable("no C compiler (cc) on this machine; install one, e.g. gcc")
    with tempfile.TemporaryDirectory(prefix="edge-c-") as folder:
        library = _compiled(compiler, source.files, Path(folder))
        return apart(lambda: _run(graph, library, source.arena_bytes, feeds), "the generated C")


def _compiled(compiler: str, files: Mapping[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    units = [str(folder / name) for name in files if name.endswith(".c")]
    library = folder / "model.so"
    done = subprocess.run([compiler, *FLAGS, f"-I{folder}", "-o", str(library), *units, "-lm"],
                          capture_output=True, text=True)
    if done.returncode:
        raise DeviceUnavailable(f"{compiler} does not compile the generated C: {done.stderr[:500]}")
    return library


def _run(graph: Graph, library: Path, arena_bytes: int, feeds: Arrays) -> dict[str, np.ndarray]:
    invoke = ctypes.CDLL(str(library))["model_invoke"]
    arena = np.zeros(arena_bytes + ALIGNMENT, np.uint8)
    start = ctypes.c_void_p(arena.ctypes.data + -arena.ctypes.data % ALIGNMENT)
    count = len(next(iter(feeds.values())))
    tensors = [graph.tensors[name] for name in graph.outputs]
    results = {t.name: np.empty((count, *t.shape[1:]), _dtype(t)) for t in tensors}
    for i in range(count):
        inputs = [np.ascontiguousarray(feeds[name][i:i + 1].astype(_dtype(graph.tensors[name])))
                  for name in graph.inputs]
        invoke(*map(_address, (*inputs, *(results[t.name][i:i + 1] for t in tensors))), start)
    return {t.name: results[t.name].astype(t.dtype) for t in tensors}


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _dtype(tensor: Tensor) -> str:
    """C has int32 for whole numbers."""
    return "int32" if tensor.dtype == "int64" else tensor.dtype
