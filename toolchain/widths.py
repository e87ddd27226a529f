"""[widths] of a recipe: one set of weights trained in several widths, and levels of these."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import math

import msgspec

from toolchain.adaptive.cascade import with_logits
from toolchain.adaptive_sections import WidthsConfig
from toolchain.budgets import Purpose
from toolchain.chain_building import split_for
from toolchain.chaining import Made
from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.exits import Say
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.lower import Asked
from toolchain.profile import TargetProfile
from toolchain.prune.groups import Group
from toolchain.prune.nested import Narrow, narrow, ordered
from toolchain.prune.prune import Aim, grouping_of, scores_of
from toolchain.shrinking import Shrinking
from toolchain.side_by_side import Networks, side_by_side
from toolchain.training_sections import PruneConfig
from toolchain.tuning import Tuning

NOT_SHARED = ("its levels have weights of their own in C: kernels of this core want a layer's weights and "
              "scales in one array, or its slices are too small to be worth reading in another one")
READ_AT_ONCE = 4
"""Channels that kernels read at once, of which a slice takes whole ones."""


def names_of(config: WidthsConfig) -> list[str]:
    """Of the networks, the widest first."""
    return [f"width {share:g}" for share in sorted(config.shares, reverse=True)]


def trained_widths(shrinking: Shrinking) -> tuple[Graph, ...]:
    """FLOAT graphs of the recipe's widths, the widest first, whose weights are slices of its own but for
    factors of output channels.

    Raises what `Shrinking` does, BadSamples without labelled samples that tell what each width is worth,
    BadInput where no channel can go, Unsupported for a network of several outputs.
    """
    shrinking.check()
    with_logits(shrinking.graph)  # raises
    for name in ("selection", "test"):
        split_for(shrinking.samples, name, shrinking.graph)
    shrinking.claim()
    config, graph = shrinking.recipe.widths, shrinking.start
    chosen = PruneConfig(ratio=0.0, importance=config.importance, keep=config.keep,
                         channel_multiple=config.channel_multiple)
    purpose = Purpose(chosen, shrinking.profile, shrinking.table, shrinking.recipe.quantize.scheme)
    groups = grouping_of(graph, chosen).groups
    aim = Aim((), purpose.steps, shrinking.evidence(), shrinking.recipe.seed)
    wide = ordered(graph, groups, scores_of(graph, groups, chosen, aim))
    steps = _steps(groups, aim.steps(graph, groups), config)
    shares = sorted(config.shares, reverse=True)
    others = [narrow(wide, groups, share, steps) for share in shares[1:]]
    _require_apart(others, shares)
    found = _trained(shrinking, wide, others)
    for name, each in zip(names_of(config), found, strict=True):
        shrinking.say(f"{name}: {graph_macs(each):,} MACs, {each.parameters:,} parameters")
    return found


def _steps(groups: Sequence[Group], liked: Sequence[int], config: WidthsConfig) -> list[int]:
    if config.channel_multiple:
        return list(liked)
    return [math.lcm(step, READ_AT_ONCE) if group.channels >= 2 * READ_AT_ONCE else step
            for group, step in zip(groups, liked, strict=True)]


def _require_apart(others: Sequence[Narrow], shares: Sequence[float]) -> None:
    """Raise BadInput where two shares come to the same network."""
    macs = [graph_macs(each.graph) for each in others]
    for (one, first), (other, second) in zip(zip(shares[1:], macs), zip(shares[2:], macs[1:])):
        if first == second:
            raise BadInput(f"{others[0].graph.name}: [widths] shares = {one:g} and {other:g} keep the same "
                           f"channels, in whole steps; leave one out")


def _trained(shrinking: Shrinking, wide: Graph, others: Sequence[Narrow]) -> tuple[Graph, ...]:
    from toolchain.train.widths import fit_widths

    tuning = Tuning(shrinking.recipe, shrinking.samples, shrinking.teacher, shrinking.folder, shrinking.say,
                    shrinking.progress)
    found = tuning.run(wide, shrinking.epochs, (), 0, by=partial(fit_widths, others=others))
    done = f"trained together in {len(found)} widths"
    return tuple(replace(each, source=replace(each.source, notes=(*each.source.notes, done)))
                 for each in found)


def build_widths(graphs: Sequence[Graph], config: WidthsConfig, samples: Samples, profile: TargetProfile,
                 asked: Asked, say: Say) -> Made:
    """The deployed graphs, the widest first, as levels. Raises as `side_by_side`."""
    made, _ = side_by_side(Networks(names_of(config), graphs, samples, profile, asked, say))
    artifact = made.artifact
    if "c" in artifact.manifest.formats and "shared.c" not in artifact.files:
        notes = (*artifact.manifest.notes, NOT_SHARED)
        artifact = replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, notes=notes))
    return made._replace(artifact=artifact)
