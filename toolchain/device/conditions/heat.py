"""Whether a device slowed itself down, or was about to: each rule yields what is wrong, a line a problem."""

from collections.abc import Iterator

from toolchain.device.conditions.commands import STATUS, flags_now, flags_since_boot
from toolchain.device.conditions.history import History
from toolchain.device.conditions.limits import Limits
from toolchain.device.conditions.look import is_core


def firmware_throttled(seen: History, limits: Limits) -> Iterator[str]:
    """A Raspberry Pi's flags: set at any look, or come up between two."""
    numbers = [int(value) for place in seen.places("throttled") for value in seen.all("throttled", place)]
    if not numbers:
        return
    flags = {name for number in numbers for name in flags_now(number)}
    flags |= {name for number in numbers for name in flags_since_boot(number)} - {
        name for name in flags_since_boot(numbers[0])}
    if flags:
        yield (f"the firmware reports {', '.join(sorted(flags))} during the run (get_throttled "
               f"{max(numbers):#x}); cool the board, use a supply of 5 V that holds")


def android_slowed(seen: History, limits: Limits) -> Iterator[str]:
    """Android's own word on heat, battery saver, and a battery that is nearly empty."""
    worst = max(map(int, seen.ends("thermal_status")), default=0)
    if worst:
        yield (f"Android's thermal status was {worst} ({STATUS[worst]}), 0 (none) is needed; let the phone "
               f"cool down")
    if any(seen.ends("battery_saver")):
        yield "battery saver is on, which caps clocks; switch it off"
    percent = min(map(int, seen.ends("battery_percent")), default=100)
    if percent < limits.battery_percent:
        yield f"the battery is at {percent} %; under {limits.battery_percent} % phones slow down: charge it"


def processor_throttled(seen: History, limits: Limits) -> Iterator[str]:
    """x86: interrupts of the thermal monitor, as the kernel counts them."""
    after = seen.after.values.get("throttle_count", {})
    events = sum(int(after.get(cpu, before)) - int(before)
                 for cpu, before in seen.before.values.get("throttle_count", {}).items())
    if events > 0:
        yield f"the processor throttled {events} times during the run (core_throttle_count); cool it"


def too_warm(seen: History, limits: Limits) -> Iterator[str]:
    """Beyond the limit at any look."""
    found = core_celsius(seen)
    if found and max(found) > limits.celsius:
        yield f"the processor was at {max(found):.1f} C, {limits.celsius:.0f} C is the most; cool the device"


def core_celsius(seen: History) -> list[float]:
    """All temperatures seen of the processor: of its thermal zones and of a Raspberry Pi's firmware."""
    zones = seen.before.values.get("zone", {})
    cores = [zone for zone in seen.places("temperature_celsius") if is_core(str(zones.get(zone, "")))]
    found = [float(value) for place in cores for value in seen.all("temperature_celsius", place)]
    return found + [float(value) for value in seen.ends("chip_celsius")]
