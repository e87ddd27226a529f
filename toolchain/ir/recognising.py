"""Loops that are a whole LSTM, GRU or Elman layer, for targets that have such a layer as one op.

The ops are those that `load.recurrent` makes, as rewrites and pruning leave them; which number comes first in
a sum or product does not matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import Loop

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Of one gate: weight (H, F), recurrent weight (H, H), bias and recurrent bias (H,)."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """kind:        "lstm", "gru" or "rnn"
    x:           tensor of T * F numbers, a step after the other
    gates:       letter -> rows: lstm i, f, o and c (what may come into the cell), gru r, z and h, rnn h
    initial:     states (1, H) before the first step: hidden, and cell where it has one
    exits:       op by which a value leaves -> which: "sequence", "hidden" or "cell"
    reverse:     from the last step to the first
    activation:  of an rnn: "tanh" or "relu"
    reset_after: of a gru: the reset gate multiplies what of the state has been multiplied already
    """

    kind: str
    x: str
    gates: Mapping[str, Rows]
    initial: tuple[str, ...]
    exits: Mapping[str, str]
    reverse: bool
    activation: str = "tanh"
    reset_after: bool = False


def recognised(graph: Graph, loop: Loop) -> Recurrent | None:
    """The float layer that the loop is; None where it is another."""
    try:
        return _Reading(graph, loop).layer()
    except _Other:
        return None


class _Other(Exception):
    """The loop is something else."""


@dataclass(frozen=True, eq=False)
class _Joined:
    """Gates of one product: their rows, and what they read: the input, how, and the state."""

    rows: Rows
    x: str
    reverse: bool
    state: str

    def rows_of(self, slice_: Op) -> Rows:
        return self.part(slice_).rows

    def part(self, slice_: Op) -> "_Joined":
        """The gates that were cut out."""
        begin, end = slice_.attrs["begin"][1], slice_.attrs["end"][1]
        _require(slice_.attrs["strides"][1] == 1)
        return replace(self, rows=tuple(array[begin:end] for array in self.rows))


class _Reading:
    def __init__(self, graph: Graph, loop: Loop):
        self.graph, self.loop = graph, loop
        self.states = [op for op in loop.body if op.kind == "state"]

    def layer(self) -> Recurrent:
        if len(self.states) == 2:
            return self.lstm()
        _require(len(self.states) == 1)
        after = self.graph.producers[self.states[0].inputs[1]]
        kinds = {self.graph.producers[name].kind for name in after.inputs if name in self.graph.producers}
        return self.gru() if after.kind == "add" and "tanh" in kinds else self.plain()

    def lstm(self) -> Recurrent:
        h, c = sorted(self.states, key=lambda op: self.graph.producers[op.inputs[1]].kind, reverse=True)
        hidden, cell = h.inputs[1], c.inputs[1]
        o, shown = self.either(hidden, "mul", "slice")
        _require(self.op(shown, "tanh").inputs == (cell,))
        terms = [self.either(name, "mul", "slice") for name in self.op(cell, "add").inputs]
        (f, kept), (i, added) = sorted(terms, key=lambda term: term[1] != c.name)
        _require(kept == c.name)
        opening = self.op(self.opened(o, f, i), "slice")
        candidate = self.op(self.op(added, "tanh").inputs[0], "slice")
        _require(opening.inputs == candidate.inputs)
        every = self.joined(opening.inputs[0])
        self.require_read(h.name, every)
        gates = every.part(opening)
        letters = {letter: gates.rows_of(part) for letter, part in zip("ifo", (i, f, o))}
        return self.described("lstm", every, {**letters, "c": every.rows_of(candidate)}, (h, c))

    def gru(self) -> Recurrent:
        (h,) = self.states
        n, kept = self.either(h.inputs[1], "add", "tanh")
        z, apart = self.either(kept, "mul", "slice")
        _require(self.op(apart, "sub").inputs == (h.name, n.name))
        step, read = self.either(n.inputs[0], "add", "step")
        after = read in self.graph.producers and self.graph.producers[read].kind == "mul"
        reset = read if after else self.op(read, "fully_connected").inputs[0]
        r, product = self.either(reset, "mul", "slice")
        gates = self.joined(self.opened(r, z))
        candidate = self.rows(step, self.op(product if after else read, "fully_connected"))
        self.require_read(h.name, gates)
        _require((candidate.state if after else product) == h.name)
        _require((candidate.x, candidate.reverse) == (gates.x, gates.reverse))
        letters = {"r": gates.rows_of(r), "z": gates.rows_of(z), "h": candidate.rows}
        return self.described("gru", gates, letters, (h,), reset_after=after)

    def plain(self) -> Recurrent:
        (h,) = self.states
        made = self.graph.producers[h.inputs[1]]
        fused = made.attrs.get("activation") if made.kind == "add" else None
        activation = fused or made.kind
        _require(activation in ("tanh", "relu"))
        gate = self.joined(made.name if fused else self.op(made.name, activation).inputs[0], fused)
        self.require_read(h.name, gate)
        return self.described("rnn", gate, {"h": gate.rows}, (h,), activation=activation)

    # Parts of a layer

    def op(self, name: str, kind: str, activation: str | None = None) -> Op:
        """What makes a tensor, of this kind and in float."""
        made = self.graph.producers.get(name)
        _require(made is not None and made.kind == kind and made.attrs.get("activation") == activation)
        _require(self.graph.tensors[name].dtype == "float32" and self.graph.tensors[name].quant is None)
        return made

    def either(self, name: str, kind: str, first: str, activation: str | None = None) -> tuple[Op, str]:
        """Of an op of two operands that may change places: what makes the one of kind `first`; the other."""
        a, b = self.op(name, kind, activation).inputs
        makers = self.graph.producers
        x, other = (a, b) if a in makers and makers[a].kind == first else (b, a)
        return self.op(x, first), other

    def opened(self, *slices: Op) -> str:
        """What goes into the logistic of which these are the parts."""
        _require(len({op.inputs for op in slices}) == 1)
        return self.op(slices[0].inputs[0], "logistic").inputs[0]

    def joined(self, name: str, activation: str | None = None) -> _Joined:
        """What input and state say together."""
        step, recurrent = self.either(name, "add", "step", activation)
        return self.rows(step, self.op(recurrent, "fully_connected"))

    def rows(self, step: Op, recurrent: Op) -> _Joined:
        """Of all steps at once the input's product, one step of it, and the state's."""
        conv = self.op(self.unshaped(step.inputs[0]), "conv2d")
        x, *ahead = self.graph.of(conv)
        weight, bias, own, own_bias = arrays = (*ahead, *self.graph.of(recurrent)[1:])
        steps, (width, *kernel, features) = self.loop.steps, weight.shape
        _require((1, 1) == tuple(kernel) == conv.attrs["stride"] and not any(conv.attrs["pads"]))
        _require(step.attrs["axis"] == 1 and self.graph.of(step)[0].shape == (1, steps, width))
        _require((prod(x.shape[:-1]), x.shape[-1], x.quant) == (steps, features, None))
        kinds = {(array.is_constant, array.dtype, array.quant, array.shape[0]) for array in arrays}
        _require(kinds == {(True, "float32", None, width)})
        rows = weight.data.reshape(width, features), own.data, bias.data, own_bias.data
        return _Joined(rows, self.unshaped(x.name), step.attrs["reverse"], recurrent.inputs[0])

    def unshaped(self, name: str) -> str:
        """The tensor that was reshaped to this one."""
        maker = self.graph.producers.get(name)
        return self.unshaped(maker.inputs[0]) if maker and maker.kind == "reshape" else name

    def require_read(self, state: str, *gates: _Joined) -> None:
        """They read this state, and the same input in the same direction."""
        _require({(gate.state, gate.x, gate.reverse) for gate in gates}
                 == {(state, gates[0].x, gates[0].reverse)})

    def described(self, kind: str, gate: _Joined, gates: Mapping[str, Rows], states: tuple[Op, ...],
                  **attrs) -> Recurrent:
        exits = dict(self.exits(gate.reverse, *(op.inputs[1] for op in states)))
        _require(bool(exits) and {rows[1].shape[0] for rows in gates.values()} == {gate.rows[1].shape[1]})
        initial = tuple(op.inputs[0] for op in states)
        return Recurrent(kind, gate.x, gates, initial, exits, gate.reverse, **attrs)

    def exits(self, reverse: bool, hidden: str, cell: str = "") -> Iterator[tuple[str, str]]:
        for op in self.loop.exits:
            if op.kind == "last":
                _require(op.inputs[0] in (hidden, cell))
                yield op.name, "hidden" if op.inputs[0] == hidden else "cell"
            else:
                _require(op.inputs[0] == hidden and (op.attrs["axis"], op.attrs["reverse"]) == (1, reverse))
                yield op.name, "sequence"


def _require(holds: bool) -> None:
    if not holds:
        raise _Other
