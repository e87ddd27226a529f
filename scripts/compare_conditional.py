"""Switchable widths, switchable bits and gated channels beside what we have (docs/conditional-benchmark.md).

    PYTHONPATH=. python scripts/compare_conditional.py [--quick] [--networks watch] [--seeds 0,1]

Every figure is kept in build/benchmark/conditional/figures.jsonl under the digest of all that shapes it, so
that a rerun resumes. The keywords need the kit ($EDGE_KIT), the watch needs none.
"""

from collections.abc import Callable, Mapping
from itertools import product

from conditional_figures import FOLDER, Bits, Gates, Subject, Weighed, Widths
from conditional_networks import NETWORKS
from conditional_report import page
from conditional_runs import bits, gates, weighed, widths
from figures import (
    DEPLOYING,
    Conditions,
    Figure,
    Job,
    Kept,
    code,
    conclude,
    digest,
    finished,
    listed,
    processes,
    work,
)
from peers_report import own_conditions
from pruning_networks import ROOT
import typer

PAGE = ROOT / "docs" / "conditional-benchmark.md"
SEEDS = (0, 1, 2)
EPOCHS: Mapping[str, tuple[int, int]] = {"watch": (16, 16), "ds_cnn": (14, 14)}
"""Of the whole network, and of what is made of it."""
Measured = Widths | Bits | Gates | Weighed | Conditions
QUICK = ("watch", 0, (2, 2))


def main(quick: bool = typer.Option(False, help="one seed of the watch's network, hardly trained; no kit"),
         networks: str = typer.Option("", help=f"of {', '.join(NETWORKS)}, with commas between them"),
         seeds: str = typer.Option("", help="such as 0,1")) -> None:
    """Train, measure; print the page."""
    chosen = [int(seed) for seed in seeds.split(",")] if seeds else SEEDS
    subjects = [Subject(*QUICK)] if quick else [
        Subject(network, seed, EPOCHS[network])
        for network, seed in product(listed(networks, NETWORKS) or NETWORKS, chosen)]
    kept, shaping = Kept(FOLDER / "figures.jsonl", Measured), code(DEPLOYING)

    def job(make: Callable[..., Figure], of: Subject) -> Job:
        return Job(digest(make.__name__, of.digest, shaping), make, (of,))

    first = [job(widths, of) for of in subjects]
    then = [job(make, of) for of in subjects for make in (bits, gates)]
    then += [job(weighed, of) for of in subjects if of.seed == 0]
    with processes() as pool:
        work(pool, kept, first)  # leaves the networks that the others take
        work(pool, kept, then)
    text = page(finished(kept, [each.key for each in (*first, *then)], own_conditions))
    if not (quick or networks or seeds):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "conditional.md", ())


if __name__ == "__main__":
    typer.run(main)
