"""How two artefacts compare on one device: a record beside their measurements."""

from typing import Literal

import msgspec

Verdict = Literal["faster", "slower", "no difference told"]
"""Of B against A."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Artefact B against artefact A, timed in turn in the same processes, in CPU time.

    ratio:     B's time over A's; 1.1 is 10 % slower
    low, high: ends of its interval, at 1 - alpha
    p:         of the two-sided test that they are equal
    least:     the relative difference that this run would have told with probability `power`
    processes: each start is one sample
    """

    ratio: float
    low: float
    high: float
    p: float
    verdict: Verdict
    least: float
    processes: int
    alpha: float
    power: float
    schema: str = "edge.comparison"
    schema_version: int = 1
