"""Kinds of op that TFLite has no operator for, or that some runtime gets wrong, as operators that it has."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.lower.rewriting import Rewriting


def _softplus(rewriting: Rewriting, op: Op) -> None:
    """log(1 + exp(x)) = max(x, 0) - log(logistic(|x|)), in which nothing overflows."""
    (x,) = op.inputs
    magnitude = rewriting.inner("abs", [x], f"{op.name}.abs")
    logistic = rewriting.inner("logistic", [magnitude], f"{op.name}.logistic")
    log = rewriting.inner("log", [logistic], f"{op.name}.log")
    positive = rewriting.inner("relu", [x], f"{op.name}.relu")
    rewriting.last("sub", [positive, log], op.name)


def _batch_norm(rewriting: Rewriting, op: Op) -> None:
    """x * factor + offset, with factor = gamma / sqrt(variance + epsilon)."""
    gamma, beta, mean, variance = (t.data.astype(np.float64) for t in rewriting.old.of(op)[1:])
    factor = gamma / np.sqrt(variance + op.attrs["epsilon"])
    scaled = rewriting.inner(
        "mul", [op.inputs[0], rewriting.constant(f"{op.name}.factor", factor.astype(np.float32))],
        f"{op.name}.scaled")
    offset = rewriting.constant(f"{op.name}.offset", (beta - mean * factor).astype(np.float32))
    rewriting.last("add", [scaled, offset], op.name)


def _layer_norm(rewriting: Rewriting, op: Op) -> None:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, the variance from the centred values."""
    x, gamma, beta = op.inputs
    over = {"axes": op.attrs["axes"], "keepdims": True}
    mean = rewriting.inner("mean", [x], f"{op.name}.mean", **over)
    centred = rewriting.inner("sub", [x, mean], f"{op.name}.centred")
    squares = rewriting.inner("mul", [centred, centred], f"{op.name}.squares")
    variance = rewriting.inner("mean", [squares], f"{op.name}.variance", **over)
    epsilon = rewriting.constant(f"{op.name}.epsilon", np.float32([op.attrs["epsilon"]]))
    safe = rewriting.inner("add", [variance, epsilon], f"{op.name}.safe")
    reciprocal = rewriting.inner("rsqrt", [safe], f"{op.name}.rsqrt")
    normal = rewriting.inner("mul", [centred, reciprocal], f"{op.name}.normal")
    scaled = rewriting.inner("mul", [normal, gamma], f"{op.name}.scaled")
    rewriting.last("add", [scaled, beta], op.name)


EXPANSIONS: Mapping[str, Callable[[Rewriting, Op], None]] = {
    "softplus": _softplus, "batch_norm": _batch_norm, "layer_norm": _layer_norm}


def expanded(rewriting: Rewriting, op: Op) -> bool:
    """Emit an op of a kind without an operator as operators."""
    if op.kind not in EXPANSIONS:
        return False
    EXPANSIONS[op.kind](rewriting, op)
    return True


def with_slopes(rewriting: Rewriting, op: Op) -> bool:
    """prelu with one slope for all channels gets one for each: tflite-runtime 2.14 reads beyond a single
    one."""
    if op.kind != "prelu":
        return False
    x, alpha = (rewriting.tensors[name] for name in op.inputs)
    channels = x.shape[-1]
    if not alpha.is_constant or alpha.shape[-1:] != (1,) or channels == 1:
        return False
    slopes = np.broadcast_to(alpha.data, (*alpha.shape[:-1], channels))
    rewriting.last("prelu", [x.name, rewriting.constant(alpha.name, slopes, alpha.quant)], op.name)
    return True
