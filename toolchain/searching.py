"""A search seen through: points asked for, tried and told, by as many processes as like."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
import time

from toolchain.errors import BadConfig, DeviceBusy
from toolchain.ledger.ledger import Ledger
from toolchain.recipe import Recipe
from toolchain.search.needs import Needs
from toolchain.search.rungs import promoted
from toolchain.search.space import Point, Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome, Trial

POLL_S = 0.2
"""Between looks at trials that other processes are at."""
FIRST_WAITS_S = 600.0
"""How long others wait for the first points."""
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
    watch: Watch = lambda trials: None

    def run(self) -> list[Trial]:
        """All trials, when the budget is spent. Raises what devices raise; what was begun then is begun again
        by the next run, as after KeyboardInterrupt or a kill."""
        began = time.monotonic()
        self._begin()
        while self.seconds is None or time.monotonic() - began < self.seconds:
            with self._claimed() as trial:
                if trial is not None:
                    self._do(trial)
                    self.watch(self.study.trials())
                elif self._over():
                    break
                else:
                    time.sleep(POLL_S)
        return self.study.trials()

    def recipe(self, trial: Trial) -> Recipe:
        """What a trial builds. Raises BadConfig where its point contradicts itself."""
        return self.space.recipe(trial.point, self._epochs[trial.rung])

    @property
    def _epochs(self) -> tuple[int | None, ...]:
        """Of each rung."""
        base = self.space.base
        return base.search.epochs(base.train.epochs) if base.train else (None,)

    def _begin(self) -> None:
        """The first points, put forward by one process alone."""
        with self.ledger.lease([f"search:{self.study.name}"], wait_s=FIRST_WAITS_S):
            if not self.study.trials():
                for point in self.first():
                    self.study.put_forward(point)

    @contextmanager
    def _claimed(self) -> Iterator[Trial | None]:
        """A trial that is ours: one that somebody left, else the next one; None where there is none now."""
        for trial in self.study.trials():
            if trial.state == "runs":
                with self._held(trial) as ours:
                    if ours and self.study.trials()[trial.number].state == "runs":
                        yield self.study.again(trial.number)
                        return
        trial = self._next()
        with self._held(trial) if trial else nullcontext(False) as ours:
            yield trial if ours else None

    @contextmanager
    def _held(self, trial: Trial) -> Iterator[bool]:
        """Whether nobody else is at it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.ledger.claim(f"trial:{self.study.name}:{trial.number}"))
            except DeviceBusy:
                yield False
                return
            yield True

    def _next(self) -> Trial | None:
        """What waits, what is to be tuned for longer, or a new point; None where the budget has no more.

        Of two processes that asked at once the later one steps back: a trial beyond the budget, or a second
        one that goes on from the same, is dropped.
        """
        trials = self.study.trials()
        if not any(trial.state == "waits" for trial in trials):
            if self.budget is not None and len(trials) >= self.budget:
                return None
            config = self.space.base.search
            if best := promoted(trials, self.needs, len(self._epochs), config.reduction):
                self.study.put_forward(best.point, best.rung + 1, best.number)
        trial = self.study.ask()
        beyond = self.budget is not None and trial.number >= self.budget
        if beyond or any(other.of == trial.of is not None for other in self.study.trials()[:trial.number]):
            self.study.drop(trial)
            return None
        return trial

    def _over(self) -> bool:
        """Whether nothing waits or runs, and nothing more may be asked for."""
        trials = self.study.trials()
        return (self.budget is not None and len(trials) >= self.budget
                and all(trial.state in ("done", "dropped") for trial in trials))

    def _do(self, trial: Trial) -> None:
        """Tried and told."""
        try:
            outcome = self.try_recipe(self.recipe(trial))
        except BadConfig as error:
            outcome = Outcome(refused=str(error))
        self.study.tell(trial, outcome)
