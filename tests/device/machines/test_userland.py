"""The emulated devices' files: what is written beside Debian's packages."""

import os
import re

import pytest

from toolchain.device.machines import userland
from toolchain.device.machines.userland import SOURCES, words
from toolchain.errors import DeviceUnavailable


def test_comments_are_no_words(tmp_path):
    (tmp_path / "list").write_text("# a comment\nzlib1g libc6\n\nbash\n")
    assert words(tmp_path / "list") == ["zlib1g", "libc6", "bash"]


def test_packages_are_named_once():
    names = words(SOURCES / "packages.txt")
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[a-z0-9.+-]+", name) for name in names)


def test_android_has_neither_digests_nor_bash():
    commands = words(SOURCES / "android_virt/toybox.txt") + words(SOURCES / "android_virt/busybox.txt")
    assert len(commands) == len(set(commands)) and {"ls", "cat", "dd", "mv", "md5sum"} <= set(commands)
    assert not [name for name in commands if re.match("sha.*sum|(ba|da|z)sh", name)]


def test_a_program_is_linked_anew_in_place():
    program = b"\x7fELF.." + userland.LINKER + b"..rest"
    changed = userland._relinked(program)
    assert len(changed) == len(program) and changed.endswith(b"..rest")
    assert b"/system/bin/linker64\0" in changed


@pytest.mark.parametrize("program", [b"\x7fELF", 2 * userland.LINKER])
def test_a_program_that_is_linked_otherwise_is_refused(program):
    with pytest.raises(DeviceUnavailable, match="toybox is not linked as it was"):
        userland._relinked(program)


def test_a_package_that_is_damaged_is_named(tmp_path):
    (tmp_path / "broken_1_arm64.deb").write_bytes(b"!<arch>\nrubbish")
    with pytest.raises(DeviceUnavailable, match="broken_1_arm64.deb cannot be unpacked"):
        userland.unpack(tmp_path / "broken_1_arm64.deb", tmp_path)


def test_accounts_have_no_password_and_one_key_opens_pis(tmp_path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / userland.LIBRARIES).mkdir(parents=True)
    userland.set_up(tmp_path, "ssh-ed25519 AAAA edge\n", "PRIVATE")
    shadow = (tmp_path / "etc/shadow").read_text().splitlines()
    assert shadow and all(line.split(":")[1] == "*" for line in shadow)
    assert (tmp_path / "etc/ssh/authorized_keys").read_text() == "ssh-ed25519 AAAA edge\n"
    assert (tmp_path / "etc/ssh/host_key").stat().st_mode & 0o777 == 0o600
    assert os.access(tmp_path / "opt/machine/start", os.X_OK)
