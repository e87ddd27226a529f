"""The image in the cache: its key, its disk, and which images stay."""

import os
import re
import subprocess

import msgspec
import pytest

from toolchain.device.machines import image
from toolchain.device.machines.image import Contents, Image, find_image, find_tool, in_use
from toolchain.errors import DeviceUnavailable

CONTENTS = Contents("6.1", {"libc6": "2.36"}, ("a.whl",), "ssh-ed25519 AAAA")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path))
    return tmp_path / "machines"


def put(cache, name: str, age_s: int) -> Image:
    (cache / name).mkdir(parents=True)
    contents = cache / name / image.CONTENTS
    contents.write_bytes(msgspec.json.encode(CONTENTS))
    os.utime(contents, (10**9 - age_s, 10**9 - age_s))
    return Image(cache / name, CONTENTS)


def test_the_newest_image_of_these_sources_is_taken(cache):
    assert find_image() is None
    ours = image._sources()
    put(cache, f"{ours}-old", 9)
    newest = put(cache, f"{ours}-new", 5)
    put(cache, "othersources-newer", 1)
    assert find_image() == newest and newest.digest == f"{ours}-new"


def test_the_key_follows_every_file_of_ours(tmp_path, monkeypatch):
    (tmp_path / "start").write_text("a")
    monkeypatch.setattr(image.userland, "SOURCES", tmp_path)
    before = image._sources()
    (tmp_path / "start").write_text("b")
    assert image._sources() != before
    (tmp_path / "start").write_text("a")
    assert image._sources() == before


def test_old_images_go_but_those_in_use_stay(cache):
    images = [put(cache, f"k{i}-p", i) for i in range(image.KEPT + 3)]
    with in_use(images[-1]):
        image._forget_old(cache)
    stay = [*images[:image.KEPT], images[-1]]
    assert {path.name for path in cache.iterdir()} == {kept.digest for kept in stay}


def test_missing_tools_are_named_with_their_packages(monkeypatch):
    monkeypatch.setattr(image, "find_tool", lambda name: None if name in ("mke2fs", "qemu-img") else name)
    with pytest.raises(DeviceUnavailable, match="mke2fs, qemu-img: .* apt-get install e2fsprogs qemu-utils"):
        image.require_tools()


def test_the_disk_belongs_to_the_devices_users_whoever_makes_it(tmp_path):
    root = tmp_path / "root"
    for name in ("etc", "home/pi/a folder", "bin"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_text("root")
    (root / "home/pi/a folder/mine").write_text("mine")
    (root / "bin/sh").symlink_to("bash")
    for path in (root / "etc/passwd", root / "home/pi/a folder/mine"):
        if os.getuid() == 0:
            os.chown(path, 1234, 1234)
    image._write_disk(root, tmp_path / "disk.ext4")

    def owners(path: str) -> list[str]:
        said = subprocess.run([find_tool("debugfs"), "-R", f'stat "{path}"', str(tmp_path / "disk.ext4")],
                              capture_output=True, text=True, check=True).stdout
        return re.findall(r"User: +(\d+) +Group: +(\d+)", said)[0]

    assert owners("/etc/passwd") == owners("/bin/sh") == owners("/") == ("0", "0")
    assert owners("/home/pi/a folder/mine") == owners("/home/pi") == ("1000", "1000")
    assert not (tmp_path / "owners").exists()


def test_a_program_that_fails_says_why(tmp_path):
    with pytest.raises(DeviceUnavailable, match="mke2fs ended with code 1: .*nowhere"):
        image.run([find_tool("mke2fs"), "-q", "-d", str(tmp_path / "nowhere"), str(tmp_path / "disk"), "4M"])
