"""The same against OpenSSH's own server, in the emulated Raspberry Pi."""

import os
import threading
import time

import asyncssh
import pytest

from tests.device.transports.ssh_server import link
from toolchain.device.boards import Board
from toolchain.device.machines.boot import Options, boot
from toolchain.device.transports.ssh import open_ssh
from toolchain.errors import BadReply, DeviceExhausted, DeviceLost, DeviceRefused, DeviceTimeout

pytestmark = pytest.mark.emulated


def board_of(machine, **changes) -> Board:
    stated = {"address": f"{machine.user}@{machine.host}", "port": machine.port, "name": "pi-virt",
              "host_key": machine.host_key, "identity": str(machine.identity)}
    return Board(target="raspberry_pi_4", transport="ssh", **{**stated, **changes})


@pytest.fixture(scope="module")
def machine():
    with boot("pi-virt") as machine:
        yield machine


@pytest.fixture
def device(machine):
    with open_ssh(board_of(machine)) as device:
        yield device


def running(device, words: str) -> bool:
    return words.encode() in device.start(["ps", "-o", "args"], seconds=30).stdout


def gone(device, words: str) -> bool:
    end = time.monotonic() + 20
    while running(device, words) and time.monotonic() < end:
        time.sleep(0.2)
    return not running(device, words)


def hanging(device, words: str) -> str:
    program = f"#!/bin/sh\n{words} &\n{words}\n".encode()
    return device.push({"hang": program}, executable=["hang"])["hang"]


def test_a_library_is_sent_once(machine):
    content = os.urandom(6_000_000)
    for sent in (len(content), 0):
        with open_ssh(board_of(machine)) as device:
            path = device.push({"libLiteRt.so": content})["libLiteRt.so"]
            assert device.sent_bytes == sent
    with open_ssh(board_of(machine)) as device:
        assert device.read(path) == content and path.startswith("/home/pi/.edge/files/")


def test_a_program_that_hangs_is_ended_with_what_it_started(device):
    path = hanging(device, "sleep 8131")
    with pytest.raises(DeviceTimeout, match="pi-virt: still running after 2 s; it was ended"):
        device.start([path], seconds=2)
    assert gone(device, "sleep 8131")


def test_garbage_without_end_is_cut_off(device):
    with pytest.raises(BadReply, match="more than 300,000 bytes came; it was ended"):
        device.start(["yes", "8132-garbage"], seconds=60, most_bytes=300_000)
    assert gone(device, "8132-garbage")


def test_a_file_is_read_while_a_program_runs(device):
    path = device.push({"slow": b"#!/bin/sh\nsleep 3\n"}, executable=["slow"])["slow"]
    ended = []
    run = threading.Thread(target=lambda: ended.append(device.start([path], seconds=60).code))
    run.start()
    assert device.read(path).startswith(b"#!/bin/sh") and not ended
    run.join()
    assert ended == [0]


def test_a_broken_connection_ends_the_program_and_what_had_arrived_is_not_sent_again(machine, device):
    path, content = hanging(device, "sleep 8133"), os.urandom(5_000_000)
    with pytest.raises(DeviceLost), link(machine) as (port, alive):
        with open_ssh(board_of(machine, port=port)) as other:
            loop = other._wire._loop._loop
            abort = other._wire._connection.abort
            threading.Timer(2, loop.call_soon_threadsafe, (abort,)).start()
            other.start([path], seconds=60)
    assert gone(device, "sleep 8133")
    with pytest.raises(DeviceLost), link(machine) as (port, alive):
        with open_ssh(board_of(machine, port=port), keepalive_seconds=1) as other:
            run = other._wire.run

            def dying(argv, **how):
                if how.get("stdin") and other.sent_bytes:
                    alive.clear()
                return run(argv, **how)

            other._wire.run = dying
            other.push({"a": content})
    before = device.sent_bytes
    assert device.read(device.push({"a": content})["a"]) == content
    assert device.sent_bytes - before == len(content) - 2 * 2**20


def test_who_may_and_who_may_not(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    with pytest.raises(DeviceRefused, match="which neither boards.toml nor known_hosts has"), \
            open_ssh(board_of(machine, host_key="")):
        pass
    (tmp_path / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{machine.port} {machine.host_key}\n")
    with open_ssh(board_of(machine, host_key="")) as device:
        assert device.start(["id", "-un"], seconds=30).stdout == b"pi\n"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
    with pytest.raises(DeviceRefused, match="takes none of our keys"), \
            open_ssh(board_of(machine, identity=str(tmp_path / "other"))):
        pass


def test_everything_of_ours_is_taken_away(machine):
    with open_ssh(board_of(machine)) as device:
        path = device.push({"a": b"x"})["a"]
        device.remove()
    with open_ssh(board_of(machine)) as device, pytest.raises(DeviceRefused, match="No such file"):
        device.read(path)


def test_a_full_disk():
    with boot("pi-virt", Options(disk_kb=4096)) as machine, open_ssh(board_of(machine)) as device:
        with pytest.raises(DeviceExhausted, match="big needs 30,000,000 more bytes and .* are free"):
            device.push({"big": bytes(30_000_000)})
        device.push({"filler": bytes(2_500_000)})
        with pytest.raises(DeviceExhausted, match="more needs"):
            device.push({"more": bytes(3_000_000)})
        listed = device.start(["ls", device.folder, f"{device.folder}/incoming"], seconds=30)
        assert listed.stdout.decode().split("\n\n")[1] == f"{device.folder}/incoming:\n"
