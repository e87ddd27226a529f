"""What transports that a meter is read over have in common: it is read while a program runs."""

from pathlib import Path

from toolchain.device.boards import MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.meters.hwmon import survey_hwmon
from toolchain.device.meters.polled import Polled
from toolchain.device.meters.system import Remote
from toolchain.device.transports.transport import Transport

RUN_S = 4.0
UPDATE_MS = 500
"""Of the monitor: a reading that takes longer, on a busy machine, is thrown away."""


def read_beside_a_program(device: Transport, folder: Path) -> None:
    """Read a power monitor while a program runs for RUN_S, and see that it was read from begin to end."""
    chip = {"name": "ina226", "shunt_resistor": 10_000, "update_interval": UPDATE_MS, "in1_input": 5000,
            "power1_input": 1_500_000}
    (folder / "hwmon0").mkdir()
    for name, value in chip.items():
        (folder / "hwmon0" / name).write_text(f"{value}\n")
    config = MeterConfig(kind="hwmon", address=str(folder / "hwmon0"), name="mine")
    meter = Polled(lambda: survey_hwmon(config, Remote(device), "rail monitor"))
    meter.open()
    try:
        began = raw_clock_s()
        assert device.start(["sleep", str(RUN_S)], seconds=30).code == 0
        ended = raw_clock_s()
        series = meter.window(began, ended).series
    finally:
        meter.close()
    assert set(series.values) == {1500.0}
    times = series.times_s[(began < series.times_s) & (series.times_s < ended)] - began
    assert len(times) > RUN_S / 2 and times[0] < RUN_S / 3 and times[-1] > RUN_S * 2 / 3
