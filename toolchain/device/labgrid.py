"""Boards of a labgrid coordinator: a place is acquired while it is used, and says how its board is reached.

labgrid lives in an environment of its own, and a child of ours (labgrid_child/) speaks to the coordinator. A
child stays connected and is used again; it holds one place at a time, and gives it back when we end, however.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
import getpass
import json
import os
from pathlib import Path
import select
import subprocess
import time
from typing import Literal

import msgspec

from toolchain.device.boards import Board
from toolchain.errors import BadReply, DeviceBusy, DeviceLost, DeviceUnavailable, ToolchainError

CHILD = Path(__file__).with_name("labgrid_child")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-labgrid" / "bin" / "python"
PYTHON_VARIABLE = "EDGE_LABGRID_PYTHON"
COORDINATOR_VARIABLE = "LG_COORDINATOR"
"""labgrid's own: the address of the coordinator, host:port."""
INSTALL = f"`make setup-labgrid` installs labgrid; or let ${PYTHON_VARIABLE} name a python that has it"
WAIT_S = 600.0
"""For a device or a place that somebody else has."""
ANSWER_S = 40.0
"""For an answer that waits for nobody: an exporter may take 10 s for each of a place's resources."""
END_S = 15.0
"""For a child to give back what it has."""
SERIAL, SSH = "NetworkSerialPort", "NetworkService"
"""Resources that we can use. RawSerialPort and USBSerialPort of an exporter are a NetworkSerialPort here."""


class LabPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place of a coordinator.

    kinds:  classes of the resources that it matches now
    holder: "computer/user" who has acquired it; "" for nobody
    dead:   the holder is a process of ours on this computer that has ended: whoever asks next gets the place
    """

    name: str
    tags: dict[str, str]
    kinds: tuple[str, ...]
    holder: str
    dead: bool


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """What a place offers. at: labgrid's own parameters; there: whether the exporter finds it"""

    kind: str
    name: str
    at: dict[str, str | int | float | bool | None]
    extra: dict[str, object] = {}
    there: bool = True


def coordinator_of(board: Board) -> str:
    """Its address, or LG_COORDINATOR's. Raises DeviceUnavailable where neither says."""
    if address := board.address or os.environ.get(COORDINATOR_VARIABLE, ""):
        return address
    raise DeviceUnavailable(f"board '{board.name}' is a place of a labgrid coordinator, and nothing says of "
                            f"which: give its address, or set {COORDINATOR_VARIABLE}=host:port")


def places(coordinator: str) -> list[LabPlace]:
    """Every place of a coordinator, by name. Raises DeviceUnavailable."""
    with _connected(coordinator) as client:
        return msgspec.convert(client.ask("places")["places"], list[LabPlace])


@contextmanager
def acquired(board: Board, kind: Literal["serial", "ssh"], wait_s: float = WAIT_S) -> Iterator[Board]:
    """The board's place, ours as long as this lasts: the board as its serial or ssh transport reaches it.

    wait_s: how long to wait in turn for others who have the place
    Raises DeviceUnavailable where there is no coordinator, no such place or nothing at it to use, DeviceBusy
    naming who has it, and at the end DeviceLost where the place was taken from us meanwhile.
    """
    place, coordinator = board.place or board.name, coordinator_of(board)
    with _connected(coordinator) as client:
        told = client.ask("acquire", wait_s, place=place, wait_s=wait_s)
        if error := _refusal(told, place, coordinator):
            raise error
        try:
            there = reached_by(board, place, kind, msgspec.convert(told["resources"], list[Resource]))
            with _unnamed(there, place):
                yield there
        except BaseException:
            with suppress(ToolchainError):
                client.ask("release")
            raise
        if why := client.ask("release").get("lost"):
            raise DeviceLost(f"the place '{place}' was no longer ours at the end: {why}; what was measured "
                             f"is not kept. Measure again")


def _refusal(told: Mapping, place: str, coordinator: str) -> DeviceUnavailable | None:
    """Why a place could not be acquired; None where it was."""
    at = f"the labgrid coordinator {coordinator}"
    if "unknown" in told:
        return DeviceUnavailable(f"no place '{place}' at {at}; it has "
                                 f"{', '.join(told['unknown']) or 'none'}. `edge devices` lists them")
    if "busy" in told:
        return DeviceBusy(
            f"the place '{place}' of {at} is acquired by {told['busy']}; wait, or ask them. Where that was a "
            f"process that is no more: labgrid-client -x {coordinator} -p {place} release --kick")
    if "refused" in told:
        return DeviceUnavailable(f"{at} does not give the place '{place}': {told['refused']}. Its exporter's "
                                 f"log says why, or another place has the same resource")
    return None


def reached_by(board: Board, place: str, kind: Literal["serial", "ssh"],
               resources: Sequence[Resource]) -> Board:
    """The board with the transport and address that its place's resource of this kind says. Raises
    DeviceUnavailable."""
    wanted = SERIAL if kind == "serial" else SSH
    fit = [resource for resource in resources if resource.kind == wanted]
    if len(fit) != 1:
        has = ", ".join(f"{resource.kind} '{resource.name}'" for resource in resources) or "nothing"
        what = "no" if not fit else "more than one"
        raise DeviceUnavailable(f"the place '{place}' has {what} {wanted}, by which a {board.target} is "
                                f"reached; it has {has}. Give it a match for just one (labgrid-client "
                                f"add-match)")
    resource = fit[0]
    if not resource.there:
        raise DeviceUnavailable(f"the {wanted} of the place '{place}' is not there now, says its exporter; "
                                f"is the board plugged in and powered?")
    if resource.extra.get("proxy_required"):
        raise DeviceUnavailable(f"the {wanted} of the place '{place}' is reached through its exporter only "
                                f"(isolated mode), which is not supported; measure from within its network")
    return (_at_serial_port if kind == "serial" else _at_ssh)(board, resource.at)


def _at_serial_port(board: Board, at: Mapping) -> Board:
    """As labgrid/driver/serialdriver.py opens it: ser2net does not answer for control lines that are not
    there."""
    where = f"{at['host']}:{at['port']}"
    raw = at.get("protocol") == "raw"
    address = f"socket://{where}" if raw else f"rfc2217://{where}?ign_set_control"
    return msgspec.structs.replace(board, transport="serial", address=address,
                                   baud=board.baud or at.get("speed"))


def _at_ssh(board: Board, at: Mapping) -> Board:
    return msgspec.structs.replace(board, transport="ssh", address=f"{at['username']}@{at['address']}",
                                   port=at.get("port"))


@contextmanager
def _unnamed(there: Board, place: str) -> Iterator[None]:
    """Errors name the place and no address, which no record is to have."""
    try:
        yield
    except ToolchainError as error:
        told = str(error).replace(there.address, f"the place '{place}'")
        error.args = (told, *error.args[1:])
        raise


# The child --------------------------------------------------------------------------------------------------

class _Client:
    """A child that is connected. Raises DeviceUnavailable where it cannot be."""

    def __init__(self, coordinator: str):
        self._coordinator, self._python, self._rest = coordinator, _python(), b""
        user = os.environ.get("LG_USERNAME") or getpass.getuser()
        self._process = subprocess.Popen(
            [self._python, "-IB", CHILD, coordinator, user, str(os.getpid())], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True)
        try:
            self._require_connected(self._answer(ANSWER_S))
        except BaseException:
            self.end()
            raise

    def _require_connected(self, told: Mapping) -> None:
        if "missing" in told:
            raise DeviceUnavailable(f"{self._python} has no {told['missing']}; {INSTALL}")
        if "ready" not in told:
            raise DeviceUnavailable(f"no labgrid coordinator answers at {self._coordinator}: "
                                    f"{told.get('unreachable')}; is labgrid-coordinator running there?")

    @property
    def usable(self) -> bool:
        """Connected, and nothing asked that was not answered."""
        return self._process.poll() is None and not self._process.stdin.closed

    def ask(self, what: str, patience_s: float = 0.0, **details: str | float) -> Mapping:
        """Have something done, which may take `patience_s` and then some. Raises DeviceLost,
        DeviceUnavailable.

        Where no answer comes the child is ended, and gives back what it has.
        """
        try:
            with suppress(BrokenPipeError):  # then it has no answer either
                self._process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")
            told = self._answer(patience_s + ANSWER_S)
        except BaseException:
            self.end()
            raise
        if "failed" in told:
            self.end()
            raise DeviceUnavailable(f"labgrid at {self._coordinator} fails: {told['failed']}")
        return told

    def _answer(self, seconds: float) -> Mapping:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise DeviceUnavailable(f"labgrid at {self._coordinator} gave no answer within "
                                        f"{seconds:.0f} s; is its coordinator or an exporter hung?")
            data = self._process.stdout.read(65536)
            if not data:
                raise DeviceLost(f"the connection to labgrid at {self._coordinator} broke: its coordinator "
                                 f"ended or was started anew, and knows no holders any more. Try again")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            return json.loads(line)
        except ValueError:
            raise BadReply(f"labgrid's child says {line[:80]!r}; {INSTALL}") from None

    def end(self) -> None:
        """What it holds is given back."""
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


_IDLE: dict[tuple[int, str], list[_Client]] = {}
"""(our process, coordinator) -> connected children that nobody uses: a fork has none of its parent's."""


@contextmanager
def _connected(coordinator: str) -> Iterator[_Client]:
    """A child for us alone, used before or begun now."""
    idle = _IDLE.setdefault((os.getpid(), coordinator), [])
    client = None
    while idle and client is None:
        client = idle.pop()
        if not client.usable:
            client.end()
            client = None
    client = client or _Client(coordinator)
    try:
        yield client
    finally:
        if client.usable:
            idle.append(client)


def _python() -> Path:
    python = Path(os.environ.get(PYTHON_VARIABLE) or PYTHON)
    if not python.is_file():
        raise DeviceUnavailable(f"places of a lab are reached by labgrid, and there is no {python}; "
                                f"{INSTALL}")
    return python
