"""Whether a search finds better networks than chance and habit do, with the same number of trials and as much
training (docs/search-benchmark.md).

Every search is kept in build/benchmark/search/ as it goes on, so that a rerun resumes. Needs the kit
($EDGE_KIT), but for a quick run. Exits with 3 where a bound of search_judgement.py is missed.
"""

from itertools import product

from benchmark_peers import ROOT
from figures import (
    Conditions,
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
import msgspec
from peers_report import own_conditions
from search_judgement import shortcomings
from search_networks import CASES
from search_report import page
from search_runs import (
    EPOCHS,
    FOLDER,
    Searched,
    Task,
    methods,
    network,
    recipe_of,
    searched,
    shaping,
    task_of,
)
import typer

PAGE = ROOT / "docs" / "search-benchmark.md"
SEEDS, TRIALS = (0, 1, 2), 60
QUICK = "watch", 0, 8
"""Network, seed, trials."""
Measured = Searched | Conditions


def key_of(task: Task, start: str) -> str:
    """start: digest of the network as it came"""
    return digest("searched", msgspec.json.encode(task), recipe_of(task).digest, start,
                  code(shaping(task.method)))


def main(quick: bool = typer.Option(False, help="a few trials of one network that needs no kit"),
         networks: str = typer.Option("", help=f"of {', '.join(CASES)}, with commas between them"),
         seeds: str = typer.Option("", help="such as 0,1")) -> None:
    """Search; print the page."""
    chosen = [int(seed) for seed in seeds.split(",")] if seeds else [*SEEDS]
    wanted = [(name, seed, TRIALS) for name, seed in product(listed(networks, CASES) or CASES, chosen)]
    tasks = [task_of(name, method, seed, trials, EPOCHS[name])
             for name, seed, trials in ([QUICK] if quick else wanted) for method in methods(name)]
    kept = Kept(FOLDER / "figures.jsonl", Measured)
    with processes() as pool:
        names = list(dict.fromkeys(task.network for task in tasks))
        starts = dict(zip(names, pool.map(_digest, names)))
        jobs = [Job(key, searched, (task,)) for task in tasks
                for key in [key_of(task, starts[task.network])]]
        work(pool, kept, jobs)
    found = finished(kept, [job.key for job in jobs], own_conditions)
    text = page(found)
    if not (quick or networks or seeds):
        PAGE.write_text(text, encoding="utf-8")
    conclude(text, FOLDER / "search.md", shortcomings(found, quick))


def _digest(name: str) -> str:
    """Of the network, which is trained where it is not yet."""
    return network(name)[0].digest


if __name__ == "__main__":
    typer.run(main)
