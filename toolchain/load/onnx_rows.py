"""Stacks: the last states (D, 1, H) of D recurrent layers that have nothing to do with each other.

Who reads some of these states gets those states: cut out of the whole, they would be tied to all others, for
training and pruning too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.load.onnx_call import Call, Rule
from toolchain.load.onnx_fold import fold
from toolchain.load.onnx_moves import MOVES


def stacked(call: Call, rows: Sequence[str], output: str) -> str:
    """States (1, H) as (rows, 1, H)."""
    return _placed(call, tuple(rows), (len(rows), 1, call.shape(rows[0])[1]), output)


def _placed(call: Call, rows: tuple[str, ...], shape: Sequence[int], output: str) -> str:
    whole = rows[0] if len(rows) == 1 else call.build.op("concat", rows, f"{output}:joined", axis=1)
    made = call.build.op("reshape", [whole], output, shape=shape)
    call.rows[made] = rows
    return made


def concat(call: Call) -> str | None:
    """Stacks one behind the other."""
    stacks = [call.rows.get(x) if isinstance(x, str) else None for x in call.inputs]
    if None in stacks or call.attr("axis") % call.rank(call.activation()):
        return None
    return stacked(call, [row for rows in stacks for row in rows], call.name)


def move(call: Call) -> str | None:
    """Numbers for the values go through the same node: where whole states stay together, these are it."""
    x, *others = call.inputs
    if x not in call.rows or any(isinstance(other, str) for other in others):
        return None
    rows, shape = call.rows[x], call.shape(x)
    width = call.shape(rows[0])[1]
    moved = fold(call.op, [np.arange(len(rows) * width).reshape(shape), *others], call.attrs)
    states = moved.reshape(-1, width) if moved.size % width == 0 else moved.reshape(-1, 1)
    if not moved.size or not np.array_equal(states % width, np.broadcast_to(np.arange(width), states.shape)):
        return None
    return _placed(call, tuple(rows[first] for first in states[:, 0] // width), moved.shape, call.name)


def _where_stacked(rule: Rule, otherwise: Rule) -> Rule:
    return lambda call: rule(call) or otherwise(call)


ROWS: Mapping[str, Rule] = {
    "Concat": _where_stacked(concat, MOVES["Concat"]),
    **{op: _where_stacked(move, MOVES[op])
       for op in ("Gather", "Slice", "Squeeze", "Unsqueeze", "Transpose", "Reshape", "Flatten", "Identity")},
}
"""Moves that know stacks."""
