"""Who is tuned for longer: the best of those that were tuned for a while (asynchronous successive halving, Li
et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"), with several figures by fronts.
"""

from collections.abc import Sequence

from toolchain.search.answer import objectives
from toolchain.search.front import ranked
from toolchain.search.needs import Needs
from toolchain.search.trial import Trial


def promoted(trials: Sequence[Trial], needs: Needs, rungs: int, reduction: int) -> Trial | None:
    """The trial that goes on to the next rung; None where none does yet.

    Of a rung with n outcomes, the best n / reduction go on, from the highest rung first. What breaks a limit
    other than that on accuracy, which training mends, does not.
    """
    gone = {trial.of for trial in trials}
    for rung in reversed(range(rungs - 1)):
        here = [trial for trial in trials if trial.rung == rung and _may(trial, needs)]
        best = ranked([objectives(trial, needs) for trial in here], len(here) // reduction)
        if waiting := [here[number] for number in best if here[number].number not in gone]:
            return waiting[0]
    return None


def _may(trial: Trial, needs: Needs) -> bool:
    outcome = trial.outcome
    if outcome is None or not all(name in outcome.figures for name in needs.objectives):
        return False
    violated = needs.violations({name: value for name, value in outcome.figures.items()
                                 if name != "accuracy_drop"})
    return all(share <= 0 for share in violated.values())
