"""What a process says, gathered within a time and a size.

Processes are asyncio's or asyncssh's, of one face: stdin, stdout, stderr, wait, kill, returncode.
"""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import suppress
import os
import signal

from toolchain.device.transports.transport import MOST_BYTES, Finished
from toolchain.errors import BadReply, DeviceTimeout

CHUNK_BYTES = 65536
ENDING_SECONDS = 5.0
"""For a program to end after its input did."""


class _TooMuch(Exception):
    """More was written than is allowed."""


async def converse(name: str, process, *, seconds: float, stdin: bytes | None = None,
                   most_bytes: int = MOST_BYTES) -> Finished:
    """Write `stdin`, read stdout and stderr to their end, wait; as Wire's `run` says.

    name: of the board, for messages
    Raises DeviceTimeout when the time is over, BadReply beyond `most_bytes`; its input has ended then, and
    what is left of the process is the caller's. What its own streams raise passes through.
    """
    budget = [most_bytes]
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr, _ = await _together(_gather(process.stdout, budget),
                                                _gather(process.stderr, budget), _feed(process.stdin, stdin))
            await process.wait()
    except TimeoutError:
        raise DeviceTimeout(f"{name}: still running after {seconds:g} s; {await _end(process)}") from None
    except _TooMuch:
        raise BadReply(f"{name}: more than {most_bytes:,} bytes came; {await _end(process)}") from None
    code = process.returncode
    return Finished(128 - code if code is not None and code < 0 else code, stdout, stderr)


def run_here(name: str, argv: Sequence[str], *, seconds: float, stdin: bytes | None = None,
             most_bytes: int = MOST_BYTES) -> Finished:
    """A process of this host, as `converse`; a wire whose command is one of this host's needs no more.

    Raises FileNotFoundError where there is no such command.
    """
    async def run() -> Finished:
        process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=PIPE,
                                                       limit=CHUNK_BYTES, start_new_session=True)
        try:
            return await converse(name, process, seconds=seconds, stdin=stdin, most_bytes=most_bytes)
        except BaseException:
            await _kill_group(process)
            raise
        finally:
            process.stdin.close()

    return asyncio.run(run())


async def _together(*parts) -> list:
    """Results of all of them; when one fails, the others are cancelled first."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _gather(reader, budget: list[int]) -> bytes:
    """All of one stream; what comes is taken from a budget in bytes that streams share. Raises _TooMuch."""
    kept = bytearray()
    while chunk := await reader.read(CHUNK_BYTES):
        budget[0] -= len(chunk)
        if budget[0] < 0:
            raise _TooMuch
        kept += chunk
    return bytes(kept)


async def _feed(writer, stdin: bytes | None) -> None:
    """Write all and the end; nothing and no end for None. A process that reads no more is not an error."""
    if stdin is None:
        return
    try:
        for start in range(0, len(stdin), CHUNK_BYTES):
            writer.write(stdin[start:start + CHUNK_BYTES])
            await writer.drain()
        writer.write_eof()
    except (BrokenPipeError, ConnectionResetError):
        pass


async def _end(process) -> str:
    """End its input, upon which watchdog.py ends the program; then see whether it did, and say so."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            process.stdin.write_eof()
            await _together(_discard(process.stdout), _discard(process.stderr), process.wait())
    except (TimeoutError, OSError):
        pass
    ended = process.returncode is not None
    return "it was ended" if ended else "the device was told to end it and did not say that it has"


async def _discard(reader) -> None:
    while await reader.read(CHUNK_BYTES):
        pass


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """Of a process that leads one, of this host: with what it started and its pipes."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), ENDING_SECONDS)
