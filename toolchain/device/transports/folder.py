"""Our folder on a device: what pushing, starting and reading mean, whatever wire leads there.

    FOLDER/made-by-edge-toolchain      without it, a folder is not ours: neither used nor removed
    FOLDER/files/SHA256/NAME           whole and checked; never half a file
    FOLDER/incoming/SHA256             on its way; what is there of it is not sent again
    FOLDER/runs/                       what programs write

All that is asked of a device is a POSIX shell and cat, chmod, df, ls, mkdir, mv, rm, sleep, wc. Scripts are
constants of ours; names and digests reach them as arguments.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
import re
from typing import Protocol

from toolchain.device.transports.transport import MOST_BYTES, Finished, safe_name, safe_words
from toolchain.device.transports.watchdog import under_watchdogs
from toolchain.errors import BadInput, BadReply, DeviceExhausted, DeviceRefused, DeviceUnavailable

PIECE_BYTES = 2 * 2**20
"""Of a file, sent at once: at 35 kB/s in less than CONTROL_SECONDS."""
CONTROL_SECONDS = 60.0
REPLY_BYTES = 64 * 1024
FOLDER = re.compile(r"(/[A-Za-z0-9._+@-]{1,100}){1,20}")
"""A path that is safe in a command line, in a list divided by `:` or `,`, and behind `=`."""
MARKER = "made-by-edge-toolchain"
MOST_PATHS = 100
"""In a command line, which is one argument of a shell: at most 128 KiB (execve(2), MAX_ARG_STRLEN)."""
FULL = re.compile("no space left|quota", re.IGNORECASE)
"""What programs say of ENOSPC and EDQUOT."""

OWN = (
    f'export LC_ALL=C; umask 077; f=$1; m=$f/{MARKER}; no() {{ echo "edge-folder $1 $f"; exit; }}; '
    'marked() { [ -f "$m" ] && ! [ -L "$m" ]; }; [ -L "$f" ] && no link; ')
# $1: the folder, or nothing for .edge at home.
OPEN = (
    f'set -- "${{1:-$HOME/.edge}}"; {OWN} [ -d "$f" ] || mkdir "$f" || no missing; '
    '[ -O "$f" ] || no foreign; marked || [ -z "$(ls -A "$f")" ] || no unmarked; chmod 700 "$f"; '
    'marked || echo "Of edge-toolchain; edge clean removes it." >"$m" || no full; '
    'for d in files incoming runs; do [ -L "$f/$d" ] && no link; mkdir -p "$f/$d" || no full; done; no ours')
# A folder that something is mounted on stays, empty.
REMOVE = (f'{OWN} [ -O "$f" ] || no foreign; marked || no unmarked; '
          'rm -rf "$f" || [ -z "$(ls -A "$f")" ] || no kept; no ours')
# Regular files among the arguments: bytes, sha256 or "-" where nothing there computes it, path.
STATE = (
    'h() { echo -; }; if command -v sha256sum >/dev/null 2>&1; then h() { sha256sum; }; '
    'elif toybox sha256sum </dev/null >/dev/null 2>&1; then h() { toybox sha256sum; }; fi; '
    'for f; do [ -f "$f" ] && ! [ -L "$f" ] || continue; '
    'd=$(h <"$f"); echo $(wc -c <"$f") ${d%% *} "$f"; done')
APPEND = 'LC_ALL=C cat >>"$1"'
# $1: on its way, $2: the folder that it goes to, $3: its final path.
PLACE = '[ -L "$2" ] && rm "$2"; mkdir -p "$2" && rm -rf "$3" && mv "$1" "$3"'
FREE = 'df -Pk "$1"'

REFUSED = {
    "link": "is a link; take it away: edge writes through no link",
    "missing": "cannot be made",
    "foreign": "belongs to another user; take it away",
    "unmarked": f"is not ours: it holds files and no {MARKER}; move it elsewhere",
    "full": "cannot be written to",
    "kept": "cannot be removed",
}


class Wire(Protocol):
    """Runs command lines on a device; from several threads at once, too.

    name: the board's, for messages
    """

    name: str

    def run(self, argv: Sequence[str], *, seconds: float, stdin: bytes | None = None,
            most_bytes: int = MOST_BYTES) -> Finished:
        """Run a command line to its end; `shlex.join` makes it one for a shell.

        stdin: what it reads, to its end; None: nothing, and the end comes when the time is over or more than
               `most_bytes` are written to stdout and stderr together, upon which watchdog.py ends the program
        Raises DeviceTimeout when the time is over, BadReply where more is written than allowed, DeviceLost
        where the connection breaks.
        """

    def close(self) -> None:
        """Let go of the device; twice is no error."""


@dataclass(frozen=True)
class Held:
    """A regular file on the device. digest: sha256, "" where the device cannot compute it."""

    size: int
    digest: str


def open_folder(wire: Wire, path: str = "") -> "DeviceFolder":
    """The folder at this path, or ~/.edge; made where it is not there.

    Raises DeviceRefused where it is not ours or not a folder, DeviceExhausted, BadReply.
    """
    return DeviceFolder(wire, _own(wire, OPEN, path))


def _own(wire: Wire, script: str, path: str) -> str:
    """The folder's path as the script reports it, with nothing wrong with it."""
    done = wire.run(["sh", "-c", script, "edge", path], seconds=CONTROL_SECONDS, most_bytes=REPLY_BYTES)
    found = re.fullmatch(r"edge-folder (\w+) (/[^\n]*)\n", done.stdout.decode(errors="replace"))
    if not found or found[1] not in (*REFUSED, "ours"):
        answer = excerpt(done.stdout or done.stderr)
        raise BadReply(f"{wire.name}: asked for its folder, answered {answer!r}; does a start file of its "
                       f"shell (~/.bashrc) print something?")
    state, folder = found[1], found[2]
    if state != "ours":
        reason = excerpt(done.stderr)
        kind = DeviceExhausted if FULL.search(reason) else DeviceRefused
        raise kind(f"{wire.name}: {folder} {REFUSED[state]}" + (f": {reason}" if reason else ""))
    if not FOLDER.fullmatch(folder) or ".." in folder:
        raise DeviceRefused(f"{wire.name}: the path {folder!r} is not used; letters, digits and ._+@- only")
    return folder


class DeviceFolder:
    """A device that runs programs, as Transport says, over any wire."""

    def __init__(self, wire: Wire, folder: str):
        self.name, self.folder, self._wire = wire.name, folder, wire
        self.sent_bytes = 0
        """Since it was opened, of files."""

    def push(self, files: Mapping[str, bytes], executable: Collection[str] = ()) -> dict[str, str]:
        """As Transport. Raises BadReply where a file arrives wrong twice."""
        digests = {safe_name(name): sha256(content).hexdigest() for name, content in files.items()}
        if unknown := sorted(set(executable) - set(files)):
            raise BadInput(f"'{unknown[0]}' is to be executable and is none of the files pushed")
        paths = {name: f"{self.folder}/files/{digest}/{name}" for name, digest in digests.items()}
        held = self._held(paths.values())
        for name, path in paths.items():
            if path not in held or not self._is(path, held[path], files[name]):
                self._send(name, files[name], path)
        if executable:
            self._do("chmod", "700", *(paths[name] for name in executable))
        return paths

    def start(self, argv: Sequence[str], *, seconds: float, most_bytes: int = MOST_BYTES) -> Finished:
        """As Transport."""
        return self._wire.run(under_watchdogs(argv, seconds), seconds=seconds, most_bytes=most_bytes)

    def read(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """As Transport. Raises BadInput for a path elsewhere, DeviceRefused where there is no such file."""
        if not path.startswith(self.folder + "/") or ".." in path.split("/"):
            raise BadInput(f"{path!r} is not read: it is not in {self.folder}")
        return self._do("cat", *safe_words([path]), most_bytes=most_bytes)

    def remove(self) -> None:
        """As Transport. Raises DeviceRefused where the folder is not ours."""
        _own(self._wire, REMOVE, self.folder)

    def close(self) -> None:
        """As Transport."""
        self._wire.close()

    def _send(self, name: str, content: bytes, path: str) -> None:
        """Bring one file to its final path. A wrong one is sent afresh, once."""
        place = path.rpartition("/")[0]
        incoming = f"{self.folder}/incoming/{place.rpartition('/')[2]}"
        for _ in range(2):
            self._append(name, content, incoming, self._resumable(content, incoming))
            arrived = self._held([incoming])
            if incoming in arrived and self._is(incoming, arrived[incoming], content):
                self._do("sh", "-c", PLACE, "edge", incoming, place, path)
                return
            self._do("rm", "-rf", incoming)
        raise BadReply(f"{self.name}: {name} ({len(content):,} bytes) arrived with another sha256, twice; "
                       f"the connection or the device's disk corrupts data")

    def _resumable(self, content: bytes, incoming: str) -> int:
        """How many bytes of it an interrupted transfer left there; what is not its beginning is removed."""
        held = self._held([incoming]).get(incoming)
        if held and held.size <= len(content) and self._is(incoming, held, content[:held.size]):
            return held.size
        self._do("rm", "-rf", incoming)
        return 0

    def _append(self, name: str, content: bytes, incoming: str, begin: int) -> None:
        """Send the rest from `begin` on. Raises DeviceExhausted, DeviceRefused; nothing is left then."""
        self._require_room(name, len(content) - begin, incoming)
        for start in range(begin, len(content), PIECE_BYTES) or [0]:
            piece = content[start:start + PIECE_BYTES]
            done = self._wire.run(["sh", "-c", APPEND, "edge", incoming], seconds=CONTROL_SECONDS,
                                  stdin=piece, most_bytes=REPLY_BYTES)
            if done.code:
                raise self._unwritable(name, len(content) - start, incoming, excerpt(done.stderr))
            self.sent_bytes += len(piece)

    def _unwritable(self, name: str, needed: int, incoming: str, reason: str) -> DeviceUnavailable:
        """Of a file that no more can be written to; nothing is left of it."""
        if FULL.search(reason):
            self._require_room(name, needed, incoming)
        self._do("rm", "-rf", incoming)
        if FULL.search(reason):
            return DeviceExhausted(f"{self.name}: {name} needs {needed:,} more bytes and the disk is full "
                                   f"({reason}); make room, or `edge clean --device`")
        return DeviceRefused(f"{self.name}: {name} cannot be written: {reason}")

    def _require_room(self, name: str, needed: int, incoming: str) -> None:
        """Raises DeviceExhausted where less is free, with nothing left of the file."""
        done = self._wire.run(["sh", "-c", FREE, "edge", self.folder], seconds=CONTROL_SECONDS,
                              most_bytes=REPLY_BYTES)
        found = re.findall(rb"\s(\d{1,15})\s+\d+%\s", done.stdout)
        if found and int(found[-1]) * 1024 < needed:
            self._do("rm", "-rf", incoming)
            raise DeviceExhausted(f"{self.name}: {name} needs {needed:,} more bytes and "
                                  f"{int(found[-1]) * 1024:,} are free; make room, or `edge clean --device`")

    def _is(self, path: str, held: Held, content: bytes) -> bool:
        """Whether the device's file is this; read back where the device computes no sha256."""
        if held.size != len(content):
            return False
        if held.digest:
            return held.digest == sha256(content).hexdigest()
        return self.read(path, len(content)) == content

    def _held(self, paths: Iterable[str]) -> dict[str, Held]:
        """Those of the files that are there. Raises BadReply."""
        wanted = list(paths)
        held, reply = {}, b""
        for start in range(0, len(wanted), MOST_PATHS):
            reply += self._do("sh", "-c", STATE, "edge", *wanted[start:start + MOST_PATHS])
        for line in reply.decode("ascii", "replace").splitlines():
            found = re.fullmatch(r"(\d{1,15}) ([0-9a-f]{64}|-) (/\S+)", line)
            if not found or found[3] not in wanted:
                raise BadReply(f"{self.name}: asked for a file's sha256, answered {excerpt(line.encode())!r}")
            held[found[3]] = Held(int(found[1]), found[2].strip("-"))
        return held

    def _do(self, *argv: str, most_bytes: int = REPLY_BYTES) -> bytes:
        """What the command writes to stdout. Raises DeviceRefused where it fails."""
        done = self._wire.run(argv, seconds=CONTROL_SECONDS, most_bytes=most_bytes)
        if done.code:
            raise DeviceRefused(f"{self.name}: {argv[0]} failed ({done.code}): {excerpt(done.stderr)}")
        return done.stdout


def excerpt(reply: bytes) -> str:
    """The beginning of what a device said, printable, on one line."""
    text = re.sub(r"[^ -~]+", " ", reply[:1000].decode("ascii", "replace")).strip()
    return text if len(text) <= 200 else text[:200] + "..."
