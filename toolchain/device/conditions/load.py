"""Who else used the CPUs: each rule yields what is wrong, one line a problem."""

from collections.abc import Iterator

from toolchain.device.conditions.history import History
from toolchain.device.conditions.limits import Limits

TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
TICKS_HZ = 100
"""USER_HZ, of all architectures in use."""


def stolen(seen: History, limits: Limits) -> Iterator[str]:
    """On a virtual machine whose hypervisor tells."""
    share = steal_share(seen)
    if share is not None and share > limits.steal:
        yield (f"the hypervisor gave {share:.1%} of the CPU time to others, {limits.steal:.0%} is the most; "
               f"measure when its host is idle")


def others_ran(seen: History, limits: Limits) -> Iterator[str]:
    """Ticks that were neither idle nor ours."""
    others = others_cpus(seen)
    if others is not None and others > limits.others_cpus:
        yield f"other programs kept {others:.2f} CPUs busy, {limits.others_cpus:.2f} are the most; end them"


def tasks_waited(seen: History, limits: Limits) -> Iterator[str]:
    """Pressure on the CPUs (the kernel's accounting/psi.rst)."""
    share = waited_share(seen)
    if share is not None and share > limits.waited:
        yield (f"tasks waited for a CPU in {share:.0%} of the time, {limits.waited:.0%} is the most; end "
               f"what else runs")


def steal_share(seen: History) -> float | None:
    """Of the CPU time between the looks; None where it is not counted."""
    passed = _ticks(seen)
    total = sum(passed.values())
    return passed["steal"] / total if total else None


def others_cpus(seen: History) -> float | None:
    """CPUs kept busy by others, on average between the looks."""
    passed, elapsed_s = _ticks(seen), _elapsed_s(seen)
    if not passed or not elapsed_s or seen.own_cpu_s is None:
        return None
    busy = sum(passed[name] for name in ("user", "nice", "system", "irq", "softirq"))
    return max(0.0, busy / TICKS_HZ - seen.own_cpu_s) / elapsed_s


def waited_share(seen: History) -> float | None:
    """Of the time between the looks, that in which some task was ready and had no CPU."""
    ends, elapsed_s = seen.ends("waited_us"), _elapsed_s(seen)
    return (float(ends[1]) - float(ends[0])) / 1e6 / elapsed_s if len(ends) == 2 and elapsed_s else None


def _ticks(seen: History) -> dict[str, int]:
    """Of all CPUs between the looks; empty where they are not counted. Each count may go back a little."""
    ends = [[int(number) for number in str(value).split()] for value in seen.ends("ticks")]
    if len(ends) < 2:
        return {}
    first, last = (dict(zip(TICKS, end, strict=False)) for end in ends)
    return {name: max(0, last.get(name, 0) - first.get(name, 0)) for name in TICKS}


def _elapsed_s(seen: History) -> float:
    ends = seen.ends("uptime_s")
    return float(ends[1]) - float(ends[0]) if len(ends) == 2 else 0.0
