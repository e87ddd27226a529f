"""Which target an artefact's firmware is linked for anew, where a budget holds it."""

from dataclasses import replace
from pathlib import Path
import shutil

import pytest

from tests import chains
from toolchain.artifact import Artifact
from toolchain.chain_building import held_to
from toolchain.errors import BadInput
from toolchain.lower.chain import lower_chain
from toolchain.profile import TARGETS, load_target


@pytest.fixture
def artifact(tmp_path, monkeypatch) -> Artifact:
    """For a target of one's own, in the folder where one is."""
    shutil.copytree(TARGETS / "cortex_m4_qemu", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    built = lower_chain(chains.apart(), load_target("mine"), {})
    return replace(built, files={**built.files, "firmware.elf": b"of no budget"})


def test_a_target_of_ones_own_is_linked_with_where_it_was_built(artifact):
    held = held_to(artifact, 10**9)
    assert held.files["firmware.elf"].startswith(b"\x7fELF") and held.manifest.held.level == 2


def test_it_is_not_there(artifact, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="chained was built for target mine, .* are not here: run this in the "
                                       "folder that holds mine/profile.toml"):
        held_to(artifact, 10**9)


def test_another_one_of_that_name_is_not_taken_for_it(artifact):
    profile = Path("mine", "profile.toml")
    flash = f"flash_bytes = {artifact.manifest.profile.flash_bytes // 2}"
    lines = [flash if line.startswith("flash_bytes") else line for line in profile.read_text().splitlines()]
    profile.write_text("\n".join(lines))
    with pytest.raises(BadInput, match="mine is another, or was changed since: run this"):
        held_to(artifact, 10**9)
