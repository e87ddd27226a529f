"""A chain of stages made ready for a target: policies fitted and chosen, lowered, measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.confidence import Calibrated, calibrated
from toolchain.adaptive.report import ChainReport, Paired, StageFigures
from toolchain.adaptive.threshold import NEVER, Choice, Seen, outcome, within_cost, within_drop
from toolchain.artifact import Artifact
from toolchain.chain import Chain, every_logits, run_chain
from toolchain.data import Samples
from toolchain.device.firmware import build_firmware
from toolchain.device.parity import vector_feeds
from toolchain.device.qemu import open_device
from toolchain.errors import BadConfig, BadSamples
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import dequantize, quantize
from toolchain.lower import Asked, lower, with_files
from toolchain.lower.chain import lower_chain
from toolchain.metric import standard_error, top1_hits
from toolchain.paired import bootstrap, mcnemar
from toolchain.policy import Policy, table_of
from toolchain.profile import TargetProfile
from toolchain.runtime import reference

Say = Callable[[str], None]
VECTORS = 4
AT_ONCE = 256
REPORT_FILE = "chain.json"
"""Of an artefact: what is told of it, a ChainReport."""
LOOKED_AT = 256
"""Calibration samples at most among which test vectors are sought for each path."""
ALWAYS = 2**32 - 1
"""The bound with which a stage always answers."""


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


@dataclass(frozen=True, eq=False)
class Stages:
    """What is to become a chain.

    graphs:  of its stages, as a Chain has them
    alone:   the network that the chain is held against: what its last stage is of, without a chain
    samples: labelled, with splits; as the stages take them
    """

    name: str
    graphs: tuple[Graph, ...]
    alone: Graph
    samples: Samples
    profile: TargetProfile
    asked: Asked = Asked()
    say: Say = lambda message: None


class Costs(NamedTuple):
    """paths: of an inference that each stage answers;  alone: of the last stage's network on its own"""

    paths: tuple[float, ...]
    alone: float
    unit: str


class Made(NamedTuple):
    """artifact: with its firmware where it is C;  report: without a device"""

    artifact: Artifact
    chain: Chain
    report: ChainReport


def make_chain(stages: Stages, goal: Goal) -> Made:
    """Fit policies, choose their bound for the goal, lower, and tell what comes of it.

    Raises BadSamples without labels or splits, GateFailed where no threshold meets the goal, DoesNotFit.
    """
    never = Policy(temperature=1.0, bound=NEVER)
    plain = Chain(stages.name, stages.graphs, (never,) * (len(stages.graphs) - 1))
    selection, test = (_split(stages.samples, name, plain.ends) for name in ("selection", "test"))
    stages.say(f"choosing when a stage answers, on {len(selection)} selection samples")
    logits = _logits(plain, selection)
    fitted = [calibrated(_reals(graph, found), selection.y)
              for graph, found in zip(stages.graphs[:-1], logits)]
    policies = [_policy(graph, found) for graph, found in zip(stages.graphs, fitted)]
    costs = path_costs(stages, policies)
    chosen = goal.choose(_seen(policies, logits, selection.y, costs))
    stages.say(str(chosen))
    chain = replace(plain, policies=_with_bound(policies, chosen.bound))
    tested = _seen(policies, _logits(chain, test), test.y, costs)
    report = _report(stages, goal, fitted, tested, chosen)
    told = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    return Made(with_files(chain_artifact(stages, chain), {REPORT_FILE: told}, {}), chain, report)


def _split(samples: Samples, name: str, ends: Graph) -> Samples:
    if samples.splits is None or samples.y is None:
        raise BadSamples(f"{samples.name}: when a stage answers is chosen on labelled samples that neither "
                         "calibrate nor test; give a set with labels, or an .npz with 'y' and 'split'")
    return samples.split(name).fit_to(ends)


def _codes(chain: Chain, samples: Samples) -> Iterator[dict[str, np.ndarray]]:
    """What the chain's graphs take, some samples at a time."""
    quants = {tensor.name: tensor.quant for tensor in chain.inputs}
    for feeds in samples.batches(AT_ONCE):
        yield {name: feeds[name] if quant is None else quantize(feeds[name], quant)
               for name, quant in quants.items()}


def _logits(chain: Chain, samples: Samples) -> list[np.ndarray]:
    """Of each stage, (n, classes) in its own codes."""
    return [np.concatenate(parts) for parts in zip(*(every_logits(chain, codes)
                                                     for codes in _codes(chain, samples)))]


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
                [top1_hits(found, labels).astype(bool) for found in logits], *costs)


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


# On the target ----------------------------------------------------------------------------------------------

def path_costs(stages: Stages, policies: Sequence[Policy]) -> Costs:
    """Instructions where the target counts them, the mean over its test vectors; else MACs.

    Each path is counted in the chain itself, with policies that always lead there.
    """
    if not stages.profile.emulated:
        macs = np.cumsum([graph_macs(graph) for graph in stages.graphs])
        return Costs(tuple(macs.tolist()), graph_macs(stages.alone), "MACs")
    stages.say(f"counting instructions of each path on {stages.profile.name}")
    paths = []
    for answering in range(len(stages.graphs)):
        bounds = [ALWAYS if number == answering else NEVER for number in range(len(policies))]
        forced = [msgspec.structs.replace(policy, bound=bound) for policy, bound in zip(policies, bounds)]
        chain = Chain(stages.name, stages.graphs, tuple(forced))
        paths.append(_instructions(chain_artifact(stages, chain), stages.profile))
    vectors = _vectors(Chain(stages.name, stages.graphs, tuple(policies)), stages)
    inputs = {key: value for key, value in vectors.items() if key.startswith("input/")}
    given = dict(zip(stages.alone.inputs, inputs.values(), strict=True))
    answers = reference.run(stages.alone, given)
    alone = with_firmware(lower(stages.alone, stages.profile, {
        **{f"input/{name}": value for name, value in given.items()},
        **{f"output/{name}": value for name, value in answers.items()}}, stages.asked), stages.profile)
    return Costs(tuple(paths), _instructions(alone, stages.profile), "instructions")


def _instructions(artifact: Artifact, profile: TargetProfile) -> float:
    with open_device(artifact, profile) as device:
        device.run(vector_feeds(artifact, "c"))
        return float(np.mean(device.instructions))


def chain_artifact(stages: Stages, chain: Chain) -> Artifact:
    """The chain for its target, with firmware where it is C. Raises DoesNotFit."""
    artifact = lower_chain(chain, stages.profile, _vectors(chain, stages), stages.asked)
    return with_firmware(artifact, stages.profile) if "c" in stages.profile.formats else artifact


def with_firmware(artifact: Artifact, profile: TargetProfile) -> Artifact:
    """The artefact with its linked image, and the sizes that only linking settles. Raises DoesNotFit."""
    firmware = build_firmware(artifact, profile)
    sizes = {kind: size for kind, size in firmware.sizes.items() if kind != "stack"}
    return with_files(artifact, {"firmware.elf": firmware.elf}, sizes)


def _vectors(chain: Chain, stages: Stages) -> dict[str, np.ndarray]:
    """Calibration samples and what the reference makes of them: of each path one, if there is, the longest
    first, so that a bench of the first vector is the worst case."""
    calibration = stages.samples.split("calibration").fit_to(chain.ends).take(LOOKED_AT)
    feeds = next(_codes(chain, calibration))
    path = run_chain(chain, feeds)[chain.path.name]
    firsts = [np.flatnonzero(path == number)[:1] for number in reversed(range(len(chain.stages)))]
    rows = np.concatenate([*firsts, np.arange(len(path))])
    rows = rows[np.sort(np.unique(rows, return_index=True)[1])][:max(VECTORS, len(chain.stages))]
    feeds = {name: values[rows] for name, values in feeds.items()}
    return {**{f"input/{name}": values for name, values in feeds.items()},
            **{f"output/{name}": values for name, values in run_chain(chain, feeds).items()}}
