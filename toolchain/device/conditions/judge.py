"""Whether a device's conditions let its figures stand: problems, what is merely worth noting, and the facts.

Rules read what was seen, never the figures. What a device cannot tell is said to be not there: that is no
proof that all was well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from toolchain.device.conditions.clocks import (
    boosts,
    clock_fell,
    fastest,
    governor_changed,
    limit_moved,
)
from toolchain.device.conditions.commands import flags_since_boot
from toolchain.device.conditions.heat import (
    android_slowed,
    core_celsius,
    firmware_throttled,
    processor_throttled,
    too_warm,
)
from toolchain.device.conditions.history import History
from toolchain.device.conditions.limits import Limits
from toolchain.device.conditions.load import (
    others_cpus,
    others_ran,
    steal_share,
    stolen,
    tasks_waited,
    waited_share,
)
from toolchain.device.conditions.probes import Value

NOT_THERE = "not there"
RULES = (limit_moved, clock_fell, governor_changed, firmware_throttled, android_slowed, processor_throttled,
         too_warm, stolen, others_ran, tasks_waited)


@dataclass(frozen=True)
class Judgement:
    """problems: each makes the run invalid;  notes: worth knowing;  facts: for Measurement.conditions"""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Mapping[str, Value]


def judge(seen: History, own_cpu_s: float | None = None, limits: Limits = Limits()) -> Judgement:
    """Every rule on one run.

    own_cpu_s: CPU time of the inference process, loading included; None: load of others is not told
    """
    seen = replace(seen, own_cpu_s=own_cpu_s)
    problems = tuple(problem for rule in RULES for problem in rule(seen, limits))
    return Judgement(problems, tuple(_notes(seen)), _facts(seen))


def _notes(seen: History) -> Iterator[str]:
    governors = sorted({str(name) for name in seen.before.values.get("governor", {}).values()})
    if governors and governors != ["performance"]:
        yield (f"the governor is {', '.join(governors)}, not performance: what runs after a rest is slower "
               f"at first")
    highest = seen.before.values.get("highest_khz", {})
    for policy, limit in seen.before.values.get("limit_khz", {}).items():
        if float(limit) < float(highest.get(policy, 0)):
            yield (f"{policy}: the clock is limited to {float(limit) / 1e3:,.0f} MHz of "
                   f"{float(highest[policy]) / 1e3:,.0f}")
    if (shares := fastest(seen)) and boosts(seen):
        yield f"clocks boost: the fastest core ran at {min(shares):.0%} to {max(shares):.0%} of the highest"
    for value in seen.before.values.get("throttled", {}).values():
        if earlier := flags_since_boot(int(value)):
            yield f"before this run, since boot, the firmware reported {', '.join(earlier)}"


def _facts(seen: History) -> dict[str, Value]:
    """Flat, the same keys for every device."""
    clocks = [clock / 1e3 for policy in seen.during.get("frequency_khz", {})
              for clock in seen.numbers("frequency_khz", policy)]
    named = [str(seen.first(key)) for key in ("product", "machine") if seen.first(key)]
    return {"machine": ", ".join(named) or NOT_THERE,
            "governor": _joined(seen.before.values.get("governor", {})),
            "clock_lowest_mhz": _rounded(min(clocks, default=None), 0),
            "clock_highest_mhz": _rounded(max(clocks, default=None), 0),
            "celsius_before": _rounded(_celsius(seen, 0), 1),
            "celsius_after": _rounded(_celsius(seen, -1), 1),
            "celsius_most": _rounded(max(core_celsius(seen), default=None), 1),
            "throttled": _throttled(seen),
            "load_before": _rounded(seen.first("load"), 2),
            "others_cpus": _rounded(others_cpus(seen), 2),
            "steal": _rounded(steal_share(seen), 4), "cpu_waited": _rounded(waited_share(seen), 4),
            "battery_percent": _rounded(seen.last("battery_percent"), 0)}


def _joined(values: Mapping[str, Value]) -> str:
    return ", ".join(sorted({str(value) for value in values.values()})) or NOT_THERE


def _rounded(value: Value | None, digits: int) -> Value:
    return NOT_THERE if value is None else round(float(value), digits)


def _celsius(seen: History, end: int) -> float | None:
    """Of the processor's warmest zone, before (0) or after (-1)."""
    return max(core_celsius(seen.only(end)), default=None)


THROTTLING = {"throttled": "#x", "thermal_status": "d", "throttle_count": "d"}


def _throttled(seen: History) -> str:
    """What each thing that tells of throttling said."""
    told = []
    for key, form in THROTTLING.items():
        values = [format(int(value), form) for place in seen.places(key) for value in seen.all(key, place)]
        if values:
            told.append(f"{key.replace('_', ' ')} {', '.join(dict.fromkeys(values))}")
    return "; ".join(told) or NOT_THERE
