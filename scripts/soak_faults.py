"""Devices that fail in the middle of a campaign, on real wires: what each fault becomes, and nothing is lost.

A board behind SSH (this computer, by a server in this process), one behind Debian's adb and a stand-in of
Android's adbd, and an emulated microcontroller whose serial line passes a relay. A fault strikes the first
attempt at a seeded random instant and is over then, as when somebody puts the cable back. The campaign must
end with its one measurement, and every error on the way must have the type that says what happened.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading

import pytest
from sqlalchemy import select

from tests.device.standins.pty_server import PtyServer
from tests.device.test_board_faults import Relay
from tests.device.transports.android import Phone, adb_server
from tests.device.transports.places import running
from tests.device.transports.ssh_server import Server, serving
from toolchain.campaign import work
from toolchain.campaign.plan import load_campaign
from toolchain.campaign.run import run_campaign
from toolchain.device import programs, protocol, qemu, session
from toolchain.device.firmware import build_firmware
from toolchain.device.transports import adb as adb_module
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.schema import attempts

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
CAMPAIGN = """
devices = ["{device}"]
[models.int8]
file = "int8.tflite"
[measure]
seconds = 0.02
"""
TTL_S = 5.0
ENOUGH = 5
"""A fault that struck so often must have been met."""
EMULATED = "cortex_m4_qemu"


@dataclass
class Bench:
    """A device that can be spoilt.

    folder: of the campaign;  place: its own folder on the device;  over: set when faults strike no more
    """

    folder: Path
    device: str
    place: Path = Path()
    over: threading.Event = field(default_factory=threading.Event)

    def board(self, **facts) -> None:
        """What boards.toml says of it, from now on."""
        (self.folder / "boards.toml").write_text(
            f"[boards.{self.device}]\n" + "".join(f"{key} = {json.dumps(facts[key])}\n" for key in facts))

    def strike(self, fault: str, rng: random.Random) -> None:
        """From somewhen soon on."""
        self.over = threading.Event()
        getattr(self, f"strike_{fault}")(rng)

    def heal(self) -> None:
        """No fault any more."""

    def later(self, rng: random.Random, most_s: float, does: Callable[[], object]) -> None:
        """Unless the fault is over by then."""
        over, wait_s = self.over, rng.uniform(0, most_s)
        threading.Thread(target=lambda: over.wait(wait_s) or does(), daemon=True).start()

    def emptied(self) -> None:
        """Nothing lies on the device: files are sent again."""
        shutil.rmtree(self.place, ignore_errors=True)


class SshBench(Bench):
    """This computer over SSH."""

    @contextmanager
    def opened(self) -> Iterator[None]:
        home = self.folder / "home"
        home.mkdir()
        self.place = home / ".edge"
        with serving(Server(home)) as self.server:
            self.board(target="host", transport="ssh", address="tester@127.0.0.1", port=self.server.port,
                       host_key=self.server.public, identity=f"{home}/id")
            yield

    def heal(self) -> None:
        self.server.drop_after = None

    def strike_ssh_drop(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            self.emptied()
            self.server.drop_after = self.server.received + rng.randrange(200_000)
        else:
            self.later(rng, 1.0, self.server.drop)

    def strike_out_of_memory(self, rng: random.Random) -> None:
        """As the kernel does it: the process that takes most is killed."""
        self._signalled(rng, signal.SIGKILL)

    def strike_hang(self, rng: random.Random) -> None:
        self._signalled(rng, signal.SIGSTOP)

    def _signalled(self, rng: random.Random, kind: signal.Signals) -> None:
        words, count, over = f"{self.place}/files/", rng.randint(1, 3), self.over

        def strike() -> None:
            seen = set()
            while not over.wait(0.005):
                for process in set(running(words)) - seen:
                    if os.readlink(f"/proc/{process}/exe").endswith("/edge-runner"):
                        seen.add(process)
                        if len(seen) == count:
                            os.kill(process, kind)
                            return

        self.later(rng, 0.0, lambda: quietly(strike))


def quietly(does: Callable[[], object]) -> None:
    """A process may be gone before it is looked at."""
    try:
        does()
    except OSError:
        quietly(does)


class AdbBench(Bench):
    """This computer over adb."""

    @contextmanager
    def opened(self) -> Iterator[None]:
        self.place = self.folder / "edge"
        with ExitStack() as stack:
            stack.enter_context(adb_server(self.folder))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, at in {"FOLDER": "edge", "GIVEN": "edge-stdin", "SAID": "edge-stderr"}.items():
                patch.setattr(adb_module, name, str(self.folder / at))
            patch.setattr(adb_module, "SETTLE_SECONDS", 1.0)
            self.phone, self.stranger = Phone(self.folder), Phone(self.folder, "--auth", "never")
            self.cat = os.readlink(self.phone.tools / "cat")
            for phone in (self.phone, self.stranger):
                stack.callback(phone.end)
            self.heal()
            yield

    def heal(self) -> None:
        self.phone.broken({})
        (self.phone.tools / "cat").unlink()
        (self.phone.tools / "cat").symlink_to(self.cat)
        self.board(target="host", transport="adb", address=self.phone.serial)

    def strike_adb_offline(self, rng: random.Random) -> None:
        self.emptied()
        self.phone.broken({"kind": "offline", "service": "shell", "after": rng.randrange(300_000)})

    def strike_adb_unauthorized(self, rng: random.Random) -> None:
        self.board(target="host", transport="adb", address=self.stranger.serial)

    def strike_disk_full(self, rng: random.Random) -> None:
        self.emptied()
        self.phone.tool("cat", f"#!{self.phone.tools}/sh\nhead -c {rng.randrange(100_000)}\n"
                               f"echo 'cat: write: No space left on device' >&2; exit 1\n")


class SerialBench(Bench):
    """An emulated Cortex-M4 on a serial line that passes a relay."""

    @contextmanager
    def opened(self) -> Iterator[None]:
        self.board(target=EMULATED, transport="serial", address="/dev/null")
        job, = load_campaign(self.folder / "campaign.toml").jobs
        monitor = self.folder / "monitor"
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name in ("REPLY_S", "HELLO_S"):
                patch.setattr(protocol, name, 1.0)
            patch.setattr(protocol, "HELLOS", 3)
            patch.setattr(session, "INFER_S", 3.0)
            elf = build_firmware(work.build(job), job.profile).elf
            options = ("-qmp", f"unix:{monitor},server=on,wait=off")
            device, _ = stack.enter_context(qemu.powered(elf, job.profile, options))
            self.relay = Relay(device, monitor)
            self.server = self.relay.server.__enter__()
            stack.callback(lambda: self.server.__exit__(None, None, None))
            self.heal()
            yield

    def heal(self) -> None:
        self.relay.spoil = lambda data: data
        if self.server._master < 0:  # plugged in again
            self.server.__exit__(None, None, None)
            self.server = PtyServer(self.relay._down, self.relay._up).__enter__()
        self.board(target=EMULATED, transport="serial", address=self.server.path, emulated=True)

    def strike_cable_pulled(self, rng: random.Random) -> None:
        self.later(rng, 1.0, self.server.pull)

    def strike_board_reset(self, rng: random.Random) -> None:
        def reset(data: bytes) -> bytes:
            self.relay.reset()
            return data[:len(data) // 2]
        self._spoil(rng, reset)

    def strike_garbage(self, rng: random.Random) -> None:
        self._spoil(rng, lambda data: rng.randbytes(rng.randint(1, 40)) + data)

    def strike_half_a_line(self, rng: random.Random) -> None:
        self._spoil(rng, lambda data: data[:len(data) // 2])

    def strike_silence(self, rng: random.Random) -> None:
        self._spoil(rng, lambda data: b"")

    def _spoil(self, rng: random.Random, fault: Callable[[bytes], bytes]) -> None:
        """One piece of what it says, or each from there on."""
        at, for_good, seen = rng.randrange(800), rng.random() < 0.5, 0

        def spoil(data: bytes) -> bytes:
            nonlocal seen
            before, seen = seen, seen + len(data)
            return fault(data) if before <= at < seen or (for_good and before > at) else data

        self.relay.spoil = spoil


UNAVAILABLE = {"DeviceLost", "DeviceTimeout", "DeviceUnavailable", "BadReply", "InvalidMeasurement"}
FAULTS: Mapping[str, tuple[type[Bench], set[str]]] = {
    "ssh_drop": (SshBench, {"DeviceLost"}), "out_of_memory": (SshBench, {"DeviceExhausted"}),
    "hang": (SshBench, {"DeviceTimeout"}),
    "adb_offline": (AdbBench, {"DeviceLost", "DeviceTimeout", "DeviceUnavailable"}),
    "adb_unauthorized": (AdbBench, {"DeviceRefused"}),
    "disk_full": (AdbBench, {"DeviceExhausted"}),
    "cable_pulled": (SerialBench, {"DeviceLost", "DeviceUnavailable"}),
    "board_reset": (SerialBench, UNAVAILABLE), "garbage": (SerialBench, UNAVAILABLE),
    "half_a_line": (SerialBench, UNAVAILABLE), "silence": (SerialBench, UNAVAILABLE)}
"""Fault -> where it is injected, and the classes of errors that may come of it."""


def inject(fault: str, times: int) -> tuple[str, list[str]]:
    """What came of a fault, in a line, and what was wrong."""
    kind, expected = FAULTS[fault]
    found, failures = Counter(), []
    temporary = tempfile.TemporaryDirectory(prefix=f"soak-{fault}-")
    with temporary as folder, pytest.MonkeyPatch.context() as patch:
        bench = kind(Path(folder), f"soak-{secrets.token_hex(4)}")
        shutil.copy(GOLDEN / "int8.tflite", folder)
        (bench.folder / "campaign.toml").write_text(CAMPAIGN.format(device=bench.device))
        patch.setenv("EDGE_BOARDS", str(bench.folder / "boards.toml"))
        patch.setattr(programs, "PATIENCE_S", 3.0)
        with bench.opened():
            for trial in range(times):
                errors, wrong = one_fault(bench, fault, trial)
                found.update(errors or ["nothing"])
                failures += [f"{fault} {trial}: {what}" for what in wrong]
                if not set(errors) <= expected:
                    failures.append(f"{fault} {trial}: {errors} instead of {expected}")
    if found["nothing"] == times >= ENOUGH:
        failures.append(f"{fault}: struck nothing")
    told = ", ".join(f"{error} {count}" for error, count in found.most_common())
    return f"{fault}: {times} times; it was told as: {told}", failures


def one_fault(bench: Bench, fault: str, trial: int) -> tuple[list[str], list[str]]:
    """Classes of the errors that attempts ended with, and what is wrong in the end."""
    rng, struck = random.Random(f"{fault} {trial}"), []

    def measure(job, built):
        if not struck:
            struck.append(True)
            bench.strike(fault, rng)
        try:
            return work.measure(job, built)
        finally:
            bench.over.set()
            bench.heal()

    def run(ledger: Ledger, again: bool = False):
        campaign = load_campaign(bench.folder / "campaign.toml")
        return run_campaign(ledger, campaign, work.build, measure, ttl_s=TTL_S, backoff_s=0.1, again=again,
                            say=lambda line: print(f"{fault} {trial}: {line}", file=sys.stderr))

    with Ledger.open(str(bench.folder / f"{trial}.db")) as ledger:
        job, = run(ledger)
        if job.state == "failed":
            job, = run(ledger, again=True)
        with ledger.store.read() as connection:
            asked = select(attempts.c.error).order_by(attempts.c.attempt)
            tried = connection.execute(asked).scalars().all()
        wrong = [] if job.state in ("done", "invalid") else [f"it ended as {job}"]
        if len(ledger.runs()) != 1:
            wrong.append(f"{len(ledger.runs())} measurements instead of one")
    return [error for error in tried if error], wrong
