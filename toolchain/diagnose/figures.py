"""Figures of one tensor, gathered batch by batch: float values beside what the codes say."""

from dataclasses import dataclass, field

import numpy as np

from toolchain.ir.quant import RANGE, QuantParams, dequantize
from toolchain.paired import sqnr_db

FEW_CODES = 16
"""A channel with fewer codes than these is starved: 4 bits are left of 8."""


@dataclass(eq=False)
class Similarity:
    """Of values to those they should be: mean SQNR over samples, and the cosine over all."""

    db: list[np.ndarray] = field(default_factory=list)
    products: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def add(self, exact: np.ndarray, found: np.ndarray) -> None:
        """Of a batch (n, ...)."""
        if not np.isfinite(found).all():
            self.db.append(np.full(len(exact), -np.inf))
            return
        a, b = np.asarray(exact, np.float64).ravel(), np.asarray(found, np.float64).ravel()
        self.db.append(sqnr_db(exact, found))
        self.products += (a @ a, b @ b, a @ b)

    @property
    def sqnr_db(self) -> float:
        return float(np.concatenate(self.db).mean())

    @property
    def cosine(self) -> float:
        """1 where both are zero, 0 where one is."""
        exact, found, dot = self.products
        if exact == 0 or found == 0:
            return float(exact == found)
        return float(dot / np.sqrt(exact * found))


class Spread:
    """How float values lie in the reach of their codes, and by channel (the last axis)."""

    def __init__(self, quant: QuantParams, channels: int):
        self.quant = quant
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.sums, self.beyond = np.zeros(3), 0
        codes = RANGE[quant.dtype]
        self.used = np.zeros(codes[1] - codes[0] + 1, bool)
        self.reach = tuple(map(float, dequantize(np.array(codes), quant)))

    def add(self, values: np.ndarray, codes: np.ndarray) -> None:
        """values: float, (n, ..., channels);  codes: what the quantized network has there"""
        rows = values.reshape(-1, len(self.low))
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        flat = values.astype(np.float64).ravel()
        self.sums += (flat.size, flat.sum(), flat @ flat)
        half = float(self.quant.scale) / 2
        self.beyond += int(((flat < self.reach[0] - half) | (flat > self.reach[1] + half)).sum())
        self.used[np.asarray(codes, np.int64).ravel() - RANGE[self.quant.dtype][0]] = True

    @property
    def widths(self) -> np.ndarray:
        """Of each channel, 0 included: what its values need of the range."""
        return np.maximum(self.high, 0) - np.minimum(self.low, 0)

    def figures(self) -> dict[str, float]:
        """What `findings.Layer` says of it."""
        low, high = float(self.low.min()), float(self.high.max())
        reach = self.reach[1] - self.reach[0]
        return {"codes_used": float(self.used.mean()), "range_used": (high - low) / reach, "low": low,
                "high": high, "code_low": self.reach[0], "code_high": self.reach[1],
                "saturated": self.beyond / float(self.sums[0]), "tail": self._tail(low, high),
                **self._by_channel()}

    def _tail(self, low: float, high: float) -> float:
        count, total, squares = self.sums
        mean = total / count
        deviation = np.sqrt(max(squares / count - mean**2, 0))
        return float(max(high - mean, mean - low) / deviation) if deviation else 0.0

    def _by_channel(self) -> dict[str, float]:
        alive, widths = self.high > self.low, self.widths
        middle = float(np.median(widths[alive])) if alive.any() else 0.0
        starved = widths[alive] < FEW_CODES * float(self.quant.scale)
        return {"channels": len(widths), "dead": int((~alive).sum()), "widest": int(widths.argmax()),
                "spread": float(widths.max()) / middle if middle else 1.0,
                "starved": float(starved.mean()) if alive.any() else 0.0}


def weight_figures(weight: np.ndarray, coded: np.ndarray, scale: np.ndarray, axis: int) -> dict[str, float]:
    """Of weights beside the reals of their codes.

    scale: one, or one for each slice along `axis`; repaired counts those raised above what the weights need
    """
    rows, back = (np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1) for w in (weight, coded))
    needed = np.abs(rows).max(axis=1) / 127
    raised = (np.ravel(scale) > 1.01 * needed) & (needed > 0) & (np.size(scale) == len(rows))
    return {"weight_db": float(sqnr_db(weight[None], coded[None])[0]),
            "worst_weight": int(sqnr_db(rows, back).argmin()), "repaired": int(raised.sum())}
