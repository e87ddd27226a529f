"""A chain on its target: lowered with test vectors, linked, its paths and levels counted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.budget import at_budget
from toolchain.adaptive.threshold import NEVER
from toolchain.artifact import Artifact, Manifest
from toolchain.chain import Chain, run_chain
from toolchain.data import Samples
from toolchain.device.firmware import build_firmware
from toolchain.device.parity import vector_feeds
from toolchain.device.qemu import open_device
from toolchain.errors import BadInput, BadSamples, Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import quantize
from toolchain.levels import Levels, Unit
from toolchain.lower import Asked, lower, with_files
from toolchain.lower.chain import lower_chain
from toolchain.policy import CODES, ONE, Policy
from toolchain.port import convert
from toolchain.profile import TargetProfile, load_target
from toolchain.runtime import reference
from toolchain.stages import level_output

Say = Callable[[str], None]
VECTORS = 4
AT_ONCE = 256
LOOKED_AT = 256
"""Calibration samples at most among which test vectors are sought for each path."""
ALWAYS = 2**32 - 1
"""The bound with which a stage always answers."""
COUNTED = 64
"""Calibration samples on which levels are counted: a few kernels take longer for some inputs."""
UNCOUNTED = 1_000_000
"""What levels cost while they are counted: numbers as long as true ones, so that code is, too."""


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
    unit: Unit


def split_for(samples: Samples, name: str, ends: Graph) -> Samples:
    """One split, as a chain's ends take it. Raises BadSamples without labels or splits."""
    if samples.splits is None or samples.y is None:
        raise BadSamples(f"{samples.name}: what runs when is chosen on labelled samples that neither "
                         "calibrate nor test; give a set with labels, or an .npz with 'y' and 'split'")
    return samples.split(name).fit_to(ends)


def code_batches(chain: Chain, samples: Samples) -> Iterator[dict[str, np.ndarray]]:
    """What the chain's graphs take, some samples at a time."""
    quants = {tensor.name: tensor.quant for tensor in chain.inputs}
    for feeds in samples.batches(AT_ONCE):
        yield {name: feeds[name] if quant is None else quantize(feeds[name], quant)
               for name, quant in quants.items()}


def path_costs(stages: Stages, policies: Sequence[Policy]) -> Costs:
    """Instructions where the target counts them, the mean over its test vectors; else MACs.

    Each path is counted in the chain itself, with policies that always lead there.
    """
    if not stages.profile.emulated:
        macs = tuple(np.cumsum([graph_macs(graph) for graph in stages.graphs]).tolist())
        return Costs(macs, graph_macs(stages.alone), "MACs")
    stages.say(f"counting instructions of each path on {stages.profile.name}")
    paths = []
    for answering in range(len(stages.graphs)):
        bounds = [ALWAYS if number == answering else NEVER for number in range(len(policies))]
        forced = [msgspec.structs.replace(policy, bound=bound) for policy, bound in zip(policies, bounds)]
        chain = Chain(stages.name, stages.graphs, tuple(forced))
        paths.append(instructions(chain_artifact(stages, chain), stages.profile))
    alone = np.mean(instructions(_alone(stages, policies), stages.profile))
    return Costs(tuple(float(np.mean(path)) for path in paths), float(alone), "instructions")


def _alone(stages: Stages, policies: Sequence[Policy]) -> Artifact:
    """The last stage's network on its own, with the chain's test vectors."""
    vectors = vectors_of(Chain(stages.name, stages.graphs, tuple(policies)), stages)
    inputs = [value for key, value in vectors.items() if key.startswith("input/")]
    return network_artifact(stages.alone, dict(zip(stages.alone.inputs, inputs, strict=True)), stages)


def network_artifact(graph: Graph, feeds: dict[str, np.ndarray], stages: Stages) -> Artifact:
    """A network for the stages' target without a chain. feeds: (n, ...) of each input, for test vectors"""
    answers = reference.run(graph, feeds)
    artifact = lower(graph, stages.profile, {
        **{f"input/{name}": value for name, value in feeds.items()},
        **{f"output/{name}": answers[name] for name in graph.outputs}}, stages.asked)
    return with_firmware(artifact, stages.profile) if "c" in stages.profile.formats else artifact


def level_costs(stages: Stages, chain: Chain) -> Levels:
    """Instructions of each level on an emulated target, the most that a calibration sample took.

    Of a chain with its own code and bounds, but tables of doubt by which no sample is sure: each goes as far
    as the level lets it.
    A level that takes fewer than the one before is told as taking as many: costs rise.
    """
    counted = Levels(tuple(UNCOUNTED + level for level in range(len(chain.stages))), "instructions")
    unsure = tuple(msgspec.structs.replace(policy, table=(ONE,) * CODES) for policy in chain.policies)
    artifact = chain_artifact(stages, replace(chain, measured=counted, policies=unsure))
    seen = stages.samples.split("calibration").fit_to(chain.ends).take(COUNTED)
    codes, ports = next(code_batches(chain, seen)), artifact.manifest.inputs
    feeds = {want.name: convert(codes[have.name], have, want)
             for have, want in zip(ports["graph"], ports["c"], strict=True)}
    found = [max(instructions(at_budget(artifact, cost), stages.profile, feeds)) for cost in counted.costs]
    return Levels(tuple(np.maximum.accumulate(found).tolist()), counted.unit)


def instructions(artifact: Artifact, profile: TargetProfile,
                 feeds: dict[str, np.ndarray] | None = None) -> list[int]:
    """On an emulated board, of n samples of every input of its C, (n, ...); None: of its test vectors."""
    with open_device(artifact, profile) as device:
        device.run(vector_feeds(artifact, "c") if feeds is None else feeds)
        return device.instructions


def chain_artifact(stages: Stages, chain: Chain) -> Artifact:
    """The chain for its target, with firmware where it is C. Raises DoesNotFit."""
    artifact = lower_chain(chain, stages.profile, vectors_of(chain, stages), stages.asked)
    return with_firmware(artifact, stages.profile) if "c" in stages.profile.formats else artifact


def with_firmware(artifact: Artifact, profile: TargetProfile) -> Artifact:
    """The artefact with its linked image, and the sizes that only linking settles. Raises DoesNotFit."""
    firmware = build_firmware(artifact, profile)
    sizes = {kind: size for kind, size in firmware.sizes.items() if kind != "stack"}
    return with_files(artifact, {"firmware.elf": firmware.elf}, sizes)


def held_to(artifact: Artifact, budget: int, profile: TargetProfile | None = None) -> Artifact:
    """The artefact held to a budget, as `at_budget` has it, with firmware of its own if it is C for a board.

    profile: of its target; None: the one of that name, if it is what the artefact was built for
    Raises BadInput, GateFailed as `at_budget`, BadInput where that target is not there, or is another.
    """
    held = at_budget(artifact, budget)
    if "firmware.elf" not in artifact.files:
        return held
    return with_firmware(held, profile or _own_target(artifact.manifest))


def _own_target(manifest: Manifest) -> TargetProfile:
    """With its folder, whose sources firmware is linked with. Raises BadInput."""
    what = (f"{manifest.name} was built for target {manifest.target}, and a budget links its firmware anew "
            "with that target's files")
    try:
        found = load_target(manifest.target)
    except Unsupported:
        raise BadInput(f"{what}, which are not here: run this in the folder that holds "
                       f"{manifest.target}/profile.toml") from None
    if msgspec.structs.replace(found, folder="") != manifest.profile:
        raise BadInput(f"{what}; {found.folder} is another, or was changed since: run this where that target "
                       "is, or build it again")
    return found


def vectors_of(chain: Chain, stages: Stages) -> dict[str, np.ndarray]:
    """Calibration samples and what the reference makes of them, at each level: of each path one, if there is,
    the longest first, so that a bench of the first vector is the worst case."""
    calibration = stages.samples.split("calibration").fit_to(chain.ends).take(LOOKED_AT)
    feeds = next(code_batches(chain, calibration))
    path = run_chain(chain, feeds)[chain.path.name]
    firsts = [np.flatnonzero(path == number)[:1] for number in reversed(range(len(chain.stages)))]
    rows = np.concatenate([*firsts, np.arange(len(path))])
    rows = rows[np.sort(np.unique(rows, return_index=True)[1])][:max(VECTORS, len(chain.stages))]
    feeds = {name: values[rows] for name, values in feeds.items()}
    held = {level_output(level, name): values for level in range(len(chain.stages) - 1)
            for name, values in run_chain(chain, feeds, level).items()}
    return {**{f"input/{name}": values for name, values in feeds.items()}, **held,
            **{f"output/{name}": values for name, values in run_chain(chain, feeds).items()}}
