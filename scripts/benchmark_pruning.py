"""Pruning beside Torch-Pruning: accuracy at 2 and 4 times fewer MACs, tuned alike, and what it gains as INT8
on an emulated Cortex-M4 and on this host (docs/pruning-benchmark.md).

Every figure is kept in build/benchmark/pruning/figures.jsonl under the digest of all that shapes it, so that
a rerun resumes; starting networks are trained once. Needs the kit ($EDGE_KIT). Exits with 3 where a bound of
pruning_judgement.py is missed; a quick run, where answers are significantly worse or ours does not run.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
import subprocess

from figures import PRUNING, Job, Kept, code, conclude, digest, done, finished, processes, work
from pruning_cells import EPOCHS, GRAPHS, THEIR_PYTHON, key_of, later_key, start, trained, tuned
from pruning_deployed import correlated, deployed, timed
from pruning_figures import (
    NARROW,
    ON_HOST,
    PLAIN,
    SHARES,
    SIDES,
    THEIRS,
    UNPRUNED,
    Cell,
    Deployed,
    Failed,
    Measured,
    Tuned,
)
from pruning_judgement import shortcomings
from pruning_networks import FOLDER, ROOT, WHOLE
from pruning_report import conditions, page
import typer

from toolchain.errors import ToolchainError
from toolchain.prune.select import LEAST

PAGE = ROOT / "docs" / "pruning-benchmark.md"
FIGURES = FOLDER / "figures.jsonl"
SEEDS = (0, 1, 2)
BESIDE = (ON_HOST, PLAIN)
"""Sides of one seed, for what they gain."""
QUICK = ("watch",)
RANKED = ("watch", "ds_cnn")
"""Networks whose criteria are held against the truth."""


def ranked_key(network: str) -> str:
    return digest("correlated", start(network).digest, code(PRUNING))


# The whole --------------------------------------------------------------------------------------------------

def attempted(make: Callable[..., Measured], cell: Cell, *given: object, key: str) -> Measured:
    """The figure of a cell; why there is none, where a tool gives up."""
    try:
        return make(cell, *given, key=key)
    except (subprocess.CalledProcessError, ToolchainError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        return Failed(key=key, cell=cell, why=(said.strip().splitlines() or ["?"])[-1][:300])


def cells_of(networks: list[str], seeds: list[int]) -> list[Cell]:
    """One seed after the other, of each the cells that take longest first."""
    unpruned = [Cell(network, UNPRUNED, 1.0, seed) for network, seed in product(networks, seeds)]
    pruned = [Cell(network, side, share, seed)
              for network, side, share, seed in product(networks, SIDES, SHARES, seeds)
              if side not in BESIDE or seed == seeds[0]]
    narrow = [Cell(network, NARROW, LEAST, seeds[0]) for network in networks]
    return sorted([*unpruned, *pruned, *narrow], key=lambda cell: (cell.seed, -length(cell)))


def length(cell: Cell) -> float:
    """About as many MACs as training it takes; what teaches it runs besides."""
    return EPOCHS[cell.network] * MACS[cell.network] * (1 + 3 * cell.share)


MACS = {"resnet8": 105, "ds_cnn": 5, "mobilenet_v2": 230, "watch": 2, "gru": 10, "transformer": 10}
"""Network -> thousands of millions in an epoch; those of depthwise convolutions, which are slower, twice."""


def as_int8(cells: list[Cell]) -> list[Cell]:
    """Ours, and the unpruned."""
    return [cell for cell in cells if cell.side not in THEIRS]


def measure(kept: Kept, networks: list[str], seeds: list[int]) -> set[str]:
    """Everything of these networks and seeds; the keys of all its figures."""
    cells = cells_of(networks, seeds)
    ranked = [network for network in RANKED if network in networks]
    with processes() as pool:
        list(pool.map(trained, networks))
        tuning = {cell: Job(key_of(cell), attempted, (tuned, cell)) for cell in cells}
        work(pool, kept, tuning.values())
        there = {cell: kept[job.key] for cell, job in tuning.items() if isinstance(kept[job.key], Tuned)}
        small = [cell for cell in as_int8(cells) if cell in there]
        deploying = {cell: Job(later_key("deployed", cell), attempted, (deployed, cell, there[cell]))
                     for cell in small}
        ranking = [Job(ranked_key(network), correlated, (network,)) for network in ranked]
        work(pool, kept, [*deploying.values(), *ranking])
    timing = list(timings(kept, {cell: job.key for cell, job in deploying.items()}, seeds[0]))
    for job in timing:
        if job.key not in kept:
            kept.add(done(job))
    return {job.key for job in (*tuning.values(), *deploying.values(), *ranking, *timing)}


def timings(kept: Kept, keys: dict[Cell, str], seed: int) -> Iterable[Job]:
    """One seed's pruned files beside the unpruned network's, one after the other."""
    for cell, key in keys.items():
        whole = keys[cell.unpruned]
        if cell.side != UNPRUNED and cell.seed == seed and isinstance(kept[key], Deployed):
            yield Job(later_key("timed", cell), attempted, (timed, cell, kept[key], kept[whole]))


def main(quick: bool = typer.Option(False, help="one network, one seed"),
         only: str = typer.Option("", help="names of networks, with commas between them"),
         seeds: str = typer.Option("", help="such as 0,1")) -> None:
    """Compare; print the tables."""
    networks = only.split(",") if only else [*(QUICK if quick else WHOLE)]
    chosen = [int(seed) for seed in seeds.split(",")] if seeds else [*(SEEDS[:1] if quick else SEEDS)]
    GRAPHS.mkdir(parents=True, exist_ok=True)
    kept = Kept(FIGURES, Measured)
    keys = measure(kept, networks, chosen)
    found = finished(kept, keys, partial(conditions, THEIR_PYTHON))
    text = page(found)
    if not (quick or only or seeds):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "pruning.md", shortcomings(found, quick))


if __name__ == "__main__":
    typer.run(main)
