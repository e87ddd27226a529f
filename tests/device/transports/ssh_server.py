"""An SSH server in this process that runs command lines here, with faults."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import threading

import asyncssh

from toolchain.device.boards import Board


@dataclass
class Server:
    """home: of its user; each fault is off until set.

    drop_after: bytes of standard input after which it breaks the connection
    stalled:    takes the connection and starts nothing
    greeting:   what a start file of the shell prints
    path:       where it finds commands
    commands:   that it was asked for
    """

    home: Path
    port: int = 0
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    drop_after: int | None = None
    stalled: bool = False
    greeting: bytes = b""
    path: str = os.environ["PATH"]
    commands: list[str] = field(default_factory=list)
    connections: list = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    received: int = 0

    @property
    def public(self) -> str:
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
        shell = await asyncio.create_subprocess_shell(
            process.command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, cwd=self.home,
            env={"HOME": str(self.home), "PATH": self.path})
        process.stdout.write(self.greeting)
        feeding = asyncio.create_task(self._feed(process, shell))
        try:
            await asyncio.gather(self._copy(shell.stdout, process.stdout),
                                 self._copy(shell.stderr, process.stderr))
            process.exit(await shell.wait())
        except (asyncssh.Error, OSError):
            pass
        finally:
            feeding.cancel()
            shell.stdin.close()

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

    def drop(self) -> None:
        """Break every connection; from any thread."""
        for connection in self.connections:
            self.loop.call_soon_threadsafe(connection.abort)
        self.connections.clear()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server at work in a thread; the only key that it takes is made, at home/id."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(server.home / "id")
    (server.home / "authorized").write_bytes(key.export_public_key())
    loop = server.loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    class Login(asyncssh.SSHServer):
        def connection_made(self, connection):
            server.connections.append(connection)

    def call(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    async def listen():
        return await asyncssh.listen("127.0.0.1", 0, server_host_keys=[server.host_key], encoding=None,
                                     authorized_client_keys=str(server.home / "authorized"),
                                     server_factory=Login, process_factory=server.run)

    async def end():
        server.drop()
        listener.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)

    listener = call(listen())
    server.port = listener.get_port()
    try:
        yield server
    finally:
        call(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
