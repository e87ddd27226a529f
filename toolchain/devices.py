"""What is on this bench: boards with a name, emulated machines, and what is plugged in without a name."""

from collections.abc import Iterator
import socket

import msgspec

from toolchain.device.boards import Board, boards_file, find_board, load_boards
from toolchain.device.machines.image import find_image
from toolchain.device.place import reached
from toolchain.device.transports.adb import AdbDevice
from toolchain.device.transports.adb import devices as adb_devices
from toolchain.device.usb import Plugged, plugged_in
from toolchain.errors import BadInput, DeviceUnavailable

PROBE_S = 1.0
"""For a network port to answer."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """name: "" for what boards.toml does not name yet; state: in words, what is known without logging in"""

    name: str
    target: str
    transport: str
    address: str
    state: str
    meters: tuple[str, ...] = ()


def devices() -> list[Device]:
    """Boards with a name, then what else is plugged in. Raises BadConfig for a boards.toml that is wrong."""
    boards = load_boards().boards.values()
    phones, plugged = _phones(), plugged_in()
    named = {board.address for board in boards}
    return [*(_named(board, phones, plugged) for board in boards),
            *_unnamed_phones(phones, named), *_unnamed_ports(plugged, named)]


def _phones() -> list[AdbDevice]:
    """What adb lists; nothing where there is no adb."""
    try:
        return adb_devices()
    except DeviceUnavailable:
        return []


def _named(board: Board, phones: list[AdbDevice], plugged: list[Plugged]) -> Device:
    states = {"ssh": _ssh_state, "virtual": _virtual_state}
    if board.transport == "adb":
        state = next((phone.state for phone in phones if phone.serial == board.address), "not listed by adb")
    elif board.transport == "serial":
        state = _serial_state(board, plugged)
    else:
        state = states.get(board.transport, lambda board: "here")(board)
    return Device(name=board.name, target=board.target, transport=board.transport, address=board.address,
                  state=state, meters=board.meters)


def _ssh_state(board: Board) -> str:
    """Whether its port answers; a Host of ~/.ssh/config is looked up only when it is logged in to."""
    host = board.address.rpartition("@")[2]
    try:
        with socket.create_connection((host, board.port or 22), timeout=PROBE_S):
            return "answers"
    except OSError as error:
        return f"no answer as {host}:{board.port or 22} ({error.strerror or error})"


def _virtual_state(_: Board) -> str:
    return "emulated; starts when it is used" if find_image() else "emulated; built at its first use, minutes"


def _serial_state(board: Board, plugged: list[Plugged]) -> str:
    if "://" in board.address:
        return "over the network"
    return next((port.name for port in plugged if port.address == board.address), "not plugged in")


def _unnamed_phones(phones: list[AdbDevice], named: set[str]) -> Iterator[Device]:
    for phone in phones:
        if phone.serial not in named:
            about = phone.state if phone.facts is None else f"{phone.state}: {phone.facts.model}"
            isa = phone.facts.isa if phone.facts else None
            target = {"aarch64": "android_arm64", "armv7-a": "android_armv7"}.get(isa, "")
            yield Device(name="", target=target, transport="adb", address=phone.serial, state=about)


def _unnamed_ports(plugged: list[Plugged], named: set[str]) -> Iterator[Device]:
    for port in plugged:
        if port.address not in named:
            yield Device(name="", target="", transport="serial" if port.address else "usb",
                         address=port.address, state=f"{port.role}: {port.name}")


def clean(name: str) -> str:
    """Take our folder off a board; its path there. Raises DeviceUnavailable and its kinds, BadInput."""
    board = find_board(name)
    if board.transport == "serial":
        raise BadInput(f"'{name}' is at a serial line: it holds firmware and no files")
    with reached(board) as transport:
        transport.remove()
        return transport.folder


def as_text(found: list[Device]) -> str:
    """A line each, for people at the bench."""
    lines = [f"{device.name or '-':16} {device.target or '-':18} {device.transport:8} {device.address:28} "
             f"{device.state}{', meters ' + ', '.join(device.meters) if device.meters else ''}"
             for device in found]
    return "\n".join([*lines, f"boards are named in {boards_file()}; docs/examples/boards.toml shows how"])
