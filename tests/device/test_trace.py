"""Executions by address: a loop of known length, the sum that the boards' clocks give."""

from contextlib import suppress
import io

from elftools.elf.elffile import ELFFile
import numpy as np
import pytest

from tests.device.test_qemu import EMULATED, artifact, countdown_artifact
from tests.lower.c.nets import residual_net
from toolchain.device import qemu, trace
from toolchain.device.firmware import build_firmware
from toolchain.errors import BadInput, DeviceUnavailable
from toolchain.profile import load_target

M4 = load_target("cortex_m4_qemu")


def code_of(elf: bytes, function: str) -> range:
    symbol, = ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab").get_symbol_by_name(function)
    return range(symbol["st_value"] & ~1, (symbol["st_value"] & ~1) + symbol["st_size"])


@pytest.mark.emulated
@pytest.mark.parametrize("target", EMULATED)
def test_a_loop_of_known_length(target):
    """Two instructions a thousand times, and what leads there and back, once."""
    profile = load_target(target)
    built = countdown_artifact(target)
    elf, inputs = build_firmware(built, profile).elf, [(1000).to_bytes(4, "little")]
    counts = trace.count_addresses(elf, profile, inputs)
    assert sorted(counts.values(), reverse=True)[:3] == [1000, 1000, 1]
    with qemu.open_device(built, profile) as session:
        assert sum(counts.values()) == session.count(inputs).instructions + 1


@pytest.mark.emulated
def test_a_networks_instructions_by_address():
    built = artifact(residual_net())
    elf = build_firmware(built, M4).elf
    inputs = [np.arange(port.shape[1] * port.shape[2] * port.shape[3], dtype=np.int8).tobytes()
              for port in built.manifest.inputs["c"]]
    counts = trace.count_addresses(elf, M4, inputs)
    with qemu.open_device(built, M4) as session:
        assert sum(counts.values()) == session.count(inputs).instructions + 1
    for outside in ("main", "board_get", "count_ticks", "count_nothing", "reset"):
        with suppress(TypeError):  # the compiler may have put it into its caller
            assert not set(counts) & set(code_of(elf, outside))


def test_no_firmware_of_ours():
    with pytest.raises(BadInput, match="no firmware with the symbols count_begin, count_end"):
        trace.count_addresses(b"\x7fELF", M4, [])


def test_the_plugin_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plugin = trace.compiled_plugin.__wrapped__("QEMU 7.2.22")
    made = plugin.stat().st_mtime_ns
    assert trace.compiled_plugin.__wrapped__("QEMU 8.1.0") == plugin and plugin.stat().st_mtime_ns == made
    later = trace.compiled_plugin.__wrapped__("QEMU 10.0.2")
    assert later != plugin and sorted(tmp_path.rglob("*.so")) == sorted([plugin, later])


def test_no_compiler_on_the_host(monkeypatch):
    monkeypatch.setattr(trace.shutil, "which", lambda name: None)
    with pytest.raises(DeviceUnavailable, match="no C compiler on this host for QEMU's plugin; apt"):
        trace.compiled_plugin.__wrapped__("QEMU 7.2.22")
