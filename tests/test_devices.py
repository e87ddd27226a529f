"""What a bench has, as it is listed; and the one folder of ours, taken off a device."""

import os
import socket

import pytest

from toolchain import devices as module
from toolchain.device.android import AndroidFacts
from toolchain.device.boards import HOST, find_board
from toolchain.device.labgrid import LabPlace
from toolchain.device.place import reached
from toolchain.device.transports.adb import AdbDevice
from toolchain.device.usb import Plugged
from toolchain.devices import Device, as_text, clean, devices, entries
from toolchain.errors import BadConfig, BadInput, DeviceBusy, DeviceRefused, DeviceUnavailable
from toolchain.ledger import locks
from toolchain.ledger.ledger import Ledger

PHONE = AdbDevice("0A1B2C", "device", AndroidFacts(("arm64-v8a",), 35, "Pixel 8", True))
STRANGER = AdbDevice("9Z9Z", "unauthorized", None)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """bench(text of boards.toml, what adb lists, what is on USB) -> what is listed, without emulated ones."""
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))

    def listed(text: str = "", phones=(), plugged=()) -> list[Device]:
        (tmp_path / "boards.toml").write_text(text)
        monkeypatch.setattr(module, "adb_devices", lambda: list(phones))
        monkeypatch.setattr(module, "plugged_in", lambda: list(plugged))
        return [device for device in devices() if device.transport != "virtual"]

    return listed


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """And locks that nobody else of this machine has."""
    monkeypatch.setattr(locks, "PLACES", (str(tmp_path),))
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def entry(name: str, transport: str, address: str = "", **more) -> str:
    facts = {"target": "host", "transport": transport, "address": address, **more}
    return f"[boards.{name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in facts.items())


def state(found: list[Device], name: str) -> str:
    return next(device.state for device in found if device.name == name)


def test_emulated_machines_are_there_without_an_entry(bench):
    bench()
    found = {device.name: device for device in devices()}
    assert set(found) == {"pi-virt", "android-virt"} and found["pi-virt"].state.startswith("emulated; ")


def test_a_board_over_ssh_answers_or_not(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        up = entry("pi", "ssh", "me@127.0.0.1", port=port)
        assert state(bench(up), "pi") == "answers"
    assert state(bench(up), "pi") == f"no answer as 127.0.0.1:{port} (Connection refused)"
    assert state(bench(entry("pi", "ssh", "a" * 70 + ".b")), "pi").startswith("no answer as aaaa")


def test_phones_with_a_name_and_without(bench):
    found = bench(entry("mine", "adb", "0A1B2C") + entry("lost", "adb", "777"), [PHONE, STRANGER])
    assert (state(found, "mine"), state(found, "lost")) == ("device", "not listed by adb")
    assert [device for device in found if not device.name] == [
        Device(name="", target="", transport="adb", address="9Z9Z", state="unauthorized")]
    unnamed, = bench(phones=[PHONE])
    assert (unnamed.target, unnamed.state) == ("android_arm64", "device: Pixel 8")


def test_the_only_phone_needs_no_serial(bench):
    found, = bench(entry("mine", "adb"), [PHONE])
    assert (found.name, found.address, found.state) == ("mine", "0A1B2C", "device")
    assert state(bench(entry("mine", "adb"), [PHONE, STRANGER]), "mine") == "not listed by adb"


def test_a_bench_without_adb_has_no_phones(bench, monkeypatch):
    bench()

    def none():
        raise DeviceUnavailable("no adb here")

    monkeypatch.setattr(module, "adb_devices", none)
    assert {device.transport for device in devices()} == {"virtual"}


def test_a_serial_line_has_one_row_by_whatever_name(bench, tmp_path):
    ours, theirs = os.openpty()
    line, name = os.ttyname(theirs), tmp_path / "usb-Maker_0123-if00"
    name.symlink_to(line)
    text = (entry("mote", "serial", str(name)) + entry("far", "serial", "socket://a.b:1")
            + entry("gone", "serial", "/dev/ttyNone") + entry("pty", "serial", "/dev/null"))
    found = bench(text, plugged=[Plugged(line, "board", "Nucleo"), Plugged("/dev/x", "meter ppk2", "PPK2"),
                                 Plugged("", "meter joulescope", "Joulescope JS220")])
    assert [state(found, each) for each in ("mote", "far", "gone", "pty")] == [
        "Nucleo", "over the network", "not plugged in", "there"]
    assert [(device.transport, device.address, device.state) for device in found if not device.name] == [
        ("serial", "/dev/x", "meter ppk2: PPK2"), ("usb", "", "meter joulescope: Joulescope JS220")]
    os.close(ours), os.close(theirs)


def test_meters_are_listed_and_named_beside_their_board(bench):
    text = (entry("here", "local", meters=["ppk2", "package"])
            + '[meters.ppk2]\nkind = "ppk2"\naddress = "/dev/x"\n[meters.package]\nkind = "rapl"\n')
    found = bench(text, plugged=[Plugged("/dev/x", "meter ppk2", "Nordic PPK2")])
    assert [device.name for device in found] == ["here", "ppk2", "package"]
    assert [device.state for device in found] == ["here", "ppk2: Nordic PPK2",
                                                  "rapl: looked for when it is used"]
    assert "meters ppk2, package" in as_text(found) and "boards are named in" in as_text(found)


def lab_of(monkeypatch, answers: dict[str, list[LabPlace] | str]) -> None:
    """Coordinators that answer with their places, or do not and say why."""
    def places(coordinator: str) -> list[LabPlace]:
        if isinstance(answers[coordinator], str):
            raise DeviceUnavailable(answers[coordinator])
        return answers[coordinator]

    monkeypatch.setattr(module, "places", places)


def place(name: str, holder: str = "", dead: bool = False, **tags: str) -> LabPlace:
    return LabPlace(name=name, tags=tags, kinds=("NetworkSerialPort",), holder=holder, dead=dead)


def test_places_of_a_lab_with_a_name_and_without(bench, monkeypatch):
    monkeypatch.setenv("LG_COORDINATOR", "lab:1")
    here = [place("m4-1", "there/me"), place("m4-2"), place("m4-3", target="cortex_m4"),
            place("m4-4", "here/me.edge-7-1-1", dead=True)]
    lab_of(monkeypatch, {"lab:1": here, "off:1": "no answer"})
    text = (entry("mine", "labgrid", place="m4-1") + entry("m4-2", "labgrid", "lab:1")
            + entry("old", "labgrid", "lab:1", place="m3") + entry("far", "labgrid", "off:1"))
    found = bench(text)
    assert [state(found, name) for name in ("mine", "m4-2", "old", "far")] == [
        "place 'm4-1' with NetworkSerialPort: acquired by there/me",
        "place 'm4-2' with NetworkSerialPort: free", "no place 'm3' there", "no answer"]
    third, fourth = [device for device in found if not device.name]
    assert (third.target, third.transport, third.address) == ("cortex_m4", "labgrid", "lab:1")
    assert fourth.state == ("place 'm4-4' with NetworkSerialPort: left by here/me.edge-7-1-1, which is dead; "
                            "the next who asks has it")


def test_places_are_written_as_entries(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("LG_COORDINATOR", "lab:1")
    lab_of(monkeypatch, {"lab:1": [place("m4-1", target="cortex_m4_qemu"), place("room 2/pi", target="host"),
                                   place("what")]})
    text = entries([device for device in bench() if device.place])
    assert text.endswith("# place 'what' of lab:1: what is it? labgrid-client -x lab:1 -p what set-tags "
                         "target=TARGET\n")
    (tmp_path / "boards.toml").write_text(text)
    first, second = find_board("m4-1"), find_board("room-2-pi")
    assert (first.target, first.transport, first.address, first.place) == (
        "cortex_m4_qemu", "labgrid", "lab:1", "")
    assert (second.target, second.place) == ("host", "room 2/pi")
    listed = [device for device in devices() if device.place]
    assert [device.name for device in listed] == ["m4-1", "room-2-pi", ""]


def test_a_lab_that_is_not_there_is_told(bench, monkeypatch):
    monkeypatch.setenv("LG_COORDINATOR", "off:1")
    lab_of(monkeypatch, {"off:1": "no labgrid coordinator answers at off:1"})
    assert [device.state for device in bench()] == ["no labgrid coordinator answers at off:1"]
    monkeypatch.delenv("LG_COORDINATOR")
    assert state(bench(entry("m4", "labgrid")), "m4") == "no coordinator; set LG_COORDINATOR"


def test_a_wrong_file_is_said_so(bench):
    with pytest.raises(BadConfig, match="unknown key"):
        bench("[boards.x]\nadress = 1")


@pytest.mark.parametrize("name", ["here", HOST])
def test_our_folder_is_taken_off_this_computer(bench, ledger, tmp_path, name):
    bench(entry("here", "local"))
    with reached(find_board("here")) as transport:
        transport.push({"a": b"x"})
    (tmp_path / "cache/other").mkdir()
    assert clean(ledger, name) == f"{tmp_path}/cache/local"
    assert sorted(path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()) == ["other"]


def test_a_folder_that_is_not_ours_stays(bench, ledger, tmp_path):
    bench(entry("here", "local"))
    (tmp_path / "cache/local").mkdir(parents=True)
    (tmp_path / "cache/local/thesis.txt").write_text("years of work")
    with pytest.raises(DeviceRefused, match="is not ours"):
        clean(ledger, "here")
    assert (tmp_path / "cache/local/thesis.txt").read_text() == "years of work"


def test_nothing_is_taken_off_while_somebody_measures(bench, ledger):
    bench(entry("here", "local"))
    with ledger.lease(["device:here"]), pytest.raises(DeviceBusy, match="device:here is in use"):
        clean(ledger, "here")


def test_what_keeps_nothing_of_ours_and_what_is_unknown(bench, ledger):
    bench(entry("mote", "serial", "/dev/x"))
    with pytest.raises(BadInput, match="it holds firmware and no files"):
        clean(ledger, "mote")
    bench(entry("m4", "labgrid", "lab:1").replace("'host'", "'cortex_m4_qemu'"))
    with pytest.raises(BadInput, match="it holds firmware and no files"):
        clean(ledger, "m4")
    with pytest.raises(BadInput, match="goes when it is ended"):
        clean(ledger, "pi-virt")
    with pytest.raises(DeviceUnavailable, match="no board 'nobody'"):
        clean(ledger, "nobody")
