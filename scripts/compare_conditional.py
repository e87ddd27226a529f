"""Switchable widths, switchable bits and gated channels beside what we have (docs/conditional-benchmark.md).

    PYTHONPATH=. python scripts/compare_conditional.py [--quick] [--networks watch] [--seeds 0,1]

Every figure is kept in build/benchmark/conditional/figures.jsonl under the digest of all that shapes it, so
that a rerun resumes. The keywords need the kit ($EDGE_KIT), the watch needs none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

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
EPOCHS: Mapping[str, tuple[int, int]] = {"watch": (16, 16), "ds_cnn": (12, 12)}
"""Of the whole network, and of what is made of it."""
SEEDS: Mapping[str, Sequence[int]] = {"watch": (0, 1, 2), "ds_cnn": (0, 1)}
"""As many as fit in half an hour of one core."""
Measured = Widths | Bits | Gates | Weighed | Conditions
QUICK = ("watch", 0, (2, 2))


def jobs_of(subjects: Sequence[Subject]) -> Iterator[list[Job]]:
    """Those of one network; the first leave the networks that the others take."""
    def job(make: Callable[..., Figure], of: Subject) -> Job:
        return Job(digest(make.__name__, of.digest, code(DEPLOYING)), make, (of,))

    yield [job(widths, of) for of in subjects]
    yield [job(make, of) for of in subjects for make in (bits, gates)] + [job(weighed, subjects[0])]


def main(quick: bool = typer.Option(False, help="one seed of the watch's network, hardly trained; no kit"),
         networks: str = typer.Option("", help=f"of {', '.join(NETWORKS)}, with commas between them"),
         seeds: str = typer.Option("", help="such as 0,1")) -> None:
    """Train, measure; print the page."""
    only = [int(seed) for seed in seeds.split(",")] if seeds else None
    subjects = [Subject(*QUICK)] if quick else [
        Subject(network, seed, EPOCHS[network]) for network in listed(networks, NETWORKS) or NETWORKS
        for seed in only or SEEDS[network]]
    kept, keys = Kept(FOLDER / "figures.jsonl", Measured), []
    with processes() as pool:
        for _, of in groupby(subjects, key=lambda subject: subject.network):
            for jobs in jobs_of([*of]):
                work(pool, kept, jobs)
                keys += [job.key for job in jobs]
    text = page(finished(kept, keys, own_conditions))
    if not (quick or networks or seeds):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "conditional.md", ())


if __name__ == "__main__":
    typer.run(main)
