"""A board with a second memory: the arena is spread over both, the codes are the same."""

from pathlib import Path
import shutil

import msgspec
import numpy as np
import pytest

from tests.device.test_qemu import random_feeds
from tests.lower.c.arena.test_patches import wide_net
from toolchain.device import qemu
from toolchain.device.firmware import build_firmware
from toolchain.errors import BadConfig
from toolchain.lower import lower
from toolchain.profile import TargetProfile, load_target
from toolchain.runtime import reference

PSRAM_BYTES = 4096


@pytest.fixture
def board(tmp_path) -> TargetProfile:
    """The MPS2 with its PSRAM at 0x2100_0000 as a second memory."""
    folder = tmp_path / "two_memories"
    shutil.copytree(Path(load_target("cortex_m4_qemu").folder), folder)
    profile, script = folder / "profile.toml", folder / "firmware/link.ld"
    profile.write_text(profile.read_text() + f"regions = {{ psram = {PSRAM_BYTES} }}\n")
    text = script.read_text().replace("\n}\n", (
        f"\n    PSRAM (rw) : ORIGIN = 0x21000000, LENGTH = {PSRAM_BYTES}\n}}\n"
        "SECTIONS { .arena_psram (NOLOAD) : { *(.arena_psram) } > PSRAM }\n"))
    script.write_text(text)
    return load_target(str(folder))


def built(profile: TargetProfile):
    graph = wide_net()
    feeds = random_feeds(graph, 2)
    outputs = reference.run(graph, feeds)
    vectors = {f"input/{k}": v for k, v in feeds.items()} | {f"output/{k}": v for k, v in outputs.items()}
    return lower(graph, profile, vectors)


@pytest.mark.emulated
def test_codes_are_the_references(board):
    artifact = built(board)
    firmware = build_firmware(artifact, board)
    alone = build_firmware(built(load_target("cortex_m4_qemu")), load_target("cortex_m4_qemu"))
    assert 0 < firmware.region_bytes <= PSRAM_BYTES and firmware.arena_bytes < alone.arena_bytes
    with qemu.running(firmware.elf, board) as dut:
        got = qemu.QemuSession(artifact, board, dut).run({"x": artifact.vectors["input/x"][0][None]})
    assert np.array_equal(got["y"].reshape(-1), artifact.vectors["output/y"][0].reshape(-1))


@pytest.mark.emulated
def test_a_memory_that_the_linker_does_not_know(board):
    script = Path(board.folder, "firmware/link.ld")
    script.write_text(script.read_text().split("SECTIONS")[0] + "\nINCLUDE sections.ld\n")
    with pytest.raises(BadConfig, match="two_memories: link.ld has no place for .arena_psram; add"):
        build_firmware(built(board), board)


def test_names_and_number_of_memories(board):
    path = Path(board.folder, "profile.toml")
    for regions in ("{ a = 1, b = 1, c = 1 }", '{ "a b" = 1 }'):
        path.write_text(path.read_text().split("regions")[0] + f"regions = {regions}\n")
        with pytest.raises(BadConfig, match="regions has .*; it takes up to 2, named as C names things"):
            load_target(board.folder)
    assert msgspec.structs.replace(board, regions={}).regions == {}
