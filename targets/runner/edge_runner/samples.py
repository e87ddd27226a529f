"""Files of samples, as samples.h says; read one at a time."""

import os
import stat

from edge_runner.fail import INPUT, fail


class Samples:
    def __init__(self, path, size):
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or not found.st_size or found.st_size % size:
            fail(INPUT, f"{path}: {found.st_size} bytes, not a number of samples of {size} bytes each")
        self._path, self._size, self.count = path, size, found.st_size // size

    def read(self, index):
        sample = os.pread(self._file, self._size, index % self.count * self._size)
        if len(sample) != self._size:
            fail(INPUT, f"{self._path}: was cut while it was read")
        return sample


class Results:
    """A file that takes its name when all is written; none without a path."""

    def __init__(self, path):
        self._path, self._file = path, open(path + ".unfinished", "wb") if path else None

    def write(self, data):
        if self._file:
            self._file.write(data)

    def close(self):
        if self._file:
            self._file.close()
            os.replace(self._path + ".unfinished", self._path)
