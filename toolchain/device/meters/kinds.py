"""What a meter of boards.toml is."""

from collections.abc import Callable, Mapping

from toolchain.device.boards import Board, MeterConfig
from toolchain.device.meters.meter import FileMeter, Meter
from toolchain.device.meters.system import Host, System
from toolchain.errors import BadConfig

ON_HOST = "host:"
"""Begins the address of an hwmon that this host reads, while it measures another board."""


def _joulescope(config: MeterConfig, _: System) -> Meter:
    from toolchain.device.meters.joulescope import Joulescope
    return Joulescope(config)


def _lpm01a(config: MeterConfig, _: System) -> Meter:
    from toolchain.device.meters.lpm01a import Lpm01a
    return Lpm01a(config)


def _ppk2(config: MeterConfig, _: System) -> Meter:
    from toolchain.device.meters.ppk2 import Ppk2
    return Ppk2(config)


def _tc66c(config: MeterConfig, _: System) -> Meter:
    from toolchain.device.meters.tc66c import Tc66c
    return Tc66c(config)


def _hwmon(config: MeterConfig, system: System) -> Meter:
    import msgspec

    from toolchain.device.meters.hwmon import survey_hwmon
    from toolchain.device.meters.polled import Polled
    if not config.address.startswith(ON_HOST):
        return Polled(lambda: survey_hwmon(config, system, "rail monitor"))
    here = msgspec.structs.replace(config, address=config.address.removeprefix(ON_HOST))
    return Polled(lambda: survey_hwmon(here, Host(), "external meter"))


def _pmic(config: MeterConfig, system: System) -> Meter:
    from toolchain.device.meters.pmic import survey_pmic
    from toolchain.device.meters.polled import Polled
    return Polled(lambda: survey_pmic(config, system))


def _power_supply(config: MeterConfig, system: System) -> Meter:
    from toolchain.device.meters.polled import Polled
    from toolchain.device.meters.power_supply import survey_power_supply
    return Polled(lambda: survey_power_supply(config, system))


def _charge_counter(config: MeterConfig, system: System) -> FileMeter:
    from toolchain.device.meters.counter import FileCounter
    from toolchain.device.meters.power_supply import survey_charge_counter
    return FileCounter(system, lambda there: survey_charge_counter(config, there))


def _odpm(config: MeterConfig, system: System) -> FileMeter:
    from toolchain.device.meters.counter import FileCounter
    from toolchain.device.meters.odpm import survey_odpm
    return FileCounter(system, lambda there: survey_odpm(config, there))


def _rapl(config: MeterConfig, system: System) -> FileMeter:
    from toolchain.device.meters.counter import FileCounter
    from toolchain.device.meters.rapl import survey_rapl
    return FileCounter(system, lambda there: survey_rapl(config, there))


METER: Mapping[str, Callable[[MeterConfig, System], Meter | FileMeter]] = {
    "joulescope": _joulescope, "lpm01a": _lpm01a, "ppk2": _ppk2, "ppk2-ampere": _ppk2, "tc66c": _tc66c,
    "hwmon": _hwmon, "pmic": _pmic, "odpm": _odpm, "rapl": _rapl, "power_supply": _power_supply,
    "charge_counter": _charge_counter}
"""Kind -> a meter that is not open yet. The last six are of the device: their System is its own."""


def meter_for(board: Board, config: MeterConfig, system: System) -> Meter | FileMeter:
    """A meter of the bench for a board of it.

    system: the board's, or this host's where the board is this host
    Raises BadConfig for a kind that is not there, and for an emulated board: it has no energy.
    """
    if board.emulated:
        raise BadConfig(f"board '{board.name}' is emulated: it counts instructions and has no energy; take "
                        f"'{config.name}' out of its meters")
    if config.kind not in METER:
        raise BadConfig(f"meter '{config.name}': no kind '{config.kind}'; known: {', '.join(METER)}")
    return METER[config.kind](config, system)
