"""The stand-in for a phone's daemon, by adb and by packets of our own: what other tests rely on."""

import base64
from collections.abc import Iterator
from pathlib import Path
import random
import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
import pytest

from tests.device.transports.android import Phone, adb, adb_server

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE"
OLD, NEW = 0x01000000, 0x01000001


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with adb_server(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    (folder / "data/local/tmp").mkdir(parents=True)
    return folder


@pytest.fixture
def phone(tmp_path, root, server):
    """Its files are below `root`."""
    phone = Phone(tmp_path, "--root", str(root))
    adb("connect", phone.serial)
    adb("-s", phone.serial, "wait-for-device")
    yield phone
    adb("disconnect", phone.serial)
    phone.end()


def test_push_and_pull_keep_bytes_and_modes(phone, root, tmp_path):
    content = random.Random(1).randbytes(700_001)
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "big").chmod(0o750)
    assert adb("-s", phone.serial, "push", str(tmp_path / "big"), "/data/local/tmp/deep/big").returncode == 0
    arrived = root / "data/local/tmp/deep/big"
    assert arrived.read_bytes() == content and arrived.stat().st_mode & 0o777 == 0o750
    assert adb("-s", phone.serial, "pull", "/data/local/tmp/deep", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back/big").read_bytes() == content
    assert b"big" in adb("-s", phone.serial, "ls", "/data/local/tmp/deep").stdout


def test_no_path_and_no_link_leads_out(phone, root, tmp_path):
    (tmp_path / "secret").write_text("outside")
    (root / "absolute").symlink_to("/secret")
    (root / "upwards").symlink_to("../secret")
    (root / "circle").symlink_to("circle")
    for path in ("/../secret", "/data/../../secret", "/absolute", "/upwards", "/circle"):
        assert adb("-s", phone.serial, "pull", path, str(tmp_path / "got")).returncode != 0
    (tmp_path / "new").write_text("inside")
    for path in ("/absolute", "/upwards"):
        adb("-s", phone.serial, "push", str(tmp_path / "new"), path)
    assert (root / "secret").read_text() == "inside" and (tmp_path / "secret").read_text() == "outside"


def test_what_it_cannot_do_is_refused(phone):
    for words in (["remount"], ["reverse", "tcp:1", "tcp:2"], ["jdwp"]):
        assert adb("-s", phone.serial, *words).returncode != 0
    assert b"No such file" in adb("-s", phone.serial, "pull", "/none", "/dev/null").stdout


def test_exit_codes_are_those_of_a_shell(phone):
    for script, code in (("exit 200", 200), ("kill -9 $$", 137), ("no-such", 127)):
        assert adb("-s", phone.serial, "shell", "-T", script).returncode == code


class Host:
    """A host that speaks packets."""

    def __init__(self, port: int, version: int = NEW):
        self.version = version
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, command: bytes, first: int, second: int, data: bytes = b"", wrong: int = 0) -> None:
        """wrong: that much is added to the sum."""
        number, total = int.from_bytes(command, "little"), sum(data) + wrong
        header = struct.pack("<6I", number, first, second, len(data), total, number ^ 0xffffffff)
        self.wire.sendall(header + data)

    def receive(self) -> tuple[bytes, int, bytes]:
        """(command, arg0, data); ("", 0, "") for the end."""
        header = self._exactly(24)
        if not header:
            return b"", 0, b""
        _, first, _, size, *_ = struct.unpack("<6I", header)
        return header[:4], first, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        try:
            while len(data) < size and (more := self.wire.recv(size - len(data))):
                data += more
        except ConnectionResetError:
            pass
        return data

    def connect(self) -> bytes:
        """The token that is to be signed."""
        self.send(CNXN, self.version, 4096, b"host::")
        command, kind, token = self.receive()
        assert (command, kind, len(token)) == (AUTH, 1, 20)
        return token


def prime(chance: random.Random, bits: int) -> int:
    """Of so many bits, probably (Fermat's test, of a few bases)."""
    while True:
        number = chance.getrandbits(bits) | 1 << bits - 1 | 1
        if all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11)):
            return number


class Key:
    """RSA, shown and used as adb does."""

    def __init__(self, seed: int, bits: int = 1024):
        chance = random.Random(seed)
        p, q = prime(chance, bits // 2), prime(chance, bits // 2)
        self.modulus, self.private, self.bits = p * q, pow(65537, -1, (p - 1) * (q - 1)), bits
        blob = struct.pack("<2I", bits // 32, 0) + self.modulus.to_bytes(bits // 8, "little")
        blob += bytes(bits // 8) + struct.pack("<I", 65537)
        self.shown = base64.b64encode(blob).decode() + " me@here"

    def sign(self, token: bytes) -> bytes:
        """PKCS #1 v1.5 with SHA-1's DigestInfo (RFC 8017, 9.2), the token in place of the digest."""
        info = bytes.fromhex("3021300906052b0e03021a05000414") + token
        padded = b"\0\1" + b"\xff" * (self.bits // 8 - 3 - len(info)) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), self.private, self.modulus).to_bytes(self.bits // 8, "big")


@pytest.fixture(scope="module")
def key() -> Key:
    return Key(1)


@pytest.fixture
def strict(tmp_path, key) -> Iterator[int]:
    """The port of a daemon that knows this key and takes no other."""
    keys = tmp_path / "keys"
    keys.write_text(f"not a key\n{Key(2).shown}\n{key.shown}\n")
    phone = Phone(tmp_path, "--auth", "listed", "--keys", str(keys))
    yield phone.port
    phone.end()


def test_a_signature_is_verified(strict, key):
    host = Host(strict)
    host.send(AUTH, 2, 0, key.sign(host.connect()))
    command, version, banner = host.receive()
    assert (command, version) == (CNXN, NEW) and b"features=shell_v2,cmd,stat_v2" in banner


@pytest.mark.parametrize("spoil", [
    lambda key, token: Key(3).sign(token), lambda key, token: key.sign(bytes(20)),
    lambda key, token: key.sign(token)[:-1] + b"\0", lambda key, token: b"", lambda key, token: bytes(128),
    lambda key, token: (1).to_bytes(128, "big"), lambda key, token: key.sign(token[:19])])
def test_a_signature_that_is_none_gets_another_token(strict, key, spoil):
    host = Host(strict)
    token = host.connect()
    host.send(AUTH, 2, 0, spoil(key, token))
    command, kind, again = host.receive()
    assert (command, kind) == (AUTH, 1) and again != token
    host.send(AUTH, 2, 0, key.sign(token))
    assert host.receive()[0] == AUTH, "a token is good once"


def test_a_key_that_is_shown_is_not_taken(strict, key):
    host = Host(strict)
    host.connect()
    host.send(AUTH, 3, 0, Key(3).shown.encode() + b"\0")
    host.send(OPEN, 1, 0, b"shell:id\0")
    assert host.receive() == (b"", 0, b""), "nothing is opened before a host is let in"


@pytest.mark.parametrize("packet", [b"?" * 24, struct.pack("<6I", 1, 0, 0, 2**31, 0, 1 ^ 0xffffffff)])
def test_what_is_no_packet_ends_the_connection(strict, packet):
    host = Host(strict)
    host.wire.sendall(packet)
    assert host.receive() == (b"", 0, b"")


def test_old_hosts_send_sums_and_they_are_checked(strict, key):
    for wrong, answer in ((0, CNXN), (1, b"")):
        host = Host(strict, OLD)
        host.send(AUTH, 2, 0, key.sign(host.connect()), wrong)
        assert host.receive()[0] == answer


@pytest.fixture(scope="module")
def lenient(tmp_path_factory) -> Iterator[int]:
    phone = Phone(tmp_path_factory.mktemp("lenient"))
    yield phone.port
    phone.end()


def let_in(port: int, key: Key) -> Host:
    host = Host(port)
    host.connect()
    host.send(AUTH, 3, 0, key.shown.encode() + b"\0")
    assert host.receive()[0] == CNXN
    return host


@given(st.binary(max_size=60))
def test_sync_survives_garbage(lenient, key, noise):
    host = let_in(lenient, key)
    host.send(OPEN, 1, 0, b"sync:\0")
    assert host.receive()[0] == OKAY
    host.send(WRTE, 1, 1, noise + b"?" * 8)
    assert host.receive()[0] in (OKAY, WRTE, CLSE)
    host.wire.close()


def test_one_packet_at_a_time(lenient, key):
    """What is not acknowledged is not followed by more."""
    host = let_in(lenient, key)
    host.send(OPEN, 1, 0, b"exec:cat /dev/zero\0")
    assert [host.receive()[0] for _ in range(2)] == [OKAY, WRTE]
    host.wire.settimeout(0.3)
    with pytest.raises(TimeoutError):
        host.receive()
