"""The files of the emulated devices' disk: packages unpacked, and what maintainer scripts would have written.

Everything here runs on the host, at its own speed, and needs no root: owners are set in the image.
"""

from collections.abc import Sequence
import compileall
import importlib.util
from pathlib import Path
import py_compile
import shutil
import subprocess
import zipfile

from toolchain.errors import DeviceUnavailable

SOURCES = Path(__file__).resolve().parents[3] / "targets" / "machines"
LEFT_OUT = ("./usr/share/doc", "./usr/share/locale", "./usr/share/man", "./usr/share/lintian",
            "./usr/lib/python3/dist-packages/numpy/*/tests")
MERGED = ("bin", "sbin", "lib")
FOLDERS = ("dev", "etc/ssh", "home/pi", "opt", "proc", "root", "run", "sys", "tmp", "usr/local/bin")
APPLETS = ("free", "hostname", "ip", "mount", "ps", "sysctl", "umount")
"""Commands that busybox gives; all others are Debian's own."""
LIBRARIES = "usr/lib/aarch64-linux-gnu"
ALTERNATIVES = {"libblas.so.3": "blas/libblas.so.3", "liblapack.so.3": "lapack/liblapack.so.3"}
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n"
                  "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\npi:x:1000:\nnogroup:x:65534:\n",
    # "*": no password, but not locked, so that a key opens the account
    "etc/shadow": "root:*:19000::::::\npi:*:19000::::::\nsshd:*:19000::::::\n",
    "etc/hostname": "pi-virt\n",
    "etc/hosts": "127.0.0.1 localhost pi-virt android-virt\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
}
PYTHON = "usr/lib/python3.11"
WHEELS = "usr/local/lib/python3.11/dist-packages"
"""Where pip puts what a user of Debian's Python installs."""
DEBIAN_PYTHON_MAGIC = 3495
"""Of CPython 3.11's bytecode."""
LINKER = b"/lib/ld-linux-aarch64.so.1\0"
ANDROID_LINKER = "system/bin/linker64"
ANDROID_FOLDERS = ("data/local/tmp", "dev", "proc", "sys", "system/bin", "system/etc",
                   "lib/aarch64-linux-gnu")
ANDROID_LIBRARIES = ("libc.so.6", "libcrypt.so.1", "libm.so.6")


def unpack_packages(packages: Sequence[Path], root: Path) -> None:
    """The files of Debian's packages in a root whose /bin, /sbin and /lib are links into /usr."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        unpack(package, root, *(f"--exclude={pattern}" for pattern in LEFT_OUT))


def unpack(package: Path, root: Path, *selection: str) -> None:
    """A package's files, or those that GNU tar's options select. Raises DeviceUnavailable."""
    tar = ["tar", "-x", "-C", str(root), "--preserve-permissions", "--no-same-owner",
           "--keep-directory-symlink", *selection]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as reader:
        done = subprocess.run(tar, stdin=reader.stdout, capture_output=True, text=True)
    if reader.returncode or done.returncode:
        raise DeviceUnavailable(f"{package.name} cannot be unpacked: {done.stderr.strip()[:200]}; is the "
                                f"disk full?")


def unpack_wheels(wheels: Sequence[Path], root: Path) -> None:
    """As pip would have installed them."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / WHEELS)


def set_up(root: Path, authorized_key: str, host_key: str) -> None:
    """What makes the unpacked files a system that starts, and lets one key in.

    authorized_key: a public key; host_key: the server's private key
    """
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    (root / "bin/sh").unlink(missing_ok=True)
    (root / "bin/sh").symlink_to("bash")
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    for name, target in ALTERNATIVES.items():
        (root / LIBRARIES / name).symlink_to(target)
    (root / "etc/ssh/authorized_keys").write_text(authorized_key)
    key = root / "etc/ssh/host_key"
    key.write_text(host_key)
    key.chmod(0o600)
    (root / "etc/inittab").write_bytes((SOURCES / "inittab").read_bytes())
    machine = root / "opt/machine"
    shutil.copytree(SOURCES, machine, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (machine / "start", machine / "serve"):
        script.chmod(0o755)


def compile_python(root: Path) -> None:
    """Bytecode beside Python's files, where this Python writes the same as Debian's: imports are faster then.

    Without it the device compiles what it imports, every time.
    """
    if int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little") != DEBIAN_PYTHON_MAGIC:
        return
    for folder in (PYTHON, "usr/lib/python3/dist-packages", WHEELS):
        compileall.compile_dir(root / folder, quiet=2, stripdir=str(root), prependdir="/",
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def set_up_android(root: Path) -> None:
    """/android: what an Android shell finds. mksh, toybox, getprop; no bash, no coreutils, no glibc's linker.

    Debian's toybox is linked to glibc, whose linker stands under the name of Android's, so that a glibc
    program that is pushed finds no /lib/ld-linux-aarch64.so.1, as on a phone.
    """
    android = root / "android"
    for name in ANDROID_FOLDERS:
        (android / name).mkdir(parents=True)
    for name in ("bin", "etc"):
        (android / name).symlink_to(f"system/{name}")
    programs = android / "system/bin"
    _install(programs / "sh", (root / "usr/lib/aarch64-linux-musl/bin/mksh").read_bytes())
    _install(programs / "toybox", _relinked((root / "usr/bin/toybox").read_bytes()))
    _install(programs / ".busybox", (root / "usr/bin/busybox").read_bytes())
    _install(android / ANDROID_LINKER, (root / LIBRARIES / "ld-linux-aarch64.so.1").read_bytes())
    for name in ANDROID_LIBRARIES:
        _install(android / "lib/aarch64-linux-gnu" / name, (root / LIBRARIES / name).read_bytes())
    for commands, program in (("toybox.txt", "toybox"), ("busybox.txt", ".busybox")):
        for command in words(SOURCES / "android_virt" / commands):
            (programs / command).symlink_to(program)
    _install(programs / "getprop", (SOURCES / "android_virt/getprop").read_bytes())
    (android / "system/build.prop").write_bytes((SOURCES / "android_virt/build.prop").read_bytes())


def words(path: Path) -> list[str]:
    """The words of a file; lines that begin with # are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def _relinked(program: bytes) -> bytes:
    """A program whose interpreter is ANDROID_LINKER instead of glibc's. Raises DeviceUnavailable."""
    if program.count(LINKER) != 1:
        raise DeviceUnavailable("Debian's toybox is not linked as it was; android-virt cannot be made of it")
    return program.replace(LINKER, f"/{ANDROID_LINKER}".encode().ljust(len(LINKER), b"\0"))


def _install(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    place.chmod(0o755)
