"""Which channels go so that a network keeps within its limits: the least score for what is saved, first.

A knapsack, filled greedily by the ratio of score to cost saved (Shen et al. 2022, "Structural Pruning via
Latency-Saliency Knapsack"); what a channel saves is worked out anew whenever its neighbours shrink. With
several limits it is the sum over those that are exceeded, in shares of what the whole network costs.

That needs scores in units of the loss. By scores that only tell channels from each other, such as norms of
weights, the ratio would take all from the groups that cost most: of these the least go first, whatever they
save.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from toolchain.errors import BadInput
from toolchain.prune.cost import Limit
from toolchain.prune.widths import Price, Widths

LEAST = 0.1
"""Share of a group's channels that stay in any case. Scores are of single channels: they see least well what
the last channels of a layer are worth together, and nothing comes through a layer that has none."""


def least_counts(full: Sequence[int], steps: Sequence[int], share: float = LEAST) -> list[int]:
    """Per group the least that it keeps: a multiple of its step, at least one, and `share` of its channels.

    A group that has no more than its step stays whole.
    """
    return [count if count <= step else min(count, max(1, ceil(round(share * count / step, 6))) * step)
            for count, step in zip(full, steps)]


def select(widths: Widths, scores: Sequence[np.ndarray], limits: Sequence[Limit], steps: Sequence[int],
           scope: str, least: Sequence[int] | None = None, by_cost: bool = True) -> dict[int, np.ndarray]:
    """Group position -> channels that go, ascending; groups of which none goes are left out.

    scores: per group (channels,), larger = more important; the score of a set of channels is their sum
    limits: all hold in the end
    steps:  per group, what the kept channels are a multiple of where any go
    scope:  a key of SCOPES. "layer" = the same share of each group; "global" = one ranking of all groups;
            "sensitivity" = the same, of scores by `sensitivity.increments`
    least:  per group, how many channels stay in any case; by default `least_counts` of the steps
    by_cost: rank by score for cost saved, of scores in units of the loss; else by a bundle's mean score
    Raises BadInput where a limit cannot be reached, with what can.
    """
    least = least_counts(widths.full, steps) if least is None else least
    groups = [_Bundles.of(score, step, few) for score, step, few in zip(scores, steps, least, strict=True)]
    taken = SCOPES[scope](_Plan(groups, widths, limits, by_cost))
    return {number: np.sort(group.order[:group.ends[count]])
            for number, (group, count) in enumerate(zip(groups, taken)) if count}


def select_shares(scores: Sequence[np.ndarray], shares: Sequence[float], steps: Sequence[int],
                  least: Sequence[int], whole: Sequence[int]) -> dict[int, np.ndarray]:
    """The same of groups that say themselves how much goes: the share, to the nearest multiple of the step.

    shares: per group, in [0, 1), of the channels that it had whole; those that are gone already count
    """
    gone = {}
    groups = zip(scores, shares, steps, least, whole, strict=True)
    for number, (score, share, step, few, full) in enumerate(groups):
        ends = _Bundles.of(np.zeros(full), step, few).ends
        kept = full - min(ends, key=lambda end: abs(end - share * full))
        if kept < len(score):
            gone[number] = np.sort(np.argsort(score, kind="stable")[:len(score) - kept])
    return gone


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
    """So many more bundles of one group go, so many channels (or come back, where bundles < 0).

    saved: of the cost of each limit
    """

    group: int
    bundles: int
    channels: int
    score: float
    saved: tuple[float, ...]


class _Plan:
    """Bundles of all groups, and what the network costs when some of them have gone.

    taken: per group, how many of its bundles
    costs: of the limits;  over: numbers of those that are exceeded
    """

    def __init__(self, groups: Sequence[_Bundles], widths: Widths, limits: Sequence[Limit], by_cost: bool):
        self.groups, self.widths, self.limits, self.by_cost = groups, widths, limits, by_cost
        self.prices = [Price(widths, limit.cost) for limit in limits]
        self.wholes = [price.at(widths.full) for price in self.prices]
        self.take([0] * len(groups))

    def take(self, taken: Sequence[int]) -> None:
        """So many bundles of each group are gone."""
        self.taken = list(taken)
        self.kept = [len(group.order) - group.ends[count] for group, count in zip(self.groups, taken)]
        self.costs = [price.at(self.kept) for price in self.prices]
        self.over = [number for number, (cost, limit) in enumerate(zip(self.costs, self.limits))
                     if cost > limit.most]

    def move(self, group: int, bundles: int) -> _Move:
        """What it would do."""
        found, start = self.groups[group], self.taken[group]
        end = start + bundles
        kept = [*self.kept[:group], len(found.order) - found.ends[end], *self.kept[group + 1:]]
        saved = tuple(price.of_group(group, self.kept) - price.of_group(group, kept)
                      for price in self.prices)
        channels = found.ends[end] - found.ends[start]
        return _Move(group, bundles, channels, float(found.sums[end] - found.sums[start]), saved)

    def worth(self, move: _Move) -> float:
        """What it saves where that is needed."""
        return sum(move.saved[number] / self.wholes[number] for number in self.over)

    def rank(self, move: _Move) -> float:
        """The least goes first."""
        return move.score / (self.worth(move) if self.by_cost else move.channels)

    def holds(self, move: _Move) -> bool:
        """Whether all limits do after it."""
        return all(cost - saved <= limit.most
                   for cost, saved, limit in zip(self.costs, move.saved, self.limits))

    def next(self, group: int) -> _Move | None:
        """The fewest bundles that save anything where that is needed."""
        left = len(self.groups[group].ends) - 1 - self.taken[group]
        moves = (self.move(group, bundles) for bundles in range(1, left + 1))
        return next((move for move in moves if self.worth(move) > 0), None)

    def make(self, move: _Move) -> Iterable[int]:
        """The groups whose next moves are others now."""
        over, taken = self.over, list(self.taken)
        taken[move.group] += move.bundles
        self.take(taken)
        return self.widths.near[move.group] if self.over == over else range(len(self.groups))

    def unreachable(self) -> BadInput:
        """With as few channels as may be."""
        widths, number = self.widths, self.over[0]
        price, cost, most = self.prices[number], self.limits[number].cost, self.limits[number].most
        if not self.groups:
            return BadInput(f"{widths.graph.name}: no channel can go; `edge prune --explain` says why")
        rigid = sum(price.of_op(op, self.kept) for op, groups in enumerate(widths.on) if not groups)
        whole = sum(len(group.ends) == 1 for group in self.groups)
        return BadInput(
            f"{widths.graph.name}: a budget of {most:,.6g} {cost.unit} cannot be reached: with as few "
            f"channels as may be, {self.costs[number]:,.6g} of {self.wholes[number]:,.6g} stay, "
            f"{cost.fixed + rigid:,.6g} of them where no channel can go; each group keeps a tenth of its "
            f"channels, {whole} of {len(self.groups)} stay whole for what they are a multiple of. Raise the "
            f"limit"
            + (", or set [prune] channel_multiple = 1" if whole else ""))


def _greedy(plan: _Plan) -> list[int]:
    """By rank. By cost, the last move is the one of least score that reaches the limits, from wherever on the
    way that is the least in all."""
    moves = {group: plan.next(group) for group in range(len(plan.groups))}
    spent, best, best_score = 0.0, None, inf
    while plan.over:
        open_moves = [move for move in moves.values() if move]
        if not open_moves:
            raise plan.unreachable()
        last = min(filter(plan.holds, open_moves), key=_score, default=None)
        if plan.by_cost and last and spent + last.score < best_score:
            best_score, best = spent + last.score, [*plan.taken]
            best[last.group] += last.bundles
        move = min(open_moves, key=plan.rank)
        spent += move.score
        moves.update([(group, plan.next(group)) for group in plan.make(move)])
    plan.take(best or plan.taken)
    return _given_back(plan)


def _score(move: _Move) -> float:
    return move.score


def _given_back(plan: _Plan) -> list[int]:
    """Without the bundles that need not go, those of the largest score first."""
    while True:
        moves = (plan.move(group, -1) for group, count in enumerate(plan.taken) if count)
        fitting = [move for move in moves if move.score < 0 and plan.holds(move)]
        if not fitting:
            return plan.taken
        plan.make(min(fitting, key=_score))


def _layered(plan: _Plan) -> list[int]:
    """The least share at which the limits hold. A bundle goes when the share reaches its middle."""
    middles = [(np.array(group.ends[:-1]) + group.ends[1:]) / (2 * len(group.order)) for group in plan.groups]
    shares = np.unique(np.concatenate(middles)) if middles else []

    def over(number: int) -> bool:
        plan.take([int(np.sum(middle <= shares[number - 1])) if number else 0 for middle in middles])
        return bool(plan.over)

    if over(len(shares)):
        raise plan.unreachable()
    over(bisect_left(range(len(shares)), True, key=lambda number: not over(number)))
    return plan.taken


SCOPES: Mapping[str, Callable[[_Plan], list[int]]] = {
    "global": _greedy, "layer": _layered, "sensitivity": _greedy}
