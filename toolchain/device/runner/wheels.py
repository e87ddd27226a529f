"""The libraries of runtimes that the native runner loads, out of the wheels that are pinned."""

import base64
from hashlib import sha256
from importlib import metadata
from pathlib import PurePosixPath
import re
import zipfile

from toolchain.device.wheels import REQUIREMENTS, device_wheels
from toolchain.errors import DeviceUnavailable, Unsupported

DISTRIBUTION = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime"}
LIBRARY = {"litert": r"ai_edge_litert/libLiteRt\.so",
           "onnxruntime": r"onnxruntime/capi/libonnxruntime\.so\.[\d.]+"}
"""Runtime -> where its library lies in the wheel."""
INSTALLED = "x86_64"
"""The isa whose wheels are installed here, as the toolchain's own runtimes."""


def runtime_library(runtime: str, isa: str) -> tuple[str, bytes]:
    """Name and contents of the library to push. What it comes from is checked by its sha256 on each use.

    runtime: "litert" or "onnxruntime"; isa: "x86_64" or "aarch64". Raises Unsupported for others,
    DeviceUnavailable where a wheel cannot be had or is not the one that is pinned.
    """
    if runtime not in LIBRARY or isa not in (INSTALLED, "aarch64"):
        raise Unsupported(f"no library of {runtime} for {isa}; there are litert and onnxruntime for x86_64 "
                          f"and aarch64. Use the network's own C, or the Python runner")
    return _installed(runtime) if isa == INSTALLED else _from_wheel(runtime, isa)


def _installed(runtime: str) -> tuple[str, bytes]:
    """By the sha256 in the distribution's RECORD."""
    name = DISTRIBUTION[runtime]
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        raise DeviceUnavailable(f"{name} is not installed; pip install {name}") from None
    file = next((file for file in files if re.fullmatch(LIBRARY[runtime], file.as_posix())), None)
    if file is None:
        raise DeviceUnavailable(f"{name} {metadata.version(name)} holds no library for the native runner; "
                                f"install the version in pyproject.toml")
    data = file.read_binary()
    digest = base64.urlsafe_b64encode(sha256(data).digest()).decode().rstrip("=")
    if not file.hash or file.hash.value != digest:
        raise DeviceUnavailable(f"{file.name} of {name} is not what was installed; "
                                f"pip install --force-reinstall {name}")
    return file.name, data


def _from_wheel(runtime: str, isa: str) -> tuple[str, bytes]:
    start = DISTRIBUTION[runtime].replace("-", "_")
    wheel = next((path for path in device_wheels(isa) if path.name.startswith(f"{start}-")), None)
    if wheel is None:
        raise DeviceUnavailable(f"requirements/device-{isa}.txt has no {DISTRIBUTION[runtime]}")
    if sha256(wheel.read_bytes()).hexdigest() not in _pinned(isa):
        raise DeviceUnavailable(f"{wheel.name} is not the wheel that requirements/device-{isa}.txt pins; "
                                f"remove {wheel.parent}")
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if re.fullmatch(LIBRARY[runtime], name))
        return PurePosixPath(member).name, archive.read(member)


def _pinned(isa: str) -> list[str]:
    return re.findall(r"--hash=sha256:([0-9a-f]{64})", (REQUIREMENTS / f"device-{isa}.txt").read_text())
