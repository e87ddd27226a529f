"""Libraries of runtimes come out of what is pinned, and are checked each time."""

from hashlib import sha256
import re
import zipfile

import pytest

from toolchain.device.runner import wheels
from toolchain.device.runner.native import SOURCES
from toolchain.device.runner.wheels import runtime_library
from toolchain.errors import DeviceUnavailable, Unsupported


def pinned_in_c(isa: str) -> str:
    """The digest that the native runner asks of libLiteRt.so."""
    text = (SOURCES / "litert_abi.h").read_text()
    return re.search(rf'__{isa}__\)\n#define LITERT_SHA256 "([0-9a-f]+)"', text)[1]


def test_this_hosts_libraries_are_the_installed_ones():
    name, data = runtime_library("litert", "x86_64")
    assert name == "libLiteRt.so" and sha256(data).hexdigest() == pinned_in_c("x86_64")
    name, data = runtime_library("onnxruntime", "x86_64")
    assert name == "libonnxruntime.so.1.31.1" and data[:4] == b"\x7fELF"


def test_an_installed_library_that_was_changed_is_refused(monkeypatch):
    class Changed:
        name, hash = "libLiteRt.so", type("Hash", (), {"value": "x"})
        as_posix = staticmethod(lambda: "ai_edge_litert/libLiteRt.so")
        read_binary = staticmethod(lambda: b"\x7fELF changed")

    monkeypatch.setattr(wheels.metadata, "files", lambda _: [Changed()])
    with pytest.raises(DeviceUnavailable, match="libLiteRt.so of ai-edge-litert is not what was installed"):
        runtime_library("litert", "x86_64")


@pytest.mark.parametrize("runtime, isa", [("litert", "armv7-a"), ("tflite-runtime", "aarch64"),
                                          ("c", "x86_64")])
def test_there_is_no_other(runtime, isa):
    with pytest.raises(Unsupported, match=f"no library of {runtime} for {isa}"):
        runtime_library(runtime, isa)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel for aarch64 in a cache of its own, pinned; call it to have it made of other bytes."""
    path = tmp_path / "onnxruntime-1.31.1-cp311-cp311-linux_aarch64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("onnxruntime/capi/libonnxruntime.so.1.31.1", b"library")
        archive.writestr("onnxruntime/capi/libonnxruntime_providers_shared.so", b"another")
    digest = sha256(path.read_bytes()).hexdigest()
    (tmp_path / "device-aarch64.txt").write_text(f"onnxruntime==1.31.1 \\\n    --hash=sha256:{digest}\n")
    monkeypatch.setattr(wheels, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(wheels, "device_wheels", lambda isa: [path])
    return path


def test_a_library_out_of_a_wheel(wheel):
    assert runtime_library("onnxruntime", "aarch64") == ("libonnxruntime.so.1.31.1", b"library")


def test_a_wheel_that_is_not_the_pinned_one_is_refused(wheel):
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DeviceUnavailable, match="is not the wheel that requirements/device-aarch64.txt pins"):
        runtime_library("onnxruntime", "aarch64")
    with pytest.raises(DeviceUnavailable, match=r"requirements/device-aarch64\.txt has no ai-edge-litert"):
        runtime_library("litert", "aarch64")
