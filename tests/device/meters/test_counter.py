"""Energy counters that are files: what the runner read, what the host reads at idle."""

from pathlib import Path
import time

import numpy as np
import pytest

from tests.device.meters.files import config, package, tree
from toolchain.device.meters.counter import FileCounter, readings_of, unwrapped
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.rapl import survey_rapl
from toolchain.device.meters.system import Host
from toolchain.device.runner.record import Watched
from toolchain.errors import BadReply, InvalidMeasurement


def test_readings_that_failed_are_dropped_and_readings_apart_refused(tmp_path):
    meter = FileCounter(Host(), lambda system: survey_rapl(
        config("rapl", package(tmp_path), gain_error=0.02), system))
    meter.open()
    (path,) = meter.files
    with pytest.raises(InvalidMeasurement, match="brought no readings"):
        meter.window(0, 1)
    with pytest.raises(BadReply, match="read its files 0 times"):
        meter.take({})
    meter.take({path: [Reading(0, "1000"), Reading(1, ""), Reading(2, "3000")]})
    assert meter.window(0, 2).series.dropped == 1 and list(meter.window(0, 2).series.values) == [1, 3]
    with pytest.raises(BadReply, match="where a whole number"):
        meter.take({path: [Reading(0, "x" * 200)]})


def test_a_runners_record_becomes_readings():
    watched = [Watched(0, 1_500_000_000, "7"), Watched(1, 1_500_001_000, errno=13),
               Watched(0, 2_000_000_000, "9")]
    assert readings_of(watched, ["/a", "/b"]) == {"/a": [Reading(1.5, "7"), Reading(2.0, "9")],
                                                  "/b": [Reading(1.500001, "")]}
    with pytest.raises(BadReply, match="file 1 of 1"):
        readings_of(watched, ["/a"])


def test_idle_reads_twice_on_the_hosts_clock(tmp_path):
    folder = package(tmp_path)

    def work(seconds: float) -> None:
        tree(Path(folder), energy_uj=5_000_000 + 3_000_000)
        time.sleep(seconds)

    meter = FileCounter(Host(), lambda system: survey_rapl(
        config("rapl", folder, gain_error=0.02), system), sleep=work)
    meter.open()
    window = meter.idle(0.05)
    assert window.facts.clock == "host" and list(np.diff(window.series.values)) == [3000.0]
    assert 0.05 <= window.seconds < 1


def test_a_counter_without_an_end_is_left_alone():
    assert list(unwrapped([1, 5, 3], None)) == [1, 5, 3]
