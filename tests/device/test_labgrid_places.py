"""Places of a real labgrid coordinator: held while they are used, by one at a time, and given back."""

import os
import signal
import time

import numpy as np
import pytest
import tomli_w

from tests.device.lab import Lab, lab, own_children, require_ser2net, serial_at  # noqa: F401
from tests.device.test_qemu import PROFILE, artifact, random_feeds
from tests.device.transports.ssh_server import Server, serving
from tests.ledger.processes import a_process, ended, for_ever, forked
from tests.lower.c.nets import residual_net
from toolchain.device import labgrid, qemu
from toolchain.device.board import open_board
from toolchain.device.boards import Board
from toolchain.device.firmware import build_firmware
from toolchain.device.labgrid import acquired, places
from toolchain.device.labgrid_child import holder
from toolchain.device.place import open_place
from toolchain.errors import DeviceBusy, DeviceLost, DeviceUnavailable
from toolchain.profile import load_target
from toolchain.runtime import reference

SOON_S = 30.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Lab:
    with lab(tmp_path_factory.mktemp("lab")) as opened:
        opened.export({"a": serial_at(4001), "b": serial_at(4002, protocol="rfc2217", speed=9600),
                       "pi": {"NetworkService": {"address": "pi.lab", "username": "root", "port": 2222}},
                       "two": {"one": {"cls": "NetworkSerialPort", "host": "h", "port": 1},
                               "other": {"cls": "NetworkSerialPort", "host": "h", "port": 2}},
                       "far": {"NetworkService": {"address": "fe80::1%eth0", "username": "root"}}})
        opened.client("-p", "a", "set-tags", "target=cortex_m4_qemu")
        opened.client("-p", "bare", "create")
        yield opened


def board(lab: Lab, name: str, target: str = "cortex_m4_qemu", **more) -> Board:
    return Board(target=target, transport="labgrid", address=lab.address, name=name, **more)


def until(condition) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_place_is_ours_as_long_as_it_is_used(shared):
    with acquired(board(shared, "a"), "serial") as there:
        assert (there.transport, there.address, there.baud) == ("serial", "socket://127.0.0.1:4001", None)
        mine = shared.holders()["a"]
        assert holder.is_ours(mine) and str(list(labgrid._IDLE)[0][0]) == str(os.getpid())
        with pytest.raises(RuntimeError), acquired(board(shared, "any", place="b"), "serial") as other:
            assert (other.address, other.baud) == ("rfc2217://127.0.0.1:4002?ign_set_control", 9600)
            assert set(shared.holders()) == {"a", "b"}
            raise RuntimeError
        assert shared.holders() == {"a": mine}
    assert shared.holders() == {}


@pytest.mark.slow
@pytest.mark.emulated
def test_a_board_at_an_exporters_own_port_answers(tmp_path):
    """RawSerialPort: the exporter starts ser2net when the place is acquired."""
    require_ser2net()
    net = residual_net()
    built = artifact(net)
    with lab(tmp_path) as own, qemu.powered(build_firmware(built, PROFILE).elf, PROFILE) as (line, _):
        own.export({"m4": {"RawSerialPort": {"port": line, "speed": 115200}}})
        feeds = random_feeds(net, 2)
        for _ in range(2):
            with (acquired(board(own, "m4"), "serial") as there,
                  open_board(built, PROFILE, there.address, there.baud) as session):
                got, = session.run(feeds).values()
        assert there.address.startswith("rfc2217://127.0.0.1:") and there.baud == 115200
    expected, = reference.run(net, feeds).values()
    assert np.array_equal(got, expected)


@pytest.mark.slow
def test_a_child_is_used_again(shared):
    for _ in range(3):
        with acquired(board(shared, "a"), "serial"):
            pass
    (client,), = labgrid._IDLE.values()
    with acquired(board(shared, "a"), "serial"):
        assert labgrid._IDLE == {(os.getpid(), shared.address): []}
    assert labgrid._IDLE == {(os.getpid(), shared.address): [client]}


@pytest.mark.slow
def test_what_programs_run_on_is_reached_by_ssh(shared):
    pinned = board(shared, "pi", "raspberry_pi_4", host_key="ssh-ed25519 AAAA")
    with acquired(pinned, "ssh") as there:
        assert (there.transport, there.address, there.port) == ("ssh", "root@pi.lab", 2222)
        assert (there.host_key, there.name, there.target) == (pinned.host_key, "pi", pinned.target)


@pytest.mark.slow
def test_programs_run_at_a_place_over_ssh(tmp_path, monkeypatch):
    (tmp_path / "pi").mkdir()
    with serving(Server(tmp_path / "pi")) as server, lab(tmp_path) as own:
        own.export({"pi": {"NetworkService": {"address": "127.0.0.1", "username": "tester",
                                              "port": server.port}}})
        facts = {"target": "host", "transport": "labgrid", "address": own.address,
                 "host_key": server.public, "identity": f"{server.home}/id"}
        (tmp_path / "boards.toml").write_text(tomli_w.dumps({"boards": {"pi": facts}}))
        monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
        with open_place(load_target("host"), "pi") as place:
            assert place.transport.start(["pwd"], seconds=20).stdout.decode().strip() == str(server.home)
            assert place.name == "pi" and set(own.holders()) == {"pi"}
        assert own.holders() == {}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_that_is_stopped_is_told(shared, stop):
    """By SIGTERM it gives the place back itself; else whoever comes next finds it dead."""
    with pytest.raises(DeviceLost, match="the connection to labgrid at .* broke"):
        with acquired(board(shared, "a"), "serial"):
            os.kill(int(holder.OURS.fullmatch(shared.holders()["a"])["process"]), stop)
    assert list(shared.holders()) == ([] if stop is signal.SIGTERM else ["a"])
    with acquired(board(shared, "a"), "serial", wait_s=0):
        pass
    assert shared.holders() == {}


@pytest.mark.slow
@pytest.mark.parametrize("name, kind, message", [
    ("c", "serial", "no place 'c' at the labgrid coordinator .*; it has a, b, bare, far, pi, two"),
    ("bare", "serial", "the place 'bare' has no NetworkSerialPort, .*; it has nothing"),
    ("pi", "serial", "'pi' has no NetworkSerialPort, .*; it has NetworkService 'NetworkService'"),
    ("two", "serial", "'two' has more than one NetworkSerialPort.*'one', NetworkSerialPort 'other'"),
    ("far", "ssh", "'far' is reached through its exporter only")])
def test_what_cannot_be_used_is_told_and_not_kept(shared, name, kind, message):
    with pytest.raises(DeviceUnavailable, match=message):
        with acquired(board(shared, name), kind):
            pass
    assert shared.holders() == {}


@pytest.mark.slow
def test_somebody_else_who_has_a_place_is_named_and_waited_for(shared):
    def release(ready) -> None:
        ready()
        time.sleep(1.5)
        shared.client("-p", "a", "release")

    shared.client("-p", "a", "acquire")
    with pytest.raises(DeviceBusy, match="the place 'a' of .* is acquired by elsewhere/.*release --kick"):
        with acquired(board(shared, "a"), "serial", wait_s=0.5):
            pass
    assert "Reservation" not in shared.client("reservations")
    with a_process(release), acquired(board(shared, "a"), "serial", wait_s=60):
        assert holder.is_ours(shared.holders()["a"])
        assert "Reservation" not in shared.client("reservations")
    assert shared.holders() == {}


@pytest.mark.slow
def test_processes_take_turns(shared, tmp_path):
    def work() -> None:
        for _ in range(4):
            with acquired(board(shared, "a"), "serial", wait_s=60):
                os.close(os.open(tmp_path / "alone", os.O_CREAT | os.O_EXCL))
                time.sleep(0.1)
                (tmp_path / "alone").unlink()

    assert [ended(child) for child in [forked(work) for _ in range(3)]] == [0] * 3
    assert shared.holders() == {}


def holding(lab: Lab, name: str):
    def work(ready) -> None:
        with acquired(board(lab, name), "serial"):
            ready()
            for_ever()
    return work


@pytest.mark.slow
def test_a_killed_process_holds_nothing(shared):
    with a_process(holding(shared, "a")) as child:
        assert "a" in shared.holders()
        os.kill(child, signal.SIGKILL)
        until(lambda: shared.holders() == {})


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_waits_leaves_no_reservation(shared):
    def work(ready) -> None:
        ready()
        with acquired(board(shared, "b"), "serial", wait_s=60):
            raise AssertionError

    shared.client("-p", "b", "acquire")
    with a_process(work) as child:
        until(lambda: "Reservation" in shared.client("reservations"))
        os.kill(child, signal.SIGKILL)
        until(lambda: "Reservation" not in shared.client("reservations"))
    shared.client("-p", "b", "release")


@pytest.mark.slow
def test_a_place_that_nobody_gave_back_is_told_and_taken_over(shared):
    """As when a computer kills the process and its child at once."""
    with a_process(holding(shared, "a")) as child:
        theirs = shared.holders()["a"]
        grandchild = int(holder.OURS.fullmatch(theirs)["process"])
        os.kill(grandchild, signal.SIGSTOP)  # it would give the place back
        os.kill(child, signal.SIGKILL)
        os.kill(grandchild, signal.SIGKILL)
    until(lambda: {place.name: place.dead for place in places(shared.address)}["a"])
    assert shared.holders() == {"a": theirs}
    with acquired(board(shared, "a"), "serial", wait_s=0):
        assert shared.holders()["a"] not in ("", theirs)
    assert shared.holders() == {}


@pytest.mark.slow
def test_a_place_that_is_taken_from_us_is_told_at_the_end(shared):
    with pytest.raises(DeviceLost, match="the place 'a' was no longer ours at the end: somebody else"):
        with acquired(board(shared, "a"), "serial"):
            shared.client("-p", "a", "release", "--kick")
            shared.client("-p", "a", "acquire")
    assert shared.holders()["a"].startswith("elsewhere/")
    shared.client("-p", "a", "release")


@pytest.mark.slow
def test_a_coordinator_that_ends_is_told_and_its_successor_is_found(tmp_path):
    with lab(tmp_path) as first:
        first.export({"a": serial_at(4001)})
        port = int(first.address.rpartition(":")[2])
        with pytest.raises(DeviceLost, match="the connection to labgrid at .* broke: its coordinator ended"):
            with acquired(board(first, "a"), "serial"):
                os.kill(first.process, signal.SIGKILL)
        with pytest.raises(DeviceUnavailable, match=f"no labgrid coordinator answers at {first.address}: "):
            with acquired(board(first, "a"), "serial"):
                pass
    with lab(tmp_path, port) as second:
        second.export({"a": serial_at(4001)})
        with acquired(board(first, "a"), "serial"):
            pass


@pytest.mark.slow
def test_places_are_listed_with_what_they_have(shared):
    found = {place.name: place for place in places(shared.address)}
    assert sorted(found) == ["a", "b", "bare", "far", "pi", "two"]
    assert found["a"].tags == {"target": "cortex_m4_qemu"} and found["a"].kinds == ("NetworkSerialPort",)
    assert (found["bare"].kinds, found["a"].holder, found["a"].dead) == ((), "", False)
