"""Einstein's sums of two operands as products of matrices (ONNX operator specification, Einsum)."""

from collections.abc import Mapping, Sequence
from math import prod

from toolchain.load.onnx_call import Call, Rule


def einsum(call: Call) -> str:
    """Axes in both operands and in the result run along; axes only in both are summed over."""
    equation = call.attr("equation", "").replace(" ", "")
    subscripts, _, out = equation.partition("->")
    terms = subscripts.split(",")
    plain = len(terms) == len(call.inputs) == 2 and "->" in equation and "." not in equation
    call.require(plain and all(len(set(term)) == len(term) for term in (*terms, out)),
                 f"sums {equation}; only two operands, each axis once, with '->' have a row")
    a, b = terms
    call.require(set(a) ^ set(b) <= set(out) <= set(a) | set(b),
                 f"sums {equation}: an axis of one operand only; sum over it first")
    sizes = {axis: n for side, term in enumerate(terms)
             for axis, n in zip(term, call.shape(call.operand(side)), strict=True)}
    along = [axis for axis in out if axis in a and axis in b]
    summed = [axis for axis in a if axis in b and axis not in out]
    rows, columns = ([axis for axis in term if axis in out and axis not in along] for term in terms)
    left = _matrix(call, 0, a, (along, rows, summed), sizes)
    right = _matrix(call, 1, b, (along, summed, columns), sizes)
    product = call.emit("batch_matmul", [left, right], "matmul")
    made = [*along, *rows, *columns]
    apart = call.emit("reshape", [product], "apart", shape=tuple(sizes[axis] for axis in made))
    return call.emit("transpose", [apart], perm=tuple(made.index(axis) for axis in out))


def _matrix(call: Call, side: int, term: str, groups: Sequence[Sequence[str]],
            sizes: Mapping[str, int]) -> str:
    """An operand with its axes in the order of `groups` (along, rows, columns), rows and columns merged."""
    along, *matrix = groups
    perm = tuple(term.index(axis) for group in groups for axis in group)
    turned = call.emit("transpose", [call.operand(side)], f"turned{side}", perm=perm)
    shape = (*(sizes[axis] for axis in along), *(prod(sizes[axis] for axis in group) for group in matrix))
    return call.emit("reshape", [turned], f"matrix{side}", shape=shape)


EINSUM: Mapping[str, Rule] = {"Einsum": einsum}
