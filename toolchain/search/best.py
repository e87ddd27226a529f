"""Which of what was tried to go on from."""

from collections.abc import Sequence

import numpy as np

from toolchain.search.front import ranked
from toolchain.search.needs import Needs
from toolchain.search.trial import Trial


def hopeful(trials: Sequence[Trial], needs: Needs) -> list[Trial]:
    """What was judged and breaks no limit, but for that on accuracy, which training mends."""
    wanted = set(needs.objectives)
    found = [trial for trial in trials if trial.outcome and wanted <= trial.outcome.figures.keys()]
    for name, most in [(limit.quantity, limit.most) for limit in needs.limits]:
        if name != "accuracy_drop":
            found = [trial for trial in found if trial.outcome.figures.get(name, most) <= most]
    return found


def best_of(trials: Sequence[Trial], needs: Needs, count: int) -> list[Trial]:
    """So many of the hopeful, best first (`front.ranked`); of those that lose more accuracy than
    `needs.most_lost` only where none loses less, the least loss first."""
    found, most_lost = hopeful(trials, needs), needs.most_lost
    useful = [trial for trial in found if _lost(trial) <= most_lost]
    if not useful:
        return sorted(found, key=_lost)[:count]
    figures = np.array([[trial.outcome.figures[name] for trial in useful] for name in needs.objectives])
    return [useful[number] for number in ranked(figures.T, count)]


def _lost(trial: Trial) -> float:
    """0 where accuracy is not asked for."""
    return trial.outcome.figures.get("accuracy_drop", 0.0)
