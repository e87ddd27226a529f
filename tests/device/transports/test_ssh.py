import os
from pathlib import Path
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

import asyncssh
import pytest

from tests.device.transports.metering import read_beside_a_program
from tests.device.transports.places import gone
from tests.device.transports.ssh_server import Server, link, listening, serving
from toolchain.device.boards import Board
from toolchain.device.transports import folder as folder_module
from toolchain.device.transports import ssh as ssh_module
from toolchain.device.transports.ssh import open_ssh
from toolchain.device.transports.transport import WORD
from toolchain.device.transports.watchdog import WATCHDOGS
from toolchain.errors import (
    BadConfig,
    BadReply,
    DeviceExhausted,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnavailable,
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "host"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "host/.ssh").mkdir(parents=True)
    (tmp_path / "pi").mkdir()
    with serving(Server(tmp_path / "pi")) as server:
        yield server


def configure(text: str, file: str = "config") -> None:
    (Path.home() / ".ssh" / file).write_text(text)


def refused(board: Board, kind: type = DeviceRefused, **limits) -> str:
    """What is said of a board that cannot be opened."""
    with pytest.raises(DeviceUnavailable) as caught, open_ssh(board, **limits):
        pass
    assert type(caught.value) is kind
    assert board.address.rpartition("@")[2] not in str(caught.value), "no address in a message"
    return str(caught.value)


def test_push_start_read_remove(server):
    with open_ssh(server.board()) as device:
        assert (device.name, device.folder) == ("pi", f"{server.home}/.edge")
        content = os.urandom(5_000_000)
        paths = device.push({"model.tflite": content, "p": b"#!/bin/sh\ncat $1 | wc -c >$2; exit 3\n"}, ["p"])
        result = f"{device.folder}/runs/size"
        done = device.start([paths["p"], paths["model.tflite"], result], seconds=10)
        assert (done.code, device.read(result)) == (3, b"5000000\n")
        assert device.read(paths["model.tflite"]) == content
        device.remove()
        assert not (server.home / ".edge").exists()


def test_the_second_push_sends_nothing_and_all_go_through_one_connection(server):
    content = os.urandom(6_000_000)
    for sent in (len(content), 0):
        with open_ssh(server.board()) as device:
            before = len(server.commands)
            device.push({"libLiteRt.so": content})
            assert device.sent_bytes == sent
            assert len(server.commands) - before == (9 if sent else 1)
    assert server.logins == 2


def test_every_command_line_is_a_script_of_ours_or_plain_words(server):
    with open_ssh(server.board()) as device:
        device.push({"a+b.c-d_e": b"x"}, executable=["a+b.c-d_e"])
        device.start(["echo", "a=b:c,d@e%f"], seconds=5)
    scripts = (folder_module.OPEN, folder_module.STATE, folder_module.FREE, folder_module.APPEND,
               folder_module.PLACE, WATCHDOGS)
    for words in map(shlex.split, server.commands):
        plain = words[:2] + words[3:] if words[:2] == ["sh", "-c"] and words[2] in scripts else words
        assert all(WORD.fullmatch(word) for word in plain if word)


def test_a_program_that_hangs_is_ended_there(server):
    program = b"#!/bin/sh\nsleep 8121 &\nsleep 8121\n"
    with open_ssh(server.board()) as device:
        path = device.push({"p": program}, ["p"])["p"]
        with pytest.raises(DeviceTimeout, match="pi: still running after 0.5 s; it was ended"):
            device.start([path], seconds=0.5)
        assert gone("sleep 8121")
        assert device.start(["echo", "on"], seconds=5).stdout == b"on\n", "the connection is still good"


def test_garbage_without_end_is_cut_off(server):
    with open_ssh(server.board()) as device:
        path = device.push({"p": b"#!/bin/sh\nexec yes 8122-garbage\n"}, ["p"])["p"]
        begin = time.monotonic()
        with pytest.raises(BadReply, match="pi: more than 1,000,000 bytes came; it was ended"):
            device.start([path], seconds=60, most_bytes=1_000_000)
        assert time.monotonic() - begin < 10 and gone("8122-garbage")
        assert device.start(["true"], seconds=5).code == 0


def test_a_connection_that_breaks_ends_the_program_there(server):
    with open_ssh(server.board()) as device:
        path = device.push({"p": b"#!/bin/sh\nsleep 8123\n"}, ["p"])["p"]
        threading.Timer(0.5, server.drop).start()
        with pytest.raises(DeviceLost, match="pi: the connection broke .Connection lost."):
            device.start([path], seconds=30)
        with pytest.raises(DeviceLost):
            device.read(path)
    assert gone("sleep 8123")


@pytest.mark.parametrize("after", [0, 1, 16_384, 299_999])
def test_a_push_goes_on_where_the_connection_broke(server, after, monkeypatch):
    monkeypatch.setattr(folder_module, "PIECE_BYTES", 100_000)
    content = os.urandom(300_000)
    server.drop_after = after
    with pytest.raises(DeviceLost), open_ssh(server.board()) as device:
        device.push({"a": content})
    assert not list((server.home / ".edge/files").iterdir())
    server.await_quiet()
    server.drop_after = None
    with open_ssh(server.board()) as device:
        assert Path(device.push({"a": content})["a"]).read_bytes() == content
        assert device.sent_bytes <= len(content) - after + 16_384


def test_a_full_disk_over_the_wire(server, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cat").write_text("#!/bin/sh\necho 'cat: write error: No space left on device' >&2\nexit 1\n")
    (tools / "cat").chmod(0o755)
    server.path = f"{tools}:{server.path}"
    with open_ssh(server.board()) as device, pytest.raises(DeviceExhausted, match="a needs 50 more bytes"):
        device.push({"a": b"x" * 50})
    assert not list((server.home / ".edge/incoming").iterdir())


def test_a_shell_that_greets_is_said_so(server):
    server.greeting = b"Welcome to pi!\n"
    with pytest.raises(BadReply, match="answered 'Welcome to pi! edge-folder.*bashrc"), \
            open_ssh(server.board()):
        pass


def test_a_server_that_starts_nothing(server, monkeypatch):
    monkeypatch.setattr(folder_module, "CONTROL_SECONDS", 0.5)
    server.stalled = True
    assert "still running after 0.5 s" in refused(server.board(), DeviceTimeout)


def test_an_unknown_host_key_is_refused_with_the_way_to_pin_it(server):
    said = refused(server.board(host_key=""))
    assert said.startswith(f"pi: shows the host key ssh-ed25519 {server.host_key.get_fingerprint()}, which "
                           f"neither boards.toml nor known_hosts has. On the device itself, `ssh-keygen -lf "
                           f"/etc/ssh/ssh_host_ed25519_key.pub` must show the same; then")
    assert said.endswith('[boards.pi] in boards.toml: host_key = "ssh-ed25519 AAAA..."')
    assert server.public.split()[1] not in said and not server.commands


@pytest.mark.parametrize("lax", ["StrictHostKeyChecking no\n", "UserKnownHostsFile none\n",
                                 "UserKnownHostsFile /dev/null\n"])
def test_no_configuration_makes_us_trust_what_is_shown_first(server, lax):
    configure(lax)
    assert "neither boards.toml nor known_hosts has" in refused(server.board(host_key=""))
    assert not (Path.home() / ".ssh/known_hosts").exists()


def test_a_changed_host_key_is_said_so(server):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    said = refused(server.board(host_key=other))
    assert "which is not the one in boards.toml: the device was installed anew, or somebody is in" in said
    configure(f"[127.0.0.1]:{server.port} {other}", "known_hosts")
    assert "which is not the one in known_hosts" in refused(server.board(host_key=""))


def test_a_pinned_key_of_another_kind(server):
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    assert "which is not the one in boards.toml" in refused(server.board(host_key=other))


def test_a_host_with_several_keys_shows_the_one_that_is_known(tmp_path, server):
    (tmp_path / "two").mkdir()
    keys = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp384", "ssh-rsa")]
    with serving(Server(tmp_path / "two", host_key=keys[0], other_keys=tuple(keys[1:]))) as two:
        for key in keys:
            public = key.export_public_key().decode()
            configure(f"[127.0.0.1]:{two.port} {public}", "known_hosts")
            for stated in (public, ""):
                with open_ssh(two.board(host_key=stated)) as device:
                    assert device.name == "pi"


def test_a_revoked_host_key(server):
    host = f"[127.0.0.1]:{server.port} {server.public}"
    configure(f"{host}\n@revoked {host}\n", "known_hosts")
    assert "its host key is revoked" in refused(server.board(host_key=""))


@pytest.mark.parametrize("key", ["ssh-ed25519", "ssh-ed25519 AAAA", "SHA256:abc", "nonsense\nmore"])
def test_a_host_key_that_is_none(server, key):
    with pytest.raises(BadConfig, match="board 'pi': host_key is no public key"), \
            open_ssh(server.board(host_key=key)):
        pass


def test_what_ssh_config_and_known_hosts_say_is_enough(server):
    configure(f"[127.0.0.1]:{server.port} {server.public}", "known_hosts")
    configure(f"Host bench\n  HostName 127.0.0.1\n  Port {server.port}\n  User tester\n"
              f"  IdentityFile {server.home}/id\n  ForwardAgent yes\n  RequestTTY yes\n")
    board = Board(target="raspberry_pi_4", transport="ssh", address="bench", name="pi")
    with open_ssh(board) as device:
        assert device.start(["env"], seconds=5).stdout.count(b"SSH_AUTH_SOCK") == 0


def test_known_hosts_elsewhere(server, tmp_path):
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:{server.port} {server.public}")
    configure(f"UserKnownHostsFile {tmp_path}/hosts\n")
    with open_ssh(server.board(host_key="")) as device:
        assert device.start(["true"], seconds=5).code == 0


def test_through_another_host(server, tmp_path):
    (tmp_path / "jump").mkdir()
    with serving(Server(tmp_path / "jump")) as jump:
        configure(f"[127.0.0.1]:{jump.port} {jump.public}\n", "known_hosts")
        configure(f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  User tester\n"
                  f"  IdentityFile {jump.home}/id\n"
                  f"Host bench\n  HostName 127.0.0.1\n  Port {server.port}\n  ProxyJump jump\n")
        with open_ssh(server.board(address="tester@bench", port=None)) as device:
            assert device.start(["pwd"], seconds=5).stdout.decode().strip() == str(server.home)
        assert jump.logins == 1 and not jump.commands
        configure("", "known_hosts")
        said = refused(server.board(address="tester@bench", port=None))
        assert "that of a host on the way to it (ProxyJump) is not the one in known_hosts" in said


def test_a_key_that_it_does_not_take(server, tmp_path):
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
    said = refused(server.board(identity=str(tmp_path / "other")))
    assert said.startswith("pi: takes none of our keys for this user; put the public key into its")


def test_a_key_with_a_passphrase_is_not_asked_for(server, tmp_path):
    for form in ("RFC4716", "PKCS8"):
        locked = tmp_path / form
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-m", form, "-N", "secret", "-f", locked],
                       check=True)
        assert "has a passphrase to ssh-agent" in refused(server.board(identity=str(locked)))


def test_an_identity_that_is_not_there(server):
    with pytest.raises(BadConfig, match="board 'pi': its identity or .* cannot be used: .*/nowhere/id"), \
            open_ssh(server.board(identity="/nowhere/id")):
        pass


def test_an_identity_of_nobodys(server):
    with pytest.raises(BadConfig, match="board 'pi': its identity or .* cannot be used: "), \
            open_ssh(server.board(identity="~nobody-of-that-name/id")):
        pytest.fail("connected without a key")


def test_an_ssh_config_that_cannot_be_read(server):
    configure("Port many\n")
    with pytest.raises(BadConfig, match="~/.ssh/config cannot be used"), open_ssh(server.board(port=None)):
        pass


def test_nothing_listens(server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "nothing listens at its port" in refused(server.board(port=port), DeviceUnavailable)


def test_no_such_host(server):
    board = server.board(address="pi@no-such-host.invalid")
    assert "no host of the name" in refused(board, DeviceUnavailable)


def test_a_port_that_says_nothing(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        board = server.board(port=silent.getsockname()[1])
        assert "no answer within 0.5 s" in refused(board, DeviceUnavailable, connect_seconds=0.5)


def test_a_port_that_speaks_something_else(server):
    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)
        await writer.drain()
        writer.close()

    with listening(serve) as port:
        assert "cannot be reached" in refused(server.board(port=port), DeviceUnavailable)


def test_a_link_that_is_silently_dead_is_found(server):
    with link(server) as (port, alive), open_ssh(server.board(port=port), keepalive_seconds=0.2) as device:
        threading.Timer(0.5, alive.clear).start()
        begin = time.monotonic()
        with pytest.raises(DeviceLost, match="pi: the connection broke"):
            device.start(["sleep", "5"], seconds=60)
        assert time.monotonic() - begin < 4


def test_a_link_that_dies_in_a_push_is_found_and_the_push_goes_on(server, monkeypatch):
    monkeypatch.setattr(folder_module, "PIECE_BYTES", 100_000)
    content = os.urandom(1_000_000)
    with link(server) as (port, alive), open_ssh(server.board(port=port), keepalive_seconds=0.2) as device:
        wire_run = device._wire.run

        def dying(argv, **how):
            if how.get("stdin") and device.sent_bytes >= 500_000:
                alive.clear()
            return wire_run(argv, **how)

        monkeypatch.setattr(device._wire, "run", dying)
        with pytest.raises(DeviceLost):
            device.push({"a": content})
    with open_ssh(server.board()) as device:
        assert Path(device.push({"a": content})["a"]).read_bytes() == content
        assert device.sent_bytes <= 500_000


def test_a_server_that_opens_no_channel(server, monkeypatch):
    monkeypatch.setattr(ssh_module, "START_SECONDS", 0.3)
    with link(server) as (port, alive), open_ssh(server.board(port=port), keepalive_seconds=1) as device:
        alive.clear()
        with pytest.raises(DeviceTimeout, match="starts no program within 0.3 s"):
            device.start(["true"], seconds=5)


def test_an_idle_connection_stays(server):
    with open_ssh(server.board(), keepalive_seconds=0.1) as device:
        time.sleep(1)
        assert device.start(["true"], seconds=5).code == 0


def test_interrupted_by_the_user_the_program_ends(server):
    with open_ssh(server.board()) as device:
        path = device.push({"p": b"#!/bin/sh\nsleep 8124\n"}, ["p"])["p"]
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            device.start([path], seconds=30)
        assert gone("sleep 8124")
        assert device.start(["true"], seconds=5).code == 0


def test_no_thread_is_left(server):
    before = threading.active_count()
    with open_ssh(server.board()):
        pass
    refused(server.board(host_key=""))
    assert threading.active_count() == before


def test_without_the_package(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(DeviceUnavailable, match=r"pip install 'edge-toolchain\[ssh\]'"), \
            open_ssh(server.board()):
        pass


def test_a_closed_connection_says_so(server):
    with open_ssh(server.board()) as device:
        pass
    device.close()
    with pytest.raises(DeviceLost, match="the connection is closed"):
        device.start(["true"], seconds=1)


def test_a_meter_is_read_while_a_program_runs(server, tmp_path):
    with open_ssh(server.board()) as device:
        read_beside_a_program(device, tmp_path)
