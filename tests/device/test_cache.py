"""The user's cache: where it is, and that what lies in it is whole and made once."""

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from toolchain.atomic import replacing
from toolchain.device.boards import boards_file
from toolchain.device.cache import cache_folder, kept, locked
from toolchain.errors import BadInput
from toolchain.ledger.store import default_url


def test_the_users_word_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EDGE_CACHE", raising=False)
    assert cache_folder() == tmp_path / "edge"
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("EDGE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "edge"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    for name in ("EDGE_CACHE", "EDGE_BOARDS", "EDGE_LEDGER", *(f"XDG_{kind}_HOME" for kind in
                                                               ("CACHE", "CONFIG", "DATA"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(BadInput, match="no home folder: .* set HOME or XDG_CACHE_HOME"):
        cache_folder()
    with pytest.raises(BadInput, match="set HOME or XDG_DATA_HOME"):
        default_url()
    assert boards_file() == Path("boards.toml")


def test_a_full_disk_is_told_by_name(tmp_path):
    def fill(_: Path) -> None:
        with open("/dev/full", "w") as full:
            full.write("x" * 10**6)

    with pytest.raises(OSError, match="No space left on device: '.*/cache'"):
        kept(tmp_path / "cache", fill)
    with pytest.raises(OSError, match="No space left on device: '.*/file'"), replacing(tmp_path / "file"):
        fill(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache.lock"]


def test_made_once_by_many(tmp_path):
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda _: kept(tmp_path / "sub" / "thing", make), range(16)))
    assert len(made) == 1 and {(place / "file").read_text() for place in places} == {"whole"}


def test_nothing_is_left_of_what_failed(tmp_path):
    def make(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        kept(tmp_path / "thing", make)
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_what_a_killed_maker_left_goes(tmp_path):
    code = ("import sys, time; from pathlib import Path; from toolchain.device.cache import kept\n"
            "kept(Path(sys.argv[1]), lambda folder: (print('making', flush=True), time.sleep(60)))")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "thing")],
                          stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout.readline() == "making\n"
        os.kill(maker.pid, signal.SIGKILL)
    (tmp_path / ".thing.22.abcdefgh").mkdir()
    assert len(list(tmp_path.glob(".thing.????????"))) == 1
    kept(tmp_path / "thing", lambda folder: (folder / "file").touch())
    assert {path.name for path in tmp_path.iterdir()} == {"thing", ".thing.lock", ".thing.22.abcdefgh"}


def test_a_killed_holder_holds_nothing(tmp_path):
    code = ("import sys, time; from pathlib import Path; from toolchain.device.cache import locked\n"
            "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "thing")],
                          stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    with locked(tmp_path / "thing"):
        pass
