"""Python wheels for other machines than this one: fetched once, checked, read as zip files."""

from hashlib import sha256
from pathlib import Path
import subprocess
import sys

from toolchain.device.cache import cache_folder, kept
from toolchain.errors import DeviceUnavailable

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
GLIBC = {"aarch64": ("2_27", "2_28", "2_34"), "armv7l": ("2_34",)}
"""Architecture -> the manylinux platforms of the wheels in requirements/device-ARCHITECTURE.txt."""
SECONDS = 1800


def device_wheels(architecture: str) -> list[Path]:
    """The wheels that requirements/device-ARCHITECTURE.txt pins, from the user's cache, by name.

    architecture: a key of GLIBC. Raises DeviceUnavailable where they are not there and cannot be fetched.
    """
    requirements = REQUIREMENTS / f"device-{architecture}.txt"
    key = sha256(requirements.read_bytes()).hexdigest()[:16]
    place = cache_folder() / "wheels" / f"{architecture}-{key}"
    return sorted(kept(place, lambda folder: _download(requirements, architecture, folder)).glob("*.whl"))


def _download(requirements: Path, architecture: str, folder: Path) -> None:
    """pip checks every file's sha256 by the requirements."""
    platforms = [f"--platform=manylinux_{glibc}_{architecture}" for glibc in GLIBC[architecture]]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
               "--only-binary=:all:", *platforms, "--python-version=3.11", "--implementation=cp",
               "--abi=cp311", f"--requirement={requirements}", f"--dest={folder}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise DeviceUnavailable(f"{requirements.name}: pip did not end in {SECONDS} s") from None
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise DeviceUnavailable(f"{requirements.name}: the runtimes cannot be fetched: "
                                f"{(words or [done.stderr])[0].strip()[:300]}")
