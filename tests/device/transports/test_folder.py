from hashlib import sha256
import os
from pathlib import Path
import re
import stat
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from tests.device.transports.places import SMALL, needed, tools_of
from toolchain.device.transports import folder as folder_module
from toolchain.device.transports.folder import MARKER, DeviceFolder, excerpt, open_folder
from toolchain.device.transports.local import LocalWire
from toolchain.device.transports.transport import MOST_BYTES, Finished
from toolchain.errors import BadInput, BadReply, DeviceExhausted, DeviceLost, DeviceRefused


class Faulty(LocalWire):
    """This host, with faults: `lost_after` bytes of input the wire breaks; `flips` inputs arrive with a wrong
    bit; answers of a script are replaced."""

    def __init__(self, lost_after: int | None = None, flips: int = 0, answers=()):
        super().__init__("pi")
        self.lost_after, self.flips, self.answers, self.ran = lost_after, flips, dict(answers), []

    def run(self, argv, *, seconds, stdin=None, most_bytes=MOST_BYTES) -> Finished:
        self.ran.append(list(argv))
        for words, answer in self.answers.items():
            if words in " ".join(argv):
                return answer
        if stdin is None:
            return super().run(argv, seconds=seconds, most_bytes=most_bytes)
        if self.flips and stdin:
            self.flips -= 1
            stdin = bytes([stdin[0] ^ 1]) + stdin[1:]
        if self.lost_after is not None and len(stdin) > self.lost_after:
            super().run(argv, seconds=seconds, stdin=stdin[:self.lost_after])
            raise DeviceLost("pi: the connection broke")
        if self.lost_after is not None:
            self.lost_after -= len(stdin)
        return super().run(argv, seconds=seconds, stdin=stdin, most_bytes=most_bytes)


def opened(place: Path, **faults) -> DeviceFolder:
    return open_folder(Faulty(**faults), str(place / "edge"))


def test_a_file_lies_in_a_folder_named_by_its_content(tmp_path):
    device = opened(tmp_path)
    paths = device.push({"kws.tflite": b"model", "edge-runner": b"#!/bin/sh\n"}, executable=["edge-runner"])
    assert paths["kws.tflite"] == f"{tmp_path}/edge/files/{sha256(b'model').hexdigest()}/kws.tflite"
    assert Path(paths["kws.tflite"]).read_bytes() == b"model"
    assert os.access(paths["edge-runner"], os.X_OK) and not os.access(paths["kws.tflite"], os.X_OK)
    assert stat.S_IMODE((tmp_path / "edge").stat().st_mode) == 0o700
    assert not list((tmp_path / "edge/incoming").iterdir())


def test_what_is_there_is_not_sent_again_even_by_another_connection(tmp_path):
    files = {"a": os.urandom(3_000_000), "b": b"", "c": b"c"}
    assert opened(tmp_path).push(files) == opened(tmp_path).push(files)
    again = opened(tmp_path)
    again.push(files)
    assert again.sent_bytes == 0
    assert len(again._wire.ran) == 2, "opened, and asked once for all files"


def test_hundreds_of_files():
    files = {f"{i:03d}-{'x' * 90}": b"same" for i in range(700)}
    device = DeviceFolder(Recorder(b"same"), "/home/pi/.edge")
    assert len(device.push(files)) == 700
    longest = max(sum(len(word) + 3 for word in argv) for argv in device._wire.ran)
    assert longest < 2**17 and len(device._wire.ran) == 7


def test_one_content_under_two_names(tmp_path):
    paths = opened(tmp_path).push({"a": b"same", "b": b"same"})
    assert Path(paths["a"]).read_bytes() == Path(paths["b"]).read_bytes() == b"same"


def test_a_file_spoilt_on_the_device_is_sent_again(tmp_path):
    path = Path(opened(tmp_path).push({"a": b"right"})["a"])
    path.write_bytes(b"wrong")
    opened(tmp_path).push({"a": b"right"})
    assert path.read_bytes() == b"right"


@pytest.mark.parametrize("planted", ["link", "folder", "link above"])
def test_what_stands_where_a_file_goes_is_replaced(tmp_path, planted):
    device, other = opened(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "a").write_bytes(b"untouched")
    place = tmp_path / "edge/files" / sha256(b"new").hexdigest()
    if planted == "link above":
        place.symlink_to(other)
    else:
        place.mkdir()
        (place / "a").mkdir() if planted == "folder" else (place / "a").symlink_to(other / "a")
    path = Path(device.push({"a": b"new"})["a"])
    assert path.read_bytes() == b"new" and not path.is_symlink()
    assert (other / "a").read_bytes() == b"untouched"


@settings(max_examples=25)
@given(size=st.integers(1, 5000), cuts=st.lists(st.integers(0, 5000), max_size=3), seed=st.integers(0, 9))
def test_an_interruption_anywhere_costs_nothing_that_had_arrived(size, cuts, seed):
    content = bytes((seed + i * 7) % 251 for i in range(size))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder_module, "PIECE_BYTES", 1024)
        place, arrived = Path(folder), 0
        for cut in cuts:
            device = opened(place, lost_after=cut)
            if cut < size - arrived:
                with pytest.raises(DeviceLost):
                    device.push({"a": content})
                arrived += cut
            final = place / "edge/files" / sha256(content).hexdigest() / "a"
            assert not final.exists() or final.read_bytes() == content
        device = opened(place)
        assert Path(device.push({"a": content})["a"]).read_bytes() == content
        assert device.sent_bytes == size - arrived


@given(name=st.text(max_size=120))
def test_names_cannot_leave_the_folder(name):
    device = DeviceFolder(Recorder(), "/home/pi/.edge")
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        assert device.push({name: b""})[name].endswith(f"/{name}")
    else:
        with pytest.raises(BadInput, match="is not sent to a device"):
            device.push({name: b""})
        assert not device._wire.ran


class Recorder(LocalWire):
    """A device that has every file already."""

    def __init__(self, content: bytes = b""):
        super().__init__("pi")
        self.size, self.ran = len(content), []

    def run(self, argv, *, seconds, stdin=None, most_bytes=MOST_BYTES) -> Finished:
        self.ran.append(argv)
        lines = [f"{self.size} {path.split('/')[-2]} {path}\n" for path in argv[4:]]
        return Finished(0, "".join(lines).encode(), b"")


def test_something_else_on_its_way_is_no_beginning(tmp_path):
    device, content = opened(tmp_path), b"0123456789"
    incoming = tmp_path / "edge/incoming" / sha256(content).hexdigest()
    for planted in (b"01x", content + b"more", content + b"!" * 10_000):
        incoming.write_bytes(planted)
        path = Path(device.push({"a": content})["a"])
        assert path.read_bytes() == content
        path.unlink()


def test_a_file_that_arrives_wrong_is_sent_afresh_once(tmp_path):
    device = opened(tmp_path, flips=1)
    assert Path(device.push({"a": b"right"})["a"]).read_bytes() == b"right"
    assert device.sent_bytes == 2 * len(b"right")


def test_a_file_that_arrives_wrong_twice_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(BadReply, match=r"pi: a \(5 bytes\) arrived with another sha256, twice"):
        opened(tmp_path, flips=2).push({"a": b"right"})
    assert not list((tmp_path / "edge/incoming").iterdir()) and not list((tmp_path / "edge/files").iterdir())


@pytest.mark.parametrize("kind", SMALL)
def test_a_shell_and_a_few_tools_are_enough(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("PATH", str(tools_of(tmp_path / "bin", kind)))
    content = os.urandom(2_500_000)
    path = opened(tmp_path).push({"a": content, "b": b""}, executable=["a"])["a"]
    assert Path(path).read_bytes() == content
    again = opened(tmp_path)
    again.push({"a": content})
    assert again.sent_bytes == 0 and again.read(path) == content
    again.remove()
    assert not (tmp_path / "edge").exists()


@pytest.mark.parametrize("toybox", [False, True])
def test_a_device_without_sha256sum(tmp_path, toybox, monkeypatch):
    tools = tools_of(tmp_path / "bin", "dash", without=("sha256sum",))
    if toybox:
        (tools / "toybox").symlink_to(needed("toybox"))
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(DeviceLost):
        opened(tmp_path, lost_after=4).push({"a": b"0123456789"})
    device = opened(tmp_path)
    assert Path(device.push({"a": b"0123456789"})["a"]).read_bytes() == b"0123456789"
    assert device.sent_bytes == 6
    read_back = [argv for argv in device._wire.ran if argv[0] == "cat"]
    assert bool(read_back) is not toybox


def full(tools: Path, free_kb: int, room: int) -> None:
    """A disk with room for so many bytes more, of which `df` says free_kb."""
    df = f"echo 'File 1024-blocks Used Available Capacity Mounted'; echo '/dev/root 9 9 {free_kb} 99% /'"
    cat = f"head -c {room}; echo 'cat: write error: No space left on device' >&2; exit 1"
    for name, does in {"df": df, "cat": cat}.items():
        (tools / name).unlink()
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    (tools / "head").symlink_to(needed("head"))


@pytest.mark.parametrize(("free_kb", "words"), [
    (3, "a needs 5,000 more bytes and 3,072 are free; make room, or `edge clean --device`"),
    (9000, "a needs 5,000 more bytes and the disk is full .cat: write error: No space left on device")])
def test_a_full_disk_says_what_is_needed_and_keeps_nothing(tmp_path, monkeypatch, free_kb, words):
    device = opened(tmp_path)
    tools = tools_of(tmp_path / "bin", "dash")
    full(tools, free_kb, room=2000)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(DeviceExhausted, match=words):
        device.push({"a": b"x" * 5000})
    assert not list((tmp_path / "edge/incoming").iterdir()) and not list((tmp_path / "edge/files").iterdir())


def test_a_disk_that_fills_half_way_keeps_nothing_of_the_part_before(tmp_path, monkeypatch):
    content = b"x" * 5000
    with pytest.raises(DeviceLost):
        opened(tmp_path, lost_after=3000).push({"a": content})
    tools = tools_of(tmp_path / "bin", "dash")
    full(tools, free_kb=1, room=0)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(DeviceExhausted, match="a needs 2,000 more bytes and 1,024 are free"):
        opened(tmp_path).push({"a": content})
    assert not list((tmp_path / "edge/incoming").iterdir())


def test_a_file_that_cannot_be_written_says_why(tmp_path):
    answer = Finished(1, b"", b"cat: x: Read-only file system\n")
    with pytest.raises(DeviceRefused, match="pi: a cannot be written: cat: x: Read-only file system"):
        opened(tmp_path, answers={">>": answer}).push({"a": b"x"})


def test_reading_is_of_our_folder_only_and_bounded(tmp_path):
    device = opened(tmp_path)
    (tmp_path / "edge/runs/out").write_bytes(b"x" * 1000)
    assert device.read(f"{device.folder}/runs/out") == b"x" * 1000
    with pytest.raises(BadReply, match="more than 999 bytes came"):
        device.read(f"{device.folder}/runs/out", most_bytes=999)
    for path in ("/etc/passwd", f"{device.folder}/../x", f"{device.folder}2/x", device.folder):
        with pytest.raises(BadInput, match="it is not in"):
            device.read(path)
    with pytest.raises(DeviceRefused, match="No such file"):
        device.read(f"{device.folder}/runs/none")
    with pytest.raises(BadInput, match="is not sent to a device"):
        device.read(f"{device.folder}/runs/$HOME")


@pytest.mark.parametrize("inside", ["", "files", "incoming", "runs"])
def test_no_link_is_written_through(tmp_path, inside):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if inside:
        opened(tmp_path)
        (tmp_path / "edge" / inside).rmdir()
    (tmp_path / "edge" / inside).symlink_to(elsewhere)
    with pytest.raises(DeviceRefused, match="is a link; take it away"):
        opened(tmp_path)
    assert not list(elsewhere.iterdir())


def test_a_link_for_a_marker_is_not_written_through(tmp_path):
    (tmp_path / "other").write_bytes(b"untouched")
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / MARKER).symlink_to(tmp_path / "other")
    with pytest.raises(DeviceRefused, match="is not ours"):
        opened(tmp_path)
    assert (tmp_path / "other").read_bytes() == b"untouched"


def test_a_folder_of_somebody_else_is_neither_used_nor_removed(tmp_path):
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "thesis.tex").write_text("years of work")
    with pytest.raises(DeviceRefused, match=f"is not ours: it holds files and no {MARKER}"):
        opened(tmp_path)
    with pytest.raises(DeviceRefused, match="is not ours"):
        DeviceFolder(LocalWire("pi"), str(tmp_path / "edge")).remove()
    assert (tmp_path / "edge" / "thesis.tex").exists()


def test_removing_follows_no_link(tmp_path):
    device, other = opened(tmp_path), tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    (tmp_path / "edge/runs/link").symlink_to(other)
    device.remove()
    assert (other / "kept").exists() and not (tmp_path / "edge").exists()
    (tmp_path / "edge").symlink_to(other)
    with pytest.raises(DeviceRefused, match="is a link"):
        device.remove()
    assert (other / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path):
    opened(tmp_path)
    os.chown(tmp_path / "edge", 12345, 12345)
    with pytest.raises(DeviceRefused, match="belongs to another user"):
        opened(tmp_path)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "edge").write_bytes(b"")
    with pytest.raises(DeviceRefused, match="cannot be made: mkdir: .*File exists"):
        opened(tmp_path)


def test_a_disk_without_room_for_the_folder():
    answer = Finished(0, b"edge-folder full /home/pi/.edge\n", b"sh: write error: No space left on device\n")
    with pytest.raises(DeviceExhausted, match="pi: /home/pi/.edge cannot be written to: .*No space left"):
        open_folder(Faulty(answers={"mkdir": answer}))


@pytest.mark.parametrize("answer", [b"", b"Welcome!\nedge-folder ours /home/pi/.edge\n",
                                    b"edge-folder ours x\n", b"edge-folder other /x\n", b"\xff\x00" * 3000])
def test_garbage_instead_of_the_folder(answer):
    with pytest.raises(BadReply, match=r"pi: asked for its folder, answered .*bashrc"):
        open_folder(Faulty(answers={"mkdir": Finished(0, answer, b"")}))


@pytest.mark.parametrize("home", ["/home/a b/.edge", "/home/$(reboot)/.edge", "/home/x/../y", "/a:b", "/",
                                  "/a//b"])
def test_a_home_folder_with_an_unsafe_path_is_refused(home):
    answer = Finished(0, f"edge-folder ours {home}\n".encode(), b"")
    with pytest.raises(DeviceRefused, match="is not used; letters, digits"):
        open_folder(Faulty(answers={"mkdir": answer}))


@pytest.mark.parametrize("reply", [b"5 xyz /a\n", b"five - /a\n", b"\x00\xff\n", b"1 - /etc/passwd\n"])
def test_garbage_instead_of_a_digest(tmp_path, reply):
    device = opened(tmp_path)
    device._wire.answers = {"sha256sum": Finished(0, reply, b"")}
    with pytest.raises(BadReply, match="asked for a file's sha256, answered"):
        device.push({"a": b"x"})


def test_executable_names_one_of_the_files(tmp_path):
    with pytest.raises(BadInput, match="'b' is to be executable and is none of the files pushed"):
        opened(tmp_path).push({"a": b""}, executable=["b"])


@given(st.binary(max_size=3000))
def test_an_excerpt_is_short_and_printable(reply):
    assert re.fullmatch(r"[ -~]{0,203}", excerpt(reply))
