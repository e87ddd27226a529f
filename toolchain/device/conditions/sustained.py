"""Speed over minutes: medians per window, how much slower the last minute is than the first, since when."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from toolchain.device.conditions.commands import flags_now, flags_since_boot
from toolchain.device.conditions.history import History
from toolchain.errors import InvalidMeasurement
from toolchain.measurement import Sustained

WINDOW_S = 10.0
MINUTE_S = 60.0
SLOWER = 0.05


def sustained(starts_ns: Sequence[int], samples_us: Sequence[float], seen: History | None = None,
              began_ns: int = 0, warm_up: int = 0) -> Sustained:
    """starts_ns: of every inference, since the run began;  samples_us: its wall time
    seen:      the run's conditions, for the onset of throttling;  began_ns: the run's beginning on that clock
    warm_up:   samples before the steady state (steady.py), left out if they began in the first WINDOW_S: what
               slows down after minutes is steady at its slowest
    Raises InvalidMeasurement for less than two minutes.
    """
    starts_s, times = np.asarray(starts_ns, np.float64) / 1e9, np.asarray(samples_us, np.float64)
    left_out = min(warm_up, int(np.searchsorted(starts_s, WINDOW_S)))
    starts_s, times = starts_s[left_out:], times[left_out:]
    if not len(times) or starts_s[-1] - starts_s[0] < 2 * MINUTE_S - WINDOW_S:
        lasted = starts_s[-1] - starts_s[0] if len(times) else 0.0
        raise InvalidMeasurement(f"{lasted:.0f} s of inferences after the warm-up; two minutes are needed to "
                                 f"tell how speed lasts")
    first = float(np.median(times[starts_s < starts_s[0] + MINUTE_S]))
    last = float(np.median(times[starts_s > starts_s[-1] - MINUTE_S]))
    medians = _medians(starts_s, times)
    return Sustained(WINDOW_S, medians, last / first - 1, _throttled_after(seen, began_ns) if seen else None,
                     _slower_after(starts_s[0], medians, first))


def _medians(starts_s: np.ndarray, times: np.ndarray) -> tuple[float | None, ...]:
    """Of windows from the first start on; the last, unless it is whole, is left out."""
    window = ((starts_s - starts_s[0]) // WINDOW_S).astype(int)
    edges = np.searchsorted(window, np.arange(window[-1] + 1))
    return tuple(float(np.median(times[begin:end])) if end > begin else None
                 for begin, end in pairwise(edges))


def _slower_after(began_s: float, medians: Sequence[float | None], first: float) -> float | None:
    """Beginning of the windows that stay slower than the first minute to the end."""
    slow = [median is None or median > (1 + SLOWER) * first for median in medians]
    steady = max((i for i, one in enumerate(slow) if not one), default=-1) + 1
    return began_s + steady * WINDOW_S if steady < len(slow) else None


def _throttled_after(seen: History, began_ns: int) -> float | None:
    """The first look during the run at which something told of throttling."""
    onsets = [(time_ns - began_ns) / 1e9 for time_ns in _throttled(seen)]
    return max(0.0, min(onsets)) if onsets else None


def _throttled(seen: History) -> Iterator[int]:
    """Times at which a Raspberry Pi's firmware said so, or a policy's limit had been lowered."""
    for place, values in seen.during.get("throttled", {}).items():
        before = flags_since_boot(int(seen.before.values.get("throttled", {}).get(place, 0)))
        yield from (time_ns for time_ns, value in values
                    if flags_now(int(value)) or set(flags_since_boot(int(value))) - set(before))
    for policy, values in seen.during.get("limit_khz", {}).items():
        limit = seen.before.values["limit_khz"][policy]
        yield from (time_ns for time_ns, value in values if float(value) < float(limit))
