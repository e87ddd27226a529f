"""What a meter on a serial line does from open() to close(): a thread that reads, the time of its samples."""

from collections.abc import Callable
import threading

import numpy as np

from toolchain.errors import DeviceTimeout, InvalidMeasurement

CLOCK_PPM = 300.0
"""Limits of what a meter's crystal and the host's clock may differ by together."""
LOST_S = 0.05
"""A meter whose samples come so much later than they should by their number has lost some unseen."""
SETTLED_S = 1.0
"""Of samples that are judged so; fewer may have waited in a buffer together."""
JOIN_S = 5.0


class Background:
    """A thread that takes what a meter sends, piece by piece, from now on.

    take:    reads once, within a second, and keeps what came; what it raises is raised again by wait()
    changed: to be held where more than one thing that was kept is changed, or looked at
    """

    def __init__(self, take: Callable[[], None], changed: threading.Condition | None = None):
        self._take, self._changed, self._ended = take, changed or threading.Condition(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Until done() says so, which is asked whenever something was taken. Raises DeviceTimeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or done(), max(seconds, 0))
            if self._failure:
                raise self._failure
            if not done():
                raise DeviceTimeout(f"{what} did not come within {seconds:.1f} s")

    def end(self) -> None:
        """Nothing is taken any more."""
        self._ended.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._take()
                with self._changed:
                    self._changed.notify_all()
        except Exception as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()


class SendingMeter:
    """What meters on serial lines share that send samples by themselves from open() to close().

    Each has _connect(); _begin(), upon which samples come; _take(), which takes some of them; _any(), whether
    some came; and _stop(), which has it silent and lets go of the board.

    answer_s: within which samples are to come
    """

    def __init__(self, name: str, answer_s: float):
        self._name, self._answer_s, self._changed = f"meter '{name}'", answer_s, threading.Condition()
        self._background: Background | None = None

    def open(self) -> None:
        """Feed the board, where it does that, and begin to measure."""
        self._line = self._connect()
        try:
            self._begin()
            self._background = Background(self._take, self._changed)
            self._background.wait(self._any, self._answer_s, f"{self._name}: samples")
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Stop, take the board's supply away, and let go of the meter. A second time does nothing."""
        if self._background is None:
            return
        self._background.end()
        try:
            self._stop()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._background is not None:
            self._background.end()
            self._background = None
        self._line.close()


class SampleClock:
    """The host's time of samples that a meter takes at its own clock's rate and sends in pieces.

    A piece never comes before its last sample was taken: the times are the latest line below all arrivals,
    its slope within CLOCK_PPM of the meter's rate.
    """

    def __init__(self, rate_hz: float):
        self._rate_hz, self._hull = rate_hz, []

    def arrived(self, samples: int, time_s: float) -> None:
        """So many samples were there at time_s. Keeps the lower convex hull of all (Andrew 1979)."""
        while len(self._hull) > 1 and not _turns_left(*self._hull[-2:], (samples, time_s)):
            self._hull.pop()
        self._hull.append((samples, time_s))

    def times_s(self, numbers: np.ndarray) -> np.ndarray:
        """When each sample, numbered from 0, ended. Raises InvalidMeasurement where many were lost unseen."""
        slope, start = self._line()
        return start + slope * (np.asarray(numbers) + 1)

    def number_at(self, time_s: float) -> float:
        """The sample that ends then; may be beyond those that there are."""
        slope, start = self._line()
        return (time_s - start) / slope - 1

    def _line(self) -> tuple[float, float]:
        """Seconds a sample, and time of number 0: of the hull's edge above the middle of the samples."""
        middle = (self._hull[0][0] + self._hull[-1][0]) / 2
        right = next(i for i, (number, _) in enumerate(self._hull) if number >= middle)
        (x0, y0), (x1, y1) = self._hull[max(right - 1, 0)], self._hull[right]
        span_s, own_s = y1 - y0, (x1 - x0) / self._rate_hz
        if own_s > SETTLED_S and span_s - own_s > LOST_S + own_s * 1e-3:
            raise InvalidMeasurement(f"samples lag {span_s - own_s:.2f} s behind after {span_s:.1f} s: some "
                                     f"were lost unseen; free the host of load, or use another USB port")
        slope, limit = span_s / (x1 - x0) if own_s > 0 else 1 / self._rate_hz, CLOCK_PPM * 1e-6
        slope = min(max(slope, (1 - limit) / self._rate_hz), (1 + limit) / self._rate_hz)
        return slope, min(y - slope * x for x, y in self._hull)


def _turns_left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether the way from a over b to c does."""
    return (b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0])
