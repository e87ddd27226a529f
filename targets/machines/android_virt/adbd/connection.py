"""A host: its packets in and out."""

import asyncio
import contextlib
import secrets

from device import Device
from packets import (
    AUTH,
    CLSE,
    CNXN,
    HEADER,
    MOST_BYTES,
    NEW,
    OKAY,
    OLD,
    OPEN,
    PUBLIC_KEY,
    SIGNATURE,
    TOKEN,
    WRTE,
)
from stream import Stream


class Connection:
    """A host: packets in and out, its authorisation, its streams."""

    def __init__(self, device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.device, self.reader, self.writer = device, reader, writer
        self.version, self.most_bytes = OLD, MOST_BYTES[OLD]
        self.token, self.allowed = secrets.token_bytes(20), False
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task] = set()
        self.number = 0

    async def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        if self.device.faults.meets("slow"):
            await asyncio.sleep(self.device.faults.plan["seconds"])
        total = sum(data) & 0xffffffff if self.version == OLD else 0
        self.writer.write(HEADER.pack(command, first, second, len(data), total, command ^ 0xffffffff) + data)
        await self.writer.drain()

    async def receive(self) -> tuple[int, int, int, bytes]:
        """Raises ValueError for what is no packet."""
        command, first, second, size, total, magic = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if command ^ magic != 0xffffffff or size > MOST_BYTES[NEW]:
            raise ValueError("no packet")
        data = await self.reader.readexactly(size)
        if self.version == OLD and command != CNXN and total != sum(data) & 0xffffffff:
            raise ValueError("wrong sum")
        return command, first, second, data

    def strike(self, service: str, data: bytes) -> bytes:
        """Bytes of a service on their way, as the faults leave them. Raises ConnectionError."""
        kind = self.device.faults.due(service, len(data))
        if kind == "flip":
            return data[:-1] + bytes([data[-1] ^ 0x40])
        if kind == "garbage":
            self.writer.write(b"?" * HEADER.size * 2)
        elif kind:
            self.writer.transport.abort()
            raise ConnectionResetError(kind)
        return data

    async def run(self) -> None:
        try:
            self.device.faults.load()
            while True:
                packet = await self.receive()
                if not self.device.faults.meets("mute"):
                    await self.answer(*packet)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            for stream in self.streams.values():
                stream.end()
            self.writer.close()

    async def answer(self, command: int, first: int, second: int, data: bytes) -> None:
        if command == CNXN:
            self.version = min(first, self.device.version)
            self.most_bytes = min(second, MOST_BYTES[self.device.version])
            await self.send(AUTH, TOKEN, 0, self.token)
        elif command == AUTH:
            await self.authorise(first, data)
        elif not self.allowed:
            raise ValueError("not authorised")
        elif command == OPEN:
            await self.open(first, data.rstrip(b"\0").decode(errors="replace"))
        elif stream := self.streams.get(second):
            if command == WRTE:
                stream.arrived.put_nowait(data)
            elif command == OKAY:
                stream.acknowledged.set()
            elif command == CLSE:
                self.streams.pop(second).end()
        elif command == WRTE:
            await self.send(CLSE, 0, first)

    async def authorise(self, kind: int, data: bytes) -> None:
        keys = self.device.keys
        if kind == SIGNATURE:
            self.allowed = keys.signed(self.token, data)
            self.token = secrets.token_bytes(20)
        elif kind == PUBLIC_KEY:
            self.allowed = keys.accept(data)
        if self.allowed:
            await self.send(CNXN, self.device.version, MOST_BYTES[self.device.version],
                            self.device.banner.encode())
        elif kind == SIGNATURE:
            await self.send(AUTH, TOKEN, 0, self.token)

    async def open(self, other: int, service: str) -> None:
        self.device.faults.load()
        if self.device.faults.meets("ignore", service):
            return
        if service.partition(":")[0].split(",")[0] not in ("shell", "exec", "sync"):
            return await self.send(CLSE, 0, other)
        self.number += 1
        stream = self.streams[self.number] = Stream(self, self.number, other, service)
        await self.send(OKAY, stream.own, other)
        task = asyncio.create_task(self.serve(stream))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, stream: Stream) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await self.device.serve(stream)
        if self.streams.pop(stream.own, None):
            stream.closed = True
            with contextlib.suppress(ConnectionError):
                await self.send(CLSE, stream.own, stream.other)
