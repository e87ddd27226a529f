"""The `qemu` transport: firmware on an emulated board, its serial line a socket of ours or a pty.

QEMU's -icount makes every instruction take the same virtual time, so a counter read around an inference gives
its instructions: exact, and the same on every run and at any load. It models no cycles: never call it time.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
import re
import select
import shutil
import socket
import subprocess
import tempfile

from toolchain.artifact import Artifact
from toolchain.device.firmware import build_firmware
from toolchain.device.protocol import Dut, Inference
from toolchain.device.serial_port import POLL_S, WRITE_S, SerialLine
from toolchain.device.session import FirmwareSession
from toolchain.errors import DeviceLost, DeviceUnavailable, InvalidMeasurement
from toolchain.profile import TargetProfile

ICOUNT_SHIFT = 8
"""An instruction takes 2**8 = 256 ns of virtual time: more than two ticks of every machine's clock."""
START_S, END_S = 20, 5


@dataclass(frozen=True)
class EmulatedMachine:
    """What a machine of QEMU's needs.

    qemu:     the program that emulates it
    hz:       board_hz of its board.c, by which instructions are counted
    options:  of QEMU's command line
    """

    qemu: str
    hz: int
    options: tuple[str, ...] = ()


ARM, RISCV = "qemu-system-arm", "qemu-system-riscv32"
PACKAGES = {ARM: "qemu-system-arm", RISCV: "qemu-system-misc"}
"""Emulator -> Debian package that brings it."""
MACHINES = {
    "microbit": EmulatedMachine(ARM, 16_000_000),
    "mps2-an385": EmulatedMachine(ARM, 25_000_000),
    "mps2-an386": EmulatedMachine(ARM, 25_000_000),
    "mps2-an500": EmulatedMachine(ARM, 25_000_000),
    "mps2-an505": EmulatedMachine(ARM, 20_000_000),
    "mps3-an547": EmulatedMachine(ARM, 20_000_000),
    "netduinoplus2": EmulatedMachine(ARM, 15_625_000),
    "virt": EmulatedMachine(RISCV, 10_000_000, ("-bios", "none")),
}
"""Machines whose counting is proved by tests, by QEMU's name."""


@dataclass(frozen=True)
class Bench:
    """instructions of one inference, without the reading of the counter; stack_bytes that it took."""

    instructions: int
    stack_bytes: int


class QemuSession(FirmwareSession):
    """An artefact running on an emulated board."""

    def __init__(self, artifact: Artifact, profile: TargetProfile, dut: Dut):
        machine = machine_of(profile)
        super().__init__(artifact, dut, profile.name, f"generated C, {qemu_version(machine.qemu)}")
        self._hz = machine.hz

    def bench(self) -> Bench:
        """Instructions and stack of one inference: of the first test vector, or of zeros. Counted twice.

        Raises InvalidMeasurement where the two counts differ.
        """
        first, second = (self.count(self.bench_inputs()) for _ in range(2))
        if first != second:
            raise InvalidMeasurement(f"{self._artifact.manifest.name}: two runs of one input gave {first} "
                                     f"and {second}; an emulated count must repeat exactly")
        return first

    @property
    def instructions(self) -> list[int]:
        """Of each sample of the last `run`."""
        return [count_instructions(inference, self._hz) for inference in self.inferences]

    def count(self, inputs: list[bytes]) -> Bench:
        """Instructions and stack of one inference of these inputs."""
        inference = self.infer(inputs)
        return Bench(count_instructions(inference, self._hz), inference.stack_bytes)


def count_instructions(inference: Inference, hz: int) -> int:
    """Instructions of an inference less those of an empty one. hz: ticks in a second of virtual time."""
    return whole_instructions(inference.ticks, hz) - whole_instructions(inference.empty_ticks, hz)


def whole_instructions(ticks: int, hz: int) -> int:
    """The only number of instructions between two readings of the clock that are `ticks` apart.

    Readings round down, so n instructions last more than ticks - 1 and less than ticks + 1 ticks. With more
    than two ticks an instruction, one n at most is in between. Raises InvalidMeasurement where none is.
    """
    tick = Fraction(10**9, hz * 2**ICOUNT_SHIFT)
    n = floor((ticks - 1) * tick) + 1
    if n >= (ticks + 1) * tick:
        raise InvalidMeasurement(f"{ticks:,} ticks of {hz:,} Hz are no whole number of instructions of "
                                 f"{2**ICOUNT_SHIFT} ns; does board_hz in the target's board.c match?")
    return n


@contextmanager
def open_device(artifact: Artifact, profile: TargetProfile) -> Iterator[QemuSession]:
    """Start the artefact's firmware (built now if it has none), and check that it answers and is this model.

    Raises DeviceUnavailable, DoesNotFit. QEMU is ended on leaving, however that happens.
    """
    elf = artifact.files.get("firmware.elf") or build_firmware(artifact, profile).elf
    with running(elf, profile) as dut:
        yield QemuSession(artifact, profile, dut)


@contextmanager
def running(elf: bytes, profile: TargetProfile, options: tuple[str, ...] = ()) -> Iterator[Dut]:
    """The image on the profile's machine, having said hello. options: more of QEMU's command line."""
    name = f"{profile.name} (QEMU's {profile.machine})"
    ours, theirs = socket.socketpair()
    with closing(ours), theirs:
        wire = ("-chardev", f"socket,id=wire,fd={theirs.fileno()}", *options)
        with _started(elf, profile, "chardev:wire", wire, (theirs.fileno(),)) as process:
            theirs.close()
            try:
                dut = Dut(SerialLine(_Wire(ours), name), name)
                dut.greet(lambda: _require_alive(process, profile))
                yield dut
            except DeviceLost:
                _require_alive(process, profile, END_S)
                raise


class _Wire:
    """Our end of QEMU's serial line, for a `SerialLine`. QEMU looks once a second whether somebody has opened
    its pty; this has no such wait."""

    in_waiting = 65536
    """What `read` is asked for: it gives what has come."""

    def __init__(self, end: socket.socket):
        self._end = end

    def write(self, data: bytes) -> None:
        self._end.settimeout(WRITE_S)
        self._end.sendall(data)

    def read(self, size: int) -> bytes:
        self._end.settimeout(POLL_S)
        try:
            data = self._end.recv(size)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("QEMU has ended")
        return data


@contextmanager
def powered(elf: bytes, profile: TargetProfile,
            options: tuple[str, ...] = ()) -> Iterator[tuple[str, Callable[[], None]]]:
    """The image on the profile's machine: its serial line's device, for whoever opens ports, and what raises
    where QEMU has ended."""
    with _started(elf, profile, "pty", options) as process:
        yield _pty(process, profile), lambda: _require_alive(process, profile)


@contextmanager
def _started(elf: bytes, profile: TargetProfile, serial: str, options: tuple[str, ...],
             files: tuple[int, ...] = ()) -> Iterator[subprocess.Popen]:
    """QEMU at work. files: of ours that it has open"""
    with tempfile.TemporaryDirectory(prefix="edge-qemu-") as folder:
        image = Path(folder, "firmware.elf")
        image.write_bytes(elf)
        process = subprocess.Popen([*_command(image, profile, serial), *options], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   pass_fds=files)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def machine_of(profile: TargetProfile) -> EmulatedMachine:
    """Raises DeviceUnavailable for a machine that is not in MACHINES."""
    if found := MACHINES.get(profile.machine):
        return found
    raise DeviceUnavailable(f"{profile.name}: machine '{profile.machine}' has no known instruction counter; "
                            f"known: {', '.join(MACHINES)}")


def _command(image: Path, profile: TargetProfile, serial: str) -> list[str]:
    """QEMU's command line. setpriv ends QEMU with us, even where we are killed.

    serial: where the serial line leads: "pty", "stdio", "chardev:NAME"
    """
    machine = machine_of(profile)
    if not shutil.which(machine.qemu):
        raise DeviceUnavailable(f"{machine.qemu}, which emulates {profile.name}, is not installed; "
                                f"apt-get install {PACKAGES[machine.qemu]}")
    bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return [*bound, machine.qemu, "-M", profile.machine, *machine.options, "-display", "none",
            "-monitor", "none", "-serial", serial, "-no-reboot",
            "-icount", f"shift={ICOUNT_SHIFT},align=off,sleep=off", "-kernel", str(image)]


def _pty(process: subprocess.Popen, profile: TargetProfile) -> str:
    """The serial line's device, from QEMU's first words."""
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    said = process.stdout.readline() if ready else ""
    if found := re.search(r"/dev/pts/\d+", said):
        return found[0]
    silence = f"nothing said in {START_S} s" if not ready else "it ended without a word"
    raise DeviceUnavailable(f"QEMU does not start machine '{profile.machine}' for {profile.name}: "
                            f"{said.strip() or silence}")


def _require_alive(process: subprocess.Popen, profile: TargetProfile, seconds: float = 0.0) -> None:
    """seconds: to wait for its end, where its line has broken off"""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    if process.returncode is not None:
        said = (process.stdout.read() or "").strip()[:200]
        raise DeviceUnavailable(f"QEMU does not start machine '{profile.machine}' for {profile.name}, or "
                                f"ended since, with code {process.returncode}; is its firmware whole? Build "
                                f"it again. QEMU: {said}")


def qemu_version(program: str) -> str:
    """"QEMU 7.2.22", say."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\S+)", said)
    return f"QEMU {found[1] if found else 'of unknown version'}"
