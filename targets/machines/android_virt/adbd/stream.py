"""One service's bytes among the packets of a connection."""

import asyncio

from packets import OKAY, WRTE


class Stream:
    """One service's bytes; either side has at most one WRTE that is not acknowledged.

    connection: connection.Connection
    """

    def __init__(self, connection, own: int, other: int, service: str):
        self.connection, self.own, self.other, self.service = connection, own, other, service
        self.arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.acknowledged = asyncio.Event()
        self.rest, self.closed = b"", False

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError where the host has closed the stream."""
        most = self.connection.most_bytes
        for start in range(0, len(data), most):
            self.acknowledged.clear()
            piece = self.connection.strike(self.service, data[start:start + most])
            await self.connection.send(WRTE, self.own, self.other, piece)
            await self.acknowledged.wait()
            if self.closed:
                raise ConnectionError("closed by the host")

    async def read_some(self) -> bytes:
        """What comes next, at least a byte. Raises EOFError."""
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        if (data := await self.arrived.get()) is None:
            self.arrived.put_nowait(None)
            raise EOFError
        await self.connection.send(OKAY, self.own, self.other)
        return self.connection.strike(self.service, data)

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes. Raises EOFError."""
        data = b""
        while len(data) < size:
            data += await self.read_some()
        self.rest = data[size:] + self.rest
        return data[:size]

    def end(self) -> None:
        """The host closed it, or is gone."""
        self.closed = True
        self.acknowledged.set()
        self.arrived.put_nowait(None)
