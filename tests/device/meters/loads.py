"""A board whose energy is known: it waits, runs inferences of two powers each, and waits again."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolchain.device.transports.transport import Finished
from toolchain.errors import DeviceUnavailable

EPOCH_S = 5000.0
"""Nothing begins at 0."""


@dataclass(frozen=True, eq=False)
class Load:
    """Power is flat between edges_s: (n,) rising; powers_mw: (n + 1,), of before, between and after them.

    starts_s: when each inference began and the last one ended, (inferences + 1,)
    """

    edges_s: np.ndarray
    powers_mw: np.ndarray
    starts_s: np.ndarray

    @property
    def begin_s(self) -> float:
        return float(self.starts_s[0])

    @property
    def end_s(self) -> float:
        return float(self.starts_s[-1])

    def power(self, time_s) -> np.ndarray:
        return self.powers_mw[np.searchsorted(self.edges_s, time_s, "right")]

    def total(self, time_s) -> np.ndarray:
        """mJ from the first edge to then."""
        time_s = np.asarray(time_s, np.float64)
        before = np.minimum(time_s - self.edges_s[0], 0) * self.powers_mw[0]
        after = np.maximum(time_s - self.edges_s[-1], 0) * self.powers_mw[-1]
        return np.interp(time_s, self.edges_s, self._knots_mj) + before + after

    @cached_property
    def _knots_mj(self) -> np.ndarray:
        return np.concatenate(([0.0], np.cumsum(self.powers_mw[1:-1] * np.diff(self.edges_s))))

    def mean(self, time_s, span_s: float) -> np.ndarray:
        """Over the span that ends then."""
        return (self.total(time_s) - self.total(np.asarray(time_s) - span_s)) / span_s

    def energy(self) -> float:
        """mJ of the inferences."""
        return float(self.total(self.end_s) - self.total(self.begin_s))


def square_load(rng: np.random.Generator, *, seconds: float, inference_s: float, idle_mw: float = 900.0,
                high_mw: float = 2600.0, low_mw: float = 2000.0, wait_s: float = 12.0) -> Load:
    """A square wave at the inference rate: each inference high for 40 to 80 % of its time, then low.

    No two inferences last alike (1 %), and they drift by up to 5 % over the run, as a warming processor does.
    """
    count = max(int(seconds / inference_s), 1)
    drift = np.linspace(1, 1 + rng.uniform(0, 0.05), count)
    durations = inference_s * drift * (1 + 0.01 * rng.standard_normal(count))
    begin = EPOCH_S + wait_s + rng.uniform(0, 1)
    starts = begin + np.concatenate(([0.0], np.cumsum(durations)))
    middles = starts[:-1] + durations * rng.uniform(0.4, 0.8)
    edges = np.concatenate((np.column_stack((starts[:-1], middles)).ravel(), starts[-1:]))
    powers = np.concatenate(([idle_mw], np.tile([high_mw, low_mw], count), [idle_mw]))
    return Load(edges, powers, starts)


class Replay:
    """Time that passes when it is slept or waited away, and a System whose files tell of it.

    files:   path -> its text at a time; None: not there
    latency: seconds until an answer, drawn for each question; it is read at a random moment in between
    """

    def __init__(self, rng: np.random.Generator, files: dict, latency: tuple[float, float] = (0.0002, 0.003),
                 commands: dict | None = None):
        self.files, self.commands = files, commands or {}
        self.time_s = EPOCH_S
        self._rng, self._latency = rng, latency

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds

    def _asked(self) -> float:
        took = self._rng.uniform(*self._latency)
        moment = self.time_s + took * self._rng.uniform(0, 1)
        self.time_s += took
        return moment

    def read(self, path: str) -> str:
        moment = self._asked()
        if path not in self.files:
            raise DeviceUnavailable(f"{path}: no such file")
        return self.files[path](moment)

    def run(self, argv) -> Finished:
        moment = self._asked()
        return Finished(0, self.commands[tuple(argv)](moment).encode(), b"")

    def names(self, folder: str) -> list[str]:
        inside = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]
        return sorted({name.split("/")[0] for name in inside})


def held(time_s, period_s: float, phase_s: float):
    """The last moment at which a meter that renews its reading every period_s did so."""
    return np.floor((np.asarray(time_s) - phase_s) / period_s) * period_s + phase_s
