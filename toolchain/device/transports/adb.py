"""The `adb` transport: Android's own adb program, whose server talks to phones over USB or TCP.

A connection that breaks ends `adb shell` with exit code 0 and half of the output (adb 29.0.6), and devices
before Android 7 have no exit codes at all. So the device's own shell writes the exit code behind the output,
on a line that begins with a word made up for this one call; without that line, the program did not end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time

from toolchain.device.android import AndroidFacts, read_facts
from toolchain.device.boards import Board
from toolchain.device.transports.bounded import run_here
from toolchain.device.transports.folder import (
    CONTROL_SECONDS,
    FULL,
    REPLY_BYTES,
    DeviceFolder,
    excerpt,
    open_folder,
)
from toolchain.device.transports.transport import MOST_BYTES, Finished
from toolchain.errors import (
    BadConfig,
    BadReply,
    DeviceExhausted,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnavailable,
)

FOLDER = "/data/local/tmp/edge"
GIVEN, SAID = f"{FOLDER}-stdin", f"{FOLDER}-stderr"
"""Files for a command's stdin and stderr, on devices whose shell protocol does not keep them apart."""
ADB_SECONDS = 20.0
"""For adb itself to answer: its server, not a program on the device."""
SETTLE_SECONDS, EMULATED_SETTLE_SECONDS = 5.0, 60.0
"""For a device to let this computer in; an emulated one shares a processor with who knows what."""
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}|\[[0-9A-Fa-f:]+(%[A-Za-z0-9]+)?\]:\d{1,5}")
OVER_TCP = re.compile(r"(\[[^\]]+\]|[A-Za-z0-9.-]+):\d{1,5}")
LISTED = re.compile(r"(\S+)\s+(no permissions|[a-z]+)\b")

UNSETTLED = ("offline", "unauthorized", "authorizing", "connecting")
"""States that a device passes through while it exchanges keys with adb, and its owner is asked."""
STATES = {
    "missing": (DeviceUnavailable, "adb does not list it; plug it in, switch on USB debugging in its "
                                   "developer options, and compare `adb devices` with the board's `address`"),
    "offline": (DeviceUnavailable, "adb lists it as offline; plug it in again, or `adb reconnect offline`"),
    "unauthorized": (DeviceRefused, "it does not know this computer; unlock it and accept the key on its "
                                    "screen"),
    "no permissions": (DeviceRefused, "this user may not open its USB port; install udev's rules (package "
                                      "android-sdk-platform-tools-common), join the group plugdev, and "
                                      "plug it in again"),
}
"""`adb devices`' word, or "missing" -> what it means; any but these and "device": no Android runs there."""


@dataclass(frozen=True)
class AdbDevice:
    """What adb lists. facts: None for a device that lets nobody in."""

    serial: str
    state: str
    facts: AndroidFacts | None


def devices() -> list[AdbDevice]:
    """What is plugged in or connected. Raises DeviceUnavailable where adb is missing or does not answer."""
    adb = Adb("adb")
    return [AdbDevice(serial, state, _facts(adb, serial) if state == "device" else None)
            for serial, state in adb.there().items()]


def _facts(adb: "Adb", serial: str) -> AndroidFacts | None:
    with suppress(DeviceUnavailable, BadReply):
        wire = AdbWire(adb, serial, serial)
        return read_facts(lambda argv: wire.run(argv, seconds=ADB_SECONDS, most_bytes=MOST_BYTES))
    return None


@contextmanager
def open_adb(board: Board) -> Iterator[DeviceFolder]:
    """A phone with USB or TCP debugging. board.address: its serial; "": the only one that there is.

    Raises DeviceUnavailable, DeviceRefused (the key is not accepted, no permission), DeviceLost, BadConfig.
    """
    adb = Adb(board.name)
    serial = board.address or adb.only()
    if not SERIAL.fullmatch(serial):
        raise BadConfig(f"board '{board.name}': address = {serial!r} is no serial; `adb devices` lists them")
    connected = bool(OVER_TCP.fullmatch(serial)) and adb.connect(serial)
    try:
        adb.require(serial, EMULATED_SETTLE_SECONDS if board.emulated else SETTLE_SECONDS)
        yield open_folder(AdbWire(adb, board.name, serial), FOLDER)
    finally:
        if connected:
            with suppress(DeviceUnavailable):
                adb.ask("disconnect", serial)


class Adb:
    """The program. ANDROID_ADB_SERVER_PORT says where its server listens, as it does to adb itself."""

    def __init__(self, name: str):
        """name: of the board, for messages. Raises DeviceUnavailable."""
        self.name, program = name, shutil.which("adb")
        if program is None:
            raise DeviceUnavailable(f"{name}: there is no adb; install it (apt-get install adb, or Android's "
                                    f"platform-tools) and have it on PATH")
        self.program = program
        if (done := self.ask("start-server")).code:
            raise DeviceUnavailable(f"{name}: adb's server does not start: {excerpt(done.stderr)}")

    def ask(self, *words: str) -> Finished:
        """A call that no program on a device answers. Raises DeviceUnavailable.

        It writes to files, for a server that it starts keeps what it inherits open.
        """
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            try:
                done = subprocess.run([self.program, *words], stdin=subprocess.DEVNULL, stdout=stdout,
                                      stderr=stderr, timeout=ADB_SECONDS)
            except subprocess.TimeoutExpired:
                raise self._silent() from None
            stdout.seek(0), stderr.seek(0)
            return Finished(done.returncode, stdout.read(REPLY_BYTES), stderr.read(REPLY_BYTES))

    def _silent(self) -> DeviceUnavailable:
        return DeviceUnavailable(f"{self.name}: adb did not answer in {ADB_SECONDS:g} s; its server hangs or "
                                 f"something else has its port: `adb kill-server`, then try again")

    def listed(self) -> dict[str, str]:
        """Serial -> state."""
        lines = self.ask("devices").stdout.decode("utf-8", "replace").splitlines()
        return {found[1]: found[2] for line in lines if (found := LISTED.match(line)) and "\t" in line}

    def there(self) -> dict[str, str]:
        """Those listed but for what has gone: adb keeps addresses that it lost, as of an emulated phone whose
        process was killed."""
        return {serial: state for serial, state in self.listed().items()
                if state != "offline" or not OVER_TCP.fullmatch(serial)}

    def only(self) -> str:
        """The serial of the one device that there is. Raises DeviceUnavailable."""
        listed = self.there()
        if len(listed) > 1:
            raise DeviceUnavailable(f"{self.name}: adb lists {len(listed)} devices; name one as the board's "
                                    f"`address` in boards.toml, by its serial in `adb devices`")
        return next(iter(listed), "none")

    def connect(self, serial: str) -> bool:
        """Connect over TCP; whether that was not so before. Raises DeviceUnavailable."""
        before = self.state(serial)
        if before == "device":
            return False
        if before != "missing":
            self.ask("disconnect", serial)
        said = self.ask("connect", serial).stdout
        if not re.match(rb"(already )?connected to|failed to authenticate", said):
            raise DeviceUnavailable(f"{self.name}: {self.discreet(said, serial)}; is debugging over TCP on, "
                                    f"and its `address` right?")
        return True

    def state(self, serial: str) -> str:
        return self.listed().get(serial, "missing")

    def require(self, serial: str, seconds: float) -> None:
        """Wait for the device to let us in. Raises DeviceUnavailable, DeviceRefused."""
        deadline = time.monotonic() + seconds
        while (state := self.state(serial)) in UNSETTLED and time.monotonic() < deadline:
            time.sleep(0.1)
        if state != "device":
            raise self.wrong(state)

    def wrong(self, state: str) -> DeviceUnavailable:
        """The error that a state is."""
        other = DeviceUnavailable, f"adb says of it: {state}; start Android on it"
        kind, words = STATES.get(state, other)
        return kind(f"{self.name}: {words}")

    def discreet(self, said: bytes, serial: str) -> str:
        """adb's words without the serial."""
        return excerpt(said.replace(serial.encode(), self.name.encode()))


class AdbWire:
    """Runs command lines on an Android device. Source: folder.py's Wire."""

    def __init__(self, adb: Adb, name: str, serial: str):
        """Raises DeviceUnavailable."""
        self.name, self._adb, self._serial = name, adb, serial
        features = adb.ask("-s", serial, "features")
        if features.code:
            raise self._broken(features)
        self._split = b"shell_v2" in features.stdout.split()

    def run(self, argv: Sequence[str], *, seconds: float, stdin: bytes | None = None,
            most_bytes: int = MOST_BYTES) -> Finished:
        """As Wire."""
        token = secrets.token_hex(8)
        line = shlex.join(argv)
        if self._split:
            words = ["shell", "-T", f"{line}; c=$?; echo; echo {token} $c"]
            end = rb"\n%b (?P<code>\d{1,3})\n"
        else:
            words, stdin = ["exec-out", self._on_one_stream(line, token, stdin)], None
            end = rb"\n%b\n(?P<stderr>.*)\n%b (?P<code>\d{1,3})\n"
        done = self._call(words, seconds, stdin, most_bytes + len(end) + 2 * len(token))
        end = re.compile(b"(?P<stdout>.*)" + end.replace(b"%b", token.encode()), re.DOTALL)
        if not (found := end.fullmatch(done.stdout)):
            if FULL.search(done.stderr.decode(errors="replace")):  # it ended while adb still sent
                return Finished(1, b"", done.stderr)
            raise self._broken(done)
        said = found.groupdict()
        return Finished(int(said["code"]), said["stdout"], said.get("stderr", done.stderr))

    def close(self) -> None:
        """As Wire: adb's server holds the connection."""

    def _on_one_stream(self, line: str, token: str, stdin: bytes | None) -> str:
        """The script for a device before Android 7: stdin from a file, stderr behind stdout."""
        given = ""
        if stdin is not None:
            self._put(stdin)
            given = f"<{GIVEN}"
        return (f"( {line} ) {given} 2>{SAID}; c=$?; echo; echo {token}; cat {SAID}; rm -f {GIVEN} {SAID}; "
                f"echo; echo {token} $c")

    def _put(self, content: bytes) -> None:
        """Into the file for stdin. Raises DeviceExhausted, DeviceLost."""
        with tempfile.NamedTemporaryFile(prefix="edge-") as file:
            file.write(content)
            file.flush()
            done = self._call(["push", file.name, GIVEN], CONTROL_SECONDS, None, REPLY_BYTES)
        if b"o space left" in done.stdout + done.stderr:
            raise DeviceExhausted(f"{self.name}: no room for {len(content):,} bytes in {GIVEN}; make room")
        if done.code:
            raise self._broken(done)

    def _call(self, words: Sequence[str], seconds: float, stdin: bytes | None, most_bytes: int) -> Finished:
        """adb, for this device. Raises DeviceTimeout, DeviceLost, BadReply."""
        try:
            return run_here(self.name, [self._adb.program, "-s", self._serial, *words], seconds=seconds,
                            stdin=stdin, most_bytes=most_bytes)
        except DeviceTimeout:
            if self._adb.state(self._serial) != "device":
                raise DeviceLost(f"{self.name}: no answer in {seconds:g} s, and adb has lost it; see the "
                                 f"cable") from None
            raise

    def _broken(self, done: Finished) -> DeviceUnavailable:
        """What it means that a call did not end as calls do."""
        state = self._adb.state(self._serial)
        if state in ("unauthorized", "no permissions"):
            return self._adb.wrong(state)
        said = self._adb.discreet(done.stderr, self._serial) or "without a word"
        return DeviceLost(f"{self.name}: the connection broke ({said}); adb says of it now: {state}")
