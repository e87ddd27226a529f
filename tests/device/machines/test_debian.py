"""Debian's packages for another architecture: what apt says, and where it is asked."""

import subprocess

import pytest

from toolchain.device.machines import debian
from toolchain.device.machines.debian import Archive, Package, mirrors, parse_uri
from toolchain.errors import DeviceUnavailable

SHA256 = "0123456789abcdef" * 4
URI = "'http://mirror.example/debian/pool/main/b/busybox/busybox-static_1.35.0-4%2bdeb12u1_arm64.deb'"
FILE = "busybox-static_1%3a1.35.0-4+deb12u1_arm64.deb"


def test_a_line_of_apt_names_version_file_and_digest():
    assert parse_uri(f"{URI} {FILE} 822236 SHA256:{SHA256}") == Package(
        "busybox-static", "1:1.35.0-4+deb12u1", FILE, SHA256)


@pytest.mark.parametrize("line", ["", "E: no such package", f"{URI} {FILE} 822236 MD5Sum:{SHA256[:32]}",
                                  f"{URI} ../../{FILE} 822236 SHA256:{SHA256}",
                                  f"{URI} {FILE} 822236 SHA256:{SHA256[:-1]}"])
def test_what_is_no_package_is_an_error(line):
    with pytest.raises(DeviceUnavailable, match="which is no package"):
        parse_uri(line)


def test_the_users_mirror_comes_before_the_machines(monkeypatch):
    said = "http://one.example/security/\nhttp://two.example/debian/\nhttp://two.example/debian/\n"
    monkeypatch.setattr(debian.subprocess, "run",
                        lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=said))
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv(debian.MIRROR, raising=False)
    assert mirrors() == ["http://two.example/debian/"]
    monkeypatch.setenv(debian.MIRROR, "http://mine.example/debian")
    assert mirrors() == ["http://mine.example/debian"]


def test_apt_is_ours_alone(tmp_path):
    Archive(tmp_path, "bookworm", "arm64")
    environment = {"APT_CONFIG": str(tmp_path / "apt.conf"), "PATH": "/usr/bin"}
    said = subprocess.run(["apt-config", "dump"], env=environment, capture_output=True, text=True,
                          check=True).stdout.lower()
    for setting in ('apt::architecture "arm64"', f'dir::state "{tmp_path}/state"',
                    f'dir::cache "{tmp_path}/cache"', f'dir::state::status "{tmp_path}/status"',
                    'dir::etc::sourceparts "/dev/null"'):
        assert f"{setting.lower()};" in said
    assert "apt::update::post-invoke:: " not in said


@pytest.mark.parametrize("mirror", ["file:/nowhere/debian", "nonsense"])
def test_a_mirror_that_cannot_be_read_is_named_with_its_remedy(monkeypatch, tmp_path, mirror):
    monkeypatch.setenv(debian.MIRROR, mirror)
    remedy = "Debian bookworm cannot be had: .*EDGE_DEBIAN_MIRROR=http://HOST"
    with pytest.raises(DeviceUnavailable, match=remedy):
        Archive(tmp_path, "bookworm", "arm64").update()


def test_without_debians_keys_nothing_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(DeviceUnavailable, match="apt-get install debian-archive-keyring"):
        Archive(tmp_path, "bookworm", "arm64").update()


def test_an_archive_without_a_signature_is_refused(monkeypatch, tmp_path):
    release = tmp_path / "mirror/dists/bookworm"
    (release / "main/binary-arm64").mkdir(parents=True)
    (release / "main/binary-arm64/Packages").write_text("")
    (release / "Release").write_text("Origin: Debian\nSuite: oldstable\nCodename: bookworm\n"
                                     "Architectures: arm64\nComponents: main\n"
                                     "Date: Sat, 01 Nov 2025 10:00:00 UTC\n")
    monkeypatch.setenv(debian.MIRROR, f"file:{tmp_path}/mirror")
    with pytest.raises(DeviceUnavailable, match="(?i)not signed|Release"):
        Archive(tmp_path / "apt", "bookworm", "arm64").update()
