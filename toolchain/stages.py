"""Chains of stages: what a manifest says of them, and how they are run, whatever runs each.

The first stage always runs. After each but the last a policy looks at its logits: these are the answer, or
the next stage runs. What a stage takes is an input of the chain, or what an earlier stage has made, by name.
In a cascade each stage takes the inputs; with early exits a stage goes on from what the one before has made.
Stages that are apart are networks side by side: one of them runs, by a budget (levels.py), not by a policy.
"""

from collections.abc import Callable, Mapping, Sequence, Set
import hashlib
from pathlib import PurePath
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from toolchain.levels import Cost, Held, Levels
from toolchain.policy import Policy
from toolchain.port import Port

Arrays = Mapping[str, np.ndarray]
MULTIPLIER = 128
"""Of the stage whose logits have the largest scale: codes less their zero point are within +-255, so that
int16 holds the products."""


def stage_file(number: int, model: str) -> str:
    """What a stage's file is called, where a network that is no chain has one of the name `model`."""
    return f"stage_{number}{PurePath(model).suffix}"


def level_output(level: int, name: str) -> str:
    """What test vectors call an output of a chain that is held to a level."""
    return f"output@{level}/{name}"


def level_digest(digest: str, level: int) -> str:
    """Of a chain of this digest that is held to a level but its last: C that is compiled with a budget tells
    it, so that nobody takes one for another."""
    return hashlib.sha256(f"{digest}\n{level}".encode()).hexdigest()


def may_run(stages: int, apart: bool, level: int | None) -> range:
    """Which of so many stages run at most where the chain is held to a level: None is its last."""
    last = stages - 1 if level is None else level
    return range(last if apart else 0, last + 1)


class StageRecord(msgspec.Struct, frozen=True):
    """A stage as a manifest has it.

    inputs, outputs: format -> ports of that format's file, "graph" -> those of its Graph. An input is one of
                     the chain or an output of an earlier stage, by its name; the first output are the logits
    multiplier:      logits of the chain = multiplier * (code - zero_point) of the stage's; 1 for reals
    """

    inputs: dict[str, tuple[Port, ...]]
    outputs: dict[str, tuple[Port, ...]]
    multiplier: Annotated[int, msgspec.Meta(ge=1, le=MULTIPLIER)] = 1


class ChainRecord(msgspec.Struct, frozen=True):
    """A chain as a manifest has it.

    policies: of each stage but the last; () where stages are apart
    apart:    each is a network of its own, of which one runs
    levels:   what it can be held to, one for each stage; None in manifests of older toolchains
    level:    what it is held to; None is the last
    budget:   that the level was chosen by
    """

    stages: Annotated[tuple[StageRecord, ...], msgspec.Meta(min_length=2)]
    policies: tuple[Policy, ...]
    apart: bool = False
    levels: Levels | None = None
    level: Annotated[int, msgspec.Meta(ge=0)] | None = None
    budget: Cost | None = None

    @property
    def held(self) -> Held | None:
        """None where it is not."""
        if None in (self.levels, self.level, self.budget):
            return None
        return Held(self.budget, self.levels.unit, self.level)

    @property
    def may_run(self) -> range:
        """Numbers of the stages that run at most."""
        return may_run(len(self.stages), self.apart, self.level)

    def files(self, model: str) -> tuple[str, ...]:
        """Names of the stages' files, where a network that is none has one of the name `model`."""
        return tuple(stage_file(number, model) for number in range(len(self.stages)))

    def fits(self, formats: Set[str], given: Set[str]) -> bool:
        """Whether there is a policy for each stage but the last, none where stages are apart, a cost for
        each, none below the one before, and each has ports in every format, its inputs made by earlier stages
        or among what the chain is given."""
        known, last = set(given), len(self.stages) - 1
        costs = self.levels.costs if self.levels else (0,) * len(self.stages)
        if (self.level or 0) > last or len(costs) != last + 1 or costs != tuple(sorted(costs)):
            return False
        for stage in self.stages:
            ends = [ports for found in (stage.inputs, stage.outputs) for ports in map(found.get, formats)]
            if not all(ends) or not known.issuperset(port.name for port in stage.inputs["graph"]):
                return False
            known.update(() if self.apart else (port.name for port in stage.outputs["graph"]))
        return len(self.policies) == (0 if self.apart else last)


class Looked(NamedTuple):
    """What a stage made of n samples.

    seen:   its logits (n, classes), in its own codes, as a policy looks at them
    logits: the same as the chain gives them
    made:   what it hands to later stages
    """

    seen: np.ndarray
    logits: np.ndarray
    made: Arrays


def on_grid(codes: np.ndarray, zero_point: int | None, multiplier: int) -> np.ndarray:
    """A stage's logits as the chain gives them: int16 of codes, float32 of reals."""
    if zero_point is None:
        return codes.astype(np.float32)
    return ((codes.astype(np.int32) - zero_point) * multiplier).astype(np.int16)


def followed(stages: Sequence[Callable[[Arrays], Looked]], policies: Sequence[Policy], feeds: Arrays,
             numbers: range | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The chain's logits (n, classes), and (n,) int32 which stage answered.

    stages: what runs each, on what the chain takes and earlier stages have made
    feeds:  inputs of the chain, (n, ...). A stage runs on the samples that none before it has answered
    numbers: of the stages that may run, as `may_run` tells them; the last of them always answers. None: all
    """
    numbers = range(len(stages)) if numbers is None else numbers
    rows, known, logits = np.arange(len(next(iter(feeds.values())))), dict(feeds), {}
    path = np.zeros(len(rows), np.int32)
    for number in numbers:
        if not len(rows):
            break
        found = stages[number](known)
        sure = np.ones(len(rows), bool) if number == numbers[-1] else policies[number].answers(found.seen)
        logits |= dict(zip(rows[sure], found.logits[sure]))
        path[rows[sure]] = number
        rows, known = rows[~sure], {name: values[~sure] for name, values in {**known, **found.made}.items()}
    return np.stack([logits[row] for row in range(len(path))]), path
