"""A quantized network run a step at a time: what corrects an op runs on what corrected ones hand to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Metadata, Op, Tensor, live_ops, unique_name
from toolchain.ir.loops import ops_of, parts
from toolchain.ir.ops import make
from toolchain.quantize.calibrate import OpenWatch, Watch

HELD_BYTES = 1 << 28
"""Codes held between two steps, at most."""
BATCH = 8

Codes = Mapping[str, np.ndarray]
"""Tensor -> (N, ...), samples on axis 0; a shape that begins with another number than 1 follows whole."""
Steps = Sequence[Sequence[Op]]


def steps_between(graph: Graph, corrected: set[str]) -> Steps:
    """Ops by how many corrected ones their result depends on: a step's corrected ops read what is held when
    it begins. A loop, none of whose ops is corrected, is in one piece."""
    depth: dict[str, int] = {}
    steps: list[list[Op]] = [[]]
    for part in parts(graph):
        ops = ops_of(part)
        before = max((depth.get(name, 0) for op in ops for name in op.inputs), default=0)
        number = before + any(op.name in corrected for op in ops)
        depth |= {op.name: number for op in ops}
        steps += [[] for _ in range(number + 1 - len(steps))]
        steps[number] += ops
    last = max(number for number, step in enumerate(steps) if any(op.name in corrected for op in step))
    return steps[:last + 1]


def _passed(graph: Graph, steps: Steps, number: int) -> list[str]:
    """Activations made in or before step `number`, or fed, that later steps read."""
    read = dict.fromkeys(name for step in steps[number + 1:] for op in step for name in op.inputs)
    made = {*graph.inputs, *(op.name for step in steps[:number + 1] for op in step)}
    return [name for name in read if name in made]


def holdable(graph: Graph, steps: Steps) -> int:
    """How many samples' codes can be held between any two steps, at least 1."""
    sizes = [sum(graph.tensors[name].size * np.dtype(graph.tensors[name].dtype).itemsize
                 for name in _passed(graph, steps, number)) for number in range(len(steps))]
    return max(1, HELD_BYTES // max(1, *sizes))


def after_step(graph: Graph, steps: Steps, number: int, held: Codes,
               open_watch: OpenWatch) -> dict[str, np.ndarray]:
    """What is held after step `number`."""
    passed = _passed(graph, steps, number)
    made = [name for name in passed if name not in held]
    if not made:
        return {name: held[name] for name in passed}
    part = _part(graph, {op.name for op in steps[number]}, made)
    read = [name for name in held if {name, _port(graph, name).name} & set(part.inputs)]
    run = _all_of(open_watch(part, made), {_port(graph, name).name: held[name] for name in read}, part)
    return {name: held[name] if name in held else run[name] for name in passed}


def _part(graph: Graph, names: set[str], outputs: list[str]) -> Graph:
    """The ops of those names that `outputs` depend on, as a graph of their own.

    Its inputs have a sample on axis 0: where the tensor has something else there, a reshape is put before.
    """
    ops = live_ops((op for op in graph.ops if op.name in names), outputs)
    inside = {op.name for op in ops}
    read = dict.fromkeys(name for op in ops for name in op.inputs)
    inputs = [name for name in read if name not in inside and not graph.tensors[name].is_constant]
    ports = {name: _port(graph, name) for name in inputs}
    before = [make("reshape", (port.name,), name, shape=graph.tensors[name].shape)
              for name, port in ports.items() if port.name != name]
    part = replace(graph, inputs=tuple(port.name for port in ports.values()), outputs=tuple(outputs),
                   permutations={}, metadata=Metadata())
    return part.with_tensors(*ports.values()).with_ops((*before, *ops))


def _port(graph: Graph, name: str) -> Tensor:
    """The tensor as it is fed."""
    tensor = graph.tensors[name]
    if tensor.shape[:1] == (1,):
        return tensor
    return replace(tensor, name=unique_name(f"{name}.fed", graph.tensors), shape=(1, *tensor.shape))


def _all_of(watch: Watch, feeds: Codes, graph: Graph) -> dict[str, np.ndarray]:
    """The outputs of `graph` for all samples, a few at a time; samples are on axis 0."""
    (total,) = {len(x) for x in feeds.values()}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in graph.outputs}
    for start in range(0, total, BATCH):
        seen = watch({name: x[start:start + BATCH] for name, x in feeds.items()})
        for name in graph.outputs:
            shape = graph.tensors[name].shape
            parts[name].append(np.array(seen[name]).reshape(-1, *(shape[1:] if shape[0] == 1 else shape)))
    return {name: np.concatenate(values) for name, values in parts.items()}
