"""In how many steps a network is pruned, and what is trained before, between and after them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from toolchain.errors import BadConfig
from toolchain.ir.graph import Graph
from toolchain.prune.cost import Limit
from toolchain.prune.depth import without_branches
from toolchain.prune.folded import folded
from toolchain.prune.masks import MaskedGraph, with_masks
from toolchain.prune.prune import Aim, checked_cut, cost_of, cut_to, grouping_of, keeps_within
from toolchain.prune.widths import Price, Widths
from toolchain.runtime.additions import Addition
from toolchain.training_sections import PruneConfig

Tune = Callable[[Graph, int, Sequence[Addition], int], Graph]
Remember = Callable[[str, Callable[[], Graph]], Graph]

BETWEEN = {"iterative": 0.5, "gradual": 0.5, "batch_norm_l1": 0.5, "gates": 0.3}
"""Schedule that trains before its last cut -> share of the epochs that lie there; the others follow it."""


@dataclass(frozen=True, eq=False)
class Work:
    """What schedules are handed, for pruning knows no optimiser.

    tune:     (graph, epochs, what training does besides, epochs of training that lie before) -> the graph
              after them
    epochs:   of training altogether; 0: nothing is tuned
    settle:   (graph) -> the same with its batch norms re-estimated
    remember: (name, how it is made) -> a graph that is made once: a run that was killed goes on from there
    """

    tune: Tune
    epochs: int
    settle: Callable[[Graph], Graph]
    remember: Remember


def shrunk(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> tuple[Graph, int]:
    """The graph cut down to its aim, and the epochs of training that are left for it.

    Raises BadConfig where the schedule needs training and there is none, and as `cut_to`.
    """
    return SCHEDULES[config.schedule](graph, config, aim, work)


def levels(schedule: str, steps: int, whole: float, limit: float) -> list[float]:
    """What the network may cost after each step, of what costs `whole` now; where that is within the limit,
    just the limit.

    "iterative": each step takes the same share of what is left
    "gradual":   whole - (whole - limit) * (1 - (1 - t)^3), t in 1/steps .. 1 (Zhu & Gupta 2017, equation 1)
    """
    if whole <= limit:
        return [limit] * steps
    times = [step / steps for step in range(1, steps + 1)]
    if schedule == "gradual":
        return [whole - (whole - limit) * (1 - (1 - t) ** 3) for t in times]
    return [whole * (limit / whole) ** t for t in times]


def _one_shot(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> tuple[Graph, int]:
    return work.remember("pruned", lambda: _cut(graph, config, aim, work)), work.epochs


def _in_steps(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> tuple[Graph, int]:
    """Tuned after each step but the last, which the training that is left follows."""
    between = int(BETWEEN[config.schedule] * work.epochs / max(1, config.steps - 1))
    groups = grouping_of(graph, config).groups
    aim = replace(aim, channels={group.name: group.channels for group in groups})
    amounts = zip(*(levels(config.schedule, config.steps, cost_of(graph, groups, limit.cost), limit.most)
                    for limit in aim.limits))
    for number, most in enumerate(amounts, 1):
        nearer = replace(aim, limits=tuple(map(Limit, (limit.cost for limit in aim.limits), most)))
        graph = work.remember(f"pruned-{number}",
                              lambda graph=graph, nearer=nearer: _cut(graph, config, nearer, work))
        if between and number < config.steps:
            before = between * (number - 1)
            graph = work.remember(f"tuned-{number}", lambda graph=graph, before=before: work.tune(
                graph, between, (), before))
    return graph, work.epochs - between * (config.steps - 1)


def _batch_norm_l1(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> tuple[Graph, int]:
    """Cut by the scales of batch norms, after training has pressed them to zero."""
    from toolchain.prune.batch_norm_l1 import BatchNormL1

    epochs = _epochs_before(config, work)
    groups = grouping_of(graph, config).groups
    sparse = work.remember("sparse", lambda: work.tune(graph, epochs, [BatchNormL1(graph, groups)], 0))
    by_scale = msgspec.structs.replace(config, importance="batch_norm")
    return work.remember("pruned", lambda: _cut(sparse, by_scale, aim, work)), work.epochs - epochs


def _gates(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> tuple[Graph, int]:
    """Cut where gates that were trained with the weights are closed."""
    from toolchain.prune.gates import Gates

    epochs, groups = _epochs_before(config, work), grouping_of(graph, config).groups
    if keeps_within(graph, groups, aim):
        return graph, work.epochs
    masked, load = with_masks(graph, groups), _load(Widths(*folded(graph, groups, config.heads)), aim.limits)
    gates = Gates(masked, groups, load, 1.0, aim.steps(graph, groups))
    gated = work.remember("gated", lambda: work.tune(masked.graph, epochs, [gates], 0))
    trained = graph.with_tensors(*(gated.tensors[tensor.name] for tensor in graph.constants))

    def cut() -> Graph:
        return _settled(checked_cut(trained, groups, _closed(replace(masked, graph=gated))), config, work)

    return work.remember("pruned", cut), work.epochs - epochs


def _load(widths: Widths, limits: Sequence[Limit]) -> Callable[[Sequence[int]], float]:
    """What the network costs by the channels kept of each group, of the limit that it is furthest beyond: 1 =
    as much as it may."""
    prices = [(Price(widths, limit.cost), limit.most) for limit in limits]
    return lambda kept: max(price.at(kept) / most for price, most in prices)


def _closed(masked: MaskedGraph) -> dict[int, np.ndarray]:
    """Group position -> channels whose mask is 0."""
    gone: dict[int, np.ndarray] = {}
    for place in masked.places:
        scales = masked.graph.tensors[place.mask].data.reshape(-1)[place.member.index]
        gone[place.group] = np.unique(place.member.channel[scales == 0])
    return gone


def _epochs_before(config: PruneConfig, work: Work) -> int:
    """Of the training before the only cut."""
    if work.epochs > 1:
        return max(1, int(BETWEEN[config.schedule] * work.epochs))
    raise BadConfig(f'[prune] schedule = "{config.schedule}" trains before it prunes; give samples and '
                    f'[train] with at least 2 epochs, or take schedule "one_shot"')


def _cut(graph: Graph, config: PruneConfig, aim: Aim, work: Work) -> Graph:
    """One step, branches first where they may go; batch norms re-estimated."""
    if config.blocks:
        graph, _ = without_branches(graph, config, aim)
    return _settled(cut_to(graph, config, aim), config, work)


def _settled(graph: Graph, config: PruneConfig, work: Work) -> Graph:
    return work.settle(graph) if config.reestimate_batch_norm else graph


SCHEDULES: Mapping[str, Callable[[Graph, PruneConfig, Aim, Work], tuple[Graph, int]]] = {
    "one_shot": _one_shot, "iterative": _in_steps, "gradual": _in_steps, "batch_norm_l1": _batch_norm_l1,
    "gates": _gates}
