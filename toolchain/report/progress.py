"""How far a long run is, on stderr, where somebody looks on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time

REFRESHES_PER_SECOND = 5


@contextmanager
def progress_bar(label: str, total: int, *, unit: str, done: int = 0,
                 quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Shows a bar with `unit`s per second and the time that is left; what it gives is told how many are done.

    done: how many were done before: they count for the bar, not for the speed
    Nothing is shown where stderr is no terminal, or when quiet.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda count: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("{task.fields[rate]} " + unit + "/s, left:"), TimeRemainingColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        yield _teller(bar, bar.add_task(label, total=total, completed=done, rate="-"))


def _teller(bar, task) -> Callable[[int], None]:
    """Moves the bar, and draws it now and then: without a thread, so that a process may fork meanwhile."""
    drawn = time.monotonic()

    def tell(count: int) -> None:
        nonlocal drawn
        bar.update(task, completed=count)
        if time.monotonic() - drawn >= 1 / REFRESHES_PER_SECOND:
            bar.update(task, rate=_rate(bar.tasks[0].speed or 0), refresh=True)
            drawn = time.monotonic()

    return tell


def _rate(speed: float) -> str:
    """Of slow ones a digit or two."""
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
