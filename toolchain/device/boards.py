"""What is plugged in on this bench: boards.toml. Not committed; docs/examples/boards.toml shows one."""

from collections.abc import Iterator
import os
from pathlib import Path
import re
from typing import Annotated, Literal

import msgspec

from toolchain.errors import BadConfig, DeviceUnavailable
from toolchain.profile import Positive
from toolchain.tomlfile import decode_toml

FILE = "boards.toml"
HOST = "host"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}")
"""Of a board or a meter: part of the names of files."""
TcpPort = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device on this bench.

    target:    folder in targets/ that says what kind it is
    transport: how it is reached
    address:   ssh: "user@host", or a Host of ~/.ssh/config; adb: its serial as `adb devices` lists it,
               "host:port" included; serial: /dev/ttyACM0, "socket://host:port" or "rfc2217://host:port";
               labgrid: its coordinator, "host:port", where LG_COORDINATOR does not say
    place:     labgrid: the coordinator's name of it, where that is not the board's
    port:      of ssh, where it is not 22 or the one of ~/.ssh/config
    host_key:  ssh: the device's public key ("ssh-ed25519 AAAA..."); else ~/.ssh/known_hosts must have it.
               This and the next two also of a labgrid place that is reached by ssh
    identity:  ssh: the private key's file, where ~/.ssh does not say
    python:    ssh: of the environment that has a runtime, where it is not python3
    benchmark_model, aar: adb: of the user's, for LiteRT: its program, its library for Android; also
               EDGE_BENCHMARK_MODEL, EDGE_LITERT_AAR
    baud:      serial; a labgrid place says its own
    interface: serial: address of MLPerf Tiny's interface board, through which the board is spoken to for
               energy, so that no line of its own feeds it
    meters:    names of `meters` that see this board's supply
    emulated:  counts instructions; has no time and no energy. What is `virtual` always is
    name:      of its table; not written by the user
    """

    target: str
    transport: Literal["ssh", "adb", "serial", "local", "virtual", "labgrid"]
    address: str = ""
    place: str = ""
    port: TcpPort | None = None
    host_key: str = ""
    identity: str = ""
    python: str = ""
    benchmark_model: str = ""
    aar: str = ""
    baud: Positive | None = None
    interface: str = ""
    meters: tuple[str, ...] = ()
    emulated: bool = False
    name: str = ""


class MeterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A meter on this bench.

    kind:       a key of device/meters' METER
    address:    a serial port, a folder of sysfs, or an instrument's own number
    supply_mv:  where the meter supplies the board (PPK2, LPM01A) or sees its current only
    shunt_uohm, gain_error, offset_ma: corrections of the user's own calibration; 0: the data sheet's
    """

    kind: str
    address: str = ""
    supply_mv: Positive | None = None
    shunt_uohm: Positive | None = None
    gain_error: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    offset_ma: float = 0.0
    name: str = ""


class Boards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """boards.toml: [boards.NAME] and [meters.NAME] tables."""

    boards: dict[str, Board] = {}
    meters: dict[str, MeterConfig] = {}


VIRTUAL = {"pi-virt": Board(target="raspberry_pi_4", transport="virtual", emulated=True),
           "android-virt": Board(target="android_arm64", transport="virtual", emulated=True)}
"""Emulated machines that need no entry: device/machines/ builds and boots them."""
HERE = Board(target=HOST, transport="local", name=HOST)
"""This computer, which needs no entry either."""


def boards_file() -> Path:
    """EDGE_BOARDS, ./boards.toml or ~/.config/edge/boards.toml: the first there is, else ./boards.toml."""
    if chosen := os.environ.get("EDGE_BOARDS"):
        return Path(chosen)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "edge" / FILE
    return next((path for path in (Path(FILE), home) if path.exists()), Path(FILE))


def load_boards(path: Path | None = None) -> Boards:
    """What is plugged in here, the emulated machines included. Raises BadConfig."""
    path = path or boards_file()
    found = decode_toml(path, Boards) if path.exists() else Boards()
    if wrong := next(_wrong(found), None):
        raise BadConfig(f"{path}: {wrong}")
    boards = {name: msgspec.structs.replace(board, name=name,
                                            emulated=board.emulated or board.transport == "virtual")
              for name, board in {**VIRTUAL, **found.boards}.items()}
    meters = {name: msgspec.structs.replace(meter, name=name) for name, meter in found.meters.items()}
    return Boards(boards, meters)


def _wrong(found: Boards) -> Iterator[str]:
    """What no entry may be."""
    for name in (*found.boards, *found.meters):
        if not NAME.fullmatch(name) or name == HOST:
            yield (f"'{name}' names no board or meter: letters, digits and _.- only, and {HOST} is this "
                   f"computer")
    for name, board in found.boards.items():
        if unknown := [meter for meter in board.meters if meter not in found.meters]:
            yield f"board '{name}' names the meter '{unknown[0]}', which has no [meters.{unknown[0]}]"
        if board.name:
            yield f"board '{name}': its name is that of its table; leave out `name`"
        if board.transport in ("ssh", "serial") and not board.address:
            yield f"board '{name}' has no address; {board.transport} needs one"
        if board.place and board.transport != "labgrid":
            yield f"board '{name}' has a place, which {board.transport} does nothing with; leave it out"


def find_board(name: str, path: Path | None = None) -> Board:
    """Raises DeviceUnavailable for a name that is not there, BadConfig."""
    boards = load_boards(path).boards
    if name in boards:
        return boards[name]
    raise DeviceUnavailable(f"no board '{name}'; known: {', '.join(boards)}. Name it in "
                            f"{path or boards_file()}: docs/examples/boards.toml shows how")
