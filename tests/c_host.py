"""Run emitted C on this machine: many graphs in one compiler call, then each through ctypes.

    models = compile_graphs([graph, ...], tmp_path)
    outputs = models[0].run(feeds)      # like reference.run: feeds (N, ...) -> outputs (N, ...)

The arena, inputs and outputs stand between guard bytes; a kernel that writes beyond them fails the run.
"""

from collections.abc import Mapping, Sequence
import ctypes
from pathlib import Path
import subprocess

import numpy as np

from toolchain.ir.graph import Graph, Tensor
from toolchain.lower.c.emit import CSource, write_c
from toolchain.lower.c.machine import PORTABLE, Machine

FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
GUARD = 64
"""Bytes before and after each buffer; the arena stays aligned to 16."""
FILL = 0xA5


class GuardedBuffer:
    """`size` bytes with guards around them."""

    def __init__(self, size: int):
        self._bytes = np.full(size + 2 * GUARD + 16, FILL, np.uint8)
        self._start = GUARD + -(self._bytes.ctypes.data + GUARD) % 16
        self.view = self._bytes[self._start:self._start + size]
        self.address = self.view.ctypes.data

    def check(self, what: str) -> None:
        """Fail if something outside was written."""
        before, after = self._bytes[:self._start], self._bytes[self._start + len(self.view):]
        assert (before == FILL).all() and (after == FILL).all(), f"{what}: written out of bounds"


class CModel:
    """One compiled model; `places`: inputs and outputs lie in the arena, as in a program that saves RAM."""

    def __init__(self, graph: Graph, source: CSource, invoke, places: bool = False):
        self.graph, self.source, self._invoke, self._places = graph, source, invoke, places

    def in_arena(self) -> "CModel":
        """The same model with its inputs and outputs at their places in the arena."""
        return CModel(self.graph, self.source, self._invoke, places=True)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs for N samples; feeds are codes (N, ...)."""
        count = len(next(iter(feeds.values())))
        samples = [self._run_one({name: value[i] for name, value in feeds.items()}) for i in range(count)]
        return {name: np.stack([sample[name] for sample in samples]) for name in self.graph.outputs}

    def _run_one(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        arena, buffers = GuardedBuffer(self.source.arena_bytes), []

        def place(tensor: Tensor) -> np.ndarray:
            if self._places:
                offset = self.source.plan.offsets[tensor.name]
                return arena.view[offset:offset + _bytes(tensor)]
            buffers.append(GuardedBuffer(_bytes(tensor)))
            return buffers[-1].view

        inputs, outputs = ([place(self.graph.tensors[name]) for name in names]
                           for names in (self.graph.inputs, self.graph.outputs))
        for name, view in zip(self.graph.inputs, inputs, strict=True):
            codes = feed[name].astype(_dtype(self.graph.tensors[name]))
            view[:] = np.frombuffer(codes.tobytes(), np.uint8)
        arenas = [arena, *(GuardedBuffer(region.bytes) for region in self.source.plan.regions[1:])]
        every = (ctypes.c_void_p * len(arenas))(*(each.address for each in arenas))
        last = ctypes.addressof(every) if len(arenas) > 1 else arena.address
        places = (*(view.ctypes.data for view in (*inputs, *outputs)), last)
        self._invoke(*map(ctypes.c_void_p, places))
        for buffer in (*arenas, *buffers):
            buffer.check(self.graph.name)
        return {name: _value(self.graph.tensors[name], view)
                for name, view in zip(self.graph.outputs, outputs, strict=True)}


def _value(tensor: Tensor, view: np.ndarray) -> np.ndarray:
    """The tensor's value without its leading 1, copied."""
    return view.view(_dtype(tensor)).reshape(tensor.shape[1:]).astype(tensor.dtype)


def _bytes(tensor: Tensor) -> int:
    return tensor.size * np.dtype(_dtype(tensor)).itemsize


def _dtype(tensor: Tensor) -> str:
    """As C has it: int32 where the graph has int64."""
    return "int32" if tensor.dtype == "int64" else tensor.dtype


def compile_graphs(graphs: Sequence[Graph], folder: Path,
                   flags: Sequence[str] = ("-O0", *SANITIZED), machine: Machine = PORTABLE) -> list[CModel]:
    """Emit every graph and compile all of them into one shared library in `folder`.

    machine: whose kernels are taken; on this host, what they do with its instructions is done in C
    """
    sources = [write_c(graph, f"m{i}", machine=machine) for i, graph in enumerate(graphs)]
    units = {}
    for i, source in enumerate(sources):
        for name, data in source.files.items():
            place = folder / (name if name.startswith("tk_") else f"m{i}/{name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            if place.suffix == ".c":
                units[place] = None
    library = folder / "models.so"
    compile_c([*units], library, [*flags, "-shared", "-fPIC"], [folder])
    loaded = ctypes.CDLL(str(library))
    return [CModel(graph, source, loaded[f"m{i}_invoke"])
            for i, (graph, source) in enumerate(zip(graphs, sources, strict=True))]


def compile_c(units: Sequence[Path], output: Path, flags: Sequence[str] = (),
              include: Sequence[Path] = ()) -> None:
    """gcc with every warning an error."""
    command = ["gcc", *FLAGS, *flags, *(f"-I{path}" for path in include), "-o", str(output), *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
