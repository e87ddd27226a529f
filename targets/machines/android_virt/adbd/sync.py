"""Files for `adb push` and `adb pull` (SYNC.TXT)."""

import contextlib
import errno
from functools import partial
import os
import struct

from faults import Faults
from stream import Stream

CHUNK_BYTES = 64 * 1024  # of DATA
PATH_BYTES = 1024


class Sync:
    """The service: files below a root that no path or link leads out of."""

    def __init__(self, stream: Stream, root: str, faults: Faults):
        self.stream, self.root, self.faults = stream, root, faults

    async def run(self) -> None:
        verbs = {b"STAT": self.stat, b"STA2": partial(self.stat_v2, b"STA2"), b"LIST": self.list,
                 b"LST2": partial(self.stat_v2, b"LST2"), b"SEND": self.take, b"RECV": self.give}
        while True:
            verb, size = struct.unpack("<4sI", await self.stream.read(8))
            if verb == b"QUIT":
                return
            if verb not in verbs or size > PATH_BYTES:
                return await self.fail(f"unknown command or path too long: {verb!r}, {size}")
            path = (await self.stream.read(size)).decode(errors="surrogateescape")
            try:
                await verbs[verb](path)
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

    async def stat(self, path: str) -> None:
        fields = (0, 0, 0)
        with contextlib.suppress(OSError):
            at = os.lstat(self.locate(path, follow=False))
            fields = at.st_mode, at.st_size & 0xffffffff, int(at.st_mtime) & 0xffffffff
        await self.stream.write(b"STAT" + struct.pack("<3I", *fields))

    async def stat_v2(self, verb: bytes, path: str) -> None:
        try:
            at = os.lstat(self.locate(path, follow=verb == b"STA2"))
            fields = (0, at.st_dev, at.st_ino, at.st_mode, at.st_nlink, at.st_uid, at.st_gid, at.st_size,
                      int(at.st_atime), int(at.st_mtime), int(at.st_ctime))
        except OSError as error:
            fields = (error.errno,) + (0,) * 10
        await self.stream.write(verb + struct.pack("<I2Q4IQ3q", *fields))

    async def list(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(self.locate(path)):
                at, name = entry.stat(follow_symlinks=False), os.fsencode(entry.name)
                await self.stream.write(b"DENT" + struct.pack("<4I", at.st_mode, at.st_size & 0xffffffff,
                                                              int(at.st_mtime), len(name)) + name)
        await self.stream.write(b"DONE" + bytes(16))

    async def give(self, path: str) -> None:
        with open(self.locate(path), "rb") as file:
            while data := file.read(CHUNK_BYTES):
                await self.stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
        await self.stream.write(b"DONE" + bytes(4))

    async def take(self, path: str) -> None:
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
