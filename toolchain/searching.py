"""A search seen through: points asked for, tried and told, by as many processes as like."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
import random
import time

import numpy as np

from toolchain.errors import BadConfig, DeviceBusy
from toolchain.ledger.ledger import Ledger
from toolchain.recipe import Recipe
from toolchain.search.evolution import Child, child
from toolchain.search.needs import Needs
from toolchain.search.rungs import promoted
from toolchain.search.space import Point, Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome, Trial

POLL_S = 0.2
"""Between looks at trials that other processes are at."""
TURN_S = 0.005
"""How long it takes about to look for a trial: before the second look whether another process is still at it.
"""
Try = Callable[[Recipe], Outcome]
Watch = Callable[[list[Trial]], None]


@dataclass(frozen=True, eq=False)
class Search:
    """One process at work on a search.

    try_recipe: what becomes of a recipe
    first:      the points to begin with
    budget:     trials in all, or None;  seconds: of this process, or None
    ledger:     by whose leases processes know who is at what
    """

    study: Study
    space: Space
    needs: Needs
    try_recipe: Try
    first: Callable[[], Iterator[Point]]
    ledger: Ledger
    budget: int | None = None
    seconds: float | None = None
    watch: Watch | None = None

    def run(self) -> list[Trial]:
        """All trials, when the budget is spent. Raises what devices raise; what was begun then is begun again
        by the next run, as after KeyboardInterrupt or a kill."""
        began = time.monotonic()
        self._begin()
        while self.seconds is None or time.monotonic() - began < self.seconds:
            with self._claimed() as (trial, trials):
                if trial is not None:
                    self._do(trial, trials)
                    if self.watch:
                        self.watch(self.study.trials())
                elif self._over(trials):
                    break
                else:
                    time.sleep(POLL_S)
        return self.study.trials()

    def _begin(self) -> None:
        """The first points, put forward by one process alone; by the next one where that died over it."""
        with self._alone():
            if not self.study.begun:
                for point in islice(self.first(), len(self.study.trials()), None):
                    self.study.put_forward(point)
                self.study.begin()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process looks for a trial meanwhile: of two that do at once both might go on from the same
        one, or take what the other is asking for."""
        wait_s = TURN_S
        with ExitStack() as stack:
            while not self._claims(stack, f"search:{self.study.name}"):
                time.sleep(wait_s * random.uniform(0.5, 1))
                wait_s = min(2 * wait_s, POLL_S)
            yield

    def _claims(self, stack: ExitStack, what: str) -> bool:
        """Whether it is ours, until the stack ends; else it is somebody else's."""
        try:
            stack.enter_context(self.ledger.claim(what))
        except DeviceBusy:
            return False
        return True

    @contextmanager
    def _claimed(self) -> Iterator[tuple[Trial | None, list[Trial]]]:
        """A trial that is ours, and those before it: one that somebody left, else the next one; None where
        there is none now."""
        with ExitStack() as stack:
            with self._alone():
                trials = self.study.trials()
                trial = self._left(stack, trials) or self._next(stack, trials)
            yield trial, trials

    def _left(self, stack: ExitStack, trials: Sequence[Trial]) -> Trial | None:
        """What nobody is at who began it."""
        running = {self._name(trial.number): trial.number for trial in trials if trial.state == "runs"}
        for name in self.ledger.unclaimed(list(running)) if running else ():
            number = running[name]
            with ExitStack() as held:
                if self._claims(held, name) and self.study.trials()[number].state == "runs":
                    stack.push(held.pop_all())
                    return self.study.again(number)
        return None

    def _next(self, stack: ExitStack, trials: Sequence[Trial]) -> Trial | None:
        """What waits, what is to be tuned for longer, or a new point; None where the budget has no more."""
        if self._spent(trials):
            return None
        if not any(trial.state == "waits" for trial in trials):
            config = self.space.base.search
            if best := promoted(trials, self.needs, len(self.space.epochs), config.reduction, self.budget):
                return self._ours(stack, self.study.begin_with(best.point, best.rung + 1, best.number))
            if born := self._born(trials):
                return self._ours(stack, self.study.begin_with(born.point, of=born.of))
        return self._ours(stack, self.study.ask(len(trials)))

    def _ours(self, stack: ExitStack, trial: Trial) -> Trial | None:
        return trial if self._claims(stack, self._name(trial.number)) else None

    def _born(self, trials: Sequence[Trial]) -> Child | None:
        """What "evolution" makes of the trials that there are."""
        base = self.space.base
        if base.search.sampler != "evolution":
            return None
        random = np.random.default_rng((base.seed % 2**32, len(trials)))
        return child(trials, self.space, self.needs, random)

    def _name(self, number: int) -> str:
        """Of a trial, in the ledger."""
        return f"trial:{self.study.name}:{number}"

    def _spent(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing more may be begun."""
        return self.budget is not None and sum(trial.state != "waits" for trial in trials) >= self.budget

    def _over(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing runs either."""
        return self._spent(trials) and not any(trial.state == "runs" for trial in trials)

    def _do(self, trial: Trial, trials: Sequence[Trial]) -> None:
        """Tried and told."""
        try:
            outcome = self.try_recipe(self.space.recipe_of(trial, trials))
        except BadConfig as error:
            outcome = Outcome(refused=str(error))
        self.study.tell(trial, outcome)
