"""What the templates print: names, places and steps of one graph as C text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import re

import numpy as np

import toolchain
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.lower.c.arena.plan import Plan
from toolchain.lower.c.arena.regions import Region
from toolchain.lower.c.arena.views import byte_size
from toolchain.lower.c.call import C_TYPE, Call, array_text
from toolchain.lower.c.lending import Lent
from toolchain.lower.c.names import identifier, literal, plain
from toolchain.lower.c.steps import PrintedCall, Printer, memory_name, port_names

ROOM = Path(__file__).parent
TEMPLATES = ROOM / "templates"
WIDTH = 108
"""Of a line of C."""


@dataclass(frozen=True)
class PrintedPort:
    """One input or output: what model.h says of it.

    argument, type: of invoke's parameter
    macro: what its macros begin with
    scale, zero_point: "" where it is no code
    frames: what its numbers stand for, "" where unknown
    """

    name: str
    argument: str
    type: str
    macro: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    offset: int
    scale: str
    zero_point: str
    frames: str


def model_page(graph: Graph, name: str, calls: Mapping[str, list[Call]], plan: Plan,
               first_step: int = 0, elsewhere: Sequence[Lent] = ()) -> dict[str, object]:
    """Everything that model.h and model.c show.

    first_step: what steps are numbered from;  elsewhere: arrays that another file has
    """
    blocks = Printer(graph, calls, plan, elsewhere).blocks(first_step)
    steps = [step for block in blocks for step in block.steps]
    made = [call for step in steps for call in step.calls]
    prefix = identifier(name)
    upper = prefix.upper()
    inputs = printed_ports(graph, plan.offsets, "input", upper)
    outputs = printed_ports(graph, plan.offsets, "output", upper)
    return {
        "title": plain(f"{name}: {graph_macs(graph):,} MACs in {len(graph.ops)} ops"), "name": plain(name),
        "prefix": prefix, "upper": upper,
        "tool": f"edge-toolchain {toolchain.__version__}", "macs": graph_macs(graph),
        "arena_bytes": plan.peak_bytes, "regions": plan.regions[1:], "peak": plain(plan.peak),
        "blocks": blocks, "steps": steps, "titles": [step.title for step in steps],
        "end": first_step + len(steps),
        "weight_bytes": sum(array.bytes for step in steps for array in step.arrays),
        "kernels": sorted({call.kernel for call in made}),
        **_arguments([port.argument for port in inputs], plan, made),
        "inputs": inputs, "outputs": outputs, "selftest": False, "costs": (), "borrows": bool(elsewhere),
        **invocations(prefix, inputs, outputs, plan.regions[1:]),
        "labels": [literal(label) for label in graph.metadata.labels]}


def _arguments(inputs: list[str], plan: Plan, calls: list[PrintedCall]) -> dict[str, list[str]]:
    """Of invoke: where the arenas that calls need begin; what no call reads."""
    words = {word for call in calls for argument in call.arguments for word in re.findall(r"\w+", argument)}
    arenas = [f"arenas[{i}]" for i in range(len(plan.regions))] if plan.regions[1:] else ["arena"]
    memories = [f"{memory_name(i)} = {arena}" for i, arena in enumerate(arenas) if memory_name(i) in words]
    unused = [name for name in inputs if name not in words]
    return {"memories": memories, "unused": unused + ([] if memories else [arenas[0].split("[")[0]])}


def invocations(prefix: str, inputs: list[PrintedPort], outputs: list[PrintedPort],
                regions: Sequence[Region] = ()) -> dict[str, str]:
    """invoke as it is declared, as it is called with pointers of its arguments' names, and with arrays."""
    function = f"{prefix}_invoke"
    numbered = [f"{side}[{i}]" for side, ports in (("inputs", inputs), ("outputs", outputs))
                for i in range(len(ports))]
    arena, type = ("arenas", "void *const arenas[]") if regions else ("arena", "void *arena")
    return {"signature": wrapped(f"void {function}(", [*declared(inputs, outputs), type], 0),
            "arena_name": arena, "arena_argument": type,
            "call": wrapped(f"{function}(", [*(p.argument for p in (*inputs, *outputs)), arena], 8),
            "invocation": wrapped(f"{function}(", [*numbered, "arena"], 4)}


def declared(inputs: list[PrintedPort], outputs: list[PrintedPort]) -> list[str]:
    """invoke's parameters but the arena."""
    return [*(f"const {port.type} *{port.argument}" for port in inputs),
            *(f"{port.type} *{port.argument}" for port in outputs)]


def wrapped(start: str, parts: list[str], indent: int) -> str:
    """start, the parts between commas and a bracket; lines break between parts and begin under the first."""
    begin, lines = min(len(start) + indent, 40), [" " * indent + start]
    for i, part in enumerate(parts):
        text = part + (", " if i < len(parts) - 1 else ")")
        if len(lines[-1] + text) > WIDTH and i:
            lines.append(" " * begin)
        lines[-1] += text
    return "\n".join(line.rstrip() for line in lines).lstrip()


def printed_ports(graph: Graph, offsets: Mapping[str, int], side: str, upper: str) -> list[PrintedPort]:
    """side: "input" or "output";  offsets: of each in the arena;  upper: what macros begin with"""
    names = {"input": graph.inputs, "output": graph.outputs}[side]
    return [_port(graph, offsets[name], name, argument, f"{upper}_{side.upper()}_{i}")
            for i, (argument, name) in enumerate(zip(port_names(side, len(names)), names, strict=True))]


def _port(graph: Graph, offset: int, name: str, argument: str, macro: str) -> PrintedPort:
    tensor = graph.tensors[name]
    frames, quant = graph.metadata.frames.get(name), tensor.quant
    scale, zero_point = ("", "") if quant is None else (f"{float(quant.scale):.9e}f", f"{quant.zero_point}")
    return PrintedPort(plain(name), argument, C_TYPE[tensor.dtype], macro, tensor.dtype, tensor.shape,
                       byte_size(tensor), offset, scale, zero_point,
                       "" if frames is None else plain(str(frames)))


def selftest_page(graph: Graph, vectors: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What selftest.c and its declaration show beyond model_page: the vectors."""
    ports = []
    for side, names in (("input", graph.inputs), ("output", graph.outputs)):
        for i, name in enumerate(names):
            samples, tensor = vectors[f"{side}/{name}"], graph.tensors[name]
            ports.append({"type": C_TYPE[tensor.dtype], "name": f"test_{side}_{i}", "count": tensor.size,
                          "samples": [array_text(sample.astype(tensor.dtype)) for sample in samples]})
    return {"ports": ports, "samples": len(ports[0]["samples"]), "selftest": True}


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
    for path in sorted((ROOM / "kernels").rglob("tk_*.[ch]")):
        found.setdefault(path.stem, []).append(path)
    return found
