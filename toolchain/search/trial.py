"""What a search knows of a point that was tried."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from toolchain.search_section import Value


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a recipe.

    figures:  quantity -> what was measured; without accuracy_drop where training was spared
    refused:  why there is none: a recipe that contradicts itself, a network that does not fit its target
    standard_error, n, unit: of accuracy_drop: over n selection samples
    epochs:   of training, with those of what it goes on from
    measured: of what and where: device, runtime, whether emulated
    recipe_digest, artifact_digest: of what was measured
    key:      of the outcome, by content
    seconds:  that it took
    """

    figures: dict[str, float] = {}
    refused: str = ""
    standard_error: float = 0.0
    n: int = 0
    unit: str = ""
    epochs: int = 0
    measured: str = ""
    recipe_digest: str = ""
    artifact_digest: str = ""
    key: str = ""
    seconds: float = 0.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A point that was asked for, or will be.

    point:   variable -> its value
    rung:    0 for a new one; else how often it went on to be tuned for longer
    of:      number of the trial that it goes on from: in its place, tuned for longer, or from its weights
    state:   "waits" to be asked for; "runs" while somebody is, or was, at it; "done"
    worker:  name of the lease of whoever began it, or took it up, last; "" where nobody is known to be at it
    outcome: of one that is done
    """

    number: int
    point: Mapping[str, Value]
    rung: int = 0
    of: int | None = None
    state: Literal["waits", "runs", "done"] = "done"
    worker: str = ""
    outcome: Outcome | None = None
