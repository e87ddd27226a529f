"""What is on this bench: boards, meters, emulated machines, and what is plugged in without a name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import os
import re
import socket

import msgspec
import tomli_w

from toolchain.device.boards import HERE, HOST, Board, MeterConfig, boards_file, find_board, load_boards
from toolchain.device.labgrid import COORDINATOR_VARIABLE, LabPlace, places
from toolchain.device.machines.image import find_image
from toolchain.device.place import at_hand, board_resources, reached
from toolchain.device.transports.adb import AdbDevice
from toolchain.device.transports.adb import devices as adb_devices
from toolchain.device.usb import Plugged, plugged_in
from toolchain.errors import BadInput, DeviceUnavailable
from toolchain.ledger.ledger import Ledger
from toolchain.profile import load_target

PROBE_S = 1.0
"""For a network port to answer."""
SSH_PORT = 22
ISA_TARGET = {"aarch64": "android_arm64", "armv7-a": "android_armv7"}
"""Instruction set of a phone -> what to build for."""
Lab = dict[str, LabPlace] | DeviceUnavailable
"""Places by name, or why they are not known."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """name:      "" for what boards.toml does not name yet
    transport: how it is reached; "meter" for what measures others
    state:     in words, what is known without logging in
    meters:    names of those that see its supply
    place:     of a lab: the coordinator's name of it
    """

    name: str
    target: str
    transport: str
    address: str
    state: str
    meters: tuple[str, ...] = ()
    place: str = ""


def devices() -> list[Device]:
    """What has a name, then what else is plugged in, and the places of labs. Raises BadConfig for a
    boards.toml that is wrong."""
    known, phones, plugged = load_boards(), _phones(), plugged_in()
    labs = _labs(known.boards.values())
    found = [_of_lab(board, labs) if board.transport == "labgrid" else _board(board, phones, plugged)
             for board in known.boards.values()]
    found += [_meter(meter, plugged) for meter in known.meters.values()]
    named = {os.path.realpath(device.address) for device in found if device.address}
    named |= {device.address for device in found}
    return [*found, *_unnamed_phones(phones, named), *_unnamed_ports(plugged, named),
            *_unnamed_places(labs, known.boards.values())]


def _phones() -> list[AdbDevice]:
    """What adb lists; nothing where there is no adb."""
    try:
        return adb_devices()
    except DeviceUnavailable:
        return []


def _board(board: Board, phones: Sequence[AdbDevice], plugged: Sequence[Plugged]) -> Device:
    address = board.address
    if board.transport == "adb" and not address and len(phones) == 1:
        address = phones[0].serial
    return Device(name=board.name, target=board.target, transport=board.transport, address=address,
                  state=_state(board, address, phones, plugged), meters=board.meters)


def _state(board: Board, address: str, phones: Sequence[AdbDevice], plugged: Sequence[Plugged]) -> str:
    if board.transport == "ssh":
        return _ssh_state(board)
    if board.transport == "adb":
        return next((phone.state for phone in phones if phone.serial == address), "not listed by adb")
    if board.transport == "serial":
        return _line_state(address, plugged)
    if board.transport == "virtual":
        return f"emulated; {'starts when it is used' if find_image() else 'built at its first use, minutes'}"
    return "here"


def _ssh_state(board: Board) -> str:
    """Whether its port answers; a Host of ~/.ssh/config is looked up only when it is logged in to."""
    host, port = board.address.rpartition("@")[2], board.port or SSH_PORT
    try:
        with socket.create_connection((host, port), timeout=PROBE_S):
            return "answers"
    except (OSError, UnicodeError) as error:
        return f"no answer as {host}:{port} ({getattr(error, 'strerror', None) or error})"


def _line_state(address: str, plugged: Sequence[Plugged]) -> str:
    """Of a serial line, by any of its names."""
    if "://" in address:
        return "over the network"
    path = os.path.realpath(address)
    return next((port.name for port in plugged if port.address == path),
                "there" if os.path.exists(path) else "not plugged in")


def _meter(meter: MeterConfig, plugged: Sequence[Plugged]) -> Device:
    on_line = meter.address.startswith("/dev/")
    state = _line_state(meter.address, plugged) if on_line else "looked for when it is used"
    return Device(name=meter.name, target="", transport="meter", address=meter.address,
                  state=f"{meter.kind}: {state}")


def _unnamed_phones(phones: Sequence[AdbDevice], named: set[str]) -> Iterator[Device]:
    for phone in phones:
        if phone.serial not in named:
            about = phone.state if phone.facts is None else f"{phone.state}: {phone.facts.model}"
            target = ISA_TARGET.get(phone.facts.isa or "", "") if phone.facts else ""
            yield Device(name="", target=target, transport="adb", address=phone.serial, state=about)


def _unnamed_ports(plugged: Sequence[Plugged], named: set[str]) -> Iterator[Device]:
    for port in plugged:
        if not port.address or port.address not in named:
            yield Device(name="", target="", transport="serial" if port.address else "usb",
                         address=port.address, state=f"{port.role}: {port.name}")


def _labs(boards: Iterable[Board]) -> dict[str, Lab]:
    """Of every coordinator that boards.toml or the environment names."""
    named = {_coordinator(board) for board in boards if board.transport == "labgrid"}
    default = {os.environ.get(COORDINATOR_VARIABLE, "")}
    return {coordinator: _lab(coordinator) for coordinator in sorted(filter(None, named | default))}


def _coordinator(board: Board) -> str:
    return board.address or os.environ.get(COORDINATOR_VARIABLE, "")


def _lab(coordinator: str) -> Lab:
    try:
        return {place.name: place for place in places(coordinator)}
    except DeviceUnavailable as error:
        return error


def _of_lab(board: Board, labs: Mapping[str, Lab]) -> Device:
    coordinator, name = _coordinator(board), board.place or board.name
    lab = labs.get(coordinator, DeviceUnavailable(f"no coordinator; set {COORDINATOR_VARIABLE}"))
    if isinstance(lab, DeviceUnavailable):
        state = str(lab)
    else:
        state = _place_state(lab[name]) if name in lab else f"no place '{name}' there"
    return Device(name=board.name, target=board.target, transport=board.transport, address=coordinator,
                  state=state, meters=board.meters, place=name)


def _place_state(place: LabPlace) -> str:
    has = f"place '{place.name}' with {', '.join(place.kinds) or 'nothing'}"
    if place.dead:
        return f"{has}: left by {place.holder}, which is dead; the next who asks has it"
    return f"{has}: {f'acquired by {place.holder}' if place.holder else 'free'}"


def _unnamed_places(labs: Mapping[str, Lab], boards: Iterable[Board]) -> Iterator[Device]:
    """A place's tag `target` says what to build for it."""
    named = {(_coordinator(board), board.place or board.name) for board in boards
             if board.transport == "labgrid"}
    for coordinator, lab in labs.items():
        for place in lab.values() if isinstance(lab, dict) else ():
            if (coordinator, place.name) not in named:
                yield Device(name="", target=place.tags.get("target", ""), transport="labgrid",
                             address=coordinator, state=_place_state(place), place=place.name)
        if isinstance(lab, DeviceUnavailable) and coordinator not in {address for address, _ in named}:
            yield Device(name="", target="", transport="labgrid", address=coordinator, state=str(lab))


def clean(ledger: Ledger, name: str) -> str:
    """Take our folder off a board, or off this computer ("host"); its path there.

    Raises DeviceBusy where somebody measures on it, DeviceUnavailable and its kinds, BadInput for a device
    that keeps nothing of ours.
    """
    board = HERE if name == HOST else find_board(name)
    if board.transport == "serial" or (board.transport == "labgrid"
                                       and load_target(board.target).has_firmware):
        raise BadInput(f"'{name}' is at a serial line: it holds firmware and no files")
    if board.transport == "virtual":
        raise BadInput(f"'{name}' is an emulated machine: what is put on it goes when it is ended")
    with (ledger.lease(board_resources(board)), at_hand(board) as there,
          reached(there) as transport):
        transport.remove()
        return transport.folder


def entries(found: Sequence[Device]) -> str:
    """What boards.toml would have of places that it does not name."""
    return "\n".join(map(_entry, found))


def _entry(device: Device) -> str:
    if not device.target:
        return (f"# place '{device.place}' of {device.address}: what is it? "
                f"labgrid-client -x {device.address} -p {device.place} set-tags target=TARGET\n")
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", device.place).lstrip(".-")[:60]
    entry = {"target": device.target, "transport": device.transport, "address": device.address,
             **({} if name == device.place else {"place": device.place})}
    return tomli_w.dumps({"boards": {name: entry}})


def as_text(found: Sequence[Device]) -> str:
    """A line each, for people at the bench."""
    lines = [f"{device.name or '-':16} {device.target or '-':18} {device.transport:8} {device.address:28} "
             f"{device.state}{', meters ' + ', '.join(device.meters) if device.meters else ''}"
             for device in found]
    return "\n".join([*lines, f"boards are named in {boards_file()}; docs/examples/boards.toml shows how"])
