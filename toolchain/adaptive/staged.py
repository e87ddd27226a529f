"""What a chain of files takes, of its stages measured one by one: expected, and in the worst case.

With t_k of stage k, which a share r_k of samples reaches: expected = sum_k r_k t_k, worst case = sum_k t_k.
Ends of intervals, and uncertainties, are summed likewise: stages share a device, its clock and its meter, so
their errors may go together. The sum is then no narrower than 95 % for errors that are jointly normal.
"""

from collections.abc import Sequence
import math

import msgspec

from toolchain.measurement import Energy, Latency, Measurement, Stage, Staged

NOTE = ("a chain of files: sums of stages measured one by one; the policy between them runs on this host and "
        "is not in it")
COUNTED = ("instructions", "cycles", "flash_bytes")
"""Fields of a Measurement that add up."""


def staged_figures(found: Sequence[Measurement], files: Sequence[str], reached: Sequence[float],
                   n: int) -> dict:
    """What a Measurement of the chain has of its stages': the worst case, and `staged`.

    files:   names of the stages' files;  reached: share of the n samples that reach each, 1 of the first
    """
    stages = tuple(Stage(file=file, artifact_digest=one.artifact_digest, reached=share,
                         error=math.sqrt(share * (1 - share) / max(n - 1, 1)), latency_us=one.latency_us,
                         instructions=one.instructions, energy=one.energy)
                   for one, file, share in zip(found, files, reached, strict=True))
    staged = Staged(stages=stages, n=n, latency_us=_latency(found, reached), energy=_energy(found, reached),
                    instructions=_sum([one.instructions for one in found], reached))
    every = [1] * len(found)
    return {"runtime": found[0].runtime, "runner": found[0].runner, "started_at": found[0].started_at,
            "latency_us": _latency(found, every), "energy": _energy(found, every),
            **{name: _sum([getattr(one, name) for one in found], every) for name in COUNTED},
            "conditions": _conditions(found), "staged": staged,
            "problems": tuple(f"{file}: {line}" for one, file in zip(found, files) for line in one.problems)}


def _sum(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """None where any is not known."""
    return None if None in values else sum(w * value for w, value in zip(weights, values, strict=True))


def _latency(found: Sequence[Measurement], weights: Sequence[float]) -> Latency | None:
    """Of medians, which have no quantiles but their intervals."""
    own = [one.latency_us for one in found]
    if None in own:
        return None
    median, low, high = (_sum([getattr(each, name) for each in own], weights)
                         for name in ("median", "low", "high"))
    return Latency(median, low=low, high=high, samples=sum(each.samples for each in own),
                   warm_up=sum(each.warm_up for each in own))


def _energy(found: Sequence[Measurement], weights: Sequence[float]) -> Energy | None:
    """By one meter."""
    own = [one.energy for one in found]
    if None in own:
        return None
    gross, net, error, net_error = (_sum(values, weights) for values in zip(*map(_known, own)))
    return msgspec.structs.replace(
        own[0], gross_uj=gross, uncertainty=error / gross, net_uj=net, idle_mw=None,
        net_uncertainty=None if net_error is None else net_error / net,
        window_s=sum(each.window_s for each in own), inferences=sum(each.inferences for each in own))


def _known(energy: Energy) -> tuple[float | None, ...]:
    """Gross and net energy, and how far either may be off, in microjoules."""
    net, share = energy.net_uj, energy.net_uncertainty
    return (energy.gross_uj, net, energy.gross_uj * energy.uncertainty,
            None if None in (net, share) else net * share)


def _conditions(found: Sequence[Measurement]) -> dict:
    """Those that all stages share, and all notes."""
    first, *others = (one.conditions for one in found)
    notes = dict.fromkeys(filter(None, (one.conditions.get("note", "") for one in found)))
    shared = {name: value for name, value in first.items()
              if name != "note" and all(name in each and each[name] == value for each in others)}
    return {**shared, "note": "; ".join((*notes, NOTE))}
