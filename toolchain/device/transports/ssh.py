"""A device over SSH: one connection, every command line a channel of it.

Files go through `cat` of an ordinary channel, so that no SFTP server need be there (dropbear brings none).
There is no agent forwarding, X11, terminal or password prompt. Sources: RFC 4254 (channels, exit-status),
ssh_config(5), sshd(8) section SSH_KNOWN_HOSTS FILE FORMAT.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import shlex
import socket
import threading
from typing import TypeVar

from toolchain.device.boards import Board
from toolchain.device.transports.bounded import converse
from toolchain.device.transports.folder import DeviceFolder, excerpt, open_folder
from toolchain.device.transports.transport import MOST_BYTES, Finished
from toolchain.errors import BadConfig, DeviceLost, DeviceRefused, DeviceTimeout, DeviceUnavailable

CONNECT_SECONDS = 30.0
"""For name, key exchange and login together."""
KEEPALIVE_SECONDS = 5.0
KEEPALIVES = 3
"""Unanswered; then the connection counts as broken."""
PORT = 22
START_SECONDS = 20.0
"""For a channel to open."""
HOST_KEY_ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
                       "rsa-sha2-512", "rsa-sha2-256")
T = TypeVar("T")


@contextmanager
def open_ssh(board: Board, *, connect_seconds: float = CONNECT_SECONDS,
             keepalive_seconds: float = KEEPALIVE_SECONDS, folder: str = "") -> Iterator[DeviceFolder]:
    """The device with ~/.edge, or the folder named, as ours.

    A link that is silently dead is found within (KEEPALIVES + 1) * keepalive_seconds.
    Raises DeviceUnavailable where it cannot be reached, DeviceRefused where its key is not the one known or
    it takes none of ours, BadConfig for a pinned key or an ssh_config that cannot be read.
    """
    wire = SshWire(board, connect_seconds, keepalive_seconds)
    try:
        yield open_folder(wire, folder)
    finally:
        wire.close()


class SshWire:
    """A connection, kept alive by a thread of its own. Source: folder.py's Wire."""

    def __init__(self, board: Board, connect_seconds: float, keepalive_seconds: float):
        require_asyncssh(board)
        self.name = board.name
        self._loop = _LoopThread()
        self._connection = None
        try:
            self._connection = self._loop.call(_connect(board, connect_seconds, keepalive_seconds))
        except BaseException:
            self._loop.stop()
            raise

    def run(self, argv: Sequence[str], *, seconds: float, stdin: bytes | None = None,
            most_bytes: int = MOST_BYTES) -> Finished:
        """As Wire."""
        if self._connection is None:
            raise DeviceLost(f"{self.name}: the connection is closed")
        return self._loop.call(self._run(shlex.join(argv), seconds, stdin, most_bytes))

    def close(self) -> None:
        """As Wire."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._loop.call(_close(connection))
            self._loop.stop()

    async def _run(self, line: str, seconds: float, stdin: bytes | None, most_bytes: int) -> Finished:
        import asyncssh

        try:
            process = await self._start(line)
            try:
                done = await converse(self.name, process, seconds=seconds, stdin=stdin, most_bytes=most_bytes)
            finally:
                process.close()
        except (asyncssh.Error, OSError) as error:
            raise DeviceLost(f"{self.name}: the connection broke ({_reason(error)}); what has arrived is "
                             f"kept, run it again") from None
        if done.code is None:
            raise DeviceLost(f"{self.name}: the connection broke (no exit code came); run it again")
        return done

    async def _start(self, line: str):
        """The channel with the program. Raises DeviceTimeout."""
        try:
            async with asyncio.timeout(START_SECONDS):
                return await self._connection.create_process(
                    line, encoding=None, request_pty=False, x11_forwarding=False)
        except TimeoutError:
            raise DeviceTimeout(f"{self.name}: connected, and starts no program within {START_SECONDS:g} s; "
                                f"is it out of memory or processes?") from None


class _LoopThread:
    """An event loop in a thread, so that keep-alives are sent while nobody waits for anything."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[None, None, T]) -> T:
        """Do it there, to its end; it is cancelled where waiting for it is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the thread, and those that looked up names."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class _Trust:
    """Which host keys are trusted, and what was seen instead.

    pinned: boards.toml's key, which then is the only one
    files:  known_hosts
    """

    def __init__(self, board: Board, files: list[str]):
        self.board, self.files = board, files
        self.pinned = pinned_key(board)
        self.known, self.seen, self.algorithms = False, None, ()

    def expect(self, host: str, port: int) -> None:
        """Ask for a key of a kind that is known first: a host may have several. Source: ssh_config(5),
        HostKeyAlgorithms."""
        keys = self.match(host, "", port if port != PORT else None)[0]
        kinds = {key.get_algorithm().replace("ssh-rsa", "rsa-sha2-512") for key in keys}
        if kinds:
            self.algorithms = sorted(HOST_KEY_ALGORITHMS, key=lambda kind: kind not in kinds)

    def match(self, host: str, address: str, port: int | None):
        """Trusted keys, certificate authorities and revoked keys of a host, as asyncssh asks for them."""
        import asyncssh

        if self.pinned:
            found = ([self.pinned], [], [])
        elif self.files:
            found = asyncssh.match_known_hosts(self.files, host, address, port)
        else:
            found = ([], [], [])
        self.known = bool(found[0])
        return found

    def refusal(self) -> DeviceRefused:
        """Of a key that is none of those trusted."""
        name, where = self.board.name, "boards.toml" if self.pinned else "known_hosts"
        if self.seen is None:
            return DeviceRefused(f"{name}: its host key is revoked, or that of a host on the way to it "
                                 f"(ProxyJump) is not the one in known_hosts; `ssh` there once to see")
        kind = self.seen.get_algorithm()
        shown = f"{name}: shows the host key {kind} {self.seen.get_fingerprint()}, "
        file = f"/etc/ssh/ssh_host_{kind.removeprefix('ssh-').split('-')[0]}_key.pub"
        told = (f"On the device itself, `ssh-keygen -lf {file}` must show the same; then give the first two "
                f'words of that file to [boards.{name}] in boards.toml: host_key = "{kind} AAAA..."')
        if self.known:
            return DeviceRefused(f"{shown}which is not the one in {where}: the device was installed anew, or "
                                 f"somebody is in between. {told}")
        return DeviceRefused(f"{shown}which neither boards.toml nor known_hosts has. {told}")


def require_asyncssh(board: Board) -> None:
    """Raises DeviceUnavailable where the package is not there."""
    try:
        import asyncssh  # noqa: F401
    except ImportError:
        raise DeviceUnavailable(f"{board.name}: ssh needs a package that is not installed: "
                                f"pip install 'edge-toolchain[ssh]'") from None


def pinned_key(board: Board):
    """The public key of boards.toml, None where there is none. Raises BadConfig."""
    import asyncssh

    if not board.host_key:
        return None
    try:
        return asyncssh.import_public_key(board.host_key)
    except asyncssh.KeyImportError:
        raise BadConfig(f"board '{board.name}': host_key is no public key; it looks like "
                        f"\"ssh-ed25519 AAAA...\", the first two words of the device's "
                        f"/etc/ssh/ssh_host_ed25519_key.pub") from None


async def _connect(board: Board, connect_seconds: float, keepalive_seconds: float):
    """An authenticated connection."""
    import asyncssh

    stated = _stated(board, keepalive_seconds)
    trust = await _trust(board, stated)

    class Client(asyncssh.SSHClient):
        """Trusts no further key, and keeps the one that was shown."""

        def validate_host_public_key(self, host, addr, port, key) -> bool:
            trust.seen = key
            return False

    try:
        async with asyncio.timeout(connect_seconds):
            return await asyncssh.connect(**stated, known_hosts=trust.match, client_factory=Client,
                                          server_host_key_algs=trust.algorithms)
    except asyncssh.HostKeyNotVerifiable:
        raise trust.refusal() from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _unreachable(board, error, connect_seconds) from None


def _stated(board: Board, keepalive_seconds: float) -> dict:
    """What boards.toml says of a connection, and we; asyncssh takes the rest from ~/.ssh/config."""
    user, _, host = board.address.rpartition("@")
    stated = {"host": host, "username": user or None, "port": board.port,
              "client_keys": [os.path.expanduser(board.identity)] if board.identity else None}
    return {**{key: value for key, value in stated.items() if value is not None},
            "password_auth": False, "kbdint_auth": False, "ignore_encrypted": True, "agent_forwarding": False,
            "keepalive_interval": keepalive_seconds, "keepalive_count_max": KEEPALIVES}


async def _trust(board: Board, stated: dict) -> _Trust:
    """With the files of known hosts that are there. Raises BadConfig for an ssh_config or identity unread.

    asyncssh would trust any host where ssh_config names no such file; here none is known then.
    """
    import asyncssh

    try:
        found = await asyncssh.SSHClientConnectionOptions.construct(config=(), **stated)
    except (OSError, RuntimeError, ValueError, asyncssh.Error) as error:
        raise BadConfig(f"board '{board.name}': its identity or ~/.ssh/config cannot be used: "
                        f"{excerpt(str(error).encode())}") from None
    files = [] if found.known_hosts is None else found.known_hosts or [Path.home() / ".ssh" / "known_hosts"]
    trust = _Trust(board, [str(file) for file in files if os.path.isfile(file) and os.access(file, os.R_OK)])
    trust.expect(found.host_key_alias or found.host, found.port)
    return trust


def _unreachable(board: Board, error: Exception, connect_seconds: float) -> DeviceUnavailable:
    """What became of an attempt to connect; neither address nor key is said."""
    import asyncssh

    name = board.name
    if isinstance(error, asyncssh.PermissionDenied):
        return DeviceRefused(f"{name}: takes none of our keys for this user; put the public key into its "
                             f"~/.ssh/authorized_keys (`ssh-copy-id`), name the private one (`identity` in "
                             f"boards.toml), and give one that has a passphrase to ssh-agent")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return DeviceRefused(f"{name}: no encryption or kind of host key in common: {_reason(error)}")
    if isinstance(error, TimeoutError):
        return DeviceUnavailable(f"{name}: no answer within {connect_seconds:g} s; is it on, and the address "
                                 f"right?")
    if isinstance(error, socket.gaierror):
        return DeviceUnavailable(f"{name}: no host of the name that `address` in boards.toml gives")
    if isinstance(error, ConnectionRefusedError):
        return DeviceUnavailable(f"{name}: nothing listens at its port; does it run an SSH server there?")
    return DeviceUnavailable(f"{name}: cannot be reached: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Without the address that an OSError's text has."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    return excerpt(str(error).encode()) or type(error).__name__


async def _close(connection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(KEEPALIVE_SECONDS):
            await connection.wait_closed()
    except (TimeoutError, OSError):
        connection.abort()
