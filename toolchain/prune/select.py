"""Which channels go so that a network costs no more than a limit: the least score for what is saved, first.

A knapsack, filled greedily by the ratio of score to cost saved (Shen et al. 2022, "Structural Pruning via
Latency-Saliency Knapsack"); what a channel saves is worked out anew whenever its neighbours shrink. That
needs scores in units of the loss. By scores that only tell channels from each other, such as norms of
weights, the ratio would take all from the groups that cost most: of these the least go first, whatever they
save.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from toolchain.errors import BadInput
from toolchain.prune.cost import Cost
from toolchain.prune.widths import Price, Widths

LEAST = 0.1
"""Share of a group's channels that stay in any case. Scores are of single channels: they see least well what
the last channels of a layer are worth together, and nothing comes through a layer that has none."""


def least_counts(full: Sequence[int], steps: Sequence[int], share: float = LEAST) -> list[int]:
    """Per group the least that it keeps: a multiple of its step, at least one, and `share` of its channels.

    A group that has no more than its step stays whole.
    """
    return [count if count <= step else min(count, max(1, -(-round(share * count, 6) // step)) * step)
            for count, step in zip(full, steps)]


def select(widths: Widths, scores: Sequence[np.ndarray], limit: float, cost: Cost, steps: Sequence[int],
           scope: str, least: Sequence[int] | None = None, by_cost: bool = True) -> dict[int, np.ndarray]:
    """Group position -> channels that go, ascending; groups of which none goes are left out.

    scores: per group (channels,), larger = more important; the score of a set of channels is their sum
    limit:  the most that the network may cost
    steps:  per group, what the kept channels are a multiple of where any go
    scope:  a key of SCOPES. "layer" = the same share of each group; "global" = one ranking of all groups;
            "sensitivity" = the same, of scores by `sensitivity.increments`
    least:  per group, how many channels stay in any case; by default `least_counts` of the steps
    by_cost: rank by score for cost saved, of scores in units of the loss; else by a bundle's mean score
    Raises BadInput where the limit cannot be reached, with what can.
    """
    least = least_counts(widths.full, steps) if least is None else least
    groups = [_Bundles.of(score, step, few) for score, step, few in zip(scores, steps, least, strict=True)]
    taken = SCOPES[scope](_Plan(groups, Price(widths, cost), by_cost), limit)
    return {number: np.sort(group.order[:group.ends[count]])
            for number, (group, count) in enumerate(zip(groups, taken)) if count}


@dataclass(frozen=True, eq=False)
class _Bundles:
    """The channels of one group in the order in which they go, in bundles: what stays is a multiple.

    order: channels, least score first
    ends:  0, then how many channels have gone after each bundle
    sums:  of the scores of those
    """

    order: np.ndarray
    ends: tuple[int, ...]
    sums: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, step: int, least: int) -> "_Bundles":
        count, order = len(scores), np.argsort(scores, kind="stable")
        stays = [kept for kept in range(count // step * step, 0, -step) if least <= kept < count]
        ends = (0, *(count - kept for kept in stays))
        return cls(order, ends, np.append(0.0, np.cumsum(scores[order], dtype=np.float64))[list(ends)])


@dataclass(frozen=True)
class _Move:
    """So many more bundles of one group go, so many channels (or come back, where bundles < 0)."""

    group: int
    bundles: int
    channels: int
    score: float
    saved: float


class _Plan:
    """Bundles of all groups, and what the network costs when some of them have gone.

    taken: per group, how many of its bundles
    """

    def __init__(self, groups: Sequence[_Bundles], price: Price, by_cost: bool):
        self.groups, self.price, self.by_cost = groups, price, by_cost
        self.taken = [0] * len(groups)
        self.kept = list(price.widths.full)
        self.cost = price.at(self.kept)

    def move(self, group: int, bundles: int) -> _Move:
        """What it would do."""
        found, start = self.groups[group], self.taken[group]
        end = start + bundles
        kept = [*self.kept[:group], len(found.order) - found.ends[end], *self.kept[group + 1:]]
        saved = self.price.of_group(group, self.kept) - self.price.of_group(group, kept)
        channels = found.ends[end] - found.ends[start]
        return _Move(group, bundles, channels, float(found.sums[end] - found.sums[start]), saved)

    def rank(self, move: _Move) -> float:
        """The least goes first."""
        return move.score / (move.saved if self.by_cost else move.channels)

    def next(self, group: int) -> _Move | None:
        """The fewest bundles that save anything."""
        left = len(self.groups[group].ends) - 1 - self.taken[group]
        moves = (self.move(group, bundles) for bundles in range(1, left + 1))
        return next((move for move in moves if move.saved > 0), None)

    def make(self, move: _Move) -> None:
        group = self.groups[move.group]
        self.taken[move.group] += move.bundles
        self.kept[move.group] = len(group.order) - group.ends[self.taken[move.group]]
        self.cost = self.price.at(self.kept)

    def unreachable(self, limit: float) -> BadInput:
        """With as few channels as may be."""
        widths, cost = self.price.widths, self.price.cost
        if not self.groups:
            return BadInput(f"{widths.graph.name}: no channel can go; `edge prune --explain` says why")
        rigid = sum(self.price.of_op(op, self.kept) for op, groups in enumerate(widths.on) if not groups)
        whole = sum(len(group.ends) == 1 for group in self.groups)
        return BadInput(
            f"{widths.graph.name}: {limit:,.6g} {cost.unit} cannot be reached: with as few channels as may "
            f"be, {self.cost:,.6g} of {self.price.at(widths.full):,.6g} stay, {cost.fixed + rigid:,.6g} of "
            f"them where no channel can go; each group keeps a tenth of its channels, {whole} of "
            f"{len(self.groups)} stay whole for what they are a multiple of. Raise the limit"
            + (", or set [prune] channel_multiple = 1" if whole else ""))


def _greedy(plan: _Plan, limit: float) -> list[int]:
    """By rank. By cost, the last move is the one of least score that reaches the limit, from wherever on the
    way that is the least in all."""
    moves = {group: plan.next(group) for group in range(len(plan.groups))}
    spent, best, best_score = 0.0, None, inf
    while plan.cost > limit:
        open_moves = [move for move in moves.values() if move]
        if not open_moves:
            raise plan.unreachable(limit)
        last = min((m for m in open_moves if plan.cost - m.saved <= limit), key=_score, default=None)
        if plan.by_cost and last and spent + last.score < best_score:
            best_score, best = spent + last.score, [*plan.taken]
            best[last.group] += last.bundles
        move = min(open_moves, key=plan.rank)
        plan.make(move)
        spent += move.score
        moves.update((near, plan.next(near)) for near in plan.price.widths.near[move.group])
    return _given_back(plan, limit, best or plan.taken)


def _score(move: _Move) -> float:
    return move.score


def _given_back(plan: _Plan, limit: float, taken: list[int]) -> list[int]:
    """Without the bundles that need not go, those of the largest score first."""
    plan = _at(plan, taken)
    while True:
        moves = (plan.move(group, -1) for group, count in enumerate(plan.taken) if count)
        fitting = [move for move in moves if move.score < 0 and plan.cost - move.saved <= limit]
        if not fitting:
            return plan.taken
        plan.make(min(fitting, key=_score))


def _at(plan: _Plan, taken: Sequence[int]) -> _Plan:
    """A plan of the same with so many bundles gone."""
    other = _Plan(plan.groups, plan.price, plan.by_cost)
    other.taken = list(taken)
    other.kept = [len(group.order) - group.ends[count] for group, count in zip(plan.groups, taken)]
    other.cost = plan.price.at(other.kept)
    return other


def _layered(plan: _Plan, limit: float) -> list[int]:
    """The least share at which the limit holds. A bundle goes when the share reaches its middle."""
    middles = [(np.array(group.ends[:-1]) + group.ends[1:]) / (2 * len(group.order)) for group in plan.groups]
    shares = np.unique(np.concatenate(middles)) if middles else []

    def at(number: int) -> _Plan:
        return _at(plan, [int(np.sum(middle <= shares[number - 1])) if number else 0 for middle in middles])

    low, high = 0, len(shares)
    if at(high).cost > limit:
        raise at(high).unreachable(limit)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle).cost <= limit else (middle + 1, high)
    return at(high).taken


SCOPES: Mapping[str, Callable[[_Plan, float], list[int]]] = {
    "global": _greedy, "layer": _layered, "sensitivity": _greedy}
