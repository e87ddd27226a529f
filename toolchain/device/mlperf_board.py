"""A microcontroller board in MLPerf Tiny's modes: the firmware that each takes, its line, its meter."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import msgspec

from toolchain.artifact import Artifact
from toolchain.device import interface_board
from toolchain.device.board import BoardSession, firmware_baud
from toolchain.device.board_meter import open_meter
from toolchain.device.boards import MeterConfig, load_boards
from toolchain.device.firmware import build_firmware
from toolchain.device.interface_board import InterfacedDut
from toolchain.device.meters.meter import Meter
from toolchain.device.place import Place
from toolchain.device.protocol import Dut, InferenceRun
from toolchain.device.qemu import QemuSession, running
from toolchain.device.serial_port import open_line, shown
from toolchain.device.session import FirmwareSession, persistently
from toolchain.errors import BadConfig, DeviceUnavailable, InvalidMeasurement, Unsupported
from toolchain.profile import TargetProfile

PULSES = "-DTK_ENERGY"
"""Firmware built with it pulses the board's pin at a timestamp and tells no time; 9600 baud (board.h)."""
WITH_PIN = ("lpm01a", "ppk2", "ppk2-ampere")
"""Kinds of meters with a logic input for that pin."""


@dataclass(frozen=True)
class Contender:
    """A board that has greeted us and runs the artefact's network. dut: to speak to it"""

    dut: Dut
    session: FirmwareSession

    @property
    def conditions(self) -> dict[str, str | int]:
        """Of a board on a serial line."""
        return self.session.conditions if isinstance(self.session, BoardSession) else {}


def for_energy(profile: TargetProfile) -> TargetProfile:
    """As firmware is built for energy mode."""
    if PULSES in "".join(profile.cflags):
        return profile
    return msgspec.structs.replace(profile, cflags=(*profile.cflags, PULSES))


def energy_firmware(artifact: Artifact, profile: TargetProfile) -> bytes:
    """The image for energy mode. Raises DoesNotFit, DeviceUnavailable where the compiler is missing."""
    return build_firmware(artifact, for_energy(profile)).elf


@contextmanager
def open_contender(artifact: Artifact, place: Place) -> Iterator[Contender]:
    """For performance and accuracy: the target's own emulator, or the board on a line of its own.

    Raises DeviceUnavailable and its kinds, InvalidMeasurement where it runs another model.
    """
    if place.profile.transport == "qemu":
        elf = artifact.files.get("firmware.elf") or build_firmware(artifact, place.profile).elf
        with running(elf, place.profile) as dut:
            yield Contender(dut, QemuSession(artifact, place.profile, dut))
        return
    address, board = place.profile.port, place.board
    if not address:
        raise DeviceUnavailable(f"{place.name} is at the end of a serial line; say which: "
                                f"--device /dev/ttyACM0, or a board of boards.toml")
    baud = (board and board.baud) or firmware_baud(place.profile)
    with _spoken_to(artifact, place.profile, Dut, address, baud) as found:
        yield found


@contextmanager
def open_powered(artifact: Artifact, place: Place) -> Iterator[tuple[Contender, Meter]]:
    """For energy: the board with firmware for it, and its meter, which may feed it and is open before.

    Through the interface board where boards.toml names one, else on a line of its own that must not feed it.
    Raises Unsupported for an emulated board, BadConfig, DeviceUnavailable and its kinds.
    """
    if place.emulated:
        raise Unsupported(f"{place.name} is emulated: it counts instructions and has no energy")
    config, profile = _meter_with_pin(place), for_energy(place.profile)
    with open_meter(place.board, config) as meter, _for_energy(artifact, profile, place) as found:
        yield found, meter


def _meter_with_pin(place: Place) -> MeterConfig:
    """The first of the board's."""
    named = place.board.meters if place.board else ()
    configs = [config for name in named if (config := load_boards().meters[name]).kind in WITH_PIN]
    if not configs:
        raise BadConfig(f"{place.name} has no meter with a logic input for its pin, between whose pulses "
                        f"energy counts; name one of kind {' or '.join(WITH_PIN)} in `meters` of its entry "
                        f"in boards.toml")
    return configs[0]


def require_pulses(dut: Dut, data: bytes) -> None:
    """Raises InvalidMeasurement for firmware that tells the time. data: an input"""
    def ask() -> InferenceRun:
        dut.load(data)
        return dut.infer(1, 0)
    if persistently(ask, dut.greet).microseconds is not None:
        raise InvalidMeasurement(f"the board's firmware tells the time instead of pulsing a pin; put the one "
                                 f"for energy on it (built with {PULSES})")


def _for_energy(artifact: Artifact, profile: TargetProfile,
                place: Place) -> AbstractContextManager[Contender]:
    if place.board.interface:
        return _spoken_to(artifact, profile, InterfacedDut, place.board.interface, interface_board.BAUD)
    return _spoken_to(artifact, profile, Dut, profile.port, firmware_baud(profile))


@contextmanager
def _spoken_to(artifact: Artifact, profile: TargetProfile, kind: type[Dut], address: str,
               baud: int) -> Iterator[Contender]:
    name = f"{profile.name} at {shown(address)}"
    with open_line(address, baud, profile.name) as line:
        dut = kind(line, name)
        dut.greet()
        yield Contender(dut, BoardSession(artifact, profile, dut, address, baud))
