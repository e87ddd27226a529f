"""What a search has found: the front, the point to take and why, and what stands in a better one's way."""

from collections.abc import Sequence

import msgspec

from toolchain.search.front import front
from toolchain.search.needs import Limit, Needs, Quantity, shown
from toolchain.search.trial import Trial

RELAXED = 0.1
"""By what share of it a limit is relaxed to see what that would buy."""


class Recommended(msgspec.Struct, frozen=True):
    """number: of the trial;  reason: why this one"""

    number: int
    reason: str


class Binding(msgspec.Struct, frozen=True):
    """A limit, and what a tenth more of it would buy.

    now, relaxed: the least of the objective that trials within all limits have, and those with this one
                  relaxed; None where that is no less
    """

    limit: Limit
    objective: Quantity
    now: float
    relaxed: float | None

    def __str__(self) -> str:
        if self.relaxed is None:
            return f"{self.limit} does not bind: 10 % more would buy nothing that was seen"
        return (f"{self.limit} binds: with 10 % more, {self.objective} would be {shown(self.relaxed)} "
                f"instead of {shown(self.now)}")


def judged(trials: Sequence[Trial], needs: Needs) -> list[Trial]:
    """Those with every figure that counts."""
    wanted = {*needs.costs, *needs.objectives, *(limit.quantity for limit in needs.limits)}
    return [trial for trial in trials if trial.outcome and wanted <= trial.outcome.figures.keys()]


def feasible(trials: Sequence[Trial], needs: Needs) -> list[Trial]:
    """Those that keep all limits."""
    return [trial for trial in judged(trials, needs) if needs.hold(trial.outcome.figures)]


def front_of(trials: Sequence[Trial], needs: Needs) -> list[Trial]:
    """Of those that keep all limits, the ones that none is better than."""
    found = feasible(trials, needs)
    return [found[number] for number in front([objectives(trial, needs) for trial in found])]


def objectives(trial: Trial, needs: Needs) -> list[float]:
    """What shall be small."""
    return [trial.outcome.figures[name] for name in needs.objectives]


def recommended(trials: Sequence[Trial], needs: Needs) -> Recommended | None:
    """The point to take; None where no trial keeps all limits.

    Where limits leave one objective open, the point with the least of it; else the one where the front bends:
    furthest from the line between its ends, in shares of its spans.
    """
    found = front_of(trials, needs)
    if not found:
        return None
    limited = {limit.quantity for limit in needs.limits}
    left_open = [name for name in needs.objectives if name not in limited]
    if len(left_open) > 1:
        first, second, *_ = needs.objectives
        return Recommended(_bend(found, needs).number, f"where the front bends: further on, a share of "
                                                       f"{first} saved costs a larger one of {second}")
    name = (*left_open, needs.objectives[0])[0]
    best = min(found, key=lambda trial: (trial.outcome.figures[name], objectives(trial, needs)))
    held = "; ".join(f"{limit}: {shown(best.outcome.figures[limit.quantity])}" for limit in needs.limits)
    return Recommended(best.number, f"the least {name} of what keeps all limits ({held})")


def _bend(found: Sequence[Trial], needs: Needs) -> Trial:
    """The point furthest below the plane through the ends of the front, in shares of its spans."""
    points = [objectives(trial, needs) for trial in found]
    spans = [(min(column), max(column)) for column in zip(*points)]
    shares = [sum((value - low) / ((high - low) or 1) for value, (low, high) in zip(point, spans))
              for point in points]
    return found[shares.index(min(shares))]


def bindings(trials: Sequence[Trial], needs: Needs) -> list[Binding]:
    """Of each limit, what a tenth more would buy, as far as trials saw; nothing where none keeps all."""
    kept = feasible(trials, needs)
    return [_binding(limit, kept, trials, needs) for limit in needs.limits] if kept else []


def _binding(limit: Limit, kept: Sequence[Trial], trials: Sequence[Trial], needs: Needs) -> Binding:
    name = next((name for name in needs.objectives if name != limit.quantity), needs.objectives[0])
    wider = msgspec.structs.replace(limit, most=limit.most * (1 + RELAXED))
    limits = tuple(wider if other == limit else other for other in needs.limits)
    now, relaxed = (min(trial.outcome.figures[name] for trial in some)
                    for some in (kept, feasible(trials, Needs(limits, needs.objectives))))
    return Binding(limit, name, now, relaxed if relaxed < now else None)


def nearest_miss(trials: Sequence[Trial], needs: Needs) -> Trial | None:
    """Of those that were judged, or else measured, the one whose worst limit is least exceeded; of those that
    could not be built the first."""
    done = [one for one in trials if one.outcome]
    seen = judged(trials, needs) or [one for one in done if one.outcome.figures] or done
    return min(seen, key=lambda trial: max(needs.violations(trial.outcome.figures).values(), default=0),
               default=None)
