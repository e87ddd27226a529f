"""LSTM, GRU and RNN nodes become loops that give what ONNX Runtime gives."""

import io
import re

import numpy as np
from onnx import helper
import pytest
import torch
from torch import nn

from tests.load.onnx_models import assert_as_onnx_runtime, ints, model_of, node, normal
from toolchain.errors import BadModel, Unsupported
from toolchain.ir.layout import channels_last
from toolchain.ir.loops import parts
from toolchain.ir.passes import canonical
from toolchain.load.onnx import load_onnx
from toolchain.prune.groups import channel_groups

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, FEATURES, WIDTH = 5, 3, 4


def recurrent(op: str, direction: str = "forward", bias: bool = True, states: str = "", outputs: str = "",
              changed: dict | None = None, **attrs) -> bytes:
    """x (1, T, F) through one node; states: "constant", "computed" or none; outputs: names that are used, of
    Y, Y_h and Y_c; changed: inputs that are other constants"""
    ways, gates = 2 if direction == "bidirectional" else 1, GATES[op]
    constants = {"W": normal(ways, gates * WIDTH, FEATURES),
                 "R": normal(ways, gates * WIDTH, WIDTH, seed=1) / 2}
    constants |= {"B": normal(ways, 2 * gates * WIDTH, seed=2)} if bias else {}
    begins = ["initial_h", "initial_c"][:1 + (op == "LSTM")] if states else []
    fed = "X" not in (changed or {})
    made = [node("Transpose", "x", "X", perm=(1, 0, 2))] if fed else []
    if states == "constant":
        constants |= {name: normal(ways, 1, WIDTH, seed=3) for name in begins}
    for name in begins if states == "computed" else ():
        made.append(node("Transpose", f"{name}_first", name, perm=(1, 0, 2)))
    constants |= changed or {}
    have = {"X", *constants, *begins}
    every = ("X", "W", "R", "B", "lens", "initial_h", "initial_c", "P")[:8 if op == "LSTM" else 6]
    names = [name if name in have else "" for name in every]
    results = ["Y", "Y_h", "Y_c"] if op == "LSTM" else ["Y", "Y_h"]
    used = outputs.split() or results
    made.append(helper.make_node(op, names, [name if name in used else "" for name in results],
                                 hidden_size=WIDTH, direction=direction, **attrs))
    made += [node("Transpose", name, f"{name}_first", perm=(2, 0, 1, 3) if name == "Y" else (1, 0, 2))
             for name in used]
    shapes = {"x": (1, STEPS, FEATURES)} if fed else {}
    if states == "computed":
        shapes |= {f"{name}_first": (1, ways, WIDTH) for name in begins}
    return model_of(made, shapes, constants, outputs=[f"{name}_first" for name in used])


@pytest.mark.oracle
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op, attrs", [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}),
                                       ("RNN", {}), ("RNN", {"activations": ["Relu"]})],
                         ids=["lstm", "gru", "gru reset after", "rnn", "rnn relu"])
def test_a_node_is_a_loop_in_each_direction(op, attrs, direction):
    ways = 2 if direction == "bidirectional" else 1
    attrs = {name: value * ways if isinstance(value, list) else value for name, value in attrs.items()}
    graph = assert_as_onnx_runtime(recurrent(op, direction, states="constant", **attrs))
    assert sum(part.__class__.__name__ == "Loop" for part in parts(graph)) == ways


@pytest.mark.oracle
@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("states", ["", "computed"])
def test_states_and_biases_may_be_left_out_or_computed(op, states):
    assert_as_onnx_runtime(recurrent(op, "bidirectional", bias=False, states=states))


@pytest.mark.oracle
@pytest.mark.parametrize("op, attrs", [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}),
                                       ("RNN", {})])
def test_the_sequence_may_be_constant(op, attrs):
    x = normal(STEPS, 1, FEATURES, seed=4)
    assert_as_onnx_runtime(recurrent(op, "bidirectional", states="computed", changed={"X": x}, **attrs))


@pytest.mark.oracle
@pytest.mark.parametrize("outputs", ["Y", "Y_h", "Y_c", "Y_h Y_c", "Y Y_c"])
def test_outputs_may_be_absent(outputs):
    assert_as_onnx_runtime(recurrent("LSTM", "bidirectional", outputs=outputs))


@pytest.mark.oracle
def test_lengths_of_the_whole_sequence_are_taken():
    assert_as_onnx_runtime(recurrent("GRU", changed={"lens": np.array([STEPS], np.int32)}))


REFUSED = {
    "peepholes": (("LSTM", {"changed": {"P": normal(1, 3 * WIDTH)}}),
                  "has peepholes (P), which have no row; train it without them"),
    "lengths": (("GRU", {"changed": {"lens": np.array([2], np.int32)}}),
                "sequence_lens=(2,) of 5 steps; only whole sequences have a row"),
    "clip": (("RNN", {"clip": 2.0}), "clip=2.0 has no row; export without it"),
    "input_forget": (("LSTM", {"input_forget": 1}), "input_forget=1 has no row; train it without"),
    "layout": (("GRU", {"layout": 1}), "layout=1 has no row; export it with the time first (layout=0)"),
    "activations": (("LSTM", {"activations": ["Sigmoid", "Relu", "Tanh"]}),
                    "activations=sigmoid, relu, tanh; only sigmoid, tanh, tanh in each direction have a row"),
    "rnn": (("RNN", {"activations": ["Sigmoid"]}),
            "activations=sigmoid; only tanh or relu in each direction have a row"),
}


@pytest.mark.parametrize("asked, why", REFUSED.values(), ids=REFUSED)
def test_what_a_loop_does_not_hold_is_refused(asked, why):
    op, changes = asked
    with pytest.raises(Unsupported, match=re.escape(f"{op} at Y: {why}")):
        load_onnx(recurrent(op, **changes), "net")


def test_weights_that_do_not_fit_are_a_bad_model():
    with pytest.raises(BadModel, match=r"GRU at Y: .*'R': \(1, 12, 3\).* breaks the ONNX specification"):
        load_onnx(recurrent("GRU", changed={"R": normal(1, 12, 3)}), "net")


# Stacks of last states ------------------------------------------------------------------------------------

def two_layers(*reads) -> bytes:
    """Y_h of two layers in both directions as (4, 1, H) in `states`; reads: nodes that make y of it"""
    made, constants = [node("Transpose", "x", "X", perm=(1, 0, 2))], {}
    for layer, size in enumerate((FEATURES, 2 * WIDTH)):
        constants |= {f"W{layer}": normal(2, 4 * WIDTH, size, seed=layer),
                      f"R{layer}": normal(2, 4 * WIDTH, WIDTH, seed=layer)}
        made.append(helper.make_node("LSTM", ["Z" if layer else "X", f"W{layer}", f"R{layer}"],
                                     ["" if layer else "Y", f"h{layer}"], direction="bidirectional",
                                     hidden_size=WIDTH))
    made[2:2] = [node("Transpose", "Y", "turned", perm=(0, 2, 1, 3)), node("Reshape", "turned joined", "Z")]
    made.append(node("Concat", "h0 h1", "states", axis=0))
    constants |= {"joined": ints(0, 0, -1), "last": np.array(-1), "before": np.array(-2), "two": ints(2),
                  "end": ints(9), "zero": ints(0), "flat": ints(1, 2 * WIDTH), "row": ints(1, WIDTH)}
    return model_of([*made, *reads], {"x": (1, STEPS, FEATURES)}, constants)


READS = {
    "gather": [node("Gather", "states before", "a"), node("Gather", "states last", "b"),
               node("Concat", "a b", "y", axis=1)],
    "slice": [node("Slice", "states two end zero", "a"), node("Transpose", "a", "b", perm=(1, 0, 2)),
              node("Reshape", "b flat", "y")],
    "squeeze": [helper.make_node("Gather", ["states", "two"], ["a"]), node("Squeeze", "a zero", "y")],
}


@pytest.mark.oracle
@pytest.mark.parametrize("reads", READS.values(), ids=READS)
def test_who_reads_some_last_states_is_not_tied_to_the_others(reads):
    graph = canonical(channels_last(assert_as_onnx_runtime(two_layers(*reads))))
    assert not {"gather", "reduce_max"} & {op.kind for op in graph.ops}
    (y,) = graph.outputs
    lasts = {op.name for op in graph.ops if op.kind == "last"}
    assert len(lasts) == (1 if reads is READS["squeeze"] else 2)
    assert graph.tensors[y].shape == (1, len(lasts) * WIDTH)


@pytest.mark.oracle
def test_a_stack_cut_across_is_cut_as_any_tensor():
    reads = [node("Slice", "states zero two end_axis", "a"), node("Reshape", "a flat8", "y")]
    model = model_of([node("Transpose", "x", "X", perm=(1, 0, 2)),
                      helper.make_node("GRU", ["X", "W", "R"], ["", "states"], direction="bidirectional",
                                       hidden_size=WIDTH), *reads],
                     {"x": (1, STEPS, FEATURES)},
                     {"W": normal(2, 12, FEATURES), "R": normal(2, 12, 4), "zero": ints(0), "two": ints(2),
                      "end_axis": ints(2), "flat8": ints(1, 4)})
    assert_as_onnx_runtime(model)


class Network(nn.Module):
    """As torch exports it: the last state of the upper layer, or the last step of both directions."""

    def __init__(self, kind: str, both: bool):
        super().__init__()
        self.net = getattr(nn, kind)(FEATURES, WIDTH, 2, batch_first=True, bidirectional=both)
        self.dense = nn.Linear(WIDTH * (1 + both), 2)
        self.both = both

    def forward(self, x):
        y, ends = self.net(x)
        last = ends[0] if isinstance(ends, tuple) else ends
        return self.dense(y[:, -1] if self.both else last[-1])


@pytest.mark.oracle
@pytest.mark.parametrize("kind, both", [("LSTM", True), ("GRU", False)])
def test_networks_of_torch(kind, both):
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    file = io.BytesIO()
    torch.onnx.export(Network(kind, both).eval(), (torch.zeros(1, STEPS, FEATURES),), file, dynamo=True,
                      verbose=False)
    graph = canonical(channels_last(assert_as_onnx_runtime(file.getvalue())))
    groups = channel_groups(graph).groups
    assert [group.channels for group in groups] == [WIDTH] * (4 if both else 2)
