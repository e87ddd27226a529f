"""A chain of stages made ready for a target: policies fitted and chosen, lowered, measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.confidence import Calibrated, calibrated
from toolchain.adaptive.report import (
    ChainReport,
    LevelFigures,
    LevelsReport,
    Paired,
    StageFigures,
    share_right,
)
from toolchain.adaptive.threshold import NEVER, Choice, Seen, outcome, within_cost, within_drop
from toolchain.artifact import Artifact
from toolchain.chain import Chain, every_logits
from toolchain.chain_building import (
    Costs,
    Stages,
    chain_artifact,
    code_batches,
    level_costs,
    path_costs,
    split_for,
)
from toolchain.data import Samples
from toolchain.errors import BadConfig
from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize
from toolchain.lower import with_files
from toolchain.metric import standard_error, top1_hits
from toolchain.paired import bootstrap, mcnemar
from toolchain.policy import Policy, table_of

REPORT_FILE = "chain.json"
"""Of an artefact: what is told of it, a ChainReport."""


@dataclass(frozen=True)
class Goal:
    """What a chain is for: exactly one of both.

    accuracy_drop: most percent points that it may lose against its last stage alone: as cheap as can be
    cost:          most that it may take of what the last stage's network takes: as sure as can be
    Raises BadConfig.
    """

    accuracy_drop: float | None = None
    cost: float | None = None

    def __post_init__(self):
        if (self.accuracy_drop is None) == (self.cost is None):
            raise BadConfig("a chain has one goal: give an accuracy drop in points, or a share of the cost")

    def choose(self, seen: Seen) -> Choice:
        """Raises GateFailed with the nearest miss."""
        if self.cost is None:
            return within_drop(seen, self.accuracy_drop)
        return within_cost(seen, self.cost)

    def __str__(self) -> str:
        if self.cost is None:
            return f"at most {self.accuracy_drop:g} points lost, as cheap as can be"
        return f"at most {self.cost:g}x the cost, as sure as can be"


class Made(NamedTuple):
    """artifact: with its firmware where it is C;  report: without a device"""

    artifact: Artifact
    chain: Chain
    report: ChainReport | LevelsReport


def make_chain(stages: Stages, goal: Goal) -> Made:
    """Fit policies, choose their bound for the goal, lower, and tell what comes of it.

    Raises BadSamples without labels or splits, GateFailed where no threshold meets the goal, DoesNotFit.
    """
    never = Policy(temperature=1.0, bound=NEVER)
    plain = Chain(stages.name, stages.graphs, (never,) * (len(stages.graphs) - 1))
    selection, test = (split_for(stages.samples, name, plain.ends) for name in ("selection", "test"))
    stages.say(f"choosing when a stage answers, on {len(selection)} selection samples")
    logits = logits_of(plain, selection)
    fitted = [calibrated(_reals(graph, found), selection.y)
              for graph, found in zip(stages.graphs[:-1], logits)]
    policies = [_policy(graph, found) for graph, found in zip(stages.graphs, fitted)]
    costs = path_costs(stages, policies)
    seen = _seen(policies, logits, selection.y, costs)
    chosen = goal.choose(seen)
    stages.say(str(chosen))
    chain = replace(plain, policies=_with_bound(policies, chosen.bound))
    if stages.profile.emulated:
        chain = replace(chain, measured=level_costs(stages, chain))
    tested = _seen(policies, logits_of(chain, test), test.y, costs)
    report = msgspec.structs.replace(_report(stages, goal, fitted, tested, chosen),
                                     levels=tuple(_levels(chain, seen, tested, chosen.bound)))
    told = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    return Made(with_files(chain_artifact(stages, chain), {REPORT_FILE: told}, {}), chain, report)


def logits_of(chain: Chain, samples: Samples) -> list[np.ndarray]:
    """Of each stage, (n, classes) in its own codes."""
    return [np.concatenate(parts) for parts in zip(*(every_logits(chain, codes)
                                                     for codes in code_batches(chain, samples)))]


def _reals(graph: Graph, logits: np.ndarray) -> np.ndarray:
    quant = graph.tensors[graph.outputs[0]].quant
    return logits if quant is None else dequantize(logits, quant)


def _policy(graph: Graph, found: Calibrated) -> Policy:
    quant = graph.tensors[graph.outputs[0]].quant
    table = () if quant is None else table_of(float(quant.scale), found.temperature)
    return Policy(temperature=found.temperature, bound=NEVER, table=table)


def _with_bound(policies: Sequence[Policy], bound: int) -> tuple[Policy, ...]:
    return tuple(msgspec.structs.replace(policy, bound=bound) for policy in policies)


def _seen(policies: Sequence[Policy], logits: Sequence[np.ndarray], labels: np.ndarray, costs: Costs) -> Seen:
    return Seen([policy.doubts(found) for policy, found in zip(policies, logits)],
                [top1_hits(found, labels).astype(bool) for found in logits],
                costs.paths, costs.alone, costs.unit)


def _report(stages: Stages, goal: Goal, fitted: Sequence[Calibrated], tested: Seen,
            chosen: Choice) -> ChainReport:
    lines, found = [], outcome(tested, chosen.bound)
    for number, (graph, hits, cost) in enumerate(zip(stages.graphs, tested.hits, tested.costs, strict=True)):
        own = fitted[number] if number < len(fitted) else None
        lines.append(StageFigures(
            name=graph.name, accuracy=float(hits.mean()), error=standard_error(hits.astype(float)), cost=cost,
            temperature=own and own.temperature, calibration_error=own and (own.before, own.after)))
    chain_hits, last = np.choose(tested.path(chosen.bound), tested.hits).astype(bool), tested.hits[-1]
    interval, test = bootstrap(100.0 * last - 100.0 * chain_hits), mcnemar(chain_hits, last)
    return ChainReport(
        name=stages.name, target=stages.profile.name, unit=tested.unit, goal=str(goal), stages=tuple(lines),
        alone=tested.alone, chosen=chosen, tested=found,
        paired=Paired(interval.mean, interval.low, interval.high, test.only_first, test.only_second, test.p))


def _levels(chain: Chain, seen: Seen, tested: Seen, bound: int) -> Iterator[LevelFigures]:
    """Of the chain held to each of its levels: a sample that would go on is answered there."""
    for level, (graph, cost) in enumerate(zip(chain.stages, chain.levels.costs, strict=True)):
        yield LevelFigures(graph.name, cost, *(share_right(np.choose(
            np.minimum(found.path(bound), level), found.hits)) for found in (seen, tested)))
