"""A look at a device: its small files and what its own programs say, in a few commands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
import re

from toolchain.device.conditions.commands import COMMANDS, Values
from toolchain.device.conditions.probes import Probe, Value, probes
from toolchain.device.runner.record import MOST_WATCHED
from toolchain.device.transports.transport import WORD, Transport
from toolchain.errors import BadReply

SECONDS = 20.0
MOST_BYTES = 4 * 2**20
"""/proc/cpuinfo takes 1.5 kB for each CPU of a server's."""
MOST_FILES = 400
MISSING_PROGRAM = (126, 127)
UNKNOWN = ("<unknown>", "<unsupported>")
"""cpufreq's own words for what a driver cannot tell."""


@dataclass(frozen=True)
class ProbedFile:
    """A file that a value is read from. place: what stands for the pattern's `*` ("policy0"), or ""."""

    probe: Probe
    place: str


@dataclass(frozen=True)
class Look:
    """values: key -> place -> value; what the device has not is not there
    files:  path -> what it is, of all that could be read
    """

    values: Values
    files: Mapping[str, ProbedFile] = field(default_factory=dict)


def look(transport: Transport, family: str, root: str = "") -> Look:
    """Everything that a device of this family tells of its conditions.

    root: where /sys and /proc lie, for a tree that stands in
    Raises BadReply where an answer is not what its source says, DeviceUnavailable.
    """
    known = {path: ProbedFile(probe, place) for probe in probes(family)
             for path, place in _expand(transport, probe.pattern, root)}
    values: Values = {}
    files = {}
    for path, text in _read(transport, list(known)).items():
        file = files[path] = known[path]
        values.setdefault(file.probe.key, {})[file.place] = read_value(file, text)
    for argv, parse in COMMANDS.get(family, {}).items():
        answer = transport.start(argv, seconds=SECONDS, most_bytes=MOST_BYTES)
        if answer.code == 0:
            _merge(values, parse(answer.stdout.decode("utf-8", "replace")))
    return Look(values, files)


def _merge(values: Values, found: Values) -> None:
    """What a program says beside what a file does: the file's own place has precedence."""
    for key, at in found.items():
        values.setdefault(key, at)


def read_value(file: ProbedFile, text: str) -> Value:
    """Raises BadReply, naming the file."""
    try:
        return file.probe.read(text)
    except BadReply as error:
        raise BadReply(f"{file.probe.pattern}: {error}") from None


def watch_paths(found: Look) -> tuple[str, ...]:
    """The files to read while inferences run, most telling first, as many as a runner takes."""
    watched = [path for path, file in found.files.items()
               if file.probe.watched and _telling(found, file)]
    rounds = sorted(watched, key=lambda path: _rank(found, found.files[path]))
    return tuple(path for path in rounds if WORD.fullmatch(path))[:MOST_WATCHED]


def _telling(found: Look, file: ProbedFile) -> bool:
    """All but temperatures of what is no processor."""
    zone = str(found.values.get("zone", {}).get(file.place, ""))
    return file.probe.key != "temperature_celsius" or is_core(zone)


CORE = re.compile(r"cpu.*|mtktscpu|x86_pkg_temp|soc[-_0-9].*|big.*|mid|little.*|cluster.*|ap", re.IGNORECASE)
"""Raspberry Pi, Qualcomm and Allwinner; MediaTek; Intel; Rockchip; Google and Samsung. Not a phone's "soc",
which is its battery's state of charge."""


def is_core(zone: str) -> bool:
    """Whether a thermal zone's type is the processor's; others may not be temperatures at all."""
    return bool(CORE.fullmatch(zone))


def _rank(found: Look, file: ProbedFile) -> tuple[int, int]:
    """Flags of throttling, then each policy's clock with its limit, the warmest zones, governors."""
    order = ("throttled", "frequency_khz", "limit_khz", "temperature_celsius", "governor")
    key = file.probe.key
    value = found.values[key][file.place]
    warm = -round(value) if key == "temperature_celsius" and not isinstance(value, str) else 0
    return order.index(key), warm


def _expand(transport: Transport, pattern: str, root: str) -> list[tuple[str, str]]:
    """(path, what stands for `*`) of the paths that a pattern may mean; of one without `*`, itself."""
    found = [(root, "")]
    for part in pattern.strip("/").split("/"):
        if "*" not in part:
            found = [(f"{path}/{part}", name) for path, name in found]
            continue
        found = [(f"{path}/{entry}", entry) for path, _ in found for entry in _names(transport, path)
                 if fnmatchcase(entry, part)]
    return found[:MOST_FILES]


def _names(transport: Transport, folder: str) -> list[str]:
    """What lies in a folder; nothing where there is none."""
    answer = transport.start(("ls", "-1", folder), seconds=SECONDS, most_bytes=MOST_BYTES)
    lines = answer.stdout.decode("ascii", "replace").split("\n") if answer.code == 0 else []
    return sorted((line for line in lines if WORD.fullmatch(line) and "/" not in line), key=_natural)


def _natural(name: str) -> tuple[int, str]:
    """thermal_zone2 before thermal_zone10."""
    return len(name), name


def _read(transport: Transport, paths: Sequence[str]) -> dict[str, str]:
    """Path -> text of all that can be read, in one command: `grep -Hs .` begins each line with its file."""
    if not paths:
        return {}
    answer = transport.start(("grep", "-Hs", ".", *paths), seconds=SECONDS, most_bytes=MOST_BYTES)
    if answer.code in MISSING_PROGRAM:
        raise BadReply(f"{transport.name}: has no grep to read its files with")
    return _split(answer.stdout.decode("utf-8", "replace").split("\n"), paths)


def _split(lines: Iterable[str], paths: Sequence[str]) -> dict[str, str]:
    """Lines "path:text" by path, in the order asked for. A path may hold colons, so each is tried whole."""
    texts: dict[str, list[str]] = {path: [] for path in paths}
    for line in lines:
        ends = [i for i, letter in enumerate(line) if letter == ":"]
        path = next((line[:end] for end in ends if line[:end] in texts), None)
        if path is not None:
            texts[path].append(line[len(path) + 1:])
    return {path: "\n".join(text) for path, text in texts.items() if text and text[0] not in UNKNOWN}
