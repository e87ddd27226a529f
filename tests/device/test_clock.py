"""A device's clock against the host's."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.clock import RoundTrip, ask_clock, map_clock, raw_clock_s
from toolchain.errors import InvalidMeasurement


@given(offset=st.floats(-1e5, 1e5), ppm=st.floats(-200, 200), seconds=st.floats(1, 600),
       there=st.floats(0, 0.2), back=st.floats(0, 0.2), at=st.floats(0, 1))
def test_the_map_is_within_its_limits_whatever_the_network_does(offset, ppm, seconds, there, back, at):
    def device(host_s: float) -> float:
        return host_s * (1 + ppm * 1e-6) + offset

    before = RoundTrip(100 - there, device(100), 100 + back)
    after = RoundTrip(100 + seconds - back, device(100 + seconds), 100 + seconds + there)
    mapped = map_clock(before, after)
    moment = 100 + seconds * at
    assert abs(mapped.to_host(device(moment)) - moment) <= mapped.limits_s + 1e-9


def test_the_quickest_round_trip_counts():
    times = iter([0.0, 0.5, 1.0, 1.01, 2.0, 2.3])
    trip = ask_clock(lambda: 7.0, tries=3, now=lambda: next(times))
    assert trip == RoundTrip(1.0, 7.0, 1.01) and trip.limits_s == pytest.approx(0.005)


@pytest.mark.parametrize("after, said", [(RoundTrip(110, 4.0, 110.01), "was reset"),
                                         (RoundTrip(110, 20.0, 110.01), "one of them slept")])
def test_a_clock_that_jumped_is_found(after, said):
    with pytest.raises(InvalidMeasurement, match=said):
        map_clock(RoundTrip(100, 5.0, 100.01), after)


def test_the_hosts_clock_goes_forward():
    assert raw_clock_s() <= raw_clock_s()
