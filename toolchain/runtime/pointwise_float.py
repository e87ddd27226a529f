"""Element by element in float32: curves of one operand and arithmetic of two. Kernels as in kernels_float.py.

Arithmetic and comparisons take whole numbers too, and then give whole numbers.
"""

from collections.abc import Callable

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.ops import RELATIONS
from toolchain.ir.quant import ACTIVATION_RANGE

Kernel = Callable[..., np.ndarray]

ERF_NUMERATOR = (1.128379143519084, 1.8520832239976145e-1, 5.0955695062380861e-2, 3.4082910107109506e-3,
                 2.2905065861350646e-4)
ERF_DENOMINATOR = (1.0, 4.9746925110067538e-1, 1.1098505178285362e-1, 1.4070470171167667e-2,
                   1.0179625278914885e-3, 2.3547966471313185e-5, -1.1791602954361697e-7)
ERF_IS_ONE = 3.7439211627767994
"""From here on erf rounds to 1 in float32."""


def activate(y: np.ndarray, activation: str | None) -> np.ndarray:
    """Clamp in place to the fused activation's range."""
    low, high = ACTIVATION_RANGE[activation]
    return y if low is high is None else np.clip(y, low, high, out=y)


def arithmetic(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Kernel:
    """A kernel of two operands with a fused activation."""
    return lambda op, a, b: activate(function(a, b), op.attrs["activation"])


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whole numbers are cut towards zero, as C divides them."""
    return np.trunc(a / b).astype(a.dtype) if a.dtype.kind == "i" else a / b


def compare(op: Op, a, b) -> np.ndarray:
    return RELATIONS[op.attrs["relation"]](a, b)


def leaky_relu(op: Op, x) -> np.ndarray:
    return prelu(op, x, np.float32(op.attrs["alpha"]))


def prelu(op: Op, x, alpha) -> np.ndarray:
    return np.where(x > 0, x, x * alpha)


def elu(op: Op, x) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def erf(x: np.ndarray) -> np.ndarray:
    """Within 2e-7 of the error function: x P(x^2) / Q(x^2), Eigen's generic_fast_erf_float, in double."""
    x = np.asarray(x, np.float64)
    square = np.minimum(x * x, ERF_IS_ONE**2)
    top, bottom = (np.polynomial.polynomial.polyval(square, c) for c in (ERF_NUMERATOR, ERF_DENOMINATOR))
    return np.where(np.abs(x) < ERF_IS_ONE, x * top / bottom, np.sign(x))


def gelu(op: Op, x) -> np.ndarray:
    """x * Phi(x); approximate: by tanh (Hendrycks and Gimpel 2016)."""
    if op.attrs["approximate"]:
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
        return (np.float32(0.5) * x * (1 + np.tanh(inner))).astype(np.float32)
    return (0.5 * x * (1 + erf(x * np.sqrt(0.5)))).astype(np.float32)


def hard_swish(op: Op, x) -> np.ndarray:
    return x * np.clip(x + 3, 0, 6) / np.float32(6)


def softplus(op: Op, x) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def logistic(op: Op, x) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softmax(op: Op, x) -> np.ndarray:
    y = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(op.attrs["beta"]))
    return y / y.sum(axis=-1, keepdims=True)


def log_softmax(op: Op, x) -> np.ndarray:
    below = x - x.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
