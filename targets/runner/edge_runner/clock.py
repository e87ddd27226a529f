"""The clocks of the record, in nanoseconds."""

import time


def raw_ns():
    """CLOCK_MONOTONIC_RAW: not slewed by NTP."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def cpu_ns():
    """CPU time of the process with all its threads."""
    return time.process_time_ns()
