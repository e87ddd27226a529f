"""What was seen of a device, in order: before the run, during it, after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from toolchain.device.conditions.look import UNKNOWN, Look, read_value
from toolchain.device.conditions.probes import Value
from toolchain.errors import BadReply

Told = tuple[int, int, str | None]
"""By a runner: index of the watched file, time in ns, its text; None where it could not be read."""
Timeline = dict[str, dict[str, list[tuple[int, Value]]]]
"""Key -> place -> (time in ns, value), in order."""


@dataclass(frozen=True)
class History:
    """own_cpu_s: CPU time of the inference process, loading included; None: load of others cannot be told"""

    before: Look
    after: Look
    during: Timeline
    own_cpu_s: float | None = None

    def first(self, key: str) -> Value | None:
        """Before the run, of a key with one place."""
        return next(iter(self.before.values.get(key, {}).values()), None)

    def last(self, key: str) -> Value | None:
        """After it."""
        return next(iter(self.after.values.get(key, {}).values()), None)

    def ends(self, key: str) -> list[Value]:
        """Before and after, of a key with one place."""
        return [value for value in (self.first(key), self.last(key)) if value is not None]

    def numbers(self, key: str, place: str) -> list[float]:
        """What was seen during the run."""
        return [value for _, value in self.during.get(key, {}).get(place, ()) if not isinstance(value, str)]

    def all(self, key: str, place: str) -> list[Value]:
        """What was seen in one place, in order."""
        looks = [self.before.values.get(key, {}).get(place), self.after.values.get(key, {}).get(place)]
        during = [value for _, value in self.during.get(key, {}).get(place, ())]
        return [value for value in (looks[0], *during, looks[1]) if value is not None]

    def places(self, key: str) -> list[str]:
        """Where something was seen at any time."""
        return list(dict.fromkeys((*self.before.values.get(key, ()), *self.during.get(key, ()),
                                   *self.after.values.get(key, ()))))

    def only(self, end: int) -> "History":
        """The look before (0) or after (-1) alone."""
        look = (self.before, self.after)[end]
        return replace(self, before=look, after=look, during={})


def history(before: Look, paths: Sequence[str], watched: Iterable[Told], after: Look) -> History:
    """paths: the runner's watched files: `watch_paths` of the look before, and others that are no conditions.

    Raises BadReply for a record of a file that was not asked for, or what that file never holds.
    """
    during: Timeline = {}
    for index, time_ns, text in watched:
        if not 0 <= index < len(paths):
            raise BadReply(f"the runner tells of watched file {index}; it was given {len(paths)}")
        file = before.files.get(paths[index])
        if file is None or text is None or text.strip() in UNKNOWN:
            continue
        seen = during.setdefault(file.probe.key, {}).setdefault(file.place, [])
        seen.append((time_ns, read_value(file, text)))
    return History(before, after, during)
