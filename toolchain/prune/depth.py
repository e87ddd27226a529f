"""Whole residual branches go where that costs less than the channels that would have to go in their place."""

from math import inf

from toolchain.errors import BadConfig, BadInput
from toolchain.ir.graph import Graph
from toolchain.prune.blocks import Branch, remove_branches, residual_branches
from toolchain.prune.importance import IMPORTANCE
from toolchain.prune.prune import Aim, channels_to_go, grouping_of, keeps_within, kept_ops, scores_of, told_by
from toolchain.training_sections import PruneConfig

TRIED = 3
"""How many branches are tried at a time, of those that matter least."""


def without_branches(graph: Graph, config: PruneConfig, aim: Aim) -> tuple[Graph, tuple[str, ...]]:
    """The graph without branches, one after the other, while the loss that is foretold at the limits falls;
    and the names of those branches.

    Foretold: what the loss grows by without the branch, plus the scores of the channels that must go then.
    A branch with an op that [prune] keep names stays, and all do where no channel that matters has to go.
    Raises BadConfig where scores do not tell that.
    """
    if aim.evidence is None or told_by(config, aim.evidence) != "increase":
        known = ", ".join(name for name, criterion in IMPORTANCE.items() if criterion.tells == "increase")
        raise BadConfig(f'[prune] blocks weighs branches against channels by the loss: give samples, and '
                        f'importance {known}, or scope "sensitivity"')
    from toolchain.prune.branch_scores import branch_scores  # brings torch

    ahead, gone = _foretold(graph, config, aim), []
    while ahead and (branches := _free(graph, config)):
        scores = branch_scores(graph, branches, aim.evidence)
        tried = [(remove_branches(graph, [branches[number].name]), float(scores[number]))
                 for number in scores.argsort()[:TRIED]]
        left = [_foretold(smaller, config, aim) for smaller, _ in tried]
        best = min(range(len(tried)), key=lambda number: tried[number][1] + left[number])
        if tried[best][1] + left[best] >= ahead:
            break
        gone.append(branches[scores.argsort()[best]].name)
        graph, ahead = tried[best][0], left[best]
    return graph, tuple(gone)


def _free(graph: Graph, config: PruneConfig) -> list[Branch]:
    kept = kept_ops(graph, config)
    return [branch for branch in residual_branches(graph) if not kept.intersection(branch.ops)]


def _foretold(graph: Graph, config: PruneConfig, aim: Aim) -> float:
    """Scores of the channels that must go for the limits; infinite where they cannot be reached."""
    groups = grouping_of(graph, config).groups
    if keeps_within(graph, groups, aim):
        return 0.0
    scores = scores_of(graph, groups, config, aim)
    try:
        gone = channels_to_go(graph, groups, scores, config, aim)
    except BadInput:
        return inf
    return sum(float(scores[number][channels].sum()) for number, channels in gone.items())
