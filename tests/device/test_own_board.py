"""The worked example of docs/own-board.md compiles, links, and is what the page shows. It needs no board."""

from pathlib import Path
import re

import msgspec
import pytest

from tests.device.test_firmware import complaints
from tests.device.test_qemu import artifact
from tests.lower.c.nets import residual_net
from toolchain.device.firmware import build_firmware, source_folders
from toolchain.lower.c.pages import ROOM
from toolchain.profile import load_target

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/nucleo_l4r5zi"


@pytest.fixture(scope="module")
def profile():
    return load_target(str(EXAMPLE))


@pytest.mark.parametrize("option", ["-DTK_LAYERS", "-DTK_ENERGY"])
def test_it_compiles_without_a_warning(profile, option):
    strict = msgspec.structs.replace(profile, cflags=(*profile.cflags, option))
    assert complaints(strict, source_folders(profile), ROOM / "kernels") == ""


@pytest.mark.parametrize("option", [(), ("-DTK_ENERGY",)])
def test_it_links_into_the_chips_memory(profile, option):
    firmware = build_firmware(artifact(residual_net()),
                              msgspec.structs.replace(profile, cflags=(*profile.cflags, *option)))
    entry = int.from_bytes(firmware.elf[24:28], "little")
    assert 0x0800_0000 <= entry < 0x0800_0000 + firmware.flash_bytes < 0x0801_0000
    assert firmware.static_bytes < 200


def test_the_page_shows_its_functions():
    page, board = ((ROOT / "docs/own-board.md").read_text(), (EXAMPLE / "firmware/board.c").read_text())
    shown = re.findall(r"^```c\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2 and all(text in board for text in shown)
