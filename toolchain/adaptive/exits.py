"""Early exits: classifiers attached to a network, and the network cut where they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make

Head = tuple[np.ndarray, np.ndarray]
"""Weight (classes, channels) and bias (classes,)."""


def require_places(graph: Graph, after: Sequence[str]) -> None:
    """Raise BadConfig, Unsupported where no exit can be attached behind a tensor."""
    for name in after:
        if name not in graph.producers or name in graph.outputs:
            near = get_close_matches(name, [op.name for op in graph.ops if op.name not in graph.outputs])
            raise BadConfig(f"[exits] after = {name}: {graph.name} makes no such tensor on its way"
                            f"{'; near: ' + ', '.join(near) if near else ''}; edge inspect lists its ops")
        if len(graph.tensors[name].shape) < 2 or graph.tensors[name].dtype != "float32":
            raise Unsupported(f"[exits] after = {name}: it is {graph.tensors[name].dtype} "
                              f"{list(graph.tensors[name].shape)}; an exit takes channels of reals")


def pooled(values: np.ndarray) -> np.ndarray:
    """What an exit's classifier sees of a tensor (n, ..., channels): the mean over all places."""
    return values.mean(axis=tuple(range(1, values.ndim - 1)))


def with_exits(graph: Graph, heads: Mapping[str, Head]) -> Graph:
    """The float graph with a classifier behind each of these tensors, whose logits are outputs after its own.

    The tensor's name and ".exit" is that of the logits.
    """
    tensors, ops, names = dict(graph.tensors), list(graph.ops), []
    for after, (weight, bias) in heads.items():
        x, logits = graph.tensors[after], unique_name(f"{after}.exit", tensors)
        parts = constant(f"{logits}.weight", weight), constant(f"{logits}.bias", bias)
        inner = after
        if len(x.shape) > 2:
            inner = unique_name(f"{logits}.mean", tensors)
            ops.append(make("mean", (after,), inner, axes=tuple(range(1, len(x.shape) - 1)), keepdims=False))
            tensors[inner] = Tensor(inner, (1, x.shape[-1]))
        ops.append(make("fully_connected", (inner, *(part.name for part in parts)), logits))
        tensors |= {logits: Tensor(logits, (1, len(bias))), **{part.name: part for part in parts}}
        names.append(logits)
    return check(replace(graph, tensors=tensors, ops=tuple(ops), outputs=(*graph.outputs, *names)),
                 "CANONICAL")


def exit_stages(graph: Graph) -> tuple[Graph, ...]:
    """A graph of any level whose outputs are its logits, then those of its exits, as stages of a chain.

    A stage computes what its logits need and no stage before it has made; what later ones read of that it
    hands on.
    """
    last, *exits = graph.outputs
    parts, done = [], set()
    for logits in (*exits, last):
        ops = tuple(op for op in live_ops(graph.ops, (logits,)) if op.name not in done)
        done.update(op.name for op in ops)
        parts.append((logits, ops))
    reads = [dict.fromkeys(name for op in ops for name in op.inputs) for _, ops in parts]
    return tuple(_stage(graph, number, logits, ops, {name for later in reads[number + 1:] for name in later})
                 for number, (logits, ops) in enumerate(parts))


def _stage(graph: Graph, number: int, logits: str, ops: Sequence[Op], later: set[str]) -> Graph:
    """later: what the stages behind it read"""
    own = {op.name for op in ops}
    inputs = tuple(name for name in dict.fromkeys(name for op in ops for name in op.inputs)
                   if name not in own and not graph.tensors[name].is_constant)
    outputs = (logits, *(op.name for op in ops if op.name in later))
    ends = {*inputs, *outputs}
    frames = {name: found for name, found in graph.metadata.frames.items() if name in inputs}
    stage = replace(graph, name=f"{graph.name}.{number}", inputs=inputs, outputs=outputs,
                    metadata=replace(graph.metadata, frames=frames),
                    permutations={n: perm for n, perm in graph.permutations.items() if n in ends})
    return check(stage.with_ops(ops), level_of(graph))


def without_exits(graph: Graph) -> Graph:
    """The graph whose outputs are its own alone."""
    return replace(graph, outputs=graph.outputs[:1]).with_ops(live_ops(graph.ops, graph.outputs[:1]))
