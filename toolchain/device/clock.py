"""A device's clock against the host's, by asking it for the time.

F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3, 1989: a clock that was read while
a question was on its way is known to half the round trip, whatever the network did. The quickest of several
round trips says most; one before and one after a run give drift too.
"""

from collections.abc import Callable
from dataclasses import dataclass
import time

from toolchain.errors import InvalidMeasurement

MOST_DRIFT = 500e-6
"""Two crystals differ by less; more means that a clock was set, stopped or started anew in between."""
WANDER = 1e-6
"""A crystal's rate changes by so much with temperature between two round trips."""


@dataclass(frozen=True)
class RoundTrip:
    """A question and its answer, seconds: host's clock, device's, host's. received_s >= sent_s."""

    sent_s: float
    device_s: float
    received_s: float

    @property
    def offset_s(self) -> float:
        """Host minus device, as if the clock was read half way."""
        return (self.sent_s + self.received_s) / 2 - self.device_s

    @property
    def limits_s(self) -> float:
        """The offset's error lies within +- half the round trip."""
        return (self.received_s - self.sent_s) / 2


@dataclass(frozen=True)
class ClockMap:
    """Device's seconds to the host's: host = device + offset_s + drift * (device - at_s).

    limits_s: of the result, +-, between the two round trips
    """

    at_s: float
    offset_s: float
    drift: float
    limits_s: float

    def to_host(self, device_s: float) -> float:
        """When the device's clock showed device_s, in the host's seconds."""
        return device_s + self.offset_s + self.drift * (device_s - self.at_s)


def raw_clock_s() -> float:
    """The host's CLOCK_MONOTONIC_RAW."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


def ask_clock(read: Callable[[], float], tries: int = 8,
              now: Callable[[], float] = raw_clock_s) -> RoundTrip:
    """The quickest of several round trips. read: asks the device for its CLOCK_MONOTONIC_RAW, seconds."""
    trips = []
    for _ in range(tries):
        sent = now()
        device = read()
        trips.append(RoundTrip(sent, device, now()))
    return min(trips, key=lambda trip: trip.limits_s)


def map_clock(before: RoundTrip, after: RoundTrip) -> ClockMap:
    """From a round trip before a run and one after it.

    Raises InvalidMeasurement where the device's clock did not go forward, or drifted more than crystals do.
    """
    elapsed = after.device_s - before.device_s
    if elapsed <= 0:
        raise InvalidMeasurement(f"the device's clock went {elapsed:+.3f} s between two questions; it was "
                                 f"reset during the run, measure again")
    change, known = after.offset_s - before.offset_s, before.limits_s + after.limits_s
    if abs(change) > known + MOST_DRIFT * elapsed:
        raise InvalidMeasurement(
            f"the device's clock moved by {change:+.4f} s against the host's in {elapsed:.1f} s (known to "
            f"+-{known:.4f} s); one of them slept or was set, measure again")
    limits = max(before.limits_s, after.limits_s) + WANDER * elapsed
    return ClockMap(before.device_s, before.offset_s, change / elapsed, limits)

