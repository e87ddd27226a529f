"""The page of benchmark_training.py, in Markdown, of its figures alone."""

from collections.abc import Iterable

from figures import Figure
import numpy as np
from peers_report import table
from pruning_figures import BOARD, OURS, SHARES, UNPRUNED, Cell
from training_figures import DEFAULT, FLOAT, LABELS, LITERT, NEAREST, C, Coded, Drawn
from training_judgement import (
    LEAST_LOSS,
    Found,
    drops,
    fewer,
    lift,
    lost,
    macs_ratio,
    missed,
    overall,
    won_back,
)

from toolchain.paired import Interval


def page(figures: Iterable[Figure]) -> str:
    found = Found.of(figures)
    parts = {DISTILLATION: lesson_tables(found), QAT: code_tables(found), DRAWING: drawing_tables(found),
             SMALLER: smaller_table(found)}
    told = [text for head, body in parts.items() if body for text in (head, body)]
    bounds = "\n".join(f"- {line}" for line in missed(found)) or "All hold."
    said = f"Measured {found.said} {found.hours:.1f} hours of one core."
    return "\n\n".join([HEAD, said, *told, "## Bounds", bounds]) + "\n"


def _spread(values: Iterable[float]) -> str:
    """Mean and standard deviation over seeds."""
    values = [*values]
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


# Distillation -----------------------------------------------------------------------------------------------

def lesson_tables(found: Found) -> str:
    return "\n\n".join([*(_lessons(found, network) for network in found.students), *_overall(found)])


def _lessons(found: Found, network: str) -> str:
    first = found.lessons(network, LABELS)
    macs, seeds = first[0].macs, len(first)
    rows = []
    for way in found.students[network]:
        told, teacher = lift(found, network, way), found.lessons(network, way)[0].right("teacher")
        lifted = [f"{100 * teacher.mean():.2f}", f"{told.interval.mean:+.2f}", _ends(told.interval)]
        rows.append([way, _spread(told.accuracy), *(lifted if way != LABELS else [""] * len(lifted))])
    head = f"{network}: {macs[0] / macs[1]:.1f}x fewer MACs, n = {first[0].n} x {seeds}"
    return table([head, "accuracy, %", "its teacher's", "gain", "95 %"], rows)


def _ends(interval: Interval) -> str:
    return f"{interval.low:+.2f} to {interval.high:+.2f}"


def _overall(found: Found) -> list[str]:
    if len(found.students) < 2:
        return []
    ways = dict.fromkeys(way for ways in found.students.values() for way in ways if way != LABELS)
    shared = [way for way in ways if all(way in known for known in found.students.values())]
    rows = [[way, f"{(gain := overall(found, way)).mean:+.2f}", _ends(gain)] for way in shared]
    return [table([f"mean of {len(found.students)} networks", "gain", "95 %"], rows)]


# Codes ------------------------------------------------------------------------------------------------------

def code_tables(found: Found) -> str:
    return "\n\n".join(_codes(found, *which) for which in found.coded)


def _codes(found: Found, network: str, scheme: str) -> str:
    figures = found.coded[network, scheme]
    rows = []
    for way in figures[0].hits:
        back = [_back(figures, way, start) for start in (NEAREST, DEFAULT)]
        rows.append([way, _spread(100 * f.right(way).mean() for f in figures), *back,
                     f"{np.mean([f.same[way] for f in figures]):.1%}"])
    head = (f"{network}, `{scheme}`, n = {figures[0].n} x {len(figures)}; foretold "
            f"{min(f.predicted for f in figures):.2%} and {min(f.in_c for f in figures):.2%}")
    return table([head, "accuracy, %", f"won back of {NEAREST}", f"of {DEFAULT}", "as in float"], rows)


def _back(figures: list[Coded], way: str, start: str) -> str:
    """Where there is something to win back, and this is not what lost it."""
    if way in (FLOAT, NEAREST, start) or lost(figures, start) < LEAST_LOSS:
        return ""
    return f"{won_back(figures, way, start):.0%}"


# Drawn ------------------------------------------------------------------------------------------------------

def drawing_tables(found: Found) -> str:
    return "\n\n".join(_drawings(*which) for which in found.drawn.items())


def _drawings(network: str, figures: list[Drawn]) -> str:
    first, rows = figures[0], []
    for what in first.scores:
        on_board, macs = what == C, first.macs[what != FLOAT]
        size = {FLOAT: first.files[0], LITERT: first.files[1]}.get(what)
        rows.append([what, _score(f.scores[what] for f in figures),
                     "" if what == FLOAT else _score(f.worse[what] for f in figures), f"{macs:,}",
                     f"{size:,}" if size else "", f"{first.instructions[1]:,}" if on_board else "",
                     f"{first.flash:,}" if on_board else "", f"{first.ram:,}" if on_board else ""])
    checked, differing = (sum(getattr(f, each) for f in figures) for each in ("checked", "differing"))
    told = (f"Unpruned in INT8: {first.instructions[0]:,} instructions. The board's answers to {checked} "
            f"samples differ from the reference's in {differing} codes.")
    head = f"{network}: {first.metric}, n = {first.n} x {len(figures)}"
    return table([head, "score", "worse by, %", "MACs", ".tflite, B", "instructions", "flash, B", "RAM, B"],
                 rows) + f"\n\n{told}"


def _score(found: Iterable[tuple[float, float]]) -> str:
    """Over seeds; of one seed with its standard error."""
    values = [*found]
    return "{:.2f} ± {:.2f}".format(*values[0]) if len(values) == 1 else _spread(mean for mean, _ in values)


# Pruned -----------------------------------------------------------------------------------------------------

def smaller_table(found: Found) -> str:
    networks = sorted({cell.network for cell in found.tuned})
    rows = [_smaller(found, network, share) for network in networks for share in (1.0, *SHARES)]
    rows = [row for row in rows if row]
    return table(["", "MACs", "float, %", "drop", "INT8, %", "drop from float, unpruned", "instructions",
                  "fewer", "flash, B", "RAM, B"], rows) if rows else ""


def _smaller(found: Found, network: str, share: float) -> list[str]:
    side = UNPRUNED if share == 1 else OURS
    cells = [cell for cell in found.deployed
             if (cell.network, cell.side, cell.share) == (network, side, share)]
    if not cells:
        return []
    total = [100 * (found.tuned[cell.unpruned].test - found.deployed[cell].test) for cell in cells]
    first, macs = found.deployed[cells[0]], found.tuned[cells[0]]
    return [f"{network}, n = {macs.n} x {len(cells)}" if share == 1 else f"**{1 / share:.0f}x pruned**",
            f"{macs.macs[1]:,}", _spread(100 * found.tuned[cell].test for cell in cells),
            "" if share == 1 else _spread(drops(found, network, share)),
            _spread(100 * found.deployed[cell].test for cell in cells), _spread(total),
            f"{first.instructions:,}", "" if share == 1 else f"{_mean_fewer(found, cells)}",
            f"{first.flash:,}", f"{first.ram:,}"]


def _mean_fewer(found: Found, cells: list[Cell]) -> str:
    instructions = np.mean([fewer(found, cell) for cell in cells])
    return f"{instructions:.2f}x for {np.mean([macs_ratio(found.tuned[cell]) for cell in cells]):.2f}x"


HEAD = f"""# What training wins back, and smaller networks that remember, attend and draw

`make benchmark-training` measures them over three seeds. Figures are means over the seeds and their
standard deviation (of one seed: its standard error). Speech is split by speaker, the watch by person.
{BOARD} is emulated: instructions are exact, and there is no time."""

DISTILLATION = """## Distillation

Each network is pruned to a quarter of its MACs, by the defaults of `[prune]`, and trained in several ways
by the same number of the same augmented batches. The teacher is the unpruned network; where it says so, a
transformer. Gains are over labels alone, with 95 % intervals of their mean over seeds, paired by sample.
The [docs](distillation.md) have the keys."""

QAT = """## Codes, and training for them

Test samples in LiteRT. *Biases corrected* is what the defaults do. [`[qat]`](qat.md) trains from the float
network on. *Foretold*: of the test samples, those that its simulation of the nearest codes answers as
LiteRT does, in XNNPACK, and as C does, which is the reference; XNNPACK rounds otherwise."""

DRAWING = """## Drawing, with half of the MACs

A [generator and two autoencoders](generative.md#28-x-28-pixels) of the kit's MNIST: Fréchet distance (less
is better) or ELBO in nats (more is better), and by how many percent of the original's it is worse. C is
scored by the reference, which the emulated board's answers are held against. Sizes and instructions are the
first seed's. What is worse by percent is paired by sample."""

SMALLER = """## Recurrent layers and attention, pruned

By `[prune] schedule = "gates"`, as in [the benchmark of pruning](pruning-benchmark.md), with the same two
budgets: MACs, and instructions. Instructions, flash and RAM of the first seed; *fewer*: mean ratios of
instructions and of MACs."""
