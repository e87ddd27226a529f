#!/usr/bin/env python3
"""An ADB daemon over TCP, for a machine that is no phone: Debian's own `adb` program connects to it.

It speaks the device's side of AOSP's protocol.txt, SYNC.TXT and shell_protocol.h: CNXN, AUTH with the host's
RSA signature, shell: with and without the v2 protocol, exec:, sync:. It forwards no ports and has no pty,
logcat or installer. Standard library only, Python 3.11 and later.
"""

import argparse
import asyncio
import base64
import binascii
import contextlib
import errno
import json
import os
from pathlib import Path
import secrets
import shutil
import signal
import socket
import struct
import sys

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (int.from_bytes(name, "little")
                                      for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE"))
HEADER = struct.Struct("<6I")  # command, arg0, arg1, bytes that follow, their sum, command ^ 0xffffffff
OLD, NEW = 0x01000000, 0x01000001  # protocol versions: the new one sends no sums
MOST_BYTES = {OLD: 4096, NEW: 256 * 1024}  # of a packet
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3  # AUTH's arg0
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)  # packets of shell v2
CHUNK_BYTES = 64 * 1024  # of sync's DATA
PATH_BYTES = 1024
SHA1 = bytes.fromhex("3021300906052b0e03021a05000414")  # DigestInfo of SHA-1 (PKCS #1 v1.5, RFC 8017 9.2)


class Keys:
    """Hosts that may connect. mode: "any" takes every new key, "listed" only those given, "never" none."""

    def __init__(self, mode: str, listed: list[str]):
        self.mode = mode
        self.allowed = [key for line in listed if (key := self.parse(line.encode()))]

    @staticmethod
    def parse(line: bytes) -> tuple[int, int] | None:
        """(modulus, exponent) of base64 of words, n0inv, n, rr, e (little endian), then a name."""
        try:
            blob = base64.b64decode(line.split(b" ")[0].rstrip(b"\0"), validate=True)
            words, = struct.unpack_from("<I", blob)
            exponent, = struct.unpack_from("<I", blob, 8 + 8 * words)
        except (binascii.Error, struct.error):
            return None
        return int.from_bytes(blob[8:8 + 4 * words], "little"), exponent

    def signed(self, token: bytes, signature: bytes) -> bool:
        """Whether one of the allowed keys signed the token, which takes the place of a SHA-1 digest."""
        for modulus, exponent in self.allowed:
            size = (modulus.bit_length() + 7) // 8
            padded = b"\0\1" + b"\xff" * (size - 3 - len(SHA1) - len(token)) + b"\0" + SHA1 + token
            if pow(int.from_bytes(signature, "big"), exponent, modulus) == int.from_bytes(padded, "big"):
                return True
        return False

    def accept(self, line: bytes) -> bool:
        """A host shows its key: what the owner of the phone answers."""
        if self.mode != "any" or not (key := self.parse(line)):
            return False
        self.allowed.append(key)
        return True


class Faults:
    """What goes wrong: a JSON file, read again at every connection and service.

    {"kind": K, "service": "sync:", "after": bytes, "seconds": S}; services that begin so are meant.
    mute     no connection is answered: the host lists the device as offline
    ignore   no such service is answered
    drop     the connection ends when so many bytes of such services have passed, once
    offline  drop, then mute
    garbage  at that place comes what is no packet
    flip     at that place a byte is another one
    full     nothing more than so many bytes is written by SEND
    slow     that long before every packet
    """

    def __init__(self, path: str | None):
        self.path, self.text, self.plan, self.passed = path, "{}", {}, 0

    def load(self) -> None:
        text = Path(self.path).read_text() if self.path and os.path.exists(self.path) else "{}"
        if text != self.text:
            self.text, self.plan, self.passed = text, json.loads(text), 0

    def meets(self, kind: str, service: str = "") -> bool:
        return self.plan.get("kind") == kind and service.startswith(self.plan.get("service", ""))

    def due(self, service: str, size: int) -> str | None:
        """So many bytes of a service pass: the kind of fault that strikes among them."""
        kind = self.plan.get("kind")
        if kind not in ("drop", "offline", "garbage", "flip") or not self.meets(kind, service):
            return None
        self.passed += size
        if self.passed < self.plan.get("after", 0):
            return None
        self.plan = {"kind": "mute"} if kind == "offline" else {}
        return kind

    def room(self, size: int) -> None:
        """SEND writes so many bytes. Raises OSError (ENOSPC)."""
        if self.plan.get("kind") == "full":
            self.passed += size
            if self.passed > self.plan.get("after", 0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Stream:
    """One service's bytes; either side has at most one WRTE that is not acknowledged."""

    def __init__(self, connection: "Connection", own: int, other: int, service: str):
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


class Sync:
    """Files for `adb push` and `adb pull` (SYNC.TXT), below a root that no path or link leads out of."""

    def __init__(self, stream: Stream, root: str, faults: Faults):
        self.stream, self.root, self.faults = stream, root, faults

    async def run(self) -> None:
        verbs = {b"STAT": self.stat, b"STA2": self.stat_v2, b"LST2": self.stat_v2, b"LIST": self.list,
                 b"SEND": self.take, b"RECV": self.give}
        while True:
            verb, size = struct.unpack("<4sI", await self.stream.read(8))
            if verb == b"QUIT":
                return
            if verb not in verbs or size > PATH_BYTES:
                return await self.fail(f"unknown command or path too long: {verb!r}, {size}")
            path = (await self.stream.read(size)).decode(errors="surrogateescape")
            try:
                await verbs[verb](path, verb)
            except OSError as error:
                if isinstance(error, ConnectionError):
                    raise
                await self.fail(os.strerror(error.errno))

    async def fail(self, message: str) -> None:
        await self.stream.write(b"FAIL" + struct.pack("<I", len(message)) + message.encode())

    def locate(self, path: str, follow: bool = True) -> str:
        """The device's path on this machine, links followed as if `root` were /. Raises OSError (ELOOP)."""
        ahead, done, links = path.split("/")[::-1], [], 0
        while ahead:
            part = ahead.pop()
            here = os.path.join(self.root, *done, part)
            if part == "..":
                done[-1:] = []
            elif part not in ("", ".") and os.path.islink(here) and (follow or ahead):
                links += 1
                if links > 40:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink(here)
                done = [] if target.startswith("/") else done
                ahead += target.split("/")[::-1]
            elif part not in ("", "."):
                done.append(part)
        return os.path.join(self.root, *done)

    async def stat(self, path: str, verb: bytes) -> None:
        fields = (0, 0, 0)
        with contextlib.suppress(OSError):
            at = os.lstat(self.locate(path, follow=False))
            fields = at.st_mode, at.st_size & 0xffffffff, int(at.st_mtime) & 0xffffffff
        await self.stream.write(b"STAT" + struct.pack("<3I", *fields))

    async def stat_v2(self, path: str, verb: bytes) -> None:
        try:
            at = os.lstat(self.locate(path, follow=verb == b"STA2"))
            fields = (0, at.st_dev, at.st_ino, at.st_mode, at.st_nlink, at.st_uid, at.st_gid, at.st_size,
                      int(at.st_atime), int(at.st_mtime), int(at.st_ctime))
        except OSError as error:
            fields = (error.errno,) + (0,) * 10
        await self.stream.write(verb + struct.pack("<I2Q4IQ3q", *fields))

    async def list(self, path: str, verb: bytes) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(self.locate(path)):
                at, name = entry.stat(follow_symlinks=False), os.fsencode(entry.name)
                await self.stream.write(b"DENT" + struct.pack("<4I", at.st_mode, at.st_size & 0xffffffff,
                                                              int(at.st_mtime), len(name)) + name)
        await self.stream.write(b"DONE" + bytes(16))

    async def give(self, path: str, verb: bytes) -> None:
        with open(self.locate(path), "rb") as file:
            while data := file.read(CHUNK_BYTES):
                await self.stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
        await self.stream.write(b"DONE" + bytes(4))

    async def take(self, path: str, verb: bytes) -> None:
        """SEND: "path,mode", DATA..., DONE with the time of change. What is not whole is taken away again."""
        name, _, mode = path.rpartition(",")
        target, changed = self.locate(name), None
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            with open(target, "xb") as file:
                changed = await self.chunks(lambda data: (self.faults.room(len(data)), file.write(data)))
            os.chmod(target, int(mode) & 0o777)
            os.utime(target, (changed, changed))
        except OSError:
            if not self.stream.closed and changed is None:
                await self.chunks(lambda data: None)  # the host reads the answer when it has sent everything
            raise
        finally:
            if changed is None and os.path.isfile(target):
                os.unlink(target)
        await self.stream.write(b"OKAY" + bytes(4))

    async def chunks(self, use) -> int:
        """Each DATA to use(); the number that DONE carries. Raises OSError (EINVAL) for anything else."""
        while True:
            kind, size = struct.unpack("<4sI", await self.stream.read(8))
            if kind == b"DONE":
                return size
            if kind != b"DATA" or size > CHUNK_BYTES:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            use(await self.stream.read(size))


class Device:
    """What every connection shares: the machine's root, keys, features and faults."""

    def __init__(self, options: argparse.Namespace):
        prefix = options.prefix
        self.prefix = [shutil.which(prefix[0]) or prefix[0], *prefix[1:]] if prefix else []
        self.root = os.path.abspath(options.root)
        self.keys = Keys(options.auth, Path(options.keys).read_text().splitlines() if options.keys else [])
        self.faults = Faults(options.faults)
        self.version = OLD if options.old else NEW
        names = "".join(f"ro.product.{key}=standin;" for key in ("name", "model", "device"))
        self.banner = f"device::{names}" + ("" if options.old else "features=shell_v2,cmd,stat_v2")
        self.environment = {"PATH": options.path, "HOME": "/", "TMPDIR": "/data/local/tmp",
                            "ANDROID_ROOT": "/system", "ANDROID_DATA": "/data"}

    async def serve(self, stream: Stream) -> None:
        name, _, command = stream.service.partition(":")
        if name == "sync":
            await Sync(stream, self.root, self.faults).run()
        else:
            argv = [*self.prefix, "sh", *(["-c", command] if command else [])]
            await Command(stream, argv, self.environment, "v2" in name.split(",")).run()


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


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage="adbd.py PORT [options] [-- PREFIX...]", description=__doc__,
                                     epilog="Commands run as PREFIX sh -c COMMAND; such as: chroot /android")
    option = parser.add_argument
    option("port", type=int, help="0: any free one; the first line printed says which")
    option("--listen", default="127.0.0.1", metavar="ADDRESS")
    option("--root", help="what paths are below; that of chroot, else /")
    option("--path", default="/system/bin:/system/xbin:/vendor/bin", help="PATH of commands")
    option("--auth", choices=("any", "listed", "never"), default="any", help="hosts that may connect")
    option("--keys", help="file of public keys, one a line as in adbkey.pub")
    option("--faults", help="JSON file of what goes wrong")
    option("--old", action="store_true", help="as Android 6: no features, 4 KiB packets with sums")
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:end])
    options.prefix = arguments[end + 1:]
    chroot = [os.path.basename(word) for word in options.prefix[:-1]] == ["chroot"]
    options.root = options.root or (options.prefix[-1] if chroot else "/")
    return options


async def main() -> None:
    options = parse_options()
    device = Device(options)
    server = await asyncio.start_server(lambda *ends: Connection(device, *ends).run(), options.listen,
                                        options.port)
    print("adbd listens on port", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
