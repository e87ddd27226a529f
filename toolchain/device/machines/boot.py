"""boot("pi-virt"): an emulated Raspberry Pi or Android phone, answering; ended with the block and with us."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import re

from toolchain.device.machines.emulator import GUEST_PORT, Options, started_state, starting
from toolchain.device.machines.image import in_use, obtain_image, require_tools
from toolchain.device.machines.qmp import Qmp
from toolchain.errors import BadInput

ABI = re.compile(r"[a-z0-9-]{1,20}")


@dataclass(frozen=True)
class Machine:
    """An emulated device that answers.

    host, port: of its ssh or adb server; on this computer only
    user:       to log in as; identity: the private key's file; host_key: the server's public key
                ("ssh-ed25519 AAAA..."); all three for ssh
    image:      digest of what its kernel and disk were made of
    monitor:    QEMU's, for tests of faults: ask("set_link", name="net", up=False) pulls the cable,
                ask("stop") hangs the device until ask("cont"), ask("system_reset") ends it
    """

    name: str
    host: str
    port: int
    user: str
    identity: Path
    host_key: str
    image: str
    monitor: Qmp = field(repr=False)


@contextmanager
def boot(name: str, options: Options = Options()) -> Iterator[Machine]:
    """Start a machine of GUEST_PORT, wait until it answers, and end it on leaving.

    What it writes is lost then: its disk is a layer over the image. With the usual options it goes on from
    where its first start had come to, which is saved; its calendar does too. QEMU is killed when the thread
    that called this ends, however that happens. Raises DeviceUnavailable, BadInput.
    """
    check(name, options)
    require_tools()
    image = obtain_image()
    with in_use(image):
        disk, memory = image.path("disk.ext4"), None
        if options == Options():
            state = started_state(name, image)
            disk, memory = state / "disk.qcow2", state / "memory"
        with starting(name, image, options, disk, memory=memory) as emulator:
            port = emulator.monitor.forwarded_port(GUEST_PORT[name])
            yield Machine(name, "127.0.0.1", port, "pi", image.path("identity"), image.contents.host_key,
                          image.digest, emulator.monitor)


def check(name: str, options: Options) -> None:
    """Raises BadInput."""
    if name not in GUEST_PORT:
        raise BadInput(f"no emulated device '{name}'; there are {', '.join(GUEST_PORT)}")
    if not 64 <= options.memory_mb <= 65536:
        raise BadInput(f"memory_mb = {options.memory_mb}: the kernel starts with 64 to 65536")
    if options.disk_kb is not None and not 4 <= options.disk_kb <= 2**30:
        raise BadInput(f"disk_kb = {options.disk_kb}: give 4 at least")
    for abi in options.abis:
        if not ABI.fullmatch(abi):
            raise BadInput(f"abis: {abi!r} is none; armeabi-v7a is one")
