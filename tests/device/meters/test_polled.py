"""Power that is asked for again and again: a real tree, real threads."""

from pathlib import Path
import threading

import numpy as np
import pytest

from tests.device.meters.files import config, ina226
from toolchain.device.clock import raw_clock_s
from toolchain.device.energy import measure_energy
from toolchain.device.meters.hwmon import survey_hwmon
from toolchain.device.meters.polled import Polled
from toolchain.device.meters.system import Host
from toolchain.errors import DeviceUnavailable, InvalidMeasurement


def test_a_real_tree_rewritten_by_a_thread_and_polled_by_another(tmp_path):
    """0.3 s at 1000 mW, the rest at 400: what the files said, when they said it."""
    folder, stop = ina226(tmp_path, power1_input=400_000, update_interval=1), threading.Event()
    begin = raw_clock_s() + 0.5

    def rewrite() -> None:
        while not stop.wait(0.002):
            active = begin <= raw_clock_s() < begin + 0.3
            (tmp_path / "next").write_text(f"{1_000_000 if active else 400_000}\n")
            (tmp_path / "next").rename(Path(folder) / "power1_input")

    board = threading.Thread(target=rewrite)
    board.start()
    meter = Polled(lambda: survey_hwmon(config("hwmon", folder, shunt_uohm=10000), Host(), "external meter"))
    try:
        meter.open()
        window = meter.window(begin - 0.35, begin + 0.65)
    finally:
        stop.set()
        meter.close()
        board.join()
    spans = np.diff(window.series.times_s)
    assert (spans > 0).all() and np.median(spans) == pytest.approx(0.1, rel=0.3)
    assert set(np.round(window.series.values)) == {400.0, 1000.0}


def test_a_polled_meter_that_goes_away_says_so_at_the_window(tmp_path):
    folder = ina226(tmp_path)
    meter = Polled(lambda: survey_hwmon(config("hwmon", folder), Host(), "external meter"))
    meter.open()
    (Path(folder) / "power1_input").unlink()
    with pytest.raises(DeviceUnavailable, match="power1_input: no such file"):
        meter.window(raw_clock_s(), raw_clock_s() + 0.05)
    meter.close()
    meter.close()


def test_readings_that_take_longer_than_a_period_are_dropped(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path)), Host(), "external meter")
    clock = iter(np.concatenate(([0.0, 0.0], [0.0, 0.5, 0.5, 0.5, 0.51, 0.6, 0.6, 0.61])))
    meter = Polled(lambda: source, now=lambda: float(next(clock)), sleep=lambda _: None)
    meter.begin()
    meter.poll()
    with pytest.raises(InvalidMeasurement):
        measure_energy(meter.window(0.5, 0.6), 1)
    assert meter.window(0.5, 0.6).series.dropped == 1
