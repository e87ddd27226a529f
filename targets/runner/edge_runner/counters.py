"""Instructions and cycles in user space, by perf_event_open, as perf.c counts them; peak memory."""

import ctypes
import fcntl
import os
import platform
import re
import struct
import sys


class Counters:
    """perf_event_open: user space, this process and threads that start later. As perf.c."""

    CALL = {"x86_64": 298, "aarch64": 241, "armv7l": 364, "riscv64": 241}
    ENABLE, DISABLE = 0x2400, 0x2401
    FLAGS = 1 | 2 | 32 | 64  # disabled, inherit, exclude_kernel, exclude_hv

    def __init__(self):
        number = self.CALL.get(platform.machine() if sys.maxsize > 2**32 else "armv7l")
        call = ctypes.CDLL(None, use_errno=True).syscall
        self._files = {}
        for name, config in (("instructions", 1), ("cycles", 0)) if number else ():
            wanted = struct.pack("<IIQQQQQ", 0, 112, config, 0, 0, 3, self.FLAGS).ljust(112, b"\0")
            file = call(ctypes.c_long(number), wanted, 0, -1, -1, ctypes.c_ulong(8))
            if file >= 0:
                self._files[name] = file

    def around(self, function, times, before=lambda i: None):
        for i in range(times):
            before(i)
            for file in self._files.values():
                fcntl.ioctl(file, self.ENABLE)
            function()
            for file in self._files.values():
                fcntl.ioctl(file, self.DISABLE)
        return {name: self._read(file) for name, file in self._files.items()}

    @staticmethod
    def _read(file):
        value, enabled, running = struct.unpack("<QQQ", os.read(file, 24))
        return value if enabled == running > 0 else None


def record_counts(record, counters, runtime, samples, times):
    """What starting and stopping takes is counted as often without an inference, and taken off."""
    empty = counters.around(lambda: None, times)
    total = counters.around(runtime.invoke, times, lambda i: runtime.set_inputs(samples.read(i)))
    for name, value in total.items():
        if value is not None and empty[name] is not None and value > 2 * empty[name]:
            record.line(name, (value - 2 * empty[name] + times // 2) // times)


def peak_kb():
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read(), re.MULTILINE)
    return int(found[1]) if found else 0
