"""Layers, functions and parts of the flash: each adds up to the whole, exactly."""

from dataclasses import replace

import msgspec
import pytest

from tests.lower.c.nets import residual_net
from tests.lower.c.test_emit import vectors
from tests.lower.c.test_loops import quantized
from toolchain.artifact import Artifact
from toolchain.device.breakdown import AROUND
from toolchain.device.firmware import build_firmware
from toolchain.device.measure import measure
from toolchain.device.place import Place
from toolchain.device.ways import BARE
from toolchain.ir.graph import Graph
from toolchain.lower import lower, with_files
from toolchain.profile import load_target


def built(graph: Graph, target: str) -> Artifact:
    """As it lies on disk: with firmware, its profile without a folder."""
    profile = load_target(target)
    artifact = lower(graph, profile, vectors(graph))
    firmware = build_firmware(artifact, profile)
    return with_files(artifact, {"firmware.elf": firmware.elf}, firmware.sizes)


@pytest.mark.emulated
@pytest.mark.parametrize("target", ["cortex_m4_qemu", "cortex_m0_qemu", "cortex_m55_qemu", "riscv32_qemu"])
def test_everything_adds_up(target):
    artifact = built(residual_net(), target)
    m = measure(artifact, Place("board", artifact.manifest.profile), BARE[0])
    assert m.parity.mismatched == 0
    assert sum(layer.instructions for layer in m.layers) == m.instructions
    assert [layer.title.split(":")[0] for layer in m.layers] == [
        "stem", "dw", "sum", "squashed", "pooled", "dense", "probability", AROUND]
    assert all(layer.instructions > 10 for layer in m.layers[:-1]) and 0 <= m.layers[-1].instructions < 60
    assert sum(function.instructions for function in m.functions) == m.instructions + 1
    assert sum(m.flash_parts.values()) == m.flash_bytes
    assert m.flash_parts["weights"] + m.code_flash_bytes == pytest.approx(m.flash_bytes, abs=64)
    assert (m.cycles_estimate is not None) == (target == "cortex_m4_qemu")
    if m.cycles_estimate:
        assert m.instructions < m.cycles_estimate < 2.5 * m.instructions


@pytest.mark.emulated
def test_a_layer_that_a_loop_repeats_has_one_row():
    graph = quantized("gru")
    m = measure(built(graph, "cortex_m4_qemu"), Place("board", load_target("cortex_m4_qemu")), BARE[0])
    titles = [layer.title for layer in m.layers]
    assert m.parity.mismatched == 0 and len(set(titles)) == len(titles)
    assert sum(layer.instructions for layer in m.layers) == m.instructions


@pytest.mark.emulated
def test_what_cannot_be_counted_says_why():
    """A target that is not among ours by name: its firmware's sources are elsewhere."""
    artifact = built(residual_net(), "cortex_m4_qemu")
    profile = msgspec.structs.replace(artifact.manifest.profile, name="somebodys")
    m = measure(replace(artifact), Place("board", profile), BARE[0])
    assert m.layers == () and m.functions and m.instructions > 1000
    assert m.conditions["layers"].startswith("not counted: unknown target 'somebodys'")
