"""The page of benchmark_pruning.py, in Markdown, of its figures alone."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from peers_report import conditions as versions
from peers_report import table
from pruning_figures import (
    BOARD,
    GAIN,
    HOST,
    MARGIN,
    NARROW,
    ON_HOST,
    OURS,
    PLAIN,
    ROUNDED_FOR,
    SHARES,
    SIDES,
    THEIRS,
    UNPRUNED,
    Cell,
    Measured,
)
from pruning_judgement import Found, Gain, gains, missed, points, total_drops

from toolchain.paired import mcnemar

# Accuracy at the same MACs ----------------------------------------------------------------------------------

def summary(found: Found) -> str:
    """Ours beside the best of theirs."""
    rows = [[f"{p.network}, {1 / p.share:.0f}x fewer MACs", f"{p.drop:.2f}",
             f"{p.best_drop:.2f} ({p.best.removeprefix('Torch-Pruning, ')})", f"{p.best_drop - p.drop:+.2f}",
             f"{p.test.p:.3f}"] for p in points(found)]
    gain = np.mean([p.best_drop - p.drop for p in points(found)]) if rows else 0.0
    rows.append(["mean", "", "", f"**{gain:+.2f}**", ""])
    return table(["drop in points", "ours", "Torch-Pruning's best", "better by", "McNemar p"], rows)


def network_table(found: Found, network: str) -> str:
    """Every side that has all seeds, at every share: MACs, drop, p of ours beside it."""
    whole = found.cells(network, UNPRUNED, 1.0)
    accuracy = [100 * found.tuned[cell].test for cell in whole]
    n = found.tuned[whole[0]].n
    sides = {side: [text for share in SHARES for text in _side(found, network, side, share)]
             for side in SIDES}
    rows = [[f"**{side}**" if side == OURS else side, *told] for side, told in sides.items() if any(told)]
    columns = [f"{1 / share:.0f}x: {what}" for share in SHARES for what in ("MACs", "drop", "p")]
    head = f"{network}: {_spread(accuracy)} % unpruned, n = {n} x {len(whole)}"
    return table([head, *columns], rows)


def _side(found: Found, network: str, side: str, share: float) -> tuple[str, str, str]:
    cells, mine = found.cells(network, side, share), found.cells(network, OURS, share)
    if not cells:
        failed = any((cell.network, cell.side, cell.share) == (network, side, share) for cell in found.failed)
        return "does not run" if failed else "", "", ""
    left = np.mean([found.tuned[cell].macs[1] / found.tuned[cell].macs[0] for cell in cells])
    p = f"{mcnemar(found.right(mine), found.right(cells)).p:.3f}" if mine and side in THEIRS else ""
    return f"{left:.1%}", _spread(found.drops(cells)), p


def _spread(values: Iterable[float]) -> str:
    """Mean and standard deviation over seeds."""
    values = [*values]
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


# What is gained on targets ----------------------------------------------------------------------------------

def gain_table(found: Found) -> str:
    """Of one seed."""
    timed = sorted((g for g in gains(found) if g.host),
                   key=lambda g: (g.cell.network, -g.cell.share, [*SIDES, NARROW].index(g.cell.side)))
    rows = [[_point(g.cell), f"{g.macs:.2f}x", _told(g, BOARD, g.instructions), _told(g, HOST, g.host),
             f"{found.timed[g.cell].ms[0]:.4f}"] for g in timed]
    return table([f"fewer, seed {found.seeds[0]}", "MACs", f"instructions, {BOARD}", "CPU time, this host",
                  "ms"], rows)


def _point(cell: Cell) -> str:
    name = f"{1 / cell.share:.0f}x, " if cell.share in SHARES else ""
    return f"{cell.network}, {name}{cell.side}"


def _told(gain: Gain, target: str, value: float) -> str:
    """Marked where this is the target that it is rounded for."""
    text = f"{value:.2f}x"
    return f"**{text}**" if ROUNDED_FOR.get(gain.cell.side) == target else text


def together_table(found: Found) -> str:
    """Half of the MACs and INT8, beside the float network."""
    rows = []
    for network in found.networks:
        rows.append(_deployed_row(found, f"{network}, unpruned", found.cells(network, UNPRUNED, 1.0)))
        rows.append(_deployed_row(found, f"**{network}, 2x pruned**", found.cells(network, OURS, SHARES[0])))
    return table(["as INT8", "file, B", "flash, B", "RAM, B", "instructions", "host, ms", "accuracy, %",
                  "drop from float, unpruned"], [row for row in rows if row])


def _deployed_row(found: Found, name: str, cells: list[Cell]) -> list[str]:
    figures = [found.deployed[cell] for cell in cells if cell in found.deployed]
    if not figures:
        return []
    first, drops = figures[0], total_drops(found, cells)
    ms = [t.ms[0] if t.cell == cells[0] else t.ms[1] for t in found.timed.values()
          if t.cell == cells[0] or t.cell.unpruned == cells[0]]
    return [name, f"{first.file_bytes:,}", f"{first.flash:,}", f"{first.ram:,}", f"{first.instructions:,}",
            f"{np.median(ms):.4f}" if ms else "", _spread(100 * f.test for f in figures), _spread(drops)]


# Criteria and the truth -------------------------------------------------------------------------------------

def rank_table(found: Found) -> str:
    criteria = dict.fromkeys(name for figure in found.correlated for name in figure.ranks)
    rows = [[name, *(f"{value:.2f}" for figure in found.correlated for value in figure.ranks[name])]
            for name in criteria]
    columns = [f"{figure.network}, {what}" for figure in found.correlated
               for what in ("Spearman", "Kendall", "Spearman in groups", "Kendall in groups")]
    return table(["criterion", *columns], rows)


# The page, and the judgement --------------------------------------------------------------------------------

def conditions(their_python: Path) -> str:
    """When, on what, with which versions."""
    return versions(their_python, ("torch", "torch-pruning", "numpy"))


def page(figures: Iterable[Measured]) -> str:
    found = Found.of(figures)
    tables = [summary(found), *(network_table(found, network) for network in found.networks),
              _failures(found), "## On the target", gain_table(found), "## Half of the MACs and INT8",
              together_table(found), "## Criteria beside the truth", rank_table(found)]
    return "\n\n".join([HEAD, f"Measured {found.said} {found.hours:.1f} hours of one core.",
                        "## Accuracy at the same MACs", *tables, "## Bounds", _bounds(found)]) + "\n"


def _failures(found: Found) -> str:
    lines = [f"- {cell.text}: `{why}`" for cell, why in found.failed.items()]
    return "\n".join(["What does not run:", "", *(lines or ["- nothing"])])


def _bounds(found: Found) -> str:
    lines = "\n".join(f"- {line}" for line in sorted(missed(found))) or "All hold."
    return f"{lines}\n\n{REACH}\n\n{_by_name(found)}"


def _by_name(found: Found) -> str:
    """How many cells gain GAIN of what their point is called after."""
    points, told = " and ".join(f"{GAIN / share:.1f}x" for share in SHARES), []
    for side, target, name in ((OURS, BOARD, "instructions"), (ON_HOST, HOST, "host")):
        held = [getattr(g, name) >= GAIN / g.cell.share for g in gains(found)
                if g.cell.side == side and getattr(g, name)]
        told.append(f"{sum(held)} of {len(held)} on {target}")
    return f"{GAIN} of what the points are called after is {points}. So much gain: {', '.join(told)}."


REACH = f"""A target is held to {GAIN} of a network's own ratio of MACs. "{NARROW}" says what it
could gain at most: LiteRT takes 16 channels and more at once, and an inference of such networks is a few tens
of microseconds on this host."""

HEAD = f"""# Pruning, beside Torch-Pruning

`make benchmark-pruning` trains four networks once, and prunes each to a half and a quarter of its MACs: by
`[prune] schedule = "gates"`, which learns in the first three tenths of the epochs what goes, and by
Torch-Pruning 1.6.1 with its criteria (one global ranking, small steps until the MACs are reached, its last
layer left alone), before the first epoch. All else is the same for both: the same epochs of the same
optimiser on the same augmented batches, taught by the same unpruned network; batch norms re-estimated on the
same samples after pruning. The drop is against the unpruned network, tuned just as long. Speech is split by
speaker, the watch by person.

"{OURS}" has two budgets: the share of the MACs, and of the Cortex-M4's instructions, by its measured table,
what is {GAIN} of that gain: {GAIN / SHARES[0]:.1f}x and {GAIN / SHARES[1]:.1f}x, with {1 - MARGIN:.0%} to
spare. Where that asks for fewer MACs than the share, it has fewer, and what it is compared with has more. It
keeps multiples of what the table likes. Two others are limited by MACs alone, with the first seed:
"{ON_HOST}", in multiples of what this host's table likes, and "{PLAIN}".

Figures are means over the seeds and their standard deviation; p is McNemar's exact test on the hits of all
seeds, taken for independent, though their samples are the same: it is too small rather than too large. The
best criterion of Torch-Pruning is the one that did best on the test samples themselves."""
