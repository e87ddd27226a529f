"""Objects of C sources. What nothing of a network shapes is compiled once, and kept in the user's cache.

An object is found by the compiler, its C library, the flags and every file of ours that is read. Where
something else may shape it, it is compiled anew.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
import os
from pathlib import Path
import re
import shutil
import subprocess

from toolchain.device.cache import cache_folder, kept

INCLUDE = re.compile(rb"^\s*#\s*include\b(.*)$", re.MULTILINE)
OURS, SYSTEMS = re.compile(rb'\s*"([^"]+)"'), re.compile(rb"\s*<[^>]+>")
HARMLESS = re.compile(r"-(O|std=|D|W(?!p,)|f(?!plugin)|m(?!\w+=native)|-specs=\w+\.specs$)")
"""Flags that name no file, and mean the same on every machine."""
PATHS = ("CPATH", "C_INCLUDE_PATH")
"""Variables by which gcc looks for headers elsewhere."""
OBJECT = "unit.o"


def compile_units(compiler: str, flags: Sequence[str], definitions: Sequence[str], units: Sequence[str],
                  folder: Path, own: Sequence[str] = ()) -> str:
    """Objects beside their sources. Returns the compiler's complaints, "" where it succeeds.

    definitions: "-DNAME" or "-DNAME=VALUE"; a unit gets those that it, or a file that it includes, names, and
                 all of them where names are put together
    units: names of sources in the folder, where all lie that they include by "..."
    own:   files that are no other network's: what includes one, or gets a definition, is not kept
    """
    later: dict[tuple[str, ...], list[str]] = {}
    for unit in units:
        read = _read(unit, folder)
        text = b"".join(read.values())
        given = tuple(each for each in definitions if b"##" in text or _name(each).encode() in text)
        if given or read.keys() & {*own} or not _told(unit, flags, read):
            later.setdefault(given, []).append(unit)
        elif failure := _kept(compiler, flags, unit, read, folder):
            return failure
    groups = ([*given, "-c", *names] for given, names in later.items())
    return next(filter(None, (run(compiler, [*flags, *group], folder) for group in groups)), "")


def run(compiler: str, options: Sequence[str], folder: Path) -> str:
    """In the folder. Returns the compiler's complaints, "" where it succeeds."""
    done = subprocess.run([compiler, *options], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    return (done.stderr.strip() or "it ends without a word") if done.returncode else ""


@cache
def described(compiler: str) -> bytes:
    """Which compiler that is, and which C library it has."""
    def said(option: str) -> subprocess.CompletedProcess:
        return subprocess.run([compiler, option], capture_output=True, check=False)

    library = Path(said("-print-file-name=libc.a").stdout.decode().strip() or ".")
    seen = library.stat() if library.is_file() else None
    stamp = f"{library} {seen.st_size} {seen.st_mtime_ns}" if seen else ""
    return compiler.encode() + said("-v").stderr + stamp.encode()


def _name(definition: str) -> str:
    return definition.removeprefix("-D").partition("=")[0]


def _read(unit: str, folder: Path) -> dict[str, bytes]:
    """Name -> contents of the unit and of all that it includes from the folder."""
    found, left = {}, [unit]
    while left:
        name = left.pop()
        if name not in found and (folder / name).is_file():
            found[name] = (folder / name).read_bytes()
            named = filter(None, map(OURS.match, INCLUDE.findall(found[name])))
            left += [match[1].decode() for match in named]
    return found


def _told(unit: str, flags: Sequence[str], read: Mapping[str, bytes]) -> bool:
    """Whether nothing shapes it but what is read, the flags and the compiler with its library."""
    def known(include: bytes) -> bool:
        ours = OURS.match(include)
        return ours[1].decode() in read if ours else bool(SYSTEMS.match(include))

    return (unit.endswith(".c") and all(map(HARMLESS.match, flags)) and not any(map(os.environ.get, PATHS))
            and all(known(include) for data in read.values() for include in INCLUDE.findall(data)))


class _Refused(Exception):
    """By the compiler."""


def _kept(compiler: str, flags: Sequence[str], unit: str, read: Mapping[str, bytes], folder: Path) -> str:
    """Compiled in its folder where the cache cannot be written."""
    def compiled(place: Path) -> None:
        if failure := run(compiler, [*flags, "-c", unit, "-o", str(place / OBJECT)], folder):
            raise _Refused(failure)

    parts = [described(compiler), "\0".join((*flags, unit)).encode()]
    parts += [part for name, data in sorted(read.items()) for part in (name.encode(), data)]
    key = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:32]
    try:
        place = kept(cache_folder() / "objects" / key, compiled)
    except _Refused as refused:
        return str(refused)
    except OSError:
        return run(compiler, [*flags, "-c", unit], folder)
    shutil.copyfile(place / OBJECT, (folder / unit).with_suffix(".o"))
    return ""
