"""When a network answers before all of it has run: the rule, on codes and on reals, and nothing else of it.

A chain is made of stages. After each but the last its logits are looked at: are they sure enough, they are
the answer. Sure is what the softmax says at a temperature T (Guo et al. 2017, eq. 9):

    confidence = max_i exp(l_i / T) / sum_i exp(l_i / T) = 1 / sum_i exp((l_i - l_max) / T)

so that confidence >= t just where sum_i exp((l_i - l_max) / T) <= 1 / t. Logits of a quantized network are
codes q with l = scale * (q - zero_point), and l_i - l_max = -scale * (q_max - q_i) takes 256 values. Hence

    doubt(q) = sum_i table[q_max - q_i],   table[d] = round(ONE * exp(-d * scale / T)), 0 beyond its end
    the stage answers where doubt(q) <= bound

with whole numbers alone: hosts and devices decide alike, bit for bit (tk_doubt_s8.h is this in C). Confidence
is ONE / doubt. On reals the sum is that of ONE * exp((l_i - l_max) / T) in float64.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

ONE = 1 << 16
"""What 1 is in doubts: those of up to MOST_CLASSES classes fit 32 bits."""
MOST_CLASSES = ONE - 1
CODES = 256
"""Distances between int8 codes."""

Entry = Annotated[int, msgspec.Meta(ge=1, le=ONE)]


class Policy(msgspec.Struct, frozen=True):
    """When a stage's logits are the answer.

    temperature: by which they are divided before the softmax
    bound:       most doubt, in parts of ONE, with which the stage answers; below ONE it never does
    table:       of codes: table[d] as above, without the zeros behind; () where logits are reals
    """

    temperature: Annotated[float, msgspec.Meta(gt=0, lt=1e6)]
    bound: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    table: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=CODES)] = ()

    @property
    def threshold(self) -> float:
        """The least confidence with which the stage answers; above 1 where it never does."""
        return ONE / self.bound if self.bound else float("inf")

    def doubts(self, logits: np.ndarray) -> np.ndarray:
        """(n,) of logits (n, classes): int64 of codes, float64 of reals."""
        if not self.table:
            return doubts_of_reals(logits, self.temperature)
        return doubts_of_codes(logits, self.table)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the stage answers with logits (n, classes)."""
        return self.doubts(logits) <= self.bound


def table_of(scale: float, temperature: float) -> tuple[int, ...]:
    """What a distance of so many codes adds to the doubt: table[0] = ONE, falling, without zeros."""
    with np.errstate(under="ignore"):
        real = ONE * np.exp(-np.arange(CODES) * (float(scale) / temperature))
    entries = np.floor(real + 0.5).astype(np.int64)
    return tuple(entries[:np.count_nonzero(entries)].tolist())


def doubts_of_codes(codes: np.ndarray, table: Sequence[int]) -> np.ndarray:
    """(n,) int64 of int8 codes (n, classes)."""
    entries = np.zeros(CODES, np.int64)
    entries[:len(table)] = table
    wide = codes.astype(np.int64)
    return entries[wide.max(axis=1, keepdims=True) - wide].sum(axis=1)


def doubts_of_reals(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(n,) float64 of reals (n, classes)."""
    wide = np.asarray(logits, np.float64)
    with np.errstate(under="ignore"):
        return ONE * np.exp((wide - wide.max(axis=1, keepdims=True)) / temperature).sum(axis=1)
