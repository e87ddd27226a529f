"""QEMU for arm64: its command line, its start, and its state on a disk, from which the next start goes on.

QEMU's -icount gives every instruction the same virtual time, so the guest's clock and its PMU count
instructions: perf_event's "instructions" of a process, in user space, are the same number on every run and
at any load of the host (a loop of 200,000,000 reads 200,000,136, timer interrupts in it or not). Without
-icount the emulated PMU has no such event, and nothing is faster. `sleep=on` lets an idle guest wait in real
time; with `sleep=off` its clock jumps to the next timer, hours pass in seconds, limits of TCP and sshd
expire, and a host's processor is never idle. The counter is of the whole machine, hence one processor (-smp
1), whose time threads share. The guest places nothing at random (targets/machines/start), so that an
inference repeats to the instruction in C (kws in LiteRT: 1,943,161) and in Python. Neither instructions nor
virtual time are cycles: never call them time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil
import socket
import subprocess
import tempfile
import time
from typing import IO

from toolchain.device.cache import kept
from toolchain.device.machines.image import QEMU, Image, find_tool, run
from toolchain.device.machines.qmp import Qmp
from toolchain.device.qemu import qemu_version
from toolchain.errors import DeviceUnavailable

ICOUNT_SHIFT = 1
"""An instruction takes 2**1 = 2 ns of virtual time."""
START_S = 180
"""Until the device answers: some 4 s of a processor's time, on a machine that may be busy."""
ANSWER_S = 60
READY = b"edge: ready"
"""What targets/machines/start says on the console when the device's port is listened on."""
LAST_WORDS, LAST_BYTES = 400, 65536
GUEST_PORT = {"pi-virt": 22, "android-virt": 5555}
"""Machine -> port that it answers on: ssh's, adb's."""


@dataclass(frozen=True)
class Options:
    """What a machine is started with, for tests of faults.

    memory_mb: of RAM; disk_kb: size of the folder of ours (~/.edge, /data/local/tmp), else a gigabyte;
    abis:      android-virt: what getprop says that its processor runs, the preferred first
    """

    memory_mb: int = 1024
    disk_kb: int | None = None
    abis: tuple[str, ...] = ()


@dataclass(frozen=True)
class Emulator:
    """A QEMU that runs: its process, its monitor, and what it and the guest's console said."""

    process: subprocess.Popen
    monitor: Qmp
    console: IO[bytes]

    def said(self) -> bytes:
        """All of the console."""
        return os.pread(self.console.fileno(), os.fstat(self.console.fileno()).st_size, 0)

    def await_ready(self) -> None:
        """Raises DeviceUnavailable where QEMU ends first, or START_S passes."""
        deadline = time.monotonic() + START_S
        while READY not in self.said():
            if self.process.poll() is not None:
                raise DeviceUnavailable(f"QEMU ended with code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise DeviceUnavailable(f"it did not answer in {START_S} s")
            time.sleep(0.02)

    def resume(self) -> None:
        """Let a machine go on, once its state is read. Raises DeviceUnavailable where it cannot be."""
        await_status(self.monitor, "query-status", "paused", "inmigrate")
        self.monitor.ask("cont")


@contextmanager
def starting(name: str, image: Image, options: Options, disk: Path, *,
             memory: Path | None = None, keep: bool = False) -> Iterator[Emulator]:
    """QEMU with a machine that has started, or goes on from a state; killed on leaving.

    disk: written to only where `keep` says so. memory: of a state, whose disk that is.
    Raises DeviceUnavailable with the last words of QEMU or the guest.
    """
    with ExitStack() as stack:
        console = stack.enter_context(tempfile.TemporaryFile(prefix="edge-console-"))
        ours, theirs = map(stack.enter_context, socket.socketpair())
        words = command(name, image, options, disk, keep, theirs.fileno())
        passed = [theirs.fileno()]
        if memory:
            passed.append(stack.enter_context(open(memory, "rb")).fileno())
            words += ["-incoming", f"fd:{passed[-1]}"]
        process = subprocess.Popen(words, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=console,
                                   stderr=subprocess.STDOUT)
        stack.callback(_end, process)
        theirs.close()
        try:
            emulator = Emulator(process, Qmp(ours, ANSWER_S), console)
            emulator.resume() if memory else emulator.await_ready()
        except DeviceUnavailable as error:
            remedy = f". Remove {memory.parent}, from which it cannot go on, and try again" if memory else ""
            raise DeviceUnavailable(f"{name}: {error}; last words: {_last_words(console)}{remedy}") from None
        yield emulator


def command(name: str, image: Image, options: Options, disk: Path, keep: bool, monitor: int) -> list[str]:
    """QEMU's command line; the serial line is its standard output.

    keep:    what is written goes to the disk's file, not into an unnamed layer over it
    monitor: an inherited socket's number. setpriv ends QEMU with us, even where we are killed.
    """
    bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    form = "qcow2" if disk.suffix == ".qcow2" else "raw"
    return [*bound, find_tool(QEMU) or QEMU, "-M", "virt", "-cpu", "cortex-a72", "-smp", "1",
            "-m", str(options.memory_mb), "-icount", f"shift={ICOUNT_SHIFT},align=off,sleep=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
            "-kernel", str(image.path("kernel")), "-initrd", str(image.path("initramfs")),
            "-append", kernel_words(name, options),
            "-drive", f"if=none,id=disk,format={form},snapshot={'off' if keep else 'on'},cache=unsafe,"
                      f"file={_escaped(disk)}",
            "-device", "virtio-blk-device,drive=disk", "-device", "virtio-net-device,netdev=net",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:{GUEST_PORT[name]}"]


def kernel_words(name: str, options: Options) -> str:
    """The kernel's command line; targets/machines/start reads what begins with `edge.`."""
    words = ["console=ttyAMA0", "quiet", "panic=-1", f"edge.machine={name.replace('-', '_')}"]
    if options.disk_kb is not None:
        words.append(f"edge.disk_kb={options.disk_kb}")
    if options.abis:
        words.append(f"edge.abis={','.join(options.abis)}")
    return " ".join(words)


def started_state(name: str, image: Image) -> Path:
    """A folder with the disk and the memory of a machine that has just become ready; made at its first start.

    It belongs to one image and one version of QEMU. Raises DeviceUnavailable.
    """
    version = qemu_version(find_tool(QEMU) or QEMU).replace(" ", "-")
    return kept(image.path(f"{name}-{version}"), lambda folder: _save_state(name, image, folder))


def _save_state(name: str, image: Image, folder: Path) -> None:
    """The machine is stopped, so that memory and disk agree."""
    disk = folder / "disk.qcow2"
    run([find_tool("qemu-img") or "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
         "-b", str(image.path("disk.ext4")), str(disk)])
    with starting(name, image, Options(), disk, keep=True) as emulator:
        monitor = emulator.monitor
        monitor.ask("stop")
        with open(folder / "memory", "wb") as memory:
            monitor.pass_file("memory", memory.fileno())
            monitor.ask("migrate", uri="fd:memory")
            await_status(monitor, "query-migrate", "completed", "setup", "active", "device")


def await_status(monitor: Qmp, query: str, wanted: str, *before: str) -> None:
    """Raises DeviceUnavailable where a status comes that is neither wanted nor one of those before it."""
    deadline = time.monotonic() + START_S
    while (status := monitor.ask(query).get("status")) != wanted:
        if status not in (*before, None) or time.monotonic() > deadline:
            raise DeviceUnavailable(f"QEMU's {query} says '{status}', not '{wanted}'")
        time.sleep(0.02)


def _escaped(path: Path) -> str:
    """As QEMU's options write a comma."""
    return str(path).replace(",", ",,")


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def _last_words(console: IO[bytes]) -> str:
    size = os.fstat(console.fileno()).st_size
    said = os.pread(console.fileno(), LAST_BYTES, max(0, size - LAST_BYTES)).decode("utf-8", "replace")
    if panic := re.search(r"Kernel panic.*", said):
        return panic[0].strip()
    said = said[-LAST_WORDS:]
    return " / ".join(line.strip() for line in said.splitlines() if line.strip()) or "none"
