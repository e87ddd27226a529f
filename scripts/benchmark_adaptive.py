"""Cascades and early exits on an emulated Cortex-M4 (docs/adaptive-benchmark.md).

Every figure is kept in build/benchmark/adaptive/figures.jsonl under the digest of all that shapes it, so that
a rerun resumes; networks are trained where they are missing. Needs the kit ($EDGE_KIT). Exits with 3 where
COST, LOST or SAME_PATH are missed.
"""

from collections.abc import Iterable
from itertools import product

from figures import (
    DEPLOYING,
    TRAINING,
    Conditions,
    Figure,
    Job,
    Kept,
    code,
    conclude,
    digest,
    done,
    finished,
)
import numpy as np
from peers_report import own_conditions, table
from pruning_cells import GRAPHS, key_of, samples_of, start, tuned
from pruning_figures import BOARD, OURS, Cell, Measured, Tuned
from pruning_networks import ROOT
import typer

from toolchain.adaptive.report import ChainReport, OnDevice
from toolchain.adaptive_sections import ExitsConfig
from toolchain.cascade import cascade_of, on_device
from toolchain.chaining import Goal
from toolchain.exits import build_exits
from toolchain.graph_file import read_graph
from toolchain.ir.graph import Graph
from toolchain.lower import Asked
from toolchain.pipeline import prepare, quiet
from toolchain.profile import load_target
from toolchain.recipe import Recipe

FOLDER = ROOT / "build" / "benchmark" / "adaptive"
PRUNED = ROOT / "build" / "benchmark" / "pruning" / "figures.jsonl"
FIGURES, PAGE = FOLDER / "figures.jsonl", ROOT / "docs" / "adaptive-benchmark.md"
ADAPTIVE = ("toolchain/adaptive/*.py", "toolchain/chain*.py", "toolchain/policy.py", "toolchain/stages.py",
            "toolchain/cascade.py", *DEPLOYING)
NETWORKS, SEEDS = ("ds_cnn", "resnet8"), (0, 1, 2)
SHARE = 0.25
"""Of the whole network's MACs, what [prune] leaves: benchmark_pruning.py's own networks, shared with it."""
CASCADE, EXITS = "cascade", "exits"
AFTER = {"ds_cnn": ("6.2", "8.2"), "resnet8": ("1.blocks.1.relu.1",)}
"""Where exits are: where a third, half, and two thirds of the work is done."""
GOALS = {"ds_cnn": Goal(cost=0.5), "resnet8": Goal(cost=0.55)}
"""On selection samples, below COST: test samples are harder, those of other speakers more so. At 0.5, tried
first, ResNet-8 lost 0.47 points for 0.533x."""
CHECKED = (500, 100)
"""Test samples at most that the board answers too: of the first seed, of others."""
EXITS_COST, CHECKED_EXITS = 0.8, 100
"""Of exits, which no bound is on."""
COST, LOST, SAME_PATH = 0.6, 0.3, 0.999
"""Bounds: share of the whole network's instructions, points lost on test samples, inputs on one path."""


class Chained(Figure, kw_only=True):
    """way: CASCADE, of the pruned network and the whole one, or EXITS, of the whole one"""

    way: str = CASCADE
    network: str
    seed: int
    report: ChainReport
    device: OnDevice

    @property
    def text(self) -> str:
        return f"{self.way}, {self.network}, seed {self.seed}"


def cascaded(small: Tuned, key: str) -> Chained:
    """Answered by the board too, on some test samples."""
    network, seed = small.cell.network, small.cell.seed
    profile, samples = load_target(BOARD), samples_of(network, seed)

    def prepared(graph: Graph):
        return prepare(graph, Recipe(seed=seed), samples, profile)

    networks = read_graph(ROOT / small.graph), start(network)
    made = cascade_of(*map(prepared, networks), samples, profile, GOALS[network])
    found = on_device(made, samples.split("test").take(CHECKED[seed != SEEDS[0]]))
    return Chained(key=key, network=network, seed=seed, report=made.report, device=found)


def exited(network: str, seed: int, key: str) -> Chained:
    """The whole network with exits. None is taught by the seed, which orders the samples."""
    profile, samples = load_target(BOARD), samples_of(network, seed)
    config = ExitsConfig(after=AFTER[network], cost=EXITS_COST)
    prepared = prepare(start(network), Recipe(exits=config, seed=seed), samples, profile)
    made = build_exits(prepared.graph, config, samples, profile, Asked(), quiet)
    return Chained(key=key, way=EXITS, network=network, seed=seed, report=made.report,
                   device=on_device(made, samples.split("test").take(CHECKED_EXITS)))


# The page ---------------------------------------------------------------------------------------------------

def page(found: Iterable[Figure]) -> str:
    rows, said = [], ""
    for figure in found:
        if isinstance(figure, Chained):
            rows.append(_row(figure))
        said = getattr(figure, "said", said)
    columns = ["way: network, seed", "top1: first stage, whole network, chain", "points lost",
               "95 % interval", "McNemar p", "answered by each stage", "threshold",
               "calibration error of the first", "instructions", "worst case", "same path, same logits"]
    return f"{HEAD}\n\n{table(columns, rows)}\n\n{said}\n"


GOALS_TOLD = ", ".join(f"{goal.cost:g} of {name}" for name, goal in GOALS.items())
HEAD = f"""# Cascades and early exits on an emulated Cortex-M4

Made by `make benchmark-adaptive`. In a cascade the small network is the whole one, pruned to {SHARE:g} of its
multiply-accumulates and tuned; early exits stand in the whole one, which stays as it is. All are INT8, by the
default recipe. Thresholds are chosen on selection samples, for a share of the whole network's instructions
that was set when a first run had shown how much harder test samples are: {GOALS_TOLD}; of
exits {EXITS_COST:g}. All else is of test samples: other speakers, other images. The board is emulated:
instructions are exact, and there is no time and no energy."""


def _row(figure: Chained) -> list[str]:
    report = figure.report
    (first, *_, last), tested, paired, device = report.stages, report.tested, report.paired, figure.device
    top1 = ", ".join(f"{100 * each.accuracy:.2f}" for each in (first, last, tested))
    return [f"{figure.way}: {figure.network}, {figure.seed}", f"{top1} % (n = {tested.n})",
            f"{tested.drop:.2f} ± {tested.drop_error:.2f}", f"{paired.low:.2f} to {paired.high:.2f}",
            f"{paired.p:.2f}", ", ".join(f"{share:.1%}" for share in tested.shares),
            f"{tested.threshold:.3f}",
            "{:.3f} -> {:.3f}".format(*first.calibration_error),
            f"{tested.cost:.3f}x of {report.alone:,.0f}", f"{report.worst:.3f}x",
            f"{device.same_path:.2%}, {device.same_logits:.2%} of {device.n}"]


def missed(found: Iterable[Figure]) -> list[str]:
    """Bounds that do not hold: means over a network's seeds, the path on all of them together."""
    made: dict[str, list[Chained]] = {}
    for figure in found:
        if isinstance(figure, Chained) and figure.way == CASCADE:
            made.setdefault(figure.network, []).append(figure)
    lines = []
    for network, figures in made.items():
        cost = np.mean([figure.report.tested.cost for figure in figures])
        drop = np.mean([figure.report.tested.drop for figure in figures])
        path = np.average([figure.device.same_path for figure in figures],
                          weights=[figure.device.n for figure in figures])
        lines += [f"{network}: expected {cost:.3f}x, at most {COST} is allowed"] if cost > COST else []
        lines += [f"{network}: {drop:.2f} points lost, at most {LOST} are allowed"] if drop > LOST else []
        lines += [f"{network}: the host's path on {path:.4%} of inputs"] if path < SAME_PATH else []
    return lines


def main(quick: bool = typer.Option(False, help="one seed"),
         only: str = typer.Option("", help="names of networks, with commas between them")) -> None:
    """Measure; print the table."""
    networks, seeds = only.split(",") if only else NETWORKS, SEEDS[:1] if quick else SEEDS
    FOLDER.mkdir(parents=True, exist_ok=True)
    GRAPHS.mkdir(parents=True, exist_ok=True)
    kept, keys, pruned = Kept(FIGURES, Chained | Conditions), [], Kept(PRUNED, Measured)
    for seed, network in product(seeds, networks):
        cell = Cell(network, OURS, SHARE, seed)
        small = _kept(pruned, Job(key_of(cell), tuned, (cell,)))
        key = digest("cascaded", small.key, str(GOALS[network]), CHECKED, code(ADAPTIVE))
        keys.append(_kept(kept, Job(key, cascaded, (small,))).key)
    for network in networks:
        key = digest("exited", network, AFTER[network], EXITS_COST, start(network).digest,
                     code((*TRAINING, *ADAPTIVE)))
        keys.append(_kept(kept, Job(key, exited, (network, seeds[0]))).key)
    found = finished(kept, keys, own_conditions)
    text = page(found)
    if not (quick or only):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "adaptive.md", missed(found))


def _kept(kept: Kept, job: Job) -> Figure:
    """Done where it is not there yet, one after the other."""
    if job.key not in kept:
        kept.add(done(job))
    return kept[job.key]


if __name__ == "__main__":
    typer.run(main)
