"""A search seen through: points asked for, tried and told, by as many processes as like."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
import math
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
        until = time.monotonic() + (math.inf if self.seconds is None else self.seconds)
        self._begin()
        while not self._worked(until):
            pass
        return self.study.trials()

    def _worked(self, until: float) -> bool:
        """Whether it is over, or the time is; else this worker's lease is, and what it began is anybody's."""
        with self.ledger.worker() as lease:
            [worker] = lease.tokens
            while time.monotonic() < until:
                with self._alone():
                    trials = self.study.trials()
                    free = self._free(trials, worker)
                    if worker in free:
                        return False
                    trial = self._left(trials, free, worker) or self._next(trials, worker)
                if trial is not None:
                    self._do(trial, trials)
                elif self._over(trials):
                    break
                else:
                    time.sleep(POLL_S)
        return True

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
            while True:
                with suppress(DeviceBusy):
                    stack.enter_context(self.ledger.claim(f"search:{self.study.name}"))
                    break
                time.sleep(wait_s * random.uniform(0.5, 1))
                wait_s = min(2 * wait_s, POLL_S)
            yield

    def _free(self, trials: Sequence[Trial], worker: str) -> set[str]:
        """Of those who began what runs, and of us, who is there no more; "", which nobody is, always."""
        workers = {trial.worker for trial in trials if trial.state == "runs"} | {worker}
        return set(self.ledger.unclaimed(list(workers)))

    def _left(self, trials: Sequence[Trial], free: set[str], worker: str) -> Trial | None:
        """What nobody is at who began it."""
        left = (trial.number for trial in trials if trial.state == "runs" and trial.worker in free)
        number = next(left, None)
        return None if number is None else self.study.again(number, worker)

    def _next(self, trials: Sequence[Trial], worker: str) -> Trial | None:
        """What waits, what is to be tuned for longer, or a new point; None where the budget has no more."""
        if self._spent(trials):
            return None
        if not any(trial.state == "waits" for trial in trials):
            config = self.space.base.search
            if best := promoted(trials, self.needs, len(self.space.epochs), config.reduction, self.budget):
                return self.study.begin_with(best.point, best.rung + 1, best.number, worker)
            if born := self._born(trials):
                return self.study.begin_with(born.point, of=born.of, worker=worker)
        return self.study.ask(len(trials), worker)

    def _born(self, trials: Sequence[Trial]) -> Child | None:
        """What "evolution" makes of the trials that there are."""
        base = self.space.base
        if base.search.sampler != "evolution":
            return None
        random = np.random.default_rng((base.seed % 2**32, len(trials)))
        return child(trials, self.space, self.needs, random)

    def _spent(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing more may be begun."""
        return self.budget is not None and sum(trial.state != "waits" for trial in trials) >= self.budget

    def _over(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing runs either."""
        return self._spent(trials) and not any(trial.state == "runs" for trial in trials)

    def _do(self, trial: Trial, trials: Sequence[Trial]) -> None:
        """Tried, told and shown."""
        try:
            outcome = self.try_recipe(self.space.recipe_of(trial, trials))
        except BadConfig as error:
            outcome = Outcome(refused=str(error))
        told = self.study.tell(trial, outcome)
        if self.watch:
            self.watch(told)
