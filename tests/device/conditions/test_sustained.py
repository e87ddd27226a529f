"""Minutes of inferences: medians by window, the slowdown, since when."""

import numpy as np
import pytest

from toolchain.device.conditions.history import History
from toolchain.device.conditions.look import Look
from toolchain.device.conditions.sustained import sustained
from toolchain.errors import InvalidMeasurement


def inferences(seconds: float, slower_from_s: float = 1e9, slowdown: float = 1.3, us: float = 10_000):
    """Back to back, (starts in ns, times in us)."""
    starts, times, now = [], [], 0.0
    rng = np.random.default_rng(0)
    while now < seconds:
        time = us * (slowdown if now >= slower_from_s else 1) * float(np.exp(0.01 * rng.standard_normal()))
        starts.append(round(now * 1e9))
        times.append(time)
        now += time / 1e6
    return starts, times


def test_steady_speed():
    found = sustained(*inferences(185))
    assert len(found.medians_us) == 18 and all(9900 < median < 10100 for median in found.medians_us)
    assert abs(found.slowdown) < 0.01 and (found.slower_after_s, found.throttled_after_s) == (None, None)


def test_a_device_that_gets_slower():
    found = sustained(*inferences(240, slower_from_s=120))
    assert found.slowdown == pytest.approx(0.3, abs=0.01)
    assert found.slower_after_s == 120 and found.medians_us[12] > 12_500 > found.medians_us[11]


def test_a_slow_stretch_that_passes_is_no_end():
    starts, times = inferences(180)
    times = [time * (1.5 if 60e9 < start < 80e9 else 1) for start, time in zip(starts, times, strict=True)]
    found = sustained(starts, times)
    assert found.slower_after_s is None and max(found.medians_us) > 14_000


def test_the_onset_of_throttling_is_the_first_look_that_told():
    before = Look({"throttled": {"firmware": 0x50000}, "limit_khz": {"policy0": 2400000}})
    during = {"throttled": {"firmware": [(1_000_000_000, 0x50000), (91_000_000_000, 0xD0008)]},
              "limit_khz": {"policy0": [(1_000_000_000, 2400000), (95_000_000_000, 1500000)]}}
    seen = History(before, before, during)
    assert sustained(*inferences(130), seen, began_ns=1_000_000_000).throttled_after_s == 90.0
    seen = History(before, before, {"limit_khz": during["limit_khz"]})
    assert sustained(*inferences(130), seen, began_ns=1_000_000_000).throttled_after_s == 94.0


def test_windows_without_inferences_have_no_median():
    starts, times = inferences(130)
    kept = [i for i, start in enumerate(starts) if not 40e9 <= start < 60e9]
    found = sustained([starts[i] for i in kept], [times[i] for i in kept])
    assert found.medians_us[4:6] == (None, None) and found.medians_us[6] is not None


def test_less_than_two_minutes():
    with pytest.raises(InvalidMeasurement) as error:
        sustained(*inferences(60))
    assert str(error.value) == ("60 s of inferences after the warm-up; two minutes are needed to tell how "
                                "speed lasts")
    with pytest.raises(InvalidMeasurement, match="^0 s of inferences"):
        sustained([], [])


def test_what_a_steady_state_leaves_out_is_no_warm_up_beyond_the_first_window():
    starts, times = inferences(240, slower_from_s=120)
    warm_up = sum(start < 120e9 for start in starts)
    found = sustained(starts, times, warm_up=warm_up)
    assert found.slowdown == pytest.approx(0.3, abs=0.01)
    assert found.slower_after_s == pytest.approx(120, abs=10)
