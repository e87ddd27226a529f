"""Which channels stay is learned with the weights: a gate for each, and a limit on what is to be open.

min loss(w, z) subject to cost(E[open gates]) = limit, by gradient on weights and gates and by ascent on the
multiplier (Wang et al. 2020, "Structured Pruning of Large Language Models"). Gates: hard_concrete.py, one for
a channel wherever it is read. While the cost is below the limit the multiplier is negative, so that gates
that were closed too soon open again.

The loss shares no unit with the cost: the multiplier is counted in the ratio of the norms of both gradients,
averaged over the last steps.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from toolchain.errors import BadInput
from toolchain.prune.expected_cost import ExpectedCost, Price
from toolchain.prune.groups import Group
from toolchain.prune.hard_concrete import estimate, open_probability, sampled
from toolchain.prune.masks import MaskedGraph
from toolchain.prune.select import least_counts
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule

LEARNED = 0.7
"""Share of the steps in which gates are learned; in the rest they are 0 or 1, and weights adapt to that."""
RAMP = 0.6
"""Share of these in which the limit comes down from the whole network's cost."""
OPEN = 2.5
"""log alpha of an untouched gate: `estimate` is 1, so that the network is what it was."""
REACH = 8.0
"""Largest |log alpha|: open with a probability of 0.2 % or 99.99 %."""
TRAVEL, PACE = 20.0, 0.2
"""How far log alpha could go while it is learned, and in a step at most."""
ASCENT, DAMPING = 100.0, 10.0
"""Of the multiplier: its gain on the excess, as a share of the limit, over all steps; and on that of the
moment, which makes it an augmented Lagrangian."""
MEMORY = 0.95
"""Decay of the averages whose ratio is the multiplier's unit."""
REFRESH = 8
"""Steps for which slopes of the cost are used."""
OWN_STATE = ("log_alpha", "looked", "multiplier", "last")
"""Keys of a state; the others are the optimiser's."""
EDGE = 1e-6
"""Of the noise, whose logarithm is taken."""


class Gates(Addition):
    """Of `masked.graph`, which is what is trained; in the end masks are 0 or 1, and `gone()` says which.

    masked:  with_masks(graph, groups)
    price:   cost by the channels kept of each group; asked at whole steps
    limit:   of the price
    steps:   per group, what kept channels are a multiple of
    least:   per group, how many channels stay in any case; by default `least_counts` of the steps
    Raises BadInput where the limit is out of reach.
    """

    def __init__(self, masked: MaskedGraph, groups: Sequence[Group], price: Price, limit: float,
                 steps: Sequence[int] | None = None, least: Sequence[int] | None = None):
        self.name, self.price, self.limit = masked.graph.name, price, limit
        self.full = [group.channels for group in groups]
        self.steps = [1] * len(self.full) if steps is None else list(steps)
        self.least = least_counts(self.full, self.steps) if least is None else list(least)
        self.starts = np.cumsum([0, *self.full])[:-1]
        self.group_of = np.repeat(np.arange(len(self.full)), self.full)
        gated = np.repeat(np.greater(self.full, self.least), self.full)
        self.gated = torch.from_numpy(gated.astype(np.float32))
        self.log_alpha = torch.where(self.gated > 0, OPEN, REACH).requires_grad_()
        self.sources = _sources(masked, self.starts, len(self.group_of))
        self.cost, self.whole = ExpectedCost(price, self.full, self.steps), price(self.full)
        self.gone()

    # Hooks --------------------------------------------------------------------------------------------------

    def key(self) -> str:
        return f"{self.whole} {self.limit} {self.full} {self.steps} {self.least}"

    def begin(self, module: GraphModule, steps: int) -> tuple:
        """Gates have an optimiser of their own: their pace is not that of the weights."""
        self.learned = max(1, round(LEARNED * steps))
        pace = min(PACE, TRAVEL / self.learned)
        self.optimizer = torch.optim.Adam([self.log_alpha], pace, betas=(0.9, 0.99))
        self.step, self.integral, self.norms, self.values = -1, 0.0, np.zeros(2), None
        self.cost.look(np.array(self.full, np.float64))
        return ()

    def before_batch(self, module: GraphModule, step: int) -> None:
        """Gates are drawn; when they have been learned, they are 0 or 1."""
        self.step = step
        if step < self.learned:
            noise = torch.rand(len(self.log_alpha)).clamp(EDGE, 1 - EDGE)
            self._set(module, sampled(self.log_alpha, noise))
        else:
            self._set(module, self._final())

    @torch.no_grad()
    def after_backward(self, module: GraphModule) -> None:
        """A step of the gates down the loss and multiplier * cost, and one of the multiplier."""
        if self.step >= self.learned:
            return
        opened = open_probability(self.log_alpha)
        counts = np.bincount(self.group_of, opened.numpy(), len(self.full))
        if self.step % REFRESH == 0:
            self.cost.look(counts)
        target = self._target()
        excess = self.cost.at(counts) / target - 1
        slopes = torch.from_numpy(self.cost.slopes[self.group_of] / target).float()
        rise = slopes * opened * (1 - opened) * self.gated
        task = torch.zeros_like(rise) if self.log_alpha.grad is None else self.log_alpha.grad * self.gated
        self.log_alpha.grad = task + self._multiplier(task, rise, excess) * rise
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.log_alpha.clamp_(-REACH, REACH)

    def before_score(self, module: GraphModule) -> None:
        """Without noise."""
        self._set(module, self._final() if self.settled() else estimate(self.log_alpha.detach()))

    def settled(self) -> bool:
        return self.step + 1 >= self.learned

    def end(self, module: GraphModule) -> None:
        self._set(module, self._final())

    def state(self) -> dict[str, torch.Tensor]:
        moments = self.optimizer.state[self.log_alpha]
        return {"log_alpha": self.log_alpha.detach(), **moments,
                "looked": torch.from_numpy(self.cost.looked),
                "multiplier": torch.tensor([self.integral, *self.norms], dtype=torch.float64),
                "last": torch.tensor(self.step)}

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        self.optimizer.state[self.log_alpha] = {name: value.clone() for name, value in state.items()
                                                if name not in OWN_STATE}
        self.cost.look(state["looked"].numpy())
        integral, *norms = state["multiplier"].tolist()
        self.integral, self.norms, self.values = integral, np.array(norms), None
        self.step = int(state["last"])

    # What was learned ---------------------------------------------------------------------------------------

    @property
    def scores(self) -> list[np.ndarray]:
        """Per group (channels,): the probability that a gate is open."""
        return np.split(open_probability(self.log_alpha.detach()).double().numpy(), self.starts[1:])

    def gone(self) -> dict[int, np.ndarray]:
        """Group -> channels that go: gates that are least likely to be open, in steps, as few as the limit
        asks for. Raises BadInput where it cannot be met."""
        bundles = [(score[part].mean(), number, part)
                   for number, score in enumerate(self.scores)
                   for part in _bundles(score, self.steps[number], self.least[number])]
        bundles.sort(key=lambda bundle: bundle[0])
        kept = [self.full]
        for _, number, part in bundles:
            kept.append([count - len(part) * (group == number) for group, count in enumerate(kept[-1])])
        if self.price(kept[-1]) > self.limit:
            raise BadInput(f"{self.name}: gates cannot bring the network within its budget: with the fewest "
                           f"channels it takes {self.price(kept[-1]) / self.limit:.3g} times that")
        closed = bisect_left(kept, True, key=lambda counts: self.price(counts) <= self.limit)
        gone: dict[int, np.ndarray] = {}
        for _, number, part in bundles[:closed]:
            gone[number] = np.append(gone.get(number, np.empty(0, np.int64)), part)
        return gone

    # Inside -------------------------------------------------------------------------------------------------

    def _target(self) -> float:
        """The limit, to which it comes down from the whole network's cost."""
        done = min(1.0, (self.step + 1) / (RAMP * self.learned))
        return max(self.limit, self.whole + (self.limit - self.whole) * done)

    def _multiplier(self, task: torch.Tensor, rise: torch.Tensor, excess: float) -> float:
        """Of this step; and the next one's is higher where the cost is too high."""
        self.norms = MEMORY * self.norms + (1 - MEMORY) * np.array([task.norm().item(), rise.norm().item()])
        unit = self.norms[0] / self.norms[1] if self.norms.all() else 1.0
        self.integral += ASCENT / self.learned * excess
        return unit * (self.integral + DAMPING * excess)

    def _final(self) -> torch.Tensor:
        """(all channels,) 0 or 1."""
        if self.values is None:
            self.values = torch.ones(len(self.group_of))
            for number, channels in self.gone().items():
                self.values[self.starts[number] + channels] = 0
        return self.values

    def _set(self, module: GraphModule, values: torch.Tensor) -> None:
        """Masks of the module from the gates' values; differentiable where they are."""
        padded = torch.cat([values, torch.ones(1)])
        for name, source in self.sources.items():
            setattr(module, module.keys[name], padded[source].reshape(module.constant(name).shape))


def _sources(masked: MaskedGraph, starts: np.ndarray, count: int) -> dict[str, torch.Tensor]:
    """Mask -> for each of its elements the position of its gate, or `count` where it has none."""
    sources: dict[str, np.ndarray] = {}
    for place in masked.places:
        size = masked.graph.tensors[place.mask].size
        found = sources.setdefault(place.mask, np.full(size, count, np.int64))
        found[place.member.index] = starts[place.group] + place.member.channel
    return {name: torch.from_numpy(found) for name, found in sources.items()}


def _bundles(scores: np.ndarray, step: int, least: int) -> list[np.ndarray]:
    """Channels that go together, lowest scores first: what stays is a multiple of the step."""
    order = np.argsort(scores, kind="stable")
    stays = [kept for kept in range(len(scores) // step * step, 0, -step) if least <= kept < len(scores)]
    ends = [0, *(len(scores) - kept for kept in stays)]
    return [order[a:b] for a, b in zip(ends, ends[1:])]
