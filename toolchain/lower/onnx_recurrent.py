"""Loops that are a layer of ONNX's own: LSTM, GRU and RNN (operator specification, opset 14).

One node instead of all steps written out: ONNX Runtime has a kernel for the whole sequence, in float only
(`onnx_loops` puts layers of codes between conversions for it). Of a layer's results the first stands for its
node, the others are made of the node's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, constant, live_ops
from toolchain.ir.loops import Loop, has_loops, ops_of, parts
from toolchain.ir.recognising import Recurrent, recognised
from toolchain.ir.unrolling import unrolled
from toolchain.lower.onnx_loops import coded_layers, loops_on_reals
from toolchain.lower.onnx_writer import OnnxWriter

LAYER, RESULT = "recurrent", "recurrent_result"
"""Kinds of ops that only this door has."""
ORDER = {"lstm": "iofc", "gru": "zrh", "rnn": "h"}
"""Kind of layer -> its gates as ONNX has them."""
RESULTS = {"sequence": "Y", "hidden": "Y_h", "cell": "Y_c"}


def without_loops(graph: Graph, keep: Iterable[str] = ()) -> Graph:
    """With one op for each loop that is a layer, all steps of the others.

    Where something inside of such a loop is to be kept, all are written out.
    """
    if not has_loops(graph):
        return graph
    whole = _with_layers(loops_on_reals(graph), tuple(keep))
    return unrolled(whole if whole.tensors.keys() >= set(keep) else graph).graph


def float_note(graph: Graph) -> tuple[str, ...]:
    """Which loops of codes the file computes in float, and why."""
    names = ", ".join(loop.name for loop in coded_layers(graph))
    return (f"model.onnx computes {names} in float between conversions, with float32 weights: ONNX Runtime "
            f"has kernels for recurrent layers in float only",) if names else ()


def step_note(graph: Graph) -> tuple[str, ...]:
    """Which loops the file has step by step, and why."""
    reals = loops_on_reals(graph)
    names = ", ".join(part.name for part in parts(reals)
                      if isinstance(part, Loop) and recognised(reals, part) is None)
    return (f"model.onnx has every step of {names} one after the other: ONNX's LSTM, GRU and RNN compute "
            f"something else, or have no weights like these",) if names else ()


def _with_layers(graph: Graph, keep: tuple[str, ...]) -> Graph:
    ops, made = [], graph
    for part in parts(graph):
        layer = recognised(graph, part) if isinstance(part, Loop) else None
        if layer is None:
            ops += ops_of(part)
        else:
            arrays = {f"{part.name}:{role}": array for role, array in _arrays(layer).items()}
            made = made.with_tensors(*(constant(name, array) for name, array in arrays.items()))
            begins = [graph.tensors[name] for name in layer.initial]
            zero = all(tensor.is_constant and not tensor.data.any() for tensor in begins)
            ops += _as_ops(part.name, layer, (*arrays, *(() if zero else layer.initial)))
    return replace(made, ops=tuple(ops)).with_ops(live_ops(ops, (*graph.outputs, *keep)))


def _arrays(layer: Recurrent) -> Mapping[str, np.ndarray]:
    weight, recurrent, *biases = (np.concatenate(each) for each in zip(
        *(layer.gates[letter] for letter in ORDER[layer.kind])))
    return {"W": weight[None], "R": recurrent[None], "B": np.concatenate(biases)[None]}


def _as_ops(loop: str, layer: Recurrent, behind: tuple[str, ...]) -> Iterator[Op]:
    """The node first; results read it, so that it stands as long as one of them is needed.

    behind: its inputs behind x: weights, and states that are not 0
    """
    attrs = {"lstm": {}, "gru": {"linear_before_reset": int(layer.reset_after)},
             "rnn": {"activations": (layer.activation.capitalize(),)}}[layer.kind]
    direction = "reverse" if layer.reverse else "forward"
    first, *others = layer.exits
    results = tuple(RESULTS[which] for which in layer.exits.values())
    yield Op(LAYER, (layer.x, *behind), (first,),
             {"op": layer.kind.upper(), "loop": loop, "direction": direction, "results": results, **attrs})
    for name in others:
        yield Op(RESULT, (first,), (name,), {"of": f"{loop}:{RESULTS[layer.exits[name]]}"})


def _layer(writer: OnnxWriter, op: Op) -> None:
    """x as (T, 1, F), states as (1, 1, H)."""
    from onnx import helper

    attrs = dict(op.attrs)
    op_type, loop, results = (attrs.pop(name) for name in ("op", "loop", "results"))
    x, *weights = op.inputs[:4]
    features, width = (writer.graph.tensors[name].shape[-1] for name in weights[:2])
    steps = writer.graph.tensors[x].size // features
    begins = [_shaped(writer, writer.real(name), f"{loop}:initial{at}", (1, 1, width))
              for at, name in enumerate(op.inputs[4:])]
    inputs = [_shaped(writer, writer.real(x), f"{loop}:X", (steps, 1, features)),
              *map(writer.real, weights), *(("", *begins) if begins else ())]
    outputs = [f"{loop}:{name}" if name in results else "" for name in RESULTS.values()]
    while not outputs[-1]:
        outputs.pop()
    writer.nodes.append(helper.make_node(op_type, inputs, outputs, name=loop, hidden_size=width, **attrs))
    _shaped(writer, f"{loop}:{results[0]}", op.name, writer.graph.tensors[op.name].shape)


def _result(writer: OnnxWriter, op: Op) -> None:
    _shaped(writer, op.attrs["of"], op.name, writer.graph.tensors[op.name].shape)


def _shaped(writer: OnnxWriter, x: str, output: str, shape: tuple[int, ...]) -> str:
    return writer.node("Reshape", [x, writer.constant(f"{output}:shape", np.array(shape, np.int64))], output)


RECURRENT = {LAYER: _layer, RESULT: _result}
