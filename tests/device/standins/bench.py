"""A meter against its stand-in, in virtual time: what it says of a known energy."""

from types import ModuleType

from tests.device.standins.load import VirtualLine
from toolchain.device.boards import MeterConfig
from toolchain.device.energy import between_pins, measure_energy
from toolchain.device.meters.meter import Meter
from toolchain.measurement import Energy


def connected(monkeypatch, module: ModuleType, stand_in) -> VirtualLine:
    """The module's meters find the stand-in at any address, and its time for the host's."""
    line = VirtualLine(stand_in)
    monkeypatch.setattr(module, "connect", lambda address, baud, name: line)
    if hasattr(module, "raw_clock_s"):
        monkeypatch.setattr(module, "raw_clock_s", line.clock)
    return line


def config(kind: str, supply_mv: int | None = None, **more) -> MeterConfig:
    return MeterConfig(kind=kind, address="/dev/ttyACM7", supply_mv=supply_mv, name="bench", **more)


def measured(meter: Meter, begin_s: float, end_s: float, *, pins: bool = False,
             inferences: int = 100) -> Energy:
    """Of one inference, between two instants or the last two edges that the meter saw around them."""
    meter.open()
    try:
        window = meter.window(begin_s - 0.05 * pins, end_s + 0.05 * pins)
        return measure_energy(between_pins(window) if pins else window, inferences)
    finally:
        meter.close()


def off(energy: Energy, true_mj: float) -> float:
    """By which share of the truth."""
    return energy.gross_uj * energy.inferences / 1000 / true_mj - 1
