"""How far a search is: a line for each trial; on a terminal, the front as it grows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import sys
import time

from toolchain.report.search import Entry, front_table
from toolchain.search.answer import front_of, recommended
from toolchain.search.needs import Needs, shown
from toolchain.search.trial import Trial

Watch = Callable[[Sequence[Trial]], None]


@contextmanager
def watching(needs: Needs, budget: int | None, quiet: bool) -> Iterator[Watch | None]:
    """What it gives is told all trials after each; None when quiet."""
    from rich.console import Console
    from rich.live import Live

    began, console = time.monotonic(), Console(stderr=True, highlight=False)
    before: list[int] = []

    def line(trials: Sequence[Trial]) -> str:
        before.append(_done(trials))
        return progress_text(trials, needs, budget, time.monotonic() - began, before[0] - 1)

    if quiet:
        yield None
    elif not console.is_terminal:
        yield lambda trials: print(f"edge: {line(trials)}", file=sys.stderr, flush=True)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda trials: live.update(_front(trials, needs, line(trials)), refresh=True)


def progress_text(trials: Sequence[Trial], needs: Needs, budget: int | None, seconds: float,
                  before: int = 0) -> str:
    """Trials done, the time that is left, the best so far. before: done when the clock began"""
    done = _done(trials)
    told = f"{done} of {budget} trials" if budget else f"{done} trials"
    if budget and before < done < budget:
        told += f", about {_minutes(seconds / (done - before) * (budget - done))} left"
    best = recommended(trials, needs)
    if best is None:
        return f"{told}; none keeps all limits yet"
    figures = trials[best.number].outcome.figures
    objectives = ", ".join(f"{name} {shown(figures[name])}" for name in needs.objectives)
    return f"{told}; best so far: trial {best.number}: {objectives}"


def _done(trials: Sequence[Trial]) -> int:
    return sum(trial.outcome is not None for trial in trials)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _front(trials: Sequence[Trial], needs: Needs, line: str):
    from rich.console import Group

    entries = [Entry(name=f"trial {trial.number}", kind="front", outcome=trial.outcome)
               for trial in front_of(trials, needs)]
    return Group(front_table(entries, needs, recommended(trials, needs)), line)
