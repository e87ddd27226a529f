"""Objects of C sources. What nothing of a network shapes is compiled once, and kept in the user's cache."""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
import re
import shutil
import subprocess

from toolchain.device.cache import cache_folder, kept

INCLUDED = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ELSEWHERE = "-I", "-i", "@", "-B"
"""How options begin that name files or folders: who changes these would be given an old object."""
OBJECT = "unit.o"


def compile_units(compiler: str, flags: Sequence[str], definitions: Sequence[str], units: Sequence[str],
                  folder: Path, own: Sequence[str] = ()) -> str:
    """Objects beside their sources. Returns the compiler's complaints, "" where it succeeds.

    definitions: "-DNAME" or "-DNAME=VALUE"; a unit gets those that it, or a file that it includes, names
    units: names of sources in the folder, where all lie that they include by "..."
    own:   files that are no other network's: what includes one, or gets a definition, is not kept, and
           nothing is where flags name files ELSEWHERE
    """
    later: dict[tuple[str, ...], list[str]] = {}
    elsewhere = any(flag.startswith(ELSEWHERE) for flag in flags)
    for unit in units:
        read = _read(unit, folder)
        text = b"".join(read.values())
        given = tuple(each for each in definitions if _name(each).encode() in text)
        if elsewhere or given or read.keys() & {*own}:
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
    """Which compiler that is."""
    return compiler.encode() + subprocess.run([compiler, "-v"], capture_output=True, check=False).stderr


def _name(definition: str) -> str:
    return definition.removeprefix("-D").partition("=")[0]


def _read(unit: str, folder: Path) -> dict[str, bytes]:
    """Name -> contents of the unit and of all that it includes from the folder."""
    found, left = {}, [unit]
    while left:
        name = left.pop()
        if name not in found and (folder / name).is_file():
            found[name] = (folder / name).read_bytes()
            left += [match.decode() for match in INCLUDED.findall(found[name])]
    return found


class _Refused(Exception):
    """By the compiler."""


def _kept(compiler: str, flags: Sequence[str], unit: str, read: Mapping[str, bytes], folder: Path) -> str:
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
    shutil.copyfile(place / OBJECT, (folder / unit).with_suffix(".o"))
    return ""
