"""Debian's kernel and what it starts from: modules in an order in which they load, in an initial RAM disk.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst (cpio "newc").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
import re
import stat

from toolchain.errors import DeviceUnavailable

WANTED = ("virtio_mmio", "virtio_blk", "virtio_net", "crc32c_generic", "ext4")
"""Modules that the emulated board's disk and network need, where they are not in the kernel itself."""


def load_order(modules: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> list[str]:
    """`wanted` and what it depends on, each behind its own dependencies, once.

    modules: name -> names that it depends on. What is not there is in the kernel.
    Raises DeviceUnavailable where modules depend on one another in a circle.
    """
    order: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise DeviceUnavailable(f"kernel modules depend on one another: {' > '.join((*above, name))}")
        if name in modules and name not in order:
            for dependency in modules[name]:
                add(dependency, (*above, name))
            order.append(name)

    for name in wanted:
        add(name, ())
    return order


def dependencies(module: bytes) -> list[str]:
    """Names of the modules that a .ko needs, by its .modinfo; with `-` written `_`: the same name."""
    found = re.search(rb"\0depends=([A-Za-z0-9_,-]*)\0", module)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def module_files(kernel: Path) -> list[tuple[str, bytes]]:
    """(name, contents) of WANTED and what they need, in the order in which they load.

    kernel: lib/modules/VERSION
    """
    paths = {path.stem.replace("-", "_"): path for path in sorted(kernel.rglob("*.ko"))}
    known: dict[str, Sequence[str]] = {}
    ahead = list(WANTED)
    while ahead:
        if (name := ahead.pop()) in paths and name not in known:
            known[name] = dependencies(paths[name].read_bytes())
            ahead.extend(known[name])
    return [(name, paths[name].read_bytes()) for name in load_order(known, WANTED)]


def initramfs(init: bytes, busybox: bytes, modules: Sequence[tuple[str, bytes]]) -> bytes:
    """The initial RAM disk: init, busybox, modules numbered in their order. Not compressed: starts sooner."""
    folders = [(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "disk", "modules", "proc")]
    files = [(f"modules/{index:02}-{name}.ko", stat.S_IFREG | 0o644, data)
             for index, (name, data) in enumerate(modules)]
    programs = [("init", stat.S_IFREG | 0o755, init), ("bin/busybox", stat.S_IFREG | 0o755, busybox)]
    entries = [*folders, *programs, *files, ("TRAILER!!!", 0, b"")]
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """A file of a cpio archive: a header of 13 fields; owners, times, devices and the checksum are 0."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
