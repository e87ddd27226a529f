"""The check that every load ends with: our reference against the runtime that the model came from."""

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from toolchain.errors import BadModel, SelfCheckFailed
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import PLAIN
from toolchain.ir.quant import RANGE
from toolchain.runtime import reference

TOLERANCE = 1e-4
"""Largest allowed |reference - source runtime|, as a share of the output's range."""
NARROWEST = 0.01
"""Least range that outputs are judged by, as a share of their magnitude: float32 rounding is no error."""
SEED = 20180901
_IN_FLOAT = frozenset({"fully_connected", "sum"})
ROUNDED_OTHERWISE: Mapping[str, frozenset[str]] = {
    "int8": _IN_FLOAT, "uint8": _IN_FLOAT | {"average_pool2d", "resize_bilinear", "concat"}}
"""dtype of the source's codes -> kinds that LiteRT may round to the code beside ours: it requantizes in
float, or rounds halves up, where for int8 it rounds them away from zero."""
PASS = "the layout pass changed it"
REPORT = "This is a bug in a door: please report it with the model"

Arrays = Mapping[str, np.ndarray]
Oracle = Callable[[Arrays, Collection[str]], Arrays]
"""(feeds in the source's layout, inner tensors wanted) -> outputs, and those of the wanted that it has."""


def self_check(literal: Graph, graph: Graph, oracle: Oracle, example: Arrays | None = None) -> float:
    """Run source and reference on the same input; return the worst error as a share of the output's range.

    literal: as the door gave it, in the source's layout;  graph: after the layout pass
    Raises SelfCheckFailed naming the first tensor that diverges.
    """
    feeds = example or noise(literal)
    if level_of(literal) == "QUANTIZED":
        worst = _check_codes(literal, oracle, feeds)
        before = reference.run(literal, feeds)
        _worst_output(graph, feeds, before, 0.0, "before the layout pass", lambda: PASS)
        return worst
    return _worst_output(graph, feeds, oracle(feeds, ()), TOLERANCE, "the source",
                         lambda: _first_divergence(literal, oracle, feeds))


def _worst_output(graph: Graph, feeds: Arrays, expected: Arrays, allowed: float, whose: str,
                  where: Callable[[], str]) -> float:
    """The worst error of the graph's outputs against `expected`, both in the source's layout."""
    perm = graph.permutations.get
    inner = {name: _permuted(feeds[name], perm(name), inverse=True) for name in graph.inputs}
    got = reference.run(graph, inner)
    errors = {name: share_of_range(_permuted(got[name], perm(name)), expected[name])
              for name in graph.outputs}
    name = max(errors, key=errors.get)
    if errors[name] > allowed:
        raise SelfCheckFailed(f"{graph.name}: output {name} differs from {whose} by {errors[name]:.2g} of "
                              f"its range (allowed {allowed:g}); {where()}. {REPORT}")
    return errors[name]


def noise(graph: Graph, count: int = 1) -> dict[str, np.ndarray]:
    """Seeded samples: standard normal floats, codes over their whole range, indices that every table has."""
    rng, tables = np.random.default_rng(SEED), _table_sizes(graph)
    draw = {"float32": lambda shape: rng.standard_normal(shape, np.float32),
            "bool": lambda shape: rng.integers(0, 2, shape).astype(bool)}
    feeds = {}
    for name in graph.inputs:
        dtype, shape = graph.tensors[name].dtype, (count, *graph.tensors[name].shape[1:])
        info = (0, min(tables, default=2) - 1) if dtype in PLAIN else RANGE[dtype]
        whole = partial(rng.integers, *info, dtype=dtype, endpoint=True)
        feeds[name] = draw.get(dtype, lambda shape, whole=whole: whole(size=shape))(shape)
    return feeds


def _table_sizes(graph: Graph) -> list[int]:
    """How many entries each gather can pick from."""
    return [graph.tensors[op.inputs[0]].shape[op.attrs["axis"]] for op in graph.ops if op.kind == "gather"]


def _permuted(value: np.ndarray, perm: tuple[int, ...] | None, inverse: bool = False) -> np.ndarray:
    if perm is None:
        return value
    return value.transpose(np.argsort(perm) if inverse else perm)


def share_of_range(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, as a share of the expected values' range (of NARROWEST of their magnitude where
    that is more, of their magnitude where all are alike).

    Infinite where the shapes differ or one is NaN or Inf where the other is not; 0 for values that both have.
    """
    if got.shape != expected.shape:
        return float("inf")
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True):
        return float("inf")
    got, expected = got[finite], expected[finite]
    if not got.size:
        return 0.0
    span, magnitude = float(np.ptp(expected)), float(np.abs(expected).max())
    spread = max(span, NARROWEST * magnitude) if span else magnitude or 1.0
    error = float(np.abs(got - expected).max()) / spread
    return error if np.isfinite(error) else float("inf")


def _first_divergence(literal: Graph, oracle: Oracle, feeds: Arrays) -> str:
    """Walk the literal graph, which is in the source's layout, beside the source runtime."""
    names = [op.name for op in literal.ops]
    theirs = oracle(feeds, names)
    ours = reference.run(literal, feeds, keep=names)
    for op in literal.ops:
        if op.name in theirs and share_of_range(ours[op.name], np.asarray(theirs[op.name])) > TOLERANCE:
            return f"the first tensor that diverges is {op.name} ({op.kind})"
    return f"every inner tensor that both know agrees, so {PASS}"


def _check_codes(literal: Graph, oracle: Oracle, feeds: Arrays) -> float:
    """Check an integer graph op by op, each on the source's own inputs, so that one code does not snowball.

    All codes are equal, but those of a kind in ROUNDED_OTHERWISE, 16-bit ones, and all of ONNX Runtime's,
    which requantizes in float: they may be one code away. Values that the source does not show are made of
    those before them.
    Returns the worst difference as a share of the output's codes (of its range, for floats).
    """
    computed = [op for op in literal.ops if not all(t.is_constant for t in literal.of(op))]
    theirs = {**feeds, **oracle(feeds, [op.name for op in computed])}
    unsigned = {name for name in theirs if name in literal.tensors
                and (theirs[name].dtype.name, literal.tensors[name].dtype) == ("uint8", "int8")}
    theirs |= {name: (theirs[name].astype(np.int16) - 128).astype(np.int8) for name in unsigned}
    known = [op for op in computed if op.name in theirs]
    singles = {op: unit(literal, op, theirs) for op in known}
    if not set(literal.outputs) <= {op.name for op in known}:
        raise SelfCheckFailed(f"{literal.name}: the source runtime does not show its inner tensors, so "
                              f"nothing could be checked. {REPORT}")
    return max(_op_error(op, singles[op], theirs, op.name in unsigned) for op in known if singles[op].inputs)


def _op_error(op: Op, single: Graph, theirs: Arrays, unsigned: bool) -> float:
    """Of one op on the source's inputs, as a share of its codes or its range.

    unsigned: the codes are uint8 in the source
    """
    result = single.tensors[op.name].dtype
    try:
        ours = reference.run_one(single, {name: theirs[name] for name in single.inputs})[op.name]
    except ValueError as error:
        raise BadModel(f"{single.name}: {op.name} ({op.kind}): {error}; quantize the network again") from None
    if ours.shape != theirs[op.name].shape:
        error, allowed = float("inf"), 0.0
    elif result in PLAIN:
        error, allowed = share_of_range(ours, theirs[op.name]), TOLERANCE
    else:
        codes = float(np.ptp(RANGE[result]))
        error = float(np.abs(ours.astype(np.float64) - theirs[op.name]).max()) / codes
        otherwise = ROUNDED_OTHERWISE["uint8" if unsigned or result == "uint8" else "int8"]
        kinds = {each.kind for each in single.ops}
        if "conv2d" in kinds and op.kind == "reshape":  # a fully connected layer of several rows
            kinds.add("fully_connected")
        rounded = single.source.format == "onnx" or result == "int16" or bool(otherwise & kinds)
        allowed = 1 / codes if rounded else 0.0
    if error > allowed:
        raise SelfCheckFailed(f"{single.name}: {op.name} ({op.kind}) differs from the source runtime's "
                              f"kernel by {error:.2g} of its range. {REPORT}")
    return error


def unit(graph: Graph, op: Op, known: Container[str]) -> Graph:
    """A graph of this op, and of those before it back to values that are known."""
    todo, needed, inputs = [op], {op.name}, {}
    while todo:
        for name in todo.pop().inputs:
            maker = graph.producers.get(name)
            if name in known or maker is None:
                inputs |= {} if graph.tensors[name].is_constant else {name: None}
            elif maker.name not in needed:
                needed.add(maker.name)
                todo.append(maker)
    ops = (op,) if len(needed) == 1 else (each for each in graph.ops if each.name in needed)
    return replace(graph, inputs=tuple(inputs), outputs=(op.name,), permutations={}).with_ops(ops)
