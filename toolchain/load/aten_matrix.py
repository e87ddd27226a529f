"""Linear layers and products of matrices."""

from collections.abc import Mapping
import math

import numpy as np

from toolchain.errors import Unsupported
from toolchain.load.aten_call import Call, Constant, Rule, activation, constant

MASKED = -1e4
"""Added to a score that attention may not see: its share of the softmax is 0."""


def linear(call: Call) -> str:
    weight = constant(call, "weight")
    return _dense(call, activation(call, "input"), weight, weight.array, "as it is", call["bias"])


def matmul(call: Call) -> str:
    """x @ constant matrix is a linear layer; other products are batch_matmul."""
    a, b = call.get("self"), call.get("other", "mat2")
    if isinstance(a, str) and isinstance(b, Constant) and b.array.ndim <= 2:
        return _times_matrix(call, a, b)
    return _product(call, a, b)


def _times_matrix(call: Call, x: str, matrix: Constant, bias: Constant | None = None) -> str:
    """x @ matrix + bias; a vector is a matrix of one column."""
    columns = matrix.array if matrix.array.ndim == 2 else matrix.array[:, None]
    return _dense(call, x, matrix, columns.T, "rows", bias)


def _product(call: Call, a, b, step: str = "") -> str:
    """Of matrices along the last two axes, one of them perhaps constant."""
    a, b = (call.tensor(value, role="matrix") for value in (a, b))
    call.require(min(len(call.shape(a)), len(call.shape(b))) >= 2,
                 f"multiplies {call.shape(a)} and {call.shape(b)}; unsqueeze the vector first")
    return call.part("batch_matmul", [a, b], step) if step else call.emit("batch_matmul", [a, b])


def _dense(call: Call, x: str, weight: Constant, rows: np.ndarray, layout: str,
           bias: Constant | None) -> str:
    """x @ rows.T + bias on the last axis. [N, I] goes through fully_connected, longer shapes through a 1x1
    conv2d."""
    shape = call.shape(x)
    call.require(len(shape) >= 2 and shape[-1] == rows.shape[1],
                 f"shapes {shape} and {rows.shape}; only [N, ..., I] with a matrix has a row")
    b = call.vector(bias, len(rows), 0.0, "bias")
    if len(shape) == 2:
        w = call.weight(weight, layout, rows, "weight")
        return _reshaped(call, "fully_connected", [x, w, b])
    w = call.weight(weight, layout + " 1x1", rows[:, None, None, :], "weight")
    if len(shape) != 4:
        image = (shape[0], 1, shape[1], shape[2]) if len(shape) == 3 else (
            shape[0], math.prod(shape[1:-2]), *shape[-2:])
        x = call.emit("reshape", [x], "image", shape=image)
    return _reshaped(call, "conv2d", [x, w, b])


def _reshaped(call: Call, kind: str, inputs: list[str]) -> str:
    """The op's result, behind a reshape where the call's has another shape."""
    x, rows = (call.shape(name) for name in inputs[:2])
    if (*x[:-1], rows[0]) == call.result:
        return call.emit(kind, inputs)
    return call.emit("reshape", [call.emit(kind, inputs, kind)], shape=call.result)


def add_product(call: Call) -> str:
    """addmm and baddbmm: beta * self + alpha * (a @ b)."""
    added, a, b = call["self"], call.get("mat1", "batch1"), call.get("mat2", "batch2")
    alpha, beta = call["alpha"], call["beta"]
    if isinstance(a, str) and all(isinstance(v, Constant) and v.array.ndim <= 2 for v in (added, b)):
        if (alpha, beta) == (1, 1) and added.array.shape in ((b.array.shape[1],), (1, b.array.shape[1])):
            return _times_matrix(call, a, b, Constant(added.name, added.array.reshape(-1)))
    product = _scaled(call, _product(call, a, b, "matmul"), alpha)
    if beta == 0:
        return product
    return call.emit("add", [product, _scaled(call, call.tensor(added, role="added"), beta)])


def _scaled(call: Call, x: str, factor: float) -> str:
    return x if factor == 1 else call.part("mul", [x, call.tensor(float(factor), role="factor")], "scaled")


# Einstein's sums --------------------------------------------------------------------------------------------

def einsum(call: Call) -> str:
    """Of two operands: axes in both and in the result run along, axes only in both are summed over."""
    equation, operands = call["equation"].replace(" ", ""), call["tensors"]
    subscripts, _, out = equation.partition("->")
    terms = subscripts.split(",")
    plain = len(terms) == 2 and "->" in equation and "." not in equation
    if not plain or any(len(set(term)) != len(term) for term in (*terms, out)):
        raise Unsupported(f"sums {equation}; only two operands, each axis once, with '->' have a row")
    a, b = terms
    call.require(set(a) ^ set(b) <= set(out) <= set(a) | set(b),
                 f"sums {equation}: an axis of one operand only; sum over it first")
    along = [axis for axis in out if axis in a and axis in b]
    summed = [axis for axis in a if axis in b and axis not in out]
    free = [[axis for axis in term if axis in out and axis not in along] for term in terms]
    sizes = {axis: n for term, value in zip(terms, operands) for axis, n in zip(term, _shape(call, value))}
    sides = [_matrix(call, value, term, order, sizes) for value, term, order in zip(
        operands, terms, ((along, free[0], summed), (along, summed, free[1])))]
    product = call.emit("batch_matmul", sides, "matmul")
    return _arranged(call, product, (*along, *free[0], *free[1]), out, sizes)


def _shape(call: Call, value) -> tuple[int, ...]:
    return value.array.shape if isinstance(value, Constant) else call.shape(value)


def _matrix(call: Call, value, term: str, groups, sizes: Mapping[str, int]) -> str:
    """An operand with its axes in the order of `groups` (along, rows, columns), rows and columns merged."""
    along, rows, columns = groups
    x = call.tensor(value, role="operand")
    perm = tuple(term.index(axis) for group in groups for axis in group)
    if perm != tuple(range(len(perm))):
        x = call.emit("transpose", [x], "ordered", perm=perm)
    shape = (*(sizes[axis] for axis in along), *(math.prod(sizes[a] for a in g) for g in (rows, columns)))
    return x if call.shape(x) == shape else call.emit("reshape", [x], "matrix", shape=shape)


def _arranged(call: Call, x: str, axes: tuple[str, ...], out: str, sizes: Mapping[str, int]) -> str:
    x = call.emit("reshape", [x], "apart", shape=tuple(sizes[axis] for axis in axes))
    return call.emit("transpose", [x], perm=tuple(axes.index(axis) for axis in out))


# Attention --------------------------------------------------------------------------------------------------

def attention(call: Call) -> str:
    """softmax(q k^T / sqrt(E) + mask) v (Vaswani et al. 2017, eq. 1)."""
    q, k, v = (call.tensor(call[name]) for name in ("query", "key", "value"))
    call.require(call["dropout_p"] == 0, "with dropout")
    if call.get("enable_gqa"):
        k, v = (_for_each_query(call, x, call.shape(q)[-3], role) for x, role in ((k, "keys"), (v, "values")))
    scale = call.get("scale") or 1 / math.sqrt(call.shape(q)[-1])
    scores = call.part("batch_matmul", [_scaled(call, q, scale), k], "scores", transpose_b=True)
    shares = call.part("softmax", [_masked(call, scores)], "softmax")
    return call.emit("batch_matmul", [shares, v])


def _for_each_query(call: Call, x: str, heads: int, role: str) -> str:
    """Keys or values of a few heads, each for as many of the queries' (Ainslie et al. 2023)."""
    own, rank = call.shape(x)[-3], len(call.shape(x))
    if own == heads:
        return x
    places = np.repeat(np.arange(own, dtype=np.int32), heads // own)
    heads_of = call.build.constant(f"{call.name}.{role}.heads", places)
    return call.part("gather", [x, heads_of], role, axis=rank - 3)


def _masked(call: Call, scores: str) -> str:
    """Scores with the mask added, or hidden where it is false."""
    mask = call["attn_mask"]
    if isinstance(mask, str) and call.dtype_of(mask) == "bool":
        return call.part("select", [mask, scores, call.tensor(MASKED, role="hidden")], "masked")
    added = mask if isinstance(mask, str) else _mask(call, call.shape(scores)[-2:])
    return scores if added is None else call.part("add", [scores, call.tensor(added, role="mask")], "masked")


def _mask(call: Call, size: tuple[int, int]) -> Constant | None:
    """What is added to the scores."""
    if call["is_causal"]:
        return Constant("", np.where(np.tri(*size, dtype=bool), 0, MASKED).astype(np.float32))
    if call["attn_mask"] is None:
        return None
    mask = call["attn_mask"].array
    hidden = np.where(mask, 0, MASKED) if mask.dtype == bool else np.maximum(mask, MASKED)
    return Constant("", hidden.astype(np.float32))


RULES: Mapping[str, Rule] = {
    "linear": linear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), add_product),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
