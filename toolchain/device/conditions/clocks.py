"""How fast the cores ran: each rule yields what is wrong, one line a problem."""

from collections.abc import Iterator

from toolchain.device.conditions.history import History
from toolchain.device.conditions.limits import Limits


def limit_moved(seen: History, limits: Limits) -> Iterator[str]:
    """The kernel lowers a policy's highest clock where it gets warm (cpufreq cooling), as users do."""
    for policy in seen.places("limit_khz"):
        found = [float(value) for value in seen.all("limit_khz", policy)]
        if found and min(found) < max(found):
            yield (f"{policy}: the clock's limit moved between {min(found) / 1e3:,.0f} and "
                   f"{max(found) / 1e3:,.0f} MHz; cool the device, stop what sets it")


def clock_fell(seen: History, limits: Limits) -> Iterator[str]:
    """Below its limit to the end, or after it had come close: a governor needs a moment at the beginning.

    Where clocks boost, the limit is what one core reaches for a while: then against the best of the run.
    """
    shares = fastest(seen)
    if not shares:
        return
    best = max(shares) if boosts(seen) else 1.0
    reached = next((i for i, share in enumerate(shares) if share >= limits.clock * best), None)
    remedy = f"({limits.clock * best:.0%} needed); set the governor to performance, cool the device"
    if reached is None:
        yield f"the clock never came above {max(shares):.0%} of its limit {remedy}"
    elif (lowest := min(shares[reached:])) < limits.clock * best:
        yield f"the clock fell to {lowest:.0%} of its limit during the run {remedy}"


def boosts(seen: History) -> bool:
    """Whether the highest clock is one that cores cannot keep together (boost, turbo)."""
    return seen.first("boost") == 1 or seen.first("no_turbo") == 0


def fastest(seen: History) -> list[float]:
    """Of each round of looks during the run, the fastest watched policy's clock as a share of its limit: the
    cores that do not infer rest."""
    shares = []
    for policy in seen.during.get("frequency_khz", {}):
        limit = seen.before.values.get("limit_khz", {}).get(policy)
        if limit:
            shares.append([clock / float(limit) for clock in seen.numbers("frequency_khz", policy)])
    return [max(together) for together in zip(*shares, strict=False)]


def governor_changed(seen: History, limits: Limits) -> Iterator[str]:
    """Another one than before makes other figures."""
    for policy in seen.places("governor"):
        names = sorted({str(name) for name in seen.all("governor", policy)})
        if len(names) > 1:
            yield f"{policy}: the governor changed during the run ({', '.join(names)}); stop what changes it"
