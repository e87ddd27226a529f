"""Cascades and early exits on an emulated Cortex-M4 (docs/adaptive-benchmark.md).

Every figure is kept in build/benchmark/adaptive/figures.jsonl under the digest of all that shapes it, so that
a rerun resumes; networks are trained where they are missing. Needs the kit ($EDGE_KIT). Exits with 3 where
COST, LOST or SAME_PATH are missed.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from benchmark_peers import say
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
from pruning_cells import GRAPHS, key_of, samples_of, start, tuned, tuned_again
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
            "toolchain/cascade.py", "toolchain/levels.py", *DEPLOYING)
NETWORKS = ("ds_cnn", "resnet8")
SEEDS = (9, 10, 11)
"""That nothing was set by: nobody had seen figures of their networks. Test samples are the same for all."""
SHARE = 0.25
"""Of the whole network's MACs, what [prune] leaves: benchmark_pruning.py's own networks, shared with it."""
AGAIN = 2
"""Times as many epochs as these were tuned for, for which they are tuned again here."""
AGAIN_BY = ("scripts/pruning_cells.py",)
CASCADE, EXITS = "cascade", "exits"
AFTER = {"ds_cnn": ("6.2", "8.2"), "resnet8": ("1.blocks.1.relu.1",)}
"""Where exits are: where a third, half, and two thirds of the work is done."""
GOALS = {"ds_cnn": Goal(cost=0.5), "resnet8": Goal(cost=0.55)}
"""On selection samples, below COST: test samples are harder, those of other speakers more so. At 0.5, tried
first, ResNet-8 lost 0.47 points for 0.533x, by seeds 0, 1, 2. Never set anew since."""
CHECKED = (500, 100)
"""Test samples at most that the board answers too: of the first of SEEDS, and of others."""
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


# Bounds -----------------------------------------------------------------------------------------------------

class Means(NamedTuple):
    """Of a network's cascades, over seeds.

    cost, drop: means of Choice's;  error: of the cost, what other test samples would change of it, one
                standard error: all seeds have the same ones
    worst:      the largest of all;  path: of all n inputs that the board answered those on the host's path
    """

    network: str
    cost: float
    error: float
    drop: float
    worst: float
    path: float
    n: int

    @property
    def missed(self) -> list[str]:
        """Bounds that do not hold."""
        lines = [f"{self.network}: expected {self.cost:.3f}x, at most {COST} is allowed"] * (self.cost > COST)
        lines += [f"{self.network}: {self.drop:.2f} points lost, at most {LOST} are allowed"
                  ] * (self.drop > LOST)
        return lines + [f"{self.network}: the host's path on {self.path:.4%} of inputs"
                        ] * (self.path < SAME_PATH)


def means(found: Iterable[Figure]) -> list[Means]:
    """Of each network that has cascades."""
    made: dict[str, list[Chained]] = {}
    for figure in found:
        if isinstance(figure, Chained) and figure.way == CASCADE:
            made.setdefault(figure.network, []).append(figure)
    return [_means(network, figures) for network, figures in made.items()]


def _means(network: str, figures: Sequence[Chained]) -> Means:
    reports, devices = [figure.report for figure in figures], [figure.device for figure in figures]
    n = [device.n for device in devices]
    return Means(network, float(np.mean([report.tested.cost for report in reports])),
                 float(np.mean([report.tested.cost_error for report in reports])),
                 float(np.mean([report.tested.drop for report in reports])),
                 max(report.worst for report in reports),
                 float(np.average([device.same_path for device in devices], weights=n)), sum(n))


# The page ---------------------------------------------------------------------------------------------------

def page(found: Sequence[Figure]) -> str:
    rows = [_row(figure) for figure in found if isinstance(figure, Chained)]
    columns = ["way: network, seed", "top1: first stage, whole network, chain", "points lost",
               "95 % interval", "McNemar p", "answered by each stage", "threshold",
               "calibration error of the first", "instructions", "worst case", "same path, same logits"]
    bounds = ["cascades, over seeds", f"instructions, at most {COST}x", f"points lost, at most {LOST}",
              "largest worst case", f"same path, at least {SAME_PATH:.1%}", "held"]
    held = [[each.network, f"{each.cost:.3f} ± {each.error:.3f}x", f"{each.drop:.2f}", f"{each.worst:.3f}x",
             f"{each.path:.2%} of {each.n}", "no" if each.missed else "yes"] for each in means(found)]
    (said,) = (figure.said for figure in found if isinstance(figure, Conditions))
    return "\n\n".join([HEAD, table(bounds, held), table(columns, rows), said]) + "\n"


GOALS_TOLD = ", ".join(f"{goal.cost:g} of {name}" for name, goal in GOALS.items())
HEAD = f"""# Cascades and early exits on an emulated Cortex-M4

Made by `make benchmark-adaptive`. In a cascade the small network is the whole one, pruned to {SHARE:g} of its
multiply-accumulates and tuned as [here](pruning-benchmark.md), then for {AGAIN} times as long again; early
exits stand in the whole one, which stays as it is. All are INT8, by the default recipe. Thresholds are chosen
on selection samples. All else is of test samples: other speakers, other images. The board is emulated:
instructions are exact, and there is no time and no energy.

What was set when: goals are shares of the whole network's instructions, {GOALS_TOLD}; of exits
{EXITS_COST:g}. They were set when runs of seeds 0, 1, 2 had shown how much harder test samples are than
selection samples. On seeds 3, 4, 5 ResNet-8 then took 0.607x, where {COST:g}x is asked for. So a goal is held
with one standard error of the cost since, as one on accuracy always was; goals themselves did not move. On
seeds 6, 7, 8 ResNet-8 then took 0.559x and lost 0.50 points, where {LOST:g} are asked for. So small networks
are tuned for longer since. Seeds {", ".join(map(str, SEEDS))} are what confirms that, or does not. A seed
prunes and tunes a small network of its own; the whole network is the same in all, and so are the samples of
each part: fresh seeds are no fresh test samples. Beside a mean cost stands what other test samples would
change of it, one standard error."""


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


def main(quick: bool = typer.Option(False, help="one seed"),
         only: str = typer.Option("", help="names of networks, with commas between them"),
         seeds: str = typer.Option("", help="such as 9,10,11")) -> None:
    """Measure; print the tables."""
    networks = only.split(",") if only else NETWORKS
    chosen = [int(seed) for seed in seeds.split(",")] if seeds else SEEDS[:1] if quick else SEEDS
    FOLDER.mkdir(parents=True, exist_ok=True)
    GRAPHS.mkdir(parents=True, exist_ok=True)
    found = _found(networks, chosen)
    text = page(found)
    if not (quick or only or seeds):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "adaptive.md", [line for each in means(found) for line in each.missed])


def _found(networks: Sequence[str], seeds: Sequence[int]) -> list[Figure]:
    """Of cascades of all seeds, of exits of the first."""
    kept, keys, pruned = Kept(FIGURES, Chained | Conditions), [], Kept(PRUNED, Measured)
    for seed, network in product(seeds, networks):
        cell = Cell(network, OURS, SHARE, seed)
        small = _kept(pruned, Job(key_of(cell), tuned, (cell,)))
        again = digest("again", small.key, AGAIN, code(AGAIN_BY))
        small = _kept(pruned, Job(again, tuned_again, (small, AGAIN)))
        key = digest("cascaded", small.key, str(GOALS[network]), CHECKED, code(ADAPTIVE))
        keys.append(_kept(kept, Job(key, cascaded, (small,))).key)
    for network, seed in product(networks, seeds[:1]):
        key = digest("exited", network, seed, AFTER[network], EXITS_COST, start(network).digest,
                     code((*TRAINING, *ADAPTIVE)))
        keys.append(_kept(kept, Job(key, exited, (network, seed))).key)
    return finished(kept, keys, own_conditions)


def _kept(kept: Kept, job: Job) -> Figure:
    """Done where it is not there yet, one after the other."""
    if job.key not in kept:
        kept.add(done(job))
        say(f"{kept[job.key].text}, {kept[job.key].seconds:.0f} s")
    return kept[job.key]


if __name__ == "__main__":
    typer.run(main)
