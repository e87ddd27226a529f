"""The emulated devices' kernel and disk: made of Debian's packages where the user's cache has none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import fcntl
from hashlib import sha256
import os
from pathlib import Path
import re
import shutil
import subprocess

import msgspec

from toolchain.device.cache import cache_folder, kept, locked
from toolchain.device.machines import kernel, userland
from toolchain.device.machines.debian import Archive, Package
from toolchain.device.wheels import REQUIREMENTS, device_wheels
from toolchain.errors import DeviceUnavailable

SUITE, ARCHITECTURE = "bookworm", "arm64"
KERNEL = "linux-image-arm64"
QEMU = "qemu-system-aarch64"
CONTENTS = "contents.json"
KEPT = 3
"""Images in the cache: those of other versions of the toolchain, or of Debian, go."""
FREE_MB = 1024
"""Room on the disk for what is pushed to the device."""
TOOLS = {"dpkg-deb": "dpkg", "tar": "tar", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs",
         "ssh-keygen": "openssh-client", "qemu-img": "qemu-utils", QEMU: "qemu-system-arm"}
"""Program -> Debian package that brings it."""
SBIN = "/usr/sbin:/sbin"


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an image was made of: contents.json.

    kernel:   its version; packages: name -> version; wheels: file names
    host_key: the ssh server's public key
    """

    kernel: str
    packages: dict[str, str]
    wheels: tuple[str, ...]
    host_key: str


@dataclass(frozen=True)
class Image:
    """A kernel, an initial RAM disk and a disk, in a folder named by the digest of what they were made of."""

    folder: Path
    contents: Contents

    @property
    def digest(self) -> str:
        """For a measurement's conditions."""
        return self.folder.name

    def path(self, name: str) -> Path:
        """name: kernel, initramfs, disk.ext4, identity or identity.pub"""
        return self.folder / name


def find_image() -> Image | None:
    """The newest image in the cache that this version of the toolchain makes."""
    found = (cache_folder() / "machines").glob(f"{_sources()}-*/{CONTENTS}")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return newest and _read(newest.parent)


def obtain_image() -> Image:
    """The image in the cache; where there is none it is made. Raises DeviceUnavailable."""
    if found := find_image():
        return found
    with locked(_archive_folder()):
        return find_image() or _make_image()


def update_image() -> Image:
    """An image of the packages that Debian has today: half a minute and a network. DeviceUnavailable."""
    with locked(_archive_folder()):
        return _make_image()


def _make_image() -> Image:
    require_tools()
    archive = Archive(_archive_folder(), SUITE, ARCHITECTURE)
    archive.update()
    names = [*userland.words(userland.SOURCES / "packages.txt"), *archive.depends(KERNEL)]
    packages = archive.packages(names)
    key = sha256("".join(package.sha256 for package in packages).encode()).hexdigest()[:12]
    folder = cache_folder() / "machines"
    place = kept(folder / f"{_sources()}-{key}", lambda empty: _build(empty, archive, packages))
    _forget_old(folder)
    return _read(place)


def _archive_folder() -> Path:
    """Of apt's state and the packages, for one process at a time."""
    return cache_folder() / "machines" / f"apt-{SUITE}-{ARCHITECTURE}"


@contextmanager
def in_use(image: Image) -> Iterator[None]:
    """No process takes the image away."""
    with open(image.path(CONTENTS), "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


def _forget_old(folder: Path) -> None:
    """Of the images in the folder the KEPT newest stay, and those in use."""
    found = sorted(folder.glob(f"*/{CONTENTS}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        with open(path, "rb") as held, suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent)


def require_tools() -> None:
    """Raises DeviceUnavailable naming every program that is missing."""
    missing = [name for name in TOOLS if not find_tool(name)]
    if missing:
        packages = " ".join(sorted({TOOLS[name] for name in missing}))
        raise DeviceUnavailable(f"{', '.join(missing)}: not installed, which the emulated devices need; "
                                f"apt-get install {packages}")


def find_tool(name: str) -> str | None:
    """Its path; a plain user's PATH lacks the folders of SBIN."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def _sources() -> str:
    """Digest of everything of ours that goes into an image."""
    modules = [Path(__file__).with_name(f"{name}.py") for name in ("image", "kernel", "userland")]
    data = sorted(path for path in userland.SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc")
    files = [REQUIREMENTS / "device-aarch64.txt", *modules, *data]
    total = sha256()
    for path in files:
        total.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def _read(folder: Path) -> Image:
    return Image(folder, msgspec.json.decode((folder / CONTENTS).read_bytes(), type=Contents))


def _build(place: Path, archive: Archive, packages: Sequence[Package]) -> None:
    """Everything of an image. place: an empty folder"""
    files, wheels = archive.download(packages), device_wheels("aarch64")
    kernels = [path for path in files if path.name.startswith("linux-image-")]
    keys = {name: _key(place / name) for name in ("identity", "host_key")}
    root = place / "root"
    with _readable_to_all():
        userland.unpack_packages([path for path in files if path not in kernels], root)
        userland.unpack_wheels(wheels, root)
        userland.set_up(root, keys["identity"], (place / "host_key").read_text())
        userland.set_up_android(root)
        userland.compile_python(root)
    version = _start_files(place, kernels, root)
    _write_disk(root, place / "disk.ext4")
    shutil.rmtree(root)
    contents = Contents(version, {package.name: package.version for package in packages},
                        tuple(wheel.name for wheel in wheels), " ".join(keys["host_key"].split()[:2]))
    (place / CONTENTS).write_bytes(msgspec.json.encode(contents))


@contextmanager
def _readable_to_all() -> Iterator[None]:
    """Whatever the user's umask is: the device has other users."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _start_files(place: Path, packages: Sequence[Path], root: Path) -> str:
    """The kernel and its initial RAM disk; the kernel's version."""
    unpacked = place / "linux"
    unpacked.mkdir()
    for package in packages:
        userland.unpack(package, unpacked, "--exclude=./usr")
    (modules,) = (unpacked / "lib/modules").iterdir()
    shutil.move(unpacked / "boot" / f"vmlinuz-{modules.name}", place / "kernel")
    disk = kernel.initramfs((userland.SOURCES / "initramfs").read_bytes(),
                            (root / "usr/bin/busybox").read_bytes(), kernel.module_files(modules))
    (place / "initramfs").write_bytes(disk)
    shutil.rmtree(unpacked)
    return modules.name


def _key(path: Path) -> str:
    """A new key pair, the private one readable by us alone; the public one."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edge", "-f", str(path)])
    return path.with_name(f"{path.name}.pub").read_text()


def _write_disk(root: Path, image: Path) -> None:
    """An ext4 file system of everything in root, owned by the device's own users whoever made it."""
    size_mb = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) >> 20
    run([find_tool("mke2fs"), "-q", "-t", "ext4", "-E", "root_owner=0:0,lazy_itable_init=1", "-m", "0",
          "-O", "^has_journal", "-d", str(root), str(image), f"{size_mb * 5 // 4 + FREE_MB}M"])
    commands = image.with_name("owners")
    commands.write_text("".join(_owner(path.relative_to(root)) for path in root.rglob("*")))
    said = run([find_tool("debugfs"), "-w", "-f", str(commands), str(image)])
    if wrong := re.search(r"(?m)^(?!debugfs)\S.*", said.stderr):
        raise DeviceUnavailable(f"debugfs: {wrong[0][:200]}")
    commands.unlink()


def _owner(path: Path) -> str:
    """debugfs's commands that make a path pi's in its home, root's elsewhere."""
    owner = 1000 if path.is_relative_to("home/pi") else 0
    return "".join(f'set_inode_field "/{path}" {field} {owner}\n' for field in ("uid", "gid"))


def run(command: Sequence[str | None]) -> subprocess.CompletedProcess[str]:
    """Raises DeviceUnavailable where the program fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise DeviceUnavailable(f"{command[0]} ended with code {done.returncode}: "
                                f"{done.stderr.strip()[:300]}; is the disk full?")
    return done
