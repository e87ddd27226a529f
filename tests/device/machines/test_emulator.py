"""QEMU's command line and its monitor, without QEMU: the other end of the socket is a thread of ours."""

from contextlib import contextmanager
import json
from pathlib import Path
import socket
import tempfile
import threading

import pytest

from toolchain.device.machines import emulator
from toolchain.device.machines.boot import check
from toolchain.device.machines.emulator import Options, await_status, command, kernel_words
from toolchain.device.machines.image import Contents, Image
from toolchain.device.machines.qmp import Qmp
from toolchain.errors import BadInput, DeviceUnavailable

IMAGE = Image(Path("/cache,1/key"), Contents("6.1", {}, (), "ssh-ed25519 AAAA"))
USERNET = ("Hub -1 (net):\r\n"
           "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
           "  TCP[HOST_FORWARD]  10       127.0.0.1 33369       10.0.2.15    22     0     0\r\n")


def test_the_guest_is_alone_counts_and_ends_with_us():
    words = command("pi-virt", IMAGE, Options(memory_mb=512), IMAGE.path("disk.ext4"), False, 7)
    line = " ".join(words)
    assert words[:4] == ["setpriv", "--pdeathsig", "KILL", "--"]
    for part in ("-smp 1", "-m 512", "-icount shift=1,align=off,sleep=on", "restrict=on", "fd=7,",
                 "hostfwd=tcp:127.0.0.1:0-:22", "format=raw,snapshot=on", "file=/cache,,1/key/disk.ext4"):
        assert part.rstrip(",") in line


def test_a_state_is_written_to_its_own_disk_only():
    words = command("android-virt", IMAGE, Options(), Path("/state/disk.qcow2"), True, 7)
    assert any("format=qcow2,snapshot=off" in word and "/state/disk.qcow2" in word for word in words)
    assert any("hostfwd=tcp:127.0.0.1:0-:5555" in word for word in words)


def test_faults_are_words_of_the_kernels_command_line():
    assert kernel_words("pi-virt", Options()).endswith("edge.machine=pi_virt")
    words = kernel_words("android-virt", Options(disk_kb=64, abis=("armeabi-v7a", "armeabi")))
    assert words.endswith("edge.machine=android_virt edge.disk_kb=64 edge.abis=armeabi-v7a,armeabi")


@pytest.mark.parametrize("name, options, said", [
    ("pi", Options(), "no emulated device 'pi'; there are pi-virt, android-virt"),
    ("pi-virt", Options(memory_mb=1), "memory_mb = 1"), ("pi-virt", Options(disk_kb=0), "disk_kb = 0"),
    ("android-virt", Options(abis=("x86 panic=1",)), "abis: 'x86 panic=1' is none")])
def test_what_cannot_be_started_is_said_before(name, options, said):
    with pytest.raises(BadInput, match=said):
        check(name, options)


@contextmanager
def monitor(*answers: object, seconds: float = 5):
    """A Qmp whose QEMU gives these answers, in order; then it ends. Yields it and what was asked."""
    ours, theirs = socket.socketpair()
    asked = []

    def answer() -> None:
        with theirs, theirs.makefile("rw") as line:
            for message in ({"QMP": {}}, {"return": {}}, *answers):
                line.write(json.dumps(message) + "\r\n")
                line.flush()
                if "event" not in message and (heard := line.readline()):
                    asked.append(json.loads(heard))

    thread = threading.Thread(target=answer)
    thread.start()
    with ours:
        yield Qmp(ours, seconds), asked
    thread.join()


def test_answers_are_told_from_events():
    with monitor({"event": "STOP"}, {"return": {"status": "paused"}}) as (qmp, asked):
        assert qmp.ask("query-status", deep=True) == {"status": "paused"}
    assert asked[-1] == {"execute": "query-status", "arguments": {"deep": True}}


def test_the_port_is_the_one_qemu_took():
    with monitor({"return": USERNET}) as (qmp, _):
        assert qmp.forwarded_port(22) == 33369
    with monitor({"return": USERNET}) as (qmp, _), pytest.raises(DeviceUnavailable, match="forwards no port"):
        qmp.forwarded_port(5555)


def test_a_refusal_is_told():
    with monitor({"error": {"class": "GenericError", "desc": "no such device"}}) as (qmp, _):
        with pytest.raises(DeviceUnavailable, match="QEMU: no such device"):
            qmp.ask("eject")


def test_a_qemu_that_ends_is_told():
    with monitor() as (qmp, _), pytest.raises(DeviceUnavailable, match="QEMU (has ended|is gone)"):
        qmp.ask("query-status")


def test_a_silent_qemu_is_given_up():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(DeviceUnavailable, match="does not answer in 0.05 s"):
        Qmp(ours, 0.05)


def test_a_status_that_cannot_become_the_wanted_one_ends_the_wait():
    answers = [{"return": {"status": status}} for status in ("setup", "active", "completed")]
    with monitor(*answers) as (qmp, _):
        await_status(qmp, "query-migrate", "completed", "setup", "active")
    with monitor({"return": {"status": "failed"}}) as (qmp, _):
        with pytest.raises(DeviceUnavailable, match="'failed'"):
            await_status(qmp, "query-migrate", "completed", "setup", "active")


def test_last_words_are_the_last():
    with tempfile.TemporaryFile() as console:
        console.write(b"x" * 2000 + b"\r\nkernel panic\r\n\r\nend \xff\n")
        console.flush()
        said = emulator._last_words(console)
    assert said.endswith("kernel panic / end \ufffd") and len(said) <= emulator.LAST_WORDS
