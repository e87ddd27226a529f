"""GELU as people write it out: x / 2 * (1 + erf(x / sqrt(2))) (Hendrycks and Gimpel 2016), its factors in any
order."""

from dataclasses import dataclass
from math import isclose, sqrt

from toolchain.load.fx_names import op_name

CLOSE = 1e-3
"""How far a written number may be from sqrt(2), as a share."""


@dataclass(frozen=True, eq=False)
class WrittenGelu:
    """last = GELU(x), nodes of torch.fx; insides: those between them, which nothing else reads."""

    x: object
    last: object
    insides: frozenset


def written_gelus(graph) -> dict[object, WrittenGelu]:
    """Last node -> what it stands for."""
    found = [_around(node) for node in graph.nodes if op_name(node) == ("erf", False)]
    return {gelu.last: gelu for gelu in found if gelu is not None}


def _around(erf) -> WrittenGelu | None:
    x, end = _scaled(erf.args[0], sqrt(1 / 2)), _sole_reader(erf)
    if x is None or len(erf.args[0].users) > 1 or end is None or not _adds_one(end):
        return None
    insides, half, whole = {erf.args[0], erf}, False, False
    while not (half and whole):
        insides.add(end)
        last, end = end, _sole_reader(end)
        other = _other_operand(end, last) if end is not None else None
        if other is x and not whole:
            whole = True
        elif _is_node(other) and not half and not whole and _scaled(other, 0.5) is x:
            half = whole = True
            insides |= {other} if len(other.users) == 1 else set()
        elif end is not None and not half and _scaled(end, 0.5) is last:
            half = True
        else:
            return None
    return WrittenGelu(x, end, frozenset(insides))


def _is_node(value) -> bool:
    return hasattr(value, "users")


def _sole_reader(node):
    return next(iter(node.users)) if len(node.users) == 1 else None


def _adds_one(node) -> bool:
    return op_name(node) == ("add", False) and 1 in node.args and not node.kwargs


def _other_operand(node, operand):
    """What a product multiplies `operand` with; None where the node is no product."""
    if op_name(node) != ("mul", False):
        return None
    return node.args[1] if node.args[0] is operand else node.args[0]


def _scaled(node, factor: float):
    """x where the node is x * factor or x / (1 / factor)."""
    if not _is_node(node) or len(node.args) != 2 or node.kwargs:
        return None
    op, (a, b) = op_name(node), node.args
    if op == ("mul", False) and isinstance(a, float | int):
        a, b = b, a
    wanted = {("mul", False): factor, ("div", False): 1 / factor}.get(op)
    number = _is_node(a) and isinstance(b, float | int) and wanted is not None
    return a if number and isclose(b, wanted, rel_tol=CLOSE) else None
