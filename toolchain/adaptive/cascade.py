"""A cascade's stages: networks of one task that take the same inputs in the same codes and give logits."""

from collections.abc import Sequence
from dataclasses import replace

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, Op, Tensor, live_ops, unique_name


def cascade_stages(networks: Sequence[Graph]) -> tuple[Graph, ...]:
    """The networks as stages of a chain: each reads the inputs of the first, by name.

    A softmax at a network's end is left out, as a note of its source says: policies look at logits. Where a
    network's input codes stand for other reals than the first one's, they are requantized first.
    Raises BadInput where networks take other inputs, or tell other classes apart, Unsupported for one that
    has several outputs.
    """
    first, *others = (with_logits(graph) for graph in networks)
    return (first, *(_taking_inputs_of(first, graph) for graph in others))


def with_logits(graph: Graph) -> Graph:
    """The network without the softmax at its end, if it has one. Raises Unsupported for several outputs."""
    if len(graph.outputs) > 1:
        raise Unsupported(f"{graph.name} has {len(graph.outputs)} outputs ({', '.join(graph.outputs)}); a "
                          "stage has one, its logits")
    end = graph.producers.get(graph.outputs[0])
    if end is None or end.kind != "softmax":
        return graph
    note = f"its softmax ({end.name}) is left out: stages give logits, which policies look at"
    source = replace(graph.source, notes=(*graph.source.notes, note))
    return replace(graph, outputs=end.inputs, source=source).with_ops(live_ops(graph.ops, end.inputs))


def _taking_inputs_of(first: Graph, graph: Graph) -> Graph:
    """The graph with inputs called as those of the first, in the same order, and in the same codes."""
    _require_same_inputs(first, graph)
    given = dict(zip(graph.inputs, first.inputs, strict=True))
    spare = {name: unique_name(name, graph.tensors, first.inputs) for name in graph.tensors
             if name in first.inputs and given.get(name) != name}
    graph = graph.renamed({**spare, **given})
    for name in first.inputs:
        graph = _requantizing(graph, first.tensors[name])
    layouts = {name: perm for own, names in ((first, first.inputs), (graph, graph.outputs))
               for name, perm in own.permutations.items() if name in names}
    return check(replace(graph, permutations=layouts), level_of(graph))


def _requantizing(graph: Graph, given: Tensor) -> Graph:
    """The graph that takes an input in these codes, and makes its own of them where they are others."""
    name, own = given.name, graph.tensors[given.name].quant
    if own is None or own.same_as(given.quant):
        return graph
    inner = unique_name(f"{name}.codes", graph.tensors)
    graph = graph.renamed({name: inner}).with_tensors(given)
    return replace(graph, ops=(Op("quantize", (name,), (inner,)), *graph.ops),
                   inputs=tuple(name if each == inner else each for each in graph.inputs))


def _require_same_inputs(first: Graph, graph: Graph) -> None:
    mine, theirs = ([(g.tensors[name].shape, g.tensors[name].dtype) for name in g.inputs]
                    for g in (graph, first))
    if mine != theirs:
        told = [", ".join(f"{dtype} {list(shape)}" for shape, dtype in ends) for ends in (theirs, mine)]
        raise BadInput(f"{first.name} takes {told[0]} and {graph.name} {told[1]}: networks of one "
                       "artefact take the same inputs; build all with the same [input] and scheme")
    labels = [g.metadata.labels for g in (first, graph) if g.metadata.labels]
    frames = [dict(g.metadata.frames) for g in (first, graph) if g.metadata.frames]
    for what, found in (("labels", labels), ("pixels", [[*each.values()] for each in frames])):
        if len(found) == 2 and found[0] != found[1]:
            raise BadInput(f"{first.name} and {graph.name} have different {what}: {found[0]} and "
                           f"{found[1]}; take networks of one task, with the same preprocessing")
