"""A loop that is a recurrent layer is known as one, with its own weights; whatever differs is not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.ir.recurrent_nets import FEATURES, LAYERS, WIDTH, gates, network
from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.loops import Loop, parts
from toolchain.ir.ops import make
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams
from toolchain.ir.recognising import Recurrent, recognised
from toolchain.prune.groups import channel_groups
from toolchain.prune.prune import checked_cut


def known(graph: Graph) -> Recurrent | None:
    (loop,) = (part for part in parts(graph) if isinstance(part, Loop))
    return recognised(graph, loop)


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("tidy", [lambda graph: graph, canonical], ids=["literal", "canonical"])
def test_what_a_door_builds_is_recognised(kind, asked, reverse, tidy):
    layer = known(tidy(network(kind, reverse, **asked)))
    assert (layer.kind, layer.reverse) == (kind, reverse)
    assert set(layer.exits.values()) == {"sequence", "hidden", *(["cell"] if kind == "lstm" else [])}
    assert layer.activation == asked.get("activation", "tanh")
    assert layer.reset_after == asked.get("reset_after", False)
    given = gates(kind)
    order = {"lstm": ("ifo", "c"), "gru": ("rz", "h"), "rnn": ("h",)}[kind]
    for letters, gate in zip(order, given, strict=True):
        rows = [np.concatenate(each) for each in zip(*(layer.gates[letter] for letter in letters))]
        np.testing.assert_array_equal(rows[0], gate.weight)
        np.testing.assert_array_equal(rows[1], gate.recurrent)
        np.testing.assert_array_equal(rows[2] + rows[3], gate.bias + gate.recurrent_bias)


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
def test_a_pruned_layer_is_a_narrower_one(kind, asked):
    graph = canonical(network(kind, leaves="hidden", **asked))
    head = make("fully_connected", [graph.outputs[0], "w", "b"], "y")
    build = _with_head(graph, head)
    (group,) = channel_groups(build).groups
    layer = known(checked_cut(build, [group], {0: np.array([1])}))
    assert {rows[1].shape for rows in layer.gates.values()} == {(WIDTH - 1, WIDTH - 1)}
    assert {rows[0].shape for rows in layer.gates.values()} == {(WIDTH - 1, FEATURES)}


def _with_head(graph: Graph, head: Op) -> Graph:
    tensors = (constant("w", np.ones((2, WIDTH), np.float32)), constant("b", np.zeros(2, np.float32)),
               Tensor("y", (1, 2), "float32"))
    return replace(graph.with_tensors(*tensors), outputs=("y",)).with_ops((*graph.ops, head))


def changed(graph: Graph, name: str, **attrs) -> Graph:
    """With another kind, other inputs or other attributes of one op."""
    (old,) = (op for op in graph.ops if op.name == name)
    kind, inputs = attrs.pop("kind", old.kind), attrs.pop("inputs", old.inputs)
    new = replace(old, kind=kind, inputs=inputs, attrs={**old.attrs, **attrs})
    return replace(graph, ops=tuple(new if op is old else op for op in graph.ops))


OTHERS = {
    "another activation of the cell": ("lstm", "layer.shown", {"kind": "logistic"}),
    "another activation of the gates": ("gru", "layer.open", {"kind": "tanh"}),
    "a difference for a sum": ("lstm", "layer.cell", {"kind": "sub"}),
    "gates changed places with the state": ("gru", "layer.apart", {"inputs": ("layer.n", "layer.h")}),
    "a clipped sum": ("lstm", "layer.cell", {"activation": "relu"}),
    "another activation": ("rnn", "layer.hidden", {"kind": "logistic"}),
    "the same gate twice": ("lstm", "layer.f", {"begin": (0, 1), "end": (1, 1 + WIDTH - 1)}),
    "a stride of the input": ("rnn", "layer.gates.input", {"pads": (0, 1, 0, 0)}),
    "steps in the other direction": ("gru", "layer.candidate.step", {"reverse": True}),
    "a candidate of something else": ("lstm", "layer.candidate", {"inputs": ("layer.gates.step",)}),
    "a stride of the gates": ("lstm", "layer.candidate",
                              {"begin": (0, 0), "end": (1, 4 * WIDTH), "strides": (1, 4)}),
    "a sequence the other way round": ("gru", "layer.sequence", {"reverse": True}),
    "what is read leaves": ("gru", "layer.last", {"inputs": ("layer.n",)}),
}


@pytest.mark.parametrize("kind, op, change", OTHERS.values(), ids=OTHERS)
def test_a_loop_that_computes_something_else_is_not(kind, op, change):
    asked = {"activation": "tanh"} if kind == "rnn" else {}
    graph = network(kind, **asked)
    assert known(graph) and known(changed(graph, op, **change)) is None


def test_codes_are_not_a_float_layer():
    graph = network("gru")
    n = replace(graph.tensors["layer.n"], quant=QuantParams(np.float32(1 / 128), np.int32(0)), dtype="int8")
    weight = graph.tensors["layer.gates.weight"]
    grid = replace(weight, quant=QuantParams(np.float32(1 / 64), np.int32(0)))
    assert known(graph.with_tensors(n)) is None and known(graph.with_tensors(grid)) is None
