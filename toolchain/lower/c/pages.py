"""What the templates print: names, places and steps of one graph as C text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import re

import jinja2
import numpy as np

import toolchain
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import graph_macs, op_macs
from toolchain.lower.c.call import C_TYPE, Call, array_text, initializer
from toolchain.lower.c.memory import Plan, buffer_owners, byte_size
from toolchain.lower.c.names import Symbols, identifier, literal, plain

ROOM = Path(__file__).parent


@dataclass(frozen=True)
class PrintedArray:
    """A constant array of model.c."""

    type: str
    name: str
    count: int
    text: str
    bytes: int


@dataclass(frozen=True)
class PrintedCall:
    """A kernel call of model.c and the parameters that it takes."""

    kernel: str
    type: str
    params: str
    initializer: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One op."""

    title: str
    arrays: tuple[PrintedArray, ...]
    calls: tuple[PrintedCall, ...]


@dataclass(frozen=True)
class PrintedPort:
    """One input or output: what model.h says of it.

    scale, zero_point: "" where it is no code
    frames: what its numbers stand for, "" where unknown
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    offset: int
    scale: str
    zero_point: str
    frames: str


def model_page(graph: Graph, name: str, calls: Mapping[str, list[Call]], plan: Plan) -> dict[str, object]:
    """Everything that model.h and model.c show."""
    steps = _Printer(graph, calls, plan).steps()
    made = [call for step in steps for call in step.calls]
    return {
        "title": plain(f"{name}: {graph_macs(graph):,} MACs in {len(graph.ops)} ops"), "name": plain(name),
        "prefix": identifier(name), "upper": identifier(name).upper(),
        "tool": f"Made by edge-toolchain {toolchain.__version__}", "macs": graph_macs(graph),
        "arena_bytes": plan.peak_bytes, "peak": plain(plan.peak), "steps": steps,
        "weight_bytes": sum(array.bytes for step in steps for array in step.arrays),
        "kernels": sorted({call.kernel for call in made}),
        "uses_arena": any("memory" in argument for call in made for argument in call.arguments),
        "inputs": [_port(graph, plan, n) for n in graph.inputs],
        "outputs": [_port(graph, plan, n) for n in graph.outputs],
        "labels": [literal(label) for label in graph.metadata.labels]}


def _port(graph: Graph, plan: Plan, name: str) -> PrintedPort:
    tensor = graph.tensors[name]
    frames, quant = graph.metadata.frames.get(name), tensor.quant
    scale, zero_point = ("", "") if quant is None else (f"{float(quant.scale):.9e}f", f"{quant.zero_point}")
    return PrintedPort(plain(name), tensor.dtype, tensor.shape, byte_size(tensor), plan.offsets[name],
                       scale, zero_point, "" if frames is None else plain(str(frames)))


class _Printer:
    """Gives every tensor of a graph its place in C and every op its step."""

    def __init__(self, graph: Graph, calls: Mapping[str, list[Call]], plan: Plan):
        self.graph, self.calls, self.plan = graph, calls, plan
        self.symbols, self.owners, self.printed = Symbols(), buffer_owners(graph), set()
        self.outside: dict[str, str] = {}
        for i, name in enumerate(graph.inputs):
            self.outside[self.owners[name]] = f"inputs[{i}]"
        for i, name in enumerate(graph.outputs):
            self.outside.setdefault(self.owners[name], f"outputs[{i}]")

    def steps(self) -> list[Step]:
        """One per op that does something, then copies to outputs whose value lies elsewhere."""
        made = [self._step(op) for op in self.graph.ops if self.calls[op.name]]
        return made + [self._copy(i, name) for i, name in enumerate(self.graph.outputs)
                       if self._place(name) != f"outputs[{i}]"]

    def _place(self, name: str) -> str:
        """The expression for a tensor's first byte."""
        if self.graph.tensors[name].is_constant:
            wide = self.graph.tensors[name].dtype == "int16"  # kernels that move bytes take no int16_t
            return f"{'(const void *)' if wide else ''}{self._data(name)}"
        owner = self.owners[name]
        return self.outside.get(owner) or f"memory + {self.plan.offsets[owner]}"

    def _data(self, name: str) -> str:
        """What a constant operand is called."""
        return f"{self.symbols.of(name)}_data"

    def _step(self, op: Op) -> Step:
        calls, symbol = self.calls[op.name], self.symbols.of(op.name)
        arrays = [_array(f"{symbol}_{array.role}", array.data) for call in calls for array in call.arrays]
        shapes = " -> ".join(str(list(self.graph.tensors[name].shape)) for name in (op.inputs[0], op.name))
        title = plain(f"{op.name}: {op.kind} {shapes}, {op_macs(self.graph, op):,} MACs")
        return Step(title, (*self._constants(calls), *arrays),
                    tuple(self._call(call, op, i) for i, call in enumerate(calls)))

    def _constants(self, calls: Iterable[Call]) -> Iterator[PrintedArray]:
        """Constant operands, each at its first use."""
        for name in (name for call in calls for name in call.operands):
            if self.graph.tensors[name].is_constant and name not in self.printed:
                self.printed.add(name)
                yield _array(self._data(name), self.graph.tensors[name].data)

    def _call(self, call: Call, op: Op, number: int) -> PrintedCall:
        symbol = self.symbols.of(op.name)
        scratch = [f"memory + {self.plan.offsets[f'{op.name}.scratch']}"] if call.scratch_bytes else []
        return PrintedCall(call.kernel, call.struct or f"{call.kernel}_params", f"{symbol}_params_{number}",
                           initializer(call.params, symbol),
                           (*map(self._place, call.operands), *scratch, self._place(op.name)))

    def _copy(self, number: int, name: str) -> Step:
        size = initializer({"size": byte_size(self.graph.tensors[name])}, "")
        return Step(plain(f"output {number} is {name} too"), (), (
            PrintedCall("tk_copy", "tk_copy_params", f"output_params_{number}", size,
                        (self._place(name), f"outputs[{number}]")),))


def _array(name: str, data: np.ndarray) -> PrintedArray:
    return PrintedArray(C_TYPE[data.dtype.name], name, data.size, array_text(data), data.nbytes)


def selftest_page(graph: Graph, vectors: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What selftest.c shows beyond model_page: the vectors."""
    ports = []
    for side, names in (("input", graph.inputs), ("output", graph.outputs)):
        for i, name in enumerate(names):
            samples, tensor = vectors[f"{side}/{name}"], graph.tensors[name]
            ports.append({"type": C_TYPE[tensor.dtype], "name": f"{side}_{i}", "count": tensor.size,
                          "samples": [array_text(sample.astype(tensor.dtype)) for sample in samples]})
    return {"ports": ports, "samples": len(ports[0]["samples"])}


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOM / "templates"), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def render(template: str, page: Mapping[str, object]) -> bytes:
    """The template's text for a page."""
    return _environment().get_template(template).render(page).encode("ascii")


def kernel_files(kernels: Iterable[str]) -> dict[str, bytes]:
    """The kernels' headers and sources with everything that they include."""
    sources, files = _kernel_sources(), {}
    waiting = list(kernels)
    while waiting:
        kernel = waiting.pop()
        for path in sources.get(kernel, ()):
            if path.name not in files:
                files[path.name] = path.read_bytes()
                waiting += re.findall(r'#include "(tk_\w+)\.h"', files[path.name].decode())
    return dict(sorted(files.items()))


@cache
def _kernel_sources() -> Mapping[str, list[Path]]:
    """Kernel -> its files, in whatever room it lies."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOM / "kernels").rglob("tk_*.[chS]")):
        found.setdefault(path.stem, []).append(path)
    return found
