"""Nodes that together are one op of the table: GELU, hard swish and layer norm as exporters write them out.

An activation is recognised by what it computes, not by how it is written: its nodes are multiplied out as a
polynomial of the values that go in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import pi, sqrt

import numpy as np

from toolchain.load.onnx_file import Node, OnnxFile

Polynomial = dict[tuple[int, int], float]
"""(power of x, power of t) -> coefficient."""
REACH = 6
"""Nodes that a pattern's steps may go through, one after the other."""
MOST = 24
"""Values that are looked at for one pattern."""
LARGEST = 6
"""Highest power that matters."""
CLOSE = 1e-3
"""How far a coefficient may be from a pattern's, as a share: exporters round sqrt(2) and 0.7978."""


def fused(file: OnnxFile) -> list[Node]:
    """The file's nodes in order; the last node of each pattern stands for all of it. What nobody reads any
    more is left out."""
    nodes = _Nodes(file)
    found = {}
    for node in file.nodes:
        if node.op in PATTERNS and (whole := PATTERNS[node.op](nodes, node)):
            found[whole.outputs[0]] = whole
    if not found:
        return list(file.nodes)
    return _live([found.get(node.outputs[0], node) if node.outputs else node for node in file.nodes], file)


def _live(nodes: list[Node], file: OnnxFile) -> list[Node]:
    """Without the nodes that only a pattern's insides read."""
    before = {name for node in file.nodes for name in node.inputs} | set(file.outputs)
    needed, kept = set(file.outputs), []
    for node in reversed(nodes):
        unread = not before.intersection(node.outputs)
        if unread or needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


class _Nodes:
    """The file's nodes by what they make and read, and its scalar constants."""

    def __init__(self, file: OnnxFile):
        self.outputs = frozenset(file.outputs)
        self.maker = {name: node for node in file.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        self.constants: dict[str, np.ndarray] = dict(file.constants)
        for node in file.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)
            if node.op == "Constant" and isinstance(node.attrs.get("value"), np.ndarray):
                self.constants[node.outputs[0]] = node.attrs["value"]

    def number(self, name: str) -> float | None:
        array = self.constants.get(name)
        known = array is not None and array.size == 1 and array.dtype.kind in "fiu"
        return float(array.item()) if known else None

    def read_by(self, name: str, *ops: str) -> Node | None:
        """The only reader of a value, where it is one of these operators."""
        readers = self.readers.get(name, ())
        return readers[0] if len(readers) == 1 and readers[0].op in ops and name not in self.outputs else None

    def polynomial(self, name: str, symbols: Mapping[str, Polynomial],
                   depth: int = REACH) -> Polynomial | None:
        """The value as a polynomial of the symbols; None where it is none."""
        if name in symbols:
            return symbols[name]
        if (number := self.number(name)) is not None:
            return {(0, 0): number}
        node = self.maker.get(name)
        if node is None or node.op not in COMBINE or not depth or len(node.inputs) != 2 or node.domain:
            return None
        parts = [self.polynomial(part, symbols, depth - 1) for part in node.inputs]
        return None if None in parts else COMBINE[node.op](*parts)


# Polynomials -----------------------------------------------------------------------------------------------

def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    return {powers: a.get(powers, 0) + b.get(powers, 0) for powers in {**a, **b}}


def _minus(a: Polynomial, b: Polynomial) -> Polynomial:
    return _plus(a, {powers: -value for powers, value in b.items()})


def _times(a: Polynomial, b: Polynomial) -> Polynomial | None:
    product: Polynomial = {}
    for (x1, t1), left in a.items():
        for (x2, t2), right in b.items():
            powers = x1 + x2, t1 + t2
            product[powers] = product.get(powers, 0) + left * right
    return None if any(x + t > LARGEST for x, t in product) else product


def _over(a: Polynomial, b: Polynomial) -> Polynomial | None:
    divisor = _constant(b)
    return {powers: value / divisor for powers, value in a.items()} if divisor else None


def _power(a: Polynomial, b: Polynomial) -> Polynomial | None:
    exponent = _constant(b)
    if exponent not in (1, 2, 3):
        return None
    product: Polynomial | None = a
    for _ in range(int(exponent) - 1):
        product = _times(product, a) if product else None
    return product


def _constant(a: Polynomial) -> float | None:
    return a[0, 0] if set(a) == {(0, 0)} else None


def _same(a: Polynomial | None, b: Polynomial) -> bool:
    if a is None:
        return False
    least = min(map(abs, b.values()))
    return all(abs(a.get(powers, 0) - b.get(powers, 0)) <= CLOSE * abs(b.get(powers, least))
               for powers in {**a, **b})


COMBINE: Mapping[str, Callable[[Polynomial, Polynomial], Polynomial | None]] = {
    "Add": _plus, "Sub": _minus, "Mul": _times, "Div": _over, "Pow": _power}
X: Polynomial = {(1, 0): 1.0}
T: Polynomial = {(0, 1): 1.0}
ERF: Polynomial = {(1, 0): sqrt(1 / 2)}
TANH: Polynomial = {(1, 0): sqrt(2 / pi), (3, 0): sqrt(2 / pi) * 0.044715}
GELU: Polynomial = {(1, 0): 0.5, (1, 1): 0.5}
"""x / 2 * (1 + t) with t = erf(x / sqrt(2)), or tanh(sqrt(2 / pi) * (x + 0.044715 x^3)) (Hendrycks and Gimpel
2016)."""


# Patterns: each takes the node that bends x, and gives the one that stands for the whole --------------------

def _gelu(bent: Polynomial, approximate: str) -> Callable[[_Nodes, Node], Node | None]:
    def match(nodes: _Nodes, node: Node) -> Node | None:
        for x in _ancestors(nodes, node.inputs[0]):
            if _same(nodes.polynomial(node.inputs[0], {x: X}), bent):
                return _whole(nodes, node, x, GELU, "Gelu", {"approximate": approximate})
        return None
    return match


def _hard_swish(nodes: _Nodes, node: Node) -> Node | None:
    """x * hard_sigmoid(x) with alpha 1/6 and beta 1/2."""
    alpha, beta = node.attrs.get("alpha", 0.2), node.attrs.get("beta", 0.5)
    if abs(alpha * 6 - 1) > CLOSE or abs(beta - 0.5) > CLOSE:
        return None
    return _whole(nodes, node, node.inputs[0], {(1, 1): 1.0}, "HardSwish", {})


def _clipped_hard_swish(nodes: _Nodes, node: Node) -> Node | None:
    """x * relu6(x + 3) / 6"""
    bounds = [node.attrs.get(name, nodes.number(node.inputs[i]) if i < len(node.inputs) else None)
              for i, name in ((1, "min"), (2, "max"))]
    if bounds != [0, 6]:
        return None
    for x in _ancestors(nodes, node.inputs[0]):
        if _same(nodes.polynomial(node.inputs[0], {x: X}), {(1, 0): 1.0, (0, 0): 3.0}):
            return _whole(nodes, node, x, {(1, 1): 1 / 6}, "HardSwish", {})
    return None


def _ancestors(nodes: _Nodes, name: str) -> Iterator[str]:
    """What the value is computed from, by steps that polynomials have, the nearest first."""
    seen = [name]
    for value in seen:
        yield value
        node = nodes.maker.get(value)
        if node is not None and node.op in COMBINE and len(seen) < MOST:
            seen += [part for part in dict.fromkeys(node.inputs)
                     if part not in seen and nodes.number(part) is None]


def _whole(nodes: _Nodes, bent: Node, x: str, wanted: Polynomial, op: str, attrs) -> Node | None:
    """The node behind `bent` whose value is the wanted polynomial of x and of what bent makes, as one op."""
    t, seen = bent.outputs[0], [bent.outputs[0]]
    for value in seen:
        for reader in nodes.readers.get(value, ()):
            if reader.op in COMBINE and reader.outputs[0] not in seen and len(seen) < MOST:
                if _same(nodes.polynomial(reader.outputs[0], {x: X, t: T}), wanted):
                    return replace(reader, op=op, inputs=(x,), attrs=attrs)
                seen.append(reader.outputs[0])
    return None


# Layer norm: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * gamma + beta ---------------------------

def _layer_norm(nodes: _Nodes, root: Node) -> Node | None:
    """From the square root: the variance before it, and what divides by it behind it."""
    stable = nodes.maker.get(root.inputs[0])
    if stable is None or stable.op != "Add":
        return None
    for variance, epsilon in (stable.inputs, stable.inputs[::-1]):
        centred, number = _variance(nodes, variance), nodes.number(epsilon)
        last = _divided(nodes, root, centred) if centred and number is not None else None
        if last is not None:
            last, gamma = _applied(nodes, last, "Mul")
            last, beta = _applied(nodes, last, "Add")
            return replace(last, op="MeanVarianceNormalization", inputs=(centred[0], gamma, beta),
                           attrs={"axes": centred[1], "epsilon": number})
    return None


def _mean(nodes: _Nodes, name: str) -> tuple[str, tuple[int, ...]] | None:
    """(x, axes) of a mean that keeps its axes."""
    node = nodes.maker.get(name)
    if node is None or node.op != "ReduceMean" or not node.attrs.get("keepdims", 1):
        return None
    axes = node.attrs.get("axes", nodes.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None)
    return None if axes is None else (node.inputs[0], tuple(int(axis) for axis in axes))


def _centred(nodes: _Nodes, name: str) -> tuple[str, tuple[int, ...]] | None:
    """(x, axes) of x - mean(x)."""
    node = nodes.maker.get(name)
    mean = _mean(nodes, node.inputs[1]) if node is not None and node.op == "Sub" else None
    return mean if mean and mean[0] == node.inputs[0] else None


def _variance(nodes: _Nodes, name: str) -> tuple[str, tuple[int, ...]] | None:
    """(x, axes) of the mean of (x - mean(x))^2, both means over the same axes."""
    mean = _mean(nodes, name)
    square = nodes.maker.get(mean[0]) if mean else None
    if square is None or not (square.op == "Mul" and square.inputs[0] == square.inputs[1]
                              or square.op == "Pow" and nodes.number(square.inputs[1]) == 2):
        return None
    centred = _centred(nodes, square.inputs[0])
    same = centred is not None and centred[1] == mean[1] and centred[0] not in nodes.constants
    return centred if same else None


def _divided(nodes: _Nodes, root: Node, centred: tuple[str, tuple[int, ...]]) -> Node | None:
    """The node that divides what is centred by the root, or multiplies it by its reciprocal."""
    one = nodes.read_by(root.outputs[0], "Reciprocal")
    divides = nodes.read_by(one.outputs[0], "Mul") if one else nodes.read_by(root.outputs[0], "Div")
    if divides is None:
        return None
    dividends = divides.inputs if one else divides.inputs[:1]
    return divides if any(_centred(nodes, name) == centred for name in dividends) else None


def _applied(nodes: _Nodes, last: Node, op: str) -> tuple[Node, str]:
    """(the next node, its constant) where a constant is multiplied or added; else what was the last, and no
    constant."""
    reader = nodes.read_by(last.outputs[0], op)
    constants = [name for name in reader.inputs if _is_real(nodes, name)] if reader else []
    return (reader, constants[0]) if constants else (last, "")


def _is_real(nodes: _Nodes, name: str) -> bool:
    return name in nodes.constants and nodes.constants[name].dtype == np.float32


PATTERNS: Mapping[str, Callable[[_Nodes, Node], Node | None]] = {
    "Erf": _gelu(ERF, "none"),
    "Tanh": _gelu(TANH, "tanh"),
    "HardSigmoid": _hard_swish,
    "Clip": _clipped_hard_swish,
    "Sqrt": _layer_norm,
}
"""Operator that bends x -> how the whole is recognised."""
