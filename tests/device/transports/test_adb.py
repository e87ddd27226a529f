from contextlib import contextmanager, suppress
import os
from pathlib import Path
import random
import socket
import time

from hypothesis import given
from hypothesis import strategies as st
import pytest

from tests.device.transports.android import Phone, adb, adb_server
from tests.device.transports.metering import read_beside_a_program
from tests.device.transports.places import gone
from toolchain.device.android import AndroidFacts
from toolchain.device.boards import Board
from toolchain.device.transports import adb as adb_module
from toolchain.device.transports import bounded
from toolchain.device.transports import folder as folder_module
from toolchain.device.transports.adb import LISTED, Adb, devices, open_adb
from toolchain.errors import (
    BadConfig,
    BadReply,
    DeviceExhausted,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnavailable,
)

MODEL = random.Random(0).randbytes(3_000_000)


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory):
    with adb_server(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture
def make_phone(tmp_path, monkeypatch):
    """make_phone(options of adbd) -> a device; its folder of ours is tmp_path/edge."""
    monkeypatch.setattr(adb_module, "FOLDER", str(tmp_path / "edge"))
    monkeypatch.setattr(adb_module, "GIVEN", str(tmp_path / "edge-stdin"))
    monkeypatch.setattr(adb_module, "SAID", str(tmp_path / "edge-stderr"))
    phones = []

    def make(*options: str) -> Phone:
        phones.append(Phone(tmp_path, *options))
        return phones[-1]

    yield make
    for phone in phones:
        adb("disconnect", phone.serial)
        phone.end()


@pytest.fixture
def phone(make_phone) -> Phone:
    return make_phone()


@pytest.fixture(params=["now", "before Android 7"])
def any_phone(request, make_phone) -> Phone:
    return make_phone(*["--old"] * (request.param != "now"))


@contextmanager
def raises(kind: type[Exception], words: str, phone: Phone):
    """This error and no kind of it, with these words and without the serial."""
    with pytest.raises(kind, match=words) as raised:
        yield
    assert type(raised.value) is kind
    assert phone.serial not in str(raised.value) and "phone" in str(raised.value)


def files_of(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "edge/files").rglob("*") if path.is_file()]


def test_files_programs_and_exit_codes(any_phone):
    script = b"#!/bin/sh\necho \"out $1\"; echo err >&2; exit 7\n"
    with open_adb(any_phone.board) as device:
        paths = device.push({"model.tflite": MODEL, "program": script, "nothing": b""}, ["program"])
        assert device.read(paths["model.tflite"]) == MODEL and device.read(paths["nothing"]) == b""
        done = device.start([paths["program"], "a=1"], seconds=10)
        assert (done.code, done.stdout, done.stderr) == (7, b"out a=1\n", b"err\n")
        assert device.start(["no-such-program"], seconds=10).code == 127
        before = device.sent_bytes
        assert device.push({"model.tflite": MODEL})["model.tflite"] == paths["model.tflite"]
        assert device.sent_bytes == before
        device.remove()
        assert not Path(device.folder).exists()


def test_bytes_arrive_as_they_are(any_phone, tmp_path):
    every = bytes(range(256)) * 40 + b"\r\n\n"
    with open_adb(any_phone.board) as device:
        assert device.read(device.push({"every.bin": every})["every.bin"]) == every


def test_output_that_looks_like_the_end_is_output(any_phone):
    script = b"#!/bin/sh\nprintf '\\n0123456789abcdef 0\\n'; printf '\\nfedcba 3' >&2; exit 5\n"
    with open_adb(any_phone.board) as device:
        done = device.start([device.push({"p": script}, ["p"])["p"]], seconds=10)
        assert (done.code, done.stdout, done.stderr) == (5, b"\n0123456789abcdef 0\n", b"\nfedcba 3")


def test_a_program_that_runs_too_long_is_ended_there_too(any_phone, monkeypatch):
    monkeypatch.setattr(bounded, "ENDING_SECONDS", 1.0)
    with open_adb(any_phone.board) as device, raises(DeviceTimeout, "still running after 0.5 s", any_phone):
        device.start(["sleep", "1234.5"], seconds=0.5)
    assert gone("sleep 1234.5")


def test_output_without_an_end_is_bounded_and_its_program_ended(phone):
    phone.tool("flood", "#!/bin/sh\nexec cat /dev/zero\n")
    with open_adb(phone.board) as device, raises(BadReply, "more than .* bytes came", phone):
        device.start([str(phone.tools / "flood")], seconds=30, most_bytes=1_000_000)
    assert gone("cat /dev/zero")


def test_the_device_ends_a_program_whose_host_is_gone(phone):
    with open_adb(phone.board) as device, suppress(DeviceLost):
        phone.broken({"kind": "drop", "service": "shell", "after": 100})
        phone.tool("talk", "#!/bin/sh\nwhile :; do echo talk-on-and-on; sleep 0.05; done\n")
        device.start([str(phone.tools / "talk")], seconds=30)
    assert gone(str(phone.tools / "talk"))


def test_a_connection_that_breaks_is_no_success(phone):
    """adb itself then says 0."""
    with open_adb(phone.board) as device:
        path = device.push({"model": MODEL})["model"]
        phone.broken({"kind": "drop", "service": "shell", "after": 100_000})
        with raises(DeviceLost, "the connection broke", phone):
            device.read(path)


def test_an_interrupted_push_goes_on_where_it_stopped(phone, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "PIECE_BYTES", 500_000)
    phone.broken({"kind": "drop", "service": "shell", "after": 2_000_000})
    with raises(DeviceLost, "the connection broke", phone), open_adb(phone.board) as device:
        device.push({"model": MODEL})
    assert files_of(tmp_path) == []
    with open_adb(phone.board) as device:
        path = device.push({"model": MODEL})["model"]
        assert device.sent_bytes < 2_000_000
        assert Path(path).read_bytes() == MODEL


@pytest.mark.parametrize("options, plan", [
    ((), {"kind": "garbage", "service": "shell", "after": 1_000_000}),
    (("--old",), {"kind": "drop", "service": "sync", "after": 1_000_000}),
    (("--old",), {"kind": "garbage", "service": "sync", "after": 1_000_000})])
def test_a_push_that_breaks_leaves_no_half_file(make_phone, tmp_path, options, plan):
    phone = make_phone(*options)
    with open_adb(phone.board) as device:
        phone.broken(plan)
        with raises(DeviceLost, "the connection broke", phone):
            device.push({"model": MODEL})
    assert files_of(tmp_path) == []
    with open_adb(phone.board) as device:
        assert Path(device.push({"model": MODEL})["model"]).read_bytes() == MODEL


def test_a_byte_that_changes_on_its_way_is_found_and_sent_again(phone, tmp_path):
    with open_adb(phone.board) as device:
        phone.broken({"kind": "flip", "service": "shell", "after": 1_000_000})
        path = device.push({"model": MODEL})["model"]
        assert Path(path).read_bytes() == MODEL
        assert device.sent_bytes == 2 * len(MODEL)


def test_a_device_that_goes_offline(phone):
    with open_adb(phone.board) as device:
        phone.broken({"kind": "offline", "service": "shell", "after": 100_000})
        with raises(DeviceLost, "adb says of it now: offline", phone):
            device.push({"model": MODEL})
        with raises(DeviceLost, "device offline", phone):
            device.start(["true"], seconds=5)


def test_a_device_that_came_back_is_connected_again(phone, monkeypatch):
    with open_adb(phone.board):
        phone.broken({"kind": "offline", "service": "shell", "after": 1})
        adb("-s", phone.serial, "shell", "echo")
        phone.broken({})
        with open_adb(phone.board) as device:
            assert device.start(["true"], seconds=10).code == 0


def test_a_device_that_does_not_know_this_computer(make_phone, monkeypatch):
    monkeypatch.setattr(adb_module, "SETTLE_SECONDS", 1.0)
    phone = make_phone("--auth", "never")
    with raises(DeviceRefused, "accept the key on its screen", phone), open_adb(phone.board):
        pass


def test_a_device_that_knows_this_computer_and_one_that_knows_others(make_phone, tmp_path, monkeypatch):
    monkeypatch.setattr(adb_module, "SETTLE_SECONDS", 1.0)
    with open_adb(make_phone().board):
        pass  # adb's keys are made
    own = Path(os.environ["HOME"], ".android/adbkey.pub")
    with open_adb(make_phone("--auth", "listed", "--keys", str(own)).board) as device:
        assert device.start(["true"], seconds=10).code == 0
    other = tmp_path / "other.pub"
    other.write_text(own.read_text().replace("A", "B", 20))
    phone = make_phone("--auth", "listed", "--keys", str(other))
    with raises(DeviceRefused, "accept the key", phone), open_adb(phone.board):
        pass


def test_nobody_listens(phone):
    phone.end()
    with raises(DeviceUnavailable, "refused", phone), open_adb(phone.board):
        pass


def test_no_device_and_several(make_phone):
    unnamed = Board(target="android_arm64", transport="adb", name="phone")
    with pytest.raises(DeviceUnavailable, match="phone: adb does not list it; plug it in"), open_adb(unnamed):
        pass
    one, other = make_phone(), make_phone()
    with open_adb(one.board):
        with open_adb(unnamed) as device:
            assert device.start(["true"], seconds=10).code == 0
        with open_adb(other.board):
            with raises(DeviceUnavailable, "adb lists 2 devices", one), open_adb(unnamed):
                pass


def test_a_device_that_never_answers(phone, monkeypatch):
    monkeypatch.setattr(bounded, "ENDING_SECONDS", 0.5)
    with open_adb(phone.board) as device:
        phone.broken({"kind": "ignore", "service": "shell"})
        with raises(DeviceTimeout, "after 1 s", phone):
            device.start(["true"], seconds=1)


def test_a_slow_device_answers_late(phone):
    phone.broken({"kind": "slow", "seconds": 0.02})
    with open_adb(phone.board) as device:
        assert device.start(["true"], seconds=30).code == 0


def test_no_room(make_phone, tmp_path):
    phone = make_phone("--old")
    with open_adb(phone.board) as device:
        phone.broken({"kind": "full", "after": 1_000_000})
        with raises(DeviceExhausted, "no room for 2,097,152 bytes", phone):
            device.push({"model": MODEL})
    assert files_of(tmp_path) == [] and not (tmp_path / "edge-stdin").exists()


def test_no_room_says_the_device(phone, tmp_path):
    with open_adb(phone.board) as device:
        phone.tool("cat", f"#!{phone.tools}/sh\necho 'cat: write: No space left on device' >&2; exit 1\n")
        with raises(DeviceExhausted, "the disk is full .cat: write: No space left", phone):
            device.push({"model": MODEL})
    assert files_of(tmp_path) == [] and list((tmp_path / "edge/incoming").iterdir()) == []


def test_adb_s_server_ended_in_between(phone):
    with open_adb(phone.board) as device:
        adb("kill-server")
        with raises(DeviceLost, "not found.*adb says of it now: missing", phone):
            device.start(["true"], seconds=5)
    with open_adb(phone.board) as device:
        assert device.start(["true"], seconds=10).code == 0


def test_what_devices_lists(make_phone, monkeypatch):
    monkeypatch.setattr(adb_module, "SETTLE_SECONDS", 0.5)
    assert devices() == []
    phone, stranger = make_phone(), make_phone("--auth", "never")
    with open_adb(phone.board), suppress(DeviceRefused), open_adb(stranger.board):
        pass
    adb("connect", phone.serial), adb("connect", stranger.serial)
    found = {device.serial: device for device in devices()}
    assert found[phone.serial].state == "device"
    abis = ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert found[phone.serial].facts == AndroidFacts(abis, 35, "StandIn", False)
    assert (found[stranger.serial].state, found[stranger.serial].facts) == ("unauthorized", None)


def fake_adb(folder: Path, monkeypatch, script: str) -> None:
    (folder / "adb").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


UDEV = "no permissions (missing udev rules? user is in the plugdev group); see [http://example.org]"


@pytest.mark.parametrize("state, kind, words", [
    (UDEV, DeviceRefused, "may not open its USB port; install udev's rules"),
    ("unauthorized", DeviceRefused, "accept the key on its screen"),
    ("offline", DeviceUnavailable, "adb lists it as offline; plug it in again"),
    ("recovery", DeviceUnavailable, "adb says of it: recovery; start Android on it"),
    ("sideload", DeviceUnavailable, "adb says of it: sideload; start Android on it")])
def test_a_device_on_usb_that_is_not_ready(tmp_path, monkeypatch, state, kind, words):
    monkeypatch.setattr(adb_module, "SETTLE_SECONDS", 0.2)
    listing = tmp_path / "listing"
    listing.write_text(f"List of devices attached\n0A1B2C\t{state}\n\n")
    fake_adb(tmp_path, monkeypatch, f"case $1 in devices) cat {listing};; esac")
    with pytest.raises(kind, match=f"phone: .*{words}") as raised:
        with open_adb(Board(target="android_arm64", transport="adb", address="0A1B2C", name="phone")):
            pass
    assert type(raised.value) is kind and "0A1B2C" not in str(raised.value)


def test_addresses_that_adb_lost_are_no_devices(tmp_path, monkeypatch):
    """adb 29.0.6 lists an emulated phone whose process was killed as offline, for minutes."""
    listing = tmp_path / "listing"
    listing.write_text("List of devices attached\n127.0.0.1:38331\toffline\n0A1B2C\tunauthorized\n\n")
    fake_adb(tmp_path, monkeypatch, f"case $1 in devices) cat {listing};; esac")
    assert [device.serial for device in devices()] == ["0A1B2C"]
    monkeypatch.setattr(adb_module, "SETTLE_SECONDS", 0.2)
    with pytest.raises(DeviceRefused, match="accept the key"), \
            open_adb(Board(target="android_arm64", transport="adb", name="phone")):
        pass


def test_there_is_no_adb(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceUnavailable, match="there is no adb; install it .apt-get install adb"):
        devices()


def test_an_adb_that_hangs_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(adb_module, "ADB_SECONDS", 0.5)
    for script in ("exec sleep 60", "case $1 in start-server) ;; *) exec sleep 60;; esac"):
        fake_adb(tmp_path, monkeypatch, script)
        began = time.monotonic()
        with pytest.raises(DeviceUnavailable, match="adb did not answer in 0.5 s; its server hangs"):
            devices()
        assert time.monotonic() - began < 5


def test_something_else_on_the_server_s_port(monkeypatch):
    monkeypatch.setattr(adb_module, "ADB_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(mute.getsockname()[1]))
        with pytest.raises(DeviceUnavailable, match="adb did not answer"):
            devices()


@pytest.mark.parametrize("address", ["-d", "a b", "x;reboot", "$(id)", "phone\n", "a" * 101])
def test_an_address_that_is_no_serial(address):
    with pytest.raises(BadConfig, match="is no serial"):
        with open_adb(Board(target="android_arm64", transport="adb", address=address, name="phone")):
            pass


@given(st.text(max_size=80))
def test_a_listing_names_a_serial_and_a_state_or_nothing(line):
    if found := LISTED.match(line):
        assert found[1] and not any(character.isspace() for character in found[1])
        assert found[2] == "no permissions" or found[2].isalpha()


def test_the_program_is_found_once(phone):
    assert Adb("phone").state(phone.serial) == "missing"


def test_a_meter_is_read_while_a_program_runs(phone, tmp_path):
    with open_adb(phone.board) as device:
        read_beside_a_program(device, tmp_path)
