"""Programs run for shell: and exec: (shell_protocol.h)."""

import asyncio
import contextlib
import signal
import socket
import struct

from stream import Stream

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)  # packets of shell v2
CHUNK_BYTES = 64 * 1024  # of what a program writes


class Command:
    """A program run for shell: or exec:. Like adbd's, it has one socket for stdin and stdout, and stderr too
    where the v2 protocol does not split them into packets, which end with the exit code."""

    def __init__(self, stream: Stream, argv: list[str], environment: dict[str, str], v2: bool):
        self.stream, self.argv, self.environment, self.v2 = stream, argv, environment, v2
        self.turn = asyncio.Lock()

    async def run(self) -> None:
        ours, theirs = socket.socketpair()
        pipe = asyncio.subprocess.PIPE if self.v2 else asyncio.subprocess.STDOUT
        with theirs:
            self.process = process = await asyncio.create_subprocess_exec(
                *self.argv, stdin=theirs, stdout=theirs, stderr=pipe, env=self.environment, cwd="/",
                start_new_session=True)
        stdout, self.stdin = await asyncio.open_connection(sock=ours)
        feed = asyncio.create_task(self.feed())
        outputs = [(stdout, STDOUT)] + [(process.stderr, STDERR)] * self.v2
        await asyncio.gather(*(self.drain(*output) for output in outputs))
        code = await process.wait()
        feed.cancel()
        self.stdin.close()
        if self.v2 and not self.stream.closed:
            await self.stream.write(struct.pack("<BIB", EXIT, 1, code if code >= 0 else 128 - code))

    async def drain(self, output: asyncio.StreamReader, kind: int) -> None:
        """To the host, as long as there is one."""
        with contextlib.suppress(ConnectionError):
            while data := await output.read(CHUNK_BYTES):
                async with self.turn:
                    await self.stream.write(struct.pack("<BI", kind, len(data)) + data if self.v2 else data)

    async def feed(self) -> None:
        """The host's bytes to stdin. With the host gone it is closed, and a v2 shell gets SIGHUP."""
        try:
            while True:
                kind, data = await self.packet()
                if kind == STDIN:
                    self.stdin.write(data)
                    await self.stdin.drain()
                elif kind == CLOSE_STDIN:
                    self.stdin.write_eof()
        except ConnectionError:
            pass  # the program reads no more
        except EOFError:
            self.stdin.close()
            if self.v2 and self.process.returncode is None:
                self.process.send_signal(signal.SIGHUP)

    async def packet(self) -> tuple[int, bytes]:
        if not self.v2:
            return STDIN, await self.stream.read_some()
        kind, size = struct.unpack("<BI", await self.stream.read(5))
        return kind, await self.stream.read(size)
