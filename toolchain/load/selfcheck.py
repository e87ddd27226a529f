"""The check that every load ends with: our reference against the runtime that the model came from."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np

from toolchain.errors import SelfCheckFailed
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph, Op
from toolchain.runtime import reference

TOLERANCE = 1e-4
"""Largest allowed |reference - source runtime|, as a share of the output's range."""
SEED = 20180901

Arrays = Mapping[str, np.ndarray]
Oracle = Callable[[Arrays, Collection[str]], Arrays]
"""(feeds in the source's layout, inner tensors wanted) -> outputs, and those of the wanted that it has."""


def self_check(literal: Graph, graph: Graph, oracle: Oracle, example: Arrays | None = None) -> float:
    """Run source and reference on the same input; return the worst error as a share of the output's range.

    literal: as the door gave it, in the source's layout;  graph: after the layout pass
    Raises SelfCheckFailed naming the first tensor that diverges.
    """
    feeds = example or _noise(literal)
    if level_of(literal) == "QUANTIZED":
        return _check_codes(literal, oracle, feeds)
    expected = oracle(feeds, ())
    perm = graph.permutations.get
    inner = {name: _permuted(feeds[name], perm(name), inverse=True) for name in graph.inputs}
    got = reference.run(graph, inner)
    errors = {name: _error(_permuted(got[name], perm(name)), expected[name]) for name in graph.outputs}
    worst = max(errors.values())
    if not worst <= TOLERANCE:
        name = max(errors, key=errors.get)
        raise SelfCheckFailed(
            f"{graph.name}: output {name} differs from the source by {worst:.2g} of its range "
            f"(allowed {TOLERANCE:g}); {_first_divergence(literal, oracle, feeds)}. "
            f"This is a bug in a door: please report it with the model")
    return worst


def _noise(graph: Graph) -> dict[str, np.ndarray]:
    """One seeded sample: standard normal floats, or codes over the whole range."""
    rng, feeds = np.random.default_rng(SEED), {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if tensor.dtype == "float32":
            feeds[name] = rng.standard_normal(tensor.shape, np.float32)
        else:
            info = np.iinfo(tensor.dtype)
            feeds[name] = rng.integers(info.min, info.max, tensor.shape, tensor.dtype, endpoint=True)
    return feeds


def _permuted(value: np.ndarray, perm: tuple[int, ...] | None, inverse: bool = False) -> np.ndarray:
    if perm is None:
        return value
    return value.transpose(np.argsort(perm) if inverse else perm)


def _error(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, as a share of the expected values' range (their magnitude where all are alike)."""
    if got.shape != expected.shape:
        return float("inf")
    spread = float(expected.max() - expected.min()) or float(np.abs(expected).max()) or 1.0
    return float(np.abs(got.astype(np.float64) - expected).max()) / spread


def _first_divergence(literal: Graph, oracle: Oracle, feeds: Arrays) -> str:
    """Walk the literal graph, which is in the source's layout, beside the source runtime."""
    names = [op.name for op in literal.ops]
    theirs = oracle(feeds, names)
    ours = reference.run(literal, feeds, keep=names)
    for op in literal.ops:
        if op.name in theirs and not _error(ours[op.name], np.asarray(theirs[op.name])) <= TOLERANCE:
            return f"the first tensor that diverges is {op.name} ({op.kind})"
    return "every inner tensor that both know agrees before the layout pass"


def _check_codes(literal: Graph, oracle: Oracle, feeds: Arrays) -> float:
    """Check an integer graph op by op, each on the source's own inputs, so that one code does not snowball.

    All codes are equal, except that LiteRT requantizes FULLY_CONNECTED in float and may be one code away.
    """
    theirs = {**feeds, **oracle(feeds, [op.name for op in literal.ops])}
    worst = 0
    for op in literal.ops:
        single = _alone(literal, op)
        if not all(name in theirs for name in (*single.inputs, op.name)):
            continue
        ours = reference.run(single, {name: theirs[name] for name in single.inputs})[op.name]
        off = float(np.abs(ours.astype(np.float64) - theirs[op.name]).max())
        if off > _allowed(literal, op):
            raise SelfCheckFailed(
                f"{literal.name}: {op.name} ({op.kind}) differs from LiteRT's reference kernel "
                f"by {off:g} codes. This is a bug in a door: please report it with the model")
        worst = max(worst, off)
    return worst / 255


def _alone(graph: Graph, op: Op) -> Graph:
    """A graph of this op only."""
    inputs = tuple(dict.fromkeys(n for n in op.inputs if not graph.tensors[n].is_constant))
    return replace(graph, inputs=inputs, outputs=(op.name,), permutations={}).with_ops((op,))


def _allowed(graph: Graph, op: Op) -> float:
    tensor = graph.tensors[op.name]
    if tensor.dtype == "float32":
        return 1e-5 * max(1.0, 255 * float(graph.tensors[op.inputs[0]].quant.scale))
    return 1.0 if op.kind == "fully_connected" else 0.0
