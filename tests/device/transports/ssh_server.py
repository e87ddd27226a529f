"""An SSH server in this process that runs command lines here, with faults."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import threading
import time

import asyncssh

from toolchain.device.boards import Board


@dataclass
class Server:
    """home: of its user; each fault is off until set.

    drop_after: bytes of standard input after which it breaks the connection
    stalled:    takes the connection and starts nothing
    greeting:   what a start file of the shell prints
    path:       where it finds commands
    commands:   that it was asked for;  running: how many of them are not over
    """

    home: Path
    port: int = 0
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    other_keys: tuple[asyncssh.SSHKey, ...] = ()
    drop_after: int | None = None
    stalled: bool = False
    greeting: bytes = b""
    path: str = os.environ["PATH"]
    commands: list[str] = field(default_factory=list)
    connections: list = field(default_factory=list)
    background: "Background" = field(default_factory=lambda: Background())
    running: int = 0
    received: int = 0
    logins: int = 0

    @property
    def public(self) -> str:
        """As boards.toml has it."""
        return self.host_key.export_public_key().decode().strip()

    def board(self, **changes) -> Board:
        """With this server's key pinned."""
        stated = {"address": "tester@127.0.0.1", "port": self.port, "host_key": self.public,
                  "identity": str(self.home / "id"), "name": "pi"}
        return Board(target="raspberry_pi_4", transport="ssh", **{**stated, **changes})

    async def run(self, process: asyncssh.SSHServerProcess) -> None:
        """One command line."""
        if self.stalled:
            await asyncio.sleep(3600)
        self.commands.append(process.command)
        self.running += 1
        shell = await asyncio.create_subprocess_shell(
            process.command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, cwd=self.home,
            env={"HOME": str(self.home), "PATH": self.path})
        process.stdout.write(self.greeting)
        tasks = [asyncio.create_task(part) for part in (
            self._copy(shell.stdout, process.stdout), self._copy(shell.stderr, process.stderr),
            self._feed(process, shell))]
        try:
            await asyncio.gather(*tasks[:2])
            process.exit(await shell.wait())
        except (asyncssh.Error, OSError):
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            shell.stdin.close()
            try:
                await asyncio.wait_for(shell.communicate(), 5)
            finally:
                self.running -= 1

    async def _feed(self, process, shell) -> None:
        try:
            while chunk := await process.stdin.read(16384):
                self.received += len(chunk)
                if self.drop_after is not None and self.received > self.drop_after:
                    chunk = chunk[:len(chunk) - (self.received - self.drop_after)]
                    shell.stdin.write(chunk)
                    await shell.stdin.drain()
                    self.drop()
                    break
                shell.stdin.write(chunk)
                await shell.stdin.drain()
        except (asyncssh.Error, OSError):
            pass
        shell.stdin.close()

    async def _copy(self, source, sink) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()

    def await_quiet(self) -> None:
        """Until no command runs: what broke off may still write what had arrived."""
        deadline = time.monotonic() + 20
        while self.running:
            assert time.monotonic() < deadline, "a command does not end"
            time.sleep(0.01)

    def drop(self) -> None:
        """Break every connection; from any thread."""
        for connection in self.connections:
            self.background.loop.call_soon_threadsafe(connection.abort)
        self.connections.clear()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server at work in a thread; the only key that it takes is made, at home/id."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(server.home / "id")
    (server.home / "authorized").write_bytes(key.export_public_key())
    class Login(asyncssh.SSHServer):
        def connection_made(self, connection):
            server.connections.append(connection)
            server.logins += 1

        def connection_requested(self, *_):
            return True

    async def listen():
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[server.host_key, *server.other_keys], encoding=None,
            authorized_client_keys=str(server.home / "authorized"), server_factory=Login,
            process_factory=server.run)

    listener = server.background.call(listen())
    server.port = listener.get_port()
    try:
        yield server
    finally:
        server.drop()
        server.background.loop.call_soon_threadsafe(listener.close)
        server.background.end()


class Background:
    """An event loop in a thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def call(self, work):
        """Do it there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def end(self) -> None:
        """Cancel what still runs there."""
        self.call(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def listening(serve: Callable) -> Iterator[int]:
    """A TCP server; its port."""
    background = Background()
    opened = background.call(asyncio.start_server(serve, "127.0.0.1", 0))
    try:
        yield opened.sockets[0].getsockname()[1]
    finally:
        background.loop.call_soon_threadsafe(opened.close)
        background.end()


@contextmanager
def link(server: Server) -> Iterator[tuple[int, threading.Event]]:
    """Something in between: its port, and an event; nothing passes any more once that is cleared."""
    alive = threading.Event()
    alive.set()

    async def copy(reader, writer):
        while chunk := await reader.read(65536):
            if alive.is_set():
                writer.write(chunk)
        writer.close()

    async def relay(reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer), return_exceptions=True)

    with listening(relay) as port:
        yield port, alive
