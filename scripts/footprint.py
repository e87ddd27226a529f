"""What a process costs: CPU seconds by stage, imports apart, and peak memory.

Standard library only: it is also imported in the peers' environment.
"""

import importlib
import importlib.util
import json
from pathlib import Path
import re
import resource


def cpu_s() -> float:
    """User and system CPU seconds of this process and the children that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def memory_bytes(key: str) -> int:
    """A field of /proc/self/status: VmRSS is what is resident now, VmHWM the most that ever was (proc(5))."""
    return 1024 * int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


class Footprint:
    """A clock that tells imports from work wherever they happen: torch and the peers import hundreds of
    modules when they are first called.

    cpu: stage -> CPU seconds without imports; "imports" is what they took in all stages
    """

    def __init__(self):
        self.cpu = {"imports": 0.0}
        self.imported_bytes = 0
        self._importing = False
        self._find_and_load = importlib._bootstrap._find_and_load
        importlib._bootstrap._find_and_load = self._timed_import  # every import of a new module calls it
        self._mark()

    def _timed_import(self, *args):
        if self._importing:
            return self._find_and_load(*args)
        start, self._importing = cpu_s(), True
        try:
            return self._find_and_load(*args)
        finally:
            self.cpu["imports"] += cpu_s() - start
            self._importing = False

    def _mark(self) -> None:
        self._start, self._imports = cpu_s(), self.cpu["imports"]

    def begin(self) -> None:
        """The packages are imported; work begins."""
        self.imported_bytes = memory_bytes("VmRSS")
        self._mark()

    def stage(self, name: str) -> None:
        """What was done since the last stage, or since `begin`, was `name`."""
        self.cpu[name] = cpu_s() - self._start - (self.cpu["imports"] - self._imports)
        self._mark()

    def record(self) -> str:
        """One JSON object: "cpu_s" by stage; of this process or its largest child, "peak_bytes", of which
        "imported_bytes" were resident at `begin`."""
        children = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return json.dumps({"cpu_s": self.cpu, "imported_bytes": self.imported_bytes,
                           "peak_bytes": max(memory_bytes("VmHWM"), children)})


FOOTPRINT = Footprint()
"""It runs from here: import this module before those that are to be measured."""


def network(spec: str):
    """(module, example) of "file.py:function"."""
    path, _, function = spec.rpartition(":")
    found = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return getattr(module, function)()
