"""Recurrent layers as loops of the ops that they consist of; what all doors in share.

A layer reads x (1, T, F) and gives all its hidden states (1, T, H). What of the input is multiplied does not
depend on the state and stands before the loop, one 1x1 convolution over all steps, or what that gives of a
constant. Gates that read the same are one product, and one op each for those that share an activation.
Sources: Hochreiter & Schmidhuber 1997 and Gers et al. 2000 (LSTM), Cho et al. 2014 (GRU), Elman 1990.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.ir.build import Builder


@dataclass(frozen=True, eq=False)
class Gate:
    """One gate or several that are one product: weight (n, F), recurrent (n, H), biases (n,)."""

    weight: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    recurrent_bias: np.ndarray

    @property
    def whole_bias(self) -> np.ndarray:
        return self.bias + self.recurrent_bias


@dataclass(frozen=True, eq=False)
class Ended:
    """Names of a layer's results: sequence (1, T, H), hidden and cell (1, H), cell None where it has none."""

    sequence: str
    hidden: str
    cell: str | None = None


class Layer:
    """A layer in the making. name: of the layer, which begins those of all its tensors

    initial: states (1, H) before the first step: hidden, and cell where it has one
    reverse: from the last step to the first
    """

    def __init__(self, build: Builder, name: str, x: str, initial: Sequence[str], reverse: bool = False):
        self.build, self.name, self.x, self.reverse = build, name, x, reverse
        self.initial = initial
        self.loop = build.unique(f"{name}.h")
        self.hidden = ""

    def lstm(self, gates: Gate, candidate: Gate, clip: float = 0.0) -> Ended:
        """gates: input, forget and output, in that order; candidate: what may come into the cell; clip: what
        the cell stays within, 0 for no bounds."""
        every, count = as_one(gates, candidate), len(gates.bias)
        begun = self.over_input(every, "gates")
        self.hidden, cell = self.state(0, "h"), self.state(1, "c")
        said = self.met(begun, every, "gates")
        opened = self.op("logistic", [self.part(said, 0, count, "opening")], "open")
        i, f, o = self.split(opened, "i", "f", "o")
        g = self.op("tanh", [self.part(said, count, len(every.bias), "candidate")], "g")
        kept, added = self.op("mul", [f, cell], "kept"), self.op("mul", [i, g], "added")
        new_cell = self.clipped(self.op("add", [kept, added], "cell"), clip)
        hidden = self.op("mul", [o, self.op("tanh", [new_cell], "shown")], "hidden")
        return self.end(hidden, cell, new_cell)

    def gru(self, gates: Gate, candidate: Gate, reset_after: bool = True) -> Ended:
        """gates: reset and update, in that order. reset_after: the reset gate multiplies the state's
        product, as in PyTorch and cuDNN, and not the state."""
        begun = [self.over_input(gates, "gates"),
                 self.over_input(candidate, "candidate", whole=not reset_after)]
        self.hidden = self.state(0, "h")
        r, z = self.split(self.op("logistic", [self.met(begun[0], gates, "gates")], "open"), "r", "z")
        if reset_after:
            said = self.over_state(candidate, "candidate", candidate.recurrent_bias)
            read = self.op("mul", [r, said], "reset")
        else:
            shown = self.op("mul", [r, self.hidden], "reset")
            read = self.over_state(candidate, "candidate", np.zeros(len(candidate.bias)), shown)
        n = self.op("tanh", [self.op("add", [self.step(begun[1], "candidate"), read], "candidate")], "n")
        change = self.op("mul", [z, self.op("sub", [self.hidden, n], "apart")], "kept")
        return self.end(self.op("add", [n, change], "hidden"))

    def plain(self, gate: Gate, activation: str) -> Ended:
        """An Elman layer: activation is a kind of op."""
        begun = self.over_input(gate, "gates")
        self.hidden = self.state(0, "h")
        return self.end(self.op(activation, [self.met(begun, gate, "gates")], "hidden"))

    # Parts of a layer

    def op(self, kind: str, inputs: list[str], part: str, **attrs) -> str:
        return self.build.op(kind, inputs, f"{self.name}.{part}", **attrs)

    def constant(self, part: str, data: np.ndarray) -> str:
        return self.build.constant(f"{self.name}.{part}", np.ascontiguousarray(data, np.float32))

    def over_input(self, gate: Gate, part: str, whole: bool = True) -> str:
        """Of all steps at once: (1, T, n). whole: with the bias of the recurrent product too"""
        fed = self.build.tensors[self.x]
        added = gate.whole_bias if whole else gate.bias
        if fed.is_constant:
            return self.constant(f"{part}.input", fed.data @ gate.weight.T + added)
        _, steps, features = fed.shape
        image = self.build.op("reshape", [self.x], f"{self.name}:{part}.image", shape=(1, 1, steps, features))
        weight = self.constant(f"{part}.weight", gate.weight[:, None, None, :])
        bias = self.constant(f"{part}.bias", added)
        made = self.op("conv2d", [image, weight, bias], f"{part}.input")
        return self.build.op("reshape", [made], f"{self.name}:{part}.steps", shape=(1, steps, len(gate.bias)))

    def step(self, sequence: str, part: str) -> str:
        return self.op("step", [sequence], f"{part}.step", loop=self.loop, axis=1, reverse=self.reverse)

    def over_state(self, gate: Gate, part: str, bias: np.ndarray, state: str = "") -> str:
        parameters = [self.constant(f"{part}.recurrent.weight", gate.recurrent),
                      self.constant(f"{part}.recurrent.bias", bias)]
        return self.op("fully_connected", [state or self.hidden, *parameters], f"{part}.recurrent")

    def met(self, begun: str, gate: Gate, part: str) -> str:
        """What input and state say together."""
        recurrent = self.over_state(gate, part, np.zeros(len(gate.bias)))
        return self.op("add", [self.step(begun, part), recurrent], part)

    def state(self, number: int, part: str) -> str:
        return self.build.state(self.initial[number], f"{self.name}.{part}", self.loop)

    def clipped(self, cell: str, clip: float) -> str:
        """A step adds at most 1 to a cell, so that it takes more steps than `clip` to get there."""
        if not 0 < clip < self.build.tensors[self.x].shape[1]:
            return cell
        low, high = (self.constant(f"cell.{end}", np.array([bound]))
                     for end, bound in (("low", -clip), ("high", clip)))
        return self.op("minimum", [self.op("maximum", [cell, low], "cell.raised"), high], "cell.clipped")

    def split(self, x: str, *names: str) -> list[str]:
        """Equal parts of (1, n)."""
        size = self.build.tensors[x].shape[1] // len(names)
        return [self.part(x, at * size, (at + 1) * size, name) for at, name in enumerate(names)]

    def part(self, x: str, begin: int, end: int, name: str) -> str:
        """Some of (1, n)."""
        return self.op("slice", [x], name, begin=(0, begin), end=(1, end), strides=(1, 1))

    def end(self, hidden: str, cell: str = "", new_cell: str = "") -> Ended:
        """Close the loop, and let out what leaves it."""
        self.build.becomes(self.hidden, hidden)
        steps = self.build.tensors[self.x].shape[1]
        sequence = self.op("sequence", [hidden], "sequence", loop=self.loop, axis=1, steps=steps,
                           reverse=self.reverse)
        last = self.op("last", [hidden], "last", loop=self.loop)
        if not cell:
            return Ended(sequence, last)
        self.build.becomes(cell, new_cell)
        return Ended(sequence, last, self.op("last", [new_cell], "last_cell", loop=self.loop))


def as_one(*gates: Gate) -> Gate:
    """Gates that are one product."""
    return Gate(*(np.concatenate([getattr(gate, name) for gate in gates])
                  for name in ("weight", "recurrent", "bias", "recurrent_bias")))


def gate_of(parts: Mapping[str, Sequence[np.ndarray]], order: str) -> Gate:
    """Gates of these letters as one. parts: letter -> weight, recurrent, bias, recurrent bias"""
    return Gate(*(np.concatenate(each) for each in zip(*(parts[letter] for letter in order), strict=True)))


def gates_of(weight: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, recurrent_bias: np.ndarray,
             order: str) -> dict[str, tuple[np.ndarray, ...]]:
    """Letter -> its rows of arrays that hold one gate after the other, in this order."""
    arrays = (weight, recurrent, bias, recurrent_bias)
    rows = zip(*(np.split(array, len(order)) for array in arrays), strict=True)
    return dict(zip(order, rows, strict=True))
