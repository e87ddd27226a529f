"""Cascades on an emulated Cortex-M4: a pruned network in front of the whole one (docs/adaptive-benchmark.md).

Every figure is kept in build/benchmark/adaptive/figures.jsonl under the digest of all that shapes it, so that
a rerun resumes; networks are trained where they are missing. Needs the kit ($EDGE_KIT). Exits with 3 where a
bound
is missed: COST, LOST, SAME_PATH.
"""

from collections.abc import Iterable
from itertools import product

from figures import (
    DEPLOYING,
    PRUNING,
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
import msgspec
import numpy as np
from peers_report import own_conditions, table
from pruning_cells import RATES, TRAIN, samples_of, start
from pruning_networks import CASES, ROOT
import typer

from toolchain.adaptive.report import ChainReport, OnDevice
from toolchain.cascade import cascade_of, on_device
from toolchain.chaining import Goal
from toolchain.cost_table import load_cost_table
from toolchain.graph_file import read_graph, write_graph
from toolchain.ir.graph import Graph
from toolchain.pipeline import prepare
from toolchain.profile import load_target
from toolchain.recipe import Recipe
from toolchain.shrinking import Shrinking
from toolchain.training_sections import PruneConfig

FOLDER = ROOT / "build" / "benchmark" / "adaptive"
FIGURES, PAGE = FOLDER / "figures.jsonl", ROOT / "docs" / "adaptive-benchmark.md"
ADAPTIVE = ("toolchain/adaptive/*.py", "toolchain/chain*.py", "toolchain/policy.py", "toolchain/stages.py",
            "toolchain/cascade.py", *DEPLOYING)
BOARD = "cortex_m4_qemu"
NETWORKS, SEEDS = ("ds_cnn", "resnet8"), (0, 1, 2)
SHARE = 0.3
"""Of the whole network's instructions, what [prune] leaves by the target's table."""
EPOCHS = {"ds_cnn": 40, "resnet8": 12}
"""Of pruning and tuning the small network."""
GOAL = Goal(cost=0.5)
"""On selection samples: those of the test are other speakers and images, and harder."""
CHECKED = 1000
"""Test samples at most that the board answers too."""
COST, LOST, SAME_PATH = 0.6, 0.3, 0.999
"""Bounds: share of the whole network's instructions, points lost on test samples, inputs on the host's
path."""


class Small(Figure, kw_only=True):
    """graph: the file of the pruned network"""

    network: str
    seed: int
    graph: str

    @property
    def text(self) -> str:
        return f"{self.network}, seed {self.seed}"


class Cascaded(Figure, kw_only=True):
    """A cascade of the pruned network and the whole one."""

    network: str
    seed: int
    report: ChainReport
    device: OnDevice

    @property
    def text(self) -> str:
        return f"{self.network}, seed {self.seed}"


def recipe_of(network: str, seed: int) -> Recipe:
    """Of the small network: half its epochs with gates, the rest taught by the whole one."""
    train = msgspec.structs.replace(TRAIN, epochs=EPOCHS[network], learning_rate=RATES[network],
                                    loader=CASES[network].loader_source)
    return Recipe(prune=PruneConfig(instructions=SHARE, schedule="gates"), train=train, seed=seed)


def small_key(network: str, seed: int) -> str:
    return digest("small", network, recipe_of(network, seed).digest, start(network).digest,
                  code((*TRAINING, *PRUNING)))


def pruned(network: str, seed: int, key: str) -> Small:
    profile = load_target(BOARD)
    graph = Shrinking(start(network), recipe_of(network, seed), samples_of(network, seed), profile,
                      load_cost_table(profile)).run()
    path = FOLDER / f"{key}.graph"
    write_graph(path, graph)
    return Small(key=key, network=network, seed=seed, graph=str(path.relative_to(ROOT)))


def cascaded(small: Small, key: str) -> Cascaded:
    """Answered by the board too, on CHECKED test samples."""
    profile, samples = load_target(BOARD), samples_of(small.network, small.seed)

    def prepared(graph: Graph):
        return prepare(graph, Recipe(seed=small.seed), samples, profile)

    networks = read_graph(ROOT / small.graph), start(small.network)
    made = cascade_of(*map(prepared, networks), samples, profile, GOAL)
    found = on_device(made, samples.split("test").take(CHECKED))
    return Cascaded(key=key, network=small.network, seed=small.seed,
                    report=made.report, device=found)


# The page ---------------------------------------------------------------------------------------------------

def page(found: Iterable[Figure]) -> str:
    rows, said = [], ""
    for figure in found:
        if isinstance(figure, Cascaded):
            rows.append(_row(figure))
        said = getattr(figure, "said", said)
    columns = ["network, seed", "top1: small, whole, cascade", "points lost", "95 % interval", "McNemar p",
               "answered by the small", "threshold", "calibration error", "instructions", "worst case",
               "same path, same logits"]
    return ("# Cascades on an emulated Cortex-M4\n\nMade by `make benchmark-adaptive`. The small network "
            f"is the whole one, pruned to {SHARE:g} of its instructions and tuned; INT8, by the default "
            f"recipe. Thresholds are chosen on selection samples (goal: {GOAL}), all else is of test "
            "samples. The board is emulated: instructions are exact, and there is no time and no "
            f"energy.\n\n{table(columns, rows)}\n\n{said}\n")


def _row(figure: Cascaded) -> list[str]:
    report = figure.report
    (first, last), tested, paired, device = report.stages, report.tested, report.paired, figure.device
    return [f"{figure.network}, {figure.seed}",
            f"{100 * first.accuracy:.2f}, {100 * last.accuracy:.2f}, {100 * tested.accuracy:.2f} % (n = "
            f"{tested.n})",
            f"{tested.drop:.2f} ± {tested.drop_error:.2f}", f"{paired.low:.2f} to {paired.high:.2f}",
            f"{paired.p:.2f}", f"{tested.shares[0]:.1%}", f"{tested.threshold:.3f}",
            "{:.3f} -> {:.3f}".format(*first.calibration_error),
            f"{tested.cost:.3f}x of {report.alone:,.0f}", f"{report.worst:.3f}x",
            f"{device.same_path:.2%}, {device.same_logits:.2%} of {device.n}"]


def missed(found: Iterable[Figure]) -> list[str]:
    """Bounds that do not hold: means over a network's seeds, the path on all of them together."""
    made: dict[str, list[Cascaded]] = {}
    for figure in found:
        if isinstance(figure, Cascaded):
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
    kept, keys = Kept(FIGURES, Small | Cascaded | Conditions), []
    for network, seed in product(networks, seeds):
        small = _kept(kept, Job(small_key(network, seed), pruned, (network, seed)))
        key = digest("cascaded", small.key, str(GOAL), CHECKED, code(ADAPTIVE))
        keys.append(_kept(kept, Job(key, cascaded, (small,))).key)
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
