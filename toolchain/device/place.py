"""Where an artefact is put: a kind of hardware, the board of it that is meant, and how that is reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
import os
import platform
import re

import msgspec

from toolchain.device.android import read_facts, routes
from toolchain.device.boards import HERE, HOST, Board, boards_file, find_board, load_boards
from toolchain.device.labgrid import WAIT_S, acquired, coordinator_of
from toolchain.device.machines.boot import Machine, boot
from toolchain.device.runner.native import MACHINES, PROCESSORS
from toolchain.device.transports.local import open_local
from toolchain.device.transports.transport import Transport
from toolchain.device.ways import BARE, LINUX, NATIVE, Way
from toolchain.errors import DeviceUnavailable
from toolchain.profile import TargetProfile, load_target

DEVICE_FILE = re.compile(r"/dev/(tty\w+|pts/\d+)", re.ASCII)
PATIENT = {"connect_seconds": 180.0, "keepalive_seconds": 30.0}
"""Of a connection to an emulated device, which shares a processor with who knows what."""
FACTS_S = 120.0
"""For one of the questions that tell what an Android device is."""


@dataclass(frozen=True)
class Place:
    """name:      of the device: the board's, the target's, or HOST
    profile:   of the kind of hardware that it is
    board:     what boards.toml says of it; None for a target's own emulator or port, and for the host
    transport: of a device that runs programs; None where firmware is spoken to
    ways:      in which it may run files; best first
    """

    name: str
    profile: TargetProfile
    board: Board | None = None
    transport: Transport | None = None
    ways: tuple[Way, ...] = BARE

    @property
    def emulated(self) -> bool:
        """Whether it counts instructions and has no time and no energy."""
        return self.board.emulated if self.board else self.profile.emulated

    @property
    def here(self) -> bool:
        """Whether it is this computer."""
        return self.name == HOST or (self.board is not None and self.board.transport == "local")

    @property
    def isa(self) -> str:
        """What programs there are compiled for."""
        return MACHINES.get(platform.machine(), "") if self.here else self.profile.isa


def resources(profile: TargetProfile, device: str | None) -> list[str]:
    """What nobody else may measure with meanwhile; nothing for emulators, of which everyone starts their own.

    Raises DeviceUnavailable, BadConfig.
    """
    board = _board(profile, device)
    if board is not None:
        return board_resources(board)
    if profile.emulated:
        return []
    if not profile.has_firmware:
        return [f"device:{HOST}"]
    port = profile.port if device in (None, profile.name) else device
    return [_line(port) if port else f"device:{profile.name}"]


def board_resources(board: Board) -> list[str]:
    """This computer is one and the same device whatever it is called."""
    if board.transport == "virtual":
        return []
    names = dict.fromkeys((HOST, board.name) if board.transport == "local" else (board.name,))
    lines = [_line(board.address)] if board.transport == "serial" else []
    if board.transport == "labgrid":
        lines = [f"place:{_digest(f'{coordinator_of(board)}/{board.place or board.name}')}"]
    return [*(f"device:{name}" for name in names), *lines, *(f"meter:{meter}" for meter in board.meters)]


def _line(port: str) -> str:
    """A serial line, the same whether a board of boards.toml or a port was named. The ledger keeps it: names
    in /dev/serial/by-id hold serial numbers, URLs addresses."""
    path = os.path.realpath(port)
    return f"line:{path if DEVICE_FILE.fullmatch(path) else _digest(port)}"


def _digest(address: str) -> str:
    return sha256(address.encode()).hexdigest()[:12]


@contextmanager
def open_place(profile: TargetProfile, device: str | None, wait_s: float = WAIT_S) -> Iterator[Place]:
    """Where an artefact for a target goes.

    device: a board of boards.toml, an emulated machine, "host", or a serial port of a target with firmware;
            None: the target's own emulator or port, else the host
    wait_s: for a place of a lab that somebody has whom our ledger knows nothing of
    Raises DeviceUnavailable and its kinds.
    """
    board = _board(profile, device)
    if board is None and profile.has_firmware:
        yield _own_place(profile, device)
    elif board is None:
        _require_host(profile, device)
        with reached(HERE) as transport:
            host = Place(HOST, load_target(HOST), None, transport)
            yield replace(host, ways=linux_ways(host.isa))
    else:
        with at_hand(board, wait_s) as there, _place_of(profile, there) as place:
            yield place


@contextmanager
def _place_of(profile: TargetProfile, board: Board) -> Iterator[Place]:
    """Of a board that is at hand."""
    if board.transport == "serial":
        at_port = msgspec.structs.replace(profile, transport="serial", port=board.address)
        yield Place(board.name, at_port, board)
        return
    with reached(board) as transport:
        place = Place(board.name, load_target(board.target), board, transport)
        yield replace(place, ways=_ways(place))


@contextmanager
def at_hand(board: Board, wait_s: float = 0.0) -> Iterator[Board]:
    """The board as it is reached from here: one of a lab is acquired meanwhile, another is as it is.

    A lab's board of a target that is an emulator's is emulated whatever its entry says.
    Raises as device/labgrid.py's `acquired` does.
    """
    if board.transport != "labgrid":
        yield board
        return
    profile = load_target(board.target)
    with acquired(board, "serial" if profile.has_firmware else "ssh", wait_s) as there:
        yield msgspec.structs.replace(there, emulated=there.emulated or profile.emulated)


def _board(profile: TargetProfile, device: str | None) -> Board | None:
    """The entry that is meant; None where `device` names none."""
    if device in (None, HOST) or device not in load_boards().boards:
        return None
    board = find_board(device)
    if profile.name not in (HOST, load_target(board.target).name):
        raise DeviceUnavailable(f"the artefact was built for {profile.name} and '{device}' is a "
                                f"{board.target}; build it for that: --target {board.target}")
    return board


def _own_place(profile: TargetProfile, device: str | None) -> Place:
    """A target's own emulator or serial port."""
    if device in (None, profile.name):
        return Place(profile.name, profile)
    if profile.transport == "serial" and device != HOST:
        return Place(profile.name, msgspec.structs.replace(profile, port=device))
    raise _unknown(profile, device)


def _require_host(profile: TargetProfile, device: str | None) -> None:
    if device not in (None, profile.name, HOST):
        raise _unknown(profile, device)


def _unknown(profile: TargetProfile, device: str) -> DeviceUnavailable:
    return DeviceUnavailable(f"an artefact for {profile.name} cannot run on '{device}'; build it for that "
                             f"target, leave --device out, or name the board in {boards_file()}")


def _ways(place: Place) -> tuple[Way, ...]:
    if place.profile.family != "android":
        return linux_ways(place.isa)
    facts = read_facts(lambda argv: place.transport.start(argv, seconds=FACTS_S))
    return tuple(route.way for route in routes(facts, place.board, place.isa) if route.applies)


def linux_ways(isa: str) -> tuple[Way, ...]:
    """Without the native runner for a runtime whose library is not published for this processor."""
    runtimes = ("c", *PROCESSORS[isa].runtimes) if isa in PROCESSORS else ()
    return tuple(way for way in LINUX if way.runner != NATIVE or way.runtime in runtimes)


@contextmanager
def reached(board: Board) -> Iterator[Transport]:
    """A way to a board that runs programs; the machine booted, if it is an emulated one."""
    if board.transport == "virtual":
        with boot(board.address or board.name) as machine, reached(_booted(board, machine)) as transport:
            yield transport
        return
    with _open(board) as transport:
        yield transport


def _booted(board: Board, machine: Machine) -> Board:
    """How a machine that runs is reached."""
    if board.target.startswith("android"):
        return msgspec.structs.replace(board, transport="adb", address=f"{machine.host}:{machine.port}")
    return msgspec.structs.replace(board, transport="ssh", address=f"{machine.user}@{machine.host}",
                                   port=machine.port, host_key=machine.host_key,
                                   identity=str(machine.identity))


def _open(board: Board):
    if board.transport == "ssh":
        from toolchain.device.transports.ssh import open_ssh
        return open_ssh(board, **PATIENT) if board.emulated else open_ssh(board)
    if board.transport == "adb":
        from toolchain.device.transports.adb import open_adb
        return open_adb(board)
    return open_local(name=board.name)
