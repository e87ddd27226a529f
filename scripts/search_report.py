"""The page of benchmark_search.py, in Markdown, of its figures alone."""

from collections.abc import Iterable

from figures import Figure
import numpy as np
from peers_report import table
from search_judgement import (
    LEAST_LOST,
    WORST,
    Found,
    below,
    missed,
    saving,
    selected_volume,
    tested_volume,
)
from search_networks import CASES
from search_runs import BOARD, GRID, LONG, OURS

HEAD = f"""# Searching beside chance and habit

Made by `make benchmark-search`; needs the measuring kit. Each method tries as many recipes of the same space
on the same samples, and trains each for as many epochs; of `edge search` most go on from the weights of one
that it tried before. "Random search" is its own with `sampler = "random"`. "{GRID}" prunes the same share of
all channels, a third of the trials by each of three criteria; "{LONG}", on the networks that are trained
soonest, does so by one criterion, at a third as many shares, each trained three times as long. Limits: 95 %
of the RAM and flash of the network as it came, in INT8. Instructions are those of an inference on {BOARD},
an emulated board: exact, and neither time nor energy.

A **hypervolume** is the area between the front and the corner of the network's own instructions and so many
points of lost accuracy: instructions as shares, accuracy in points. It is held against its bound on **test
samples**, of the networks that selection samples chose: what one gets. On selection samples it is what a
search is after, and flattered by these: of what was tried to raise it some lowered the other
(decisions/0019-heirs.md).
"""
VOLUMES = {"test": tested_volume, "selection": selected_volume}


def page(figures: Iterable[Figure]) -> str:
    found = Found.of(figures)
    said = f"Measured {found.said} {found.hours:.1f} hours of one core."
    if absent := [case.title for name, case in CASES.items() if name not in found.networks]:
        said += f" Not in this run: {'; '.join(absent)}."
    bounds = "\n".join(f"- {line}" for line in missed(found)) or "All hold, on test samples."
    if less := [*below(found, selected_volume, "selection")]:
        bounds += "\n\nLess than is asked for on selection samples, on which no bound is held:\n\n"
        bounds += "\n".join(f"- {line}" for line in less)
    fronts = [front_table(found, network) for network in found.networks]
    parts = [HEAD.rstrip(), said, volume_table(found), saving_table(found), *fronts, "## Bounds", bounds]
    return "\n\n".join(parts) + "\n"


def volume_table(found: Found) -> str:
    """Ratios of mean hypervolumes over seeds."""
    rows = []
    for network in found.networks:
        for method, bound in found.against(network):
            ratios = [f"{found.ratio(network, method, worst, of):.2f}"
                      for of in VOLUMES.values() for worst in WORST]
            rows.append([CASES[network].title, method, f"{bound:.2f}" if bound else "-", *ratios])
    heads = [f"{samples}, {worst:g} points" for samples in VOLUMES for worst in WORST]
    return "## Hypervolume of `edge search` over another method's\n\n" + table(
        ["network", "beside", "asked for (first)", *heads], rows)


def saving_table(found: Found) -> str:
    rows = []
    for (network, method), searches in found.searches.items():
        savings = [saving(one) for one in searches]
        told = ", ".join("none" if times is None else f"{times:.2f}x" for times in savings)
        rows.append([CASES[network].title, method, told,
                     f"{np.mean([one.epochs for one in searches]):.0f}",
                     f"{np.mean([one.spared for one in searches]):.1f}",
                     f"{np.mean([one.seconds for one in searches]) / 60:.0f}"])
    head = f"## Fewer instructions than INT8 as it came, at {LEAST_LOST:g} points on test samples"
    return f"{head}\n\n" + table(["network", "method", "by seed", "epochs", "not trained: break a limit",
                                  "minutes"], rows)


def front_table(found: Found, network: str) -> str:
    """Of the first seed's search."""
    one = found.searches[network, OURS][0]
    plain, rows = one.plain, []
    for cost, lost, tested, error in sorted(one.front):
        rows.append([f"{cost:,.0f}", f"{plain[0] / cost:.2f}x", f"{lost:.2f}", f"{tested:.2f} ± {error:.2f}"])
    said = (f"As it came, in INT8: {plain[0]:,.0f} instructions, {plain[1]:,.0f} bytes of RAM, "
            f"{plain[2]:,.0f} of flash; loses {plain[3]:.2f} points on {one.n[0]:,} selection samples, "
            f"{plain[4]:.2f} on {one.n[1]:,} test samples.")
    return "\n\n".join([f"## {CASES[network].title}: the front of seed {one.task.seed}", said, table(
        ["instructions", "fewer", "points lost, selection", "points lost, test"], rows)])
