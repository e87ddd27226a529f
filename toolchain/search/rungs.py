"""Who is tuned for longer: the best of those that were tuned for a while (successive halving, Jamieson &
Talwalkar 2016), with several figures by fronts.
"""

from collections.abc import Sequence

from toolchain.search.best import best_of, hopeful
from toolchain.search.needs import Needs
from toolchain.search.trial import Trial


def promoted(trials: Sequence[Trial], needs: Needs, rungs: int, reduction: int,
             budget: int | None = None) -> Trial | None:
    """The trial that goes on to the next rung; None where a new point is to be tried.

    Of a rung with n outcomes, the best n / reduction go on. What breaks a limit other than that on accuracy,
    which training mends, does not.
    budget: of trials in all. Where it is known, a rung is filled before the next one is; else the highest is
            first (asynchronous successive halving, Li et al. 2020)
    """
    lower = range(rungs - 1)
    if not lower:
        return None
    if budget is not None and sum(trial.rung == 0 for trial in trials) < _new(budget, rungs, reduction):
        return None
    gone = {trial.of for trial in trials}
    for rung in reversed(lower) if budget is None else lower:
        here = [trial for trial in trials if trial.rung == rung]
        best = best_of(here, needs, len(hopeful(here, needs)) // reduction)
        if waiting := [trial for trial in best if trial.number not in gone]:
            return waiting[0]
    return None


def _new(budget: int, rungs: int, reduction: int) -> int:
    """Trials of the budget that are new points, where one of `reduction` of each rung goes on."""
    return round(budget / sum(reduction**-rung for rung in range(rungs)))
