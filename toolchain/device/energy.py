"""Energy of one inference from what a meter saw: gross and net of idle, with the uncertainty that they carry.

Gross is MLPerf Tiny's definition (MLCommons, MLPerf Tiny rules, energy mode): all energy between the two
timestamps around N inferences, over N. Net leaves out what the board takes at idle in the same time. A figure
that is known to worse than 5 % (k = 2) is not given: the error says how many inferences would do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot, inf, sqrt

import msgspec
import numpy as np

from toolchain.device.meters.meter import Facts, Window
from toolchain.device.uncertainty import RECTANGULAR, WITH_ENERGY, WITH_TIME, Amount, amount_of
from toolchain.errors import InvalidMeasurement, TooShort
from toolchain.measurement import Energy

MOST = 0.05
"""Relative uncertainty, k = 2, above which a measurement is invalid."""
COVERAGE = 2
MARGIN = 1.1
"""More inferences than the budget asks for."""
SCATTER = 1.4
"""Noise and phases of another run may be so much worse."""
SHRINKS = {"edges": 1.0, "noise": 0.5, "phase": 0.5}
"""Part of the budget -> power of the window's length that its share of the energy falls by."""


@dataclass(frozen=True)
class Idle:
    """Power of a board that waits, mW, and its standard uncertainty without what it shares with a run's."""

    mw: float
    standard_mw: float


def measure_energy(window: Window, inferences: int, idle: Sequence[Window] = (), *, edge_s: float = 0.0,
                   cycles_s: np.ndarray | None = None) -> Energy:
    """Of one inference, from a window around `inferences` of them.

    idle:     windows before and after the run, in which the board waits, by the same meter
    edge_s:   limits of the window's edges against the readings' clock: ClockMap.limits_s, or 0 where it is
              the same clock or the meter's own pin
    cycles_s: when each inference began, and the last one ended, (inferences + 1,) in the readings' clock;
              evenly spread where it is not known
    Raises InvalidMeasurement for readings that cannot be; TooShort where the uncertainty is above 5 %.
    """
    if inferences < 1:
        raise InvalidMeasurement(f"{window.facts.kind}: energy of {inferences} inferences")
    rest = idle_power(idle)
    if cycles_s is None:
        cycles_s = np.linspace(window.begin_s, window.end_s, inferences + 1)
    gross = amount_of(window, cycles_s, edge_s, rest and rest.mw)
    _check(window.facts, gross, inferences)
    per_uj = 1000 / inferences
    figure = Energy(gross_uj=gross.mj * per_uj, uncertainty=COVERAGE * gross.standard_mj / gross.mj,
                    tier=window.facts.tier, meter=window.facts.kind, rails=window.facts.rails,
                    window_s=window.seconds, inferences=inferences, note=window.facts.note)
    return figure if rest is None else _with_net(figure, gross, rest, per_uj)


def idle_power(windows: Sequence[Window]) -> Idle | None:
    """Mean over the idle windows; where two differ, idle in between was one, other or between."""
    if not windows:
        return None
    amounts = [amount_of(window) for window in windows]
    seconds = sum(amount.seconds for amount in amounts)
    own = hypot(*(value for amount in amounts for source, value in amount.parts.items()
                  if source not in WITH_ENERGY + WITH_TIME)) / seconds
    powers = [amount.mw for amount in amounts]
    apart = (max(powers) - min(powers)) / 2 * RECTANGULAR
    return Idle(sum(amount.mj for amount in amounts) / seconds, hypot(own, apart))


def _with_net(figure: Energy, gross: Amount, idle: Idle, per_uj: float) -> Energy:
    """Gain and clock scale the difference as a whole, an offset is in both and cancels (GUM 5.2.2)."""
    net_mj = gross.mj - idle.mw * gross.seconds
    scale = abs(net_mj) / gross.mj
    shared = [value * scale for source, value in gross.parts.items() if source in WITH_ENERGY]
    own = [value for source, value in gross.parts.items() if source not in WITH_ENERGY + WITH_TIME]
    limits_mj = COVERAGE * hypot(*shared, *own, idle.standard_mw * gross.seconds)
    if limits_mj >= net_mj:
        note = "; ".join(filter(None, (figure.note, "net of idle: within its own uncertainty")))
        return msgspec.structs.replace(figure, idle_mw=idle.mw, note=note)
    return msgspec.structs.replace(figure, idle_mw=idle.mw, net_uj=net_mj * per_uj,
                                   net_uncertainty=limits_mj / net_mj)


def between_pins(window: Window) -> Window:
    """The part of a window between the last two times that the board pulled the meter's logic input.

    MLPerf Tiny's energy mode: a pulse before the inferences, one after them. Raises InvalidMeasurement.
    """
    pins = window.series.pins_s
    if len(pins) < 2:
        raise InvalidMeasurement(f"{window.facts.kind}: its logic input saw {len(pins)} edges where two mark "
                                 f"the window; is the board's timestamp pin wired to it?")
    return replace(window, begin_s=float(pins[-2]), end_s=float(pins[-1]))


def _check(facts: Facts, gross: Amount, inferences: int) -> None:
    """Raises where the energy is not positive, or known too badly."""
    if gross.mj <= 0:
        raise InvalidMeasurement(f"{facts.kind}: {gross.mj:.3f} mJ in {gross.seconds:.2f} s: the board seems "
                                 f"to give power; turn the meter round, or take its other supply away")
    if COVERAGE * gross.standard_mj <= MOST * gross.mj:
        return
    factor = _stretch(facts, gross)
    needed = None if factor == inf else ceil(inferences * factor * MARGIN)
    run = f"{inferences:,} inferences in {gross.seconds:.2f} s"
    raise TooShort(_complaint(facts, gross, run, needed), needed)


def _stretch(facts: Facts, amount: Amount) -> float:
    """By how much longer a window must be; inf where no length brings the uncertainty to 5 %.

    Of squares of shares of the energy: fixed + slow / factor + fast / factor^2 = limit.
    """
    falls = SHRINKS | ({"resolution": 1.0} if facts.reads == "counter" else {})
    squares = {0.0: 0.0, 0.5: 0.0, 1.0: 0.0}
    for source, value in amount.parts.items():
        squares[falls.get(source, 0.0)] += (value / amount.mj) ** 2
    left = (MOST / COVERAGE) ** 2 - squares[0.0]
    if left <= 0:
        return inf
    slow, fast = squares[0.5] * SCATTER**2, squares[1.0]
    return (slow + sqrt(slow**2 + 4 * fast * left)) / (2 * left)


def _complaint(facts: Facts, amount: Amount, run: str, needed: int | None) -> str:
    shares = sorted(((value / amount.mj, source) for source, value in amount.parts.items()), reverse=True)
    worst = ", ".join(f"{source} {COVERAGE * share:.1%}" for share, source in shares[:2])
    remedy = "no number of inferences helps; calibrate the meter or use a better one" if needed is None else (
        f"measure {needed:,} inferences or more")
    return (f"{facts.kind}: the energy of {run} is known to {COVERAGE * amount.standard_mj / amount.mj:.1%} "
            f"(k = 2), of which {worst}, and {MOST:.0%} is asked for; {remedy}")

