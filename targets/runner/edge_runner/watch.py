"""Small text files (sysfs) read while inferences run, between them."""

import os

from edge_runner.clock import raw_ns
from edge_runner.record import encoded


class Watch:
    def __init__(self, paths, every_ns):
        self._paths, self._every_ns, self._last_ns, self._readings = paths, every_ns, None, []

    def read(self, always=False):
        now = raw_ns()
        if self._paths and (always or self._last_ns is None or now - self._last_ns >= self._every_ns):
            self._last_ns = now
            self._readings += [(index, raw_ns(), _value(path)) for index, path in enumerate(self._paths)]

    def record(self, record):
        for reading in self._readings:
            record.line("watch", *reading)


def _value(path):
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return encoded(os.read(file, 1000).rstrip(b" \n"))
        finally:
            os.close(file)
    except OSError as error:
        return f"!{error.errno}"
