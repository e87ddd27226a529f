"""Verbs of adaptive compression: search, and workers that join one."""

from contextlib import contextmanager
from pathlib import Path
import re
import subprocess
import sys
from typing import Annotated

import typer

from toolchain.cli.app import (
    Checkpoint,
    Device,
    Json,
    LedgerOption,
    Model,
    Quiet,
    ShapeOption,
    shapes_of,
    show,
    speaker,
    verb,
)
from toolchain.errors import BadInput, GateFailed

Storage = Annotated[str | None, typer.Option(
    help="Where trials are kept, for many processes: a file or a postgresql:// URL; default in OUT.")]
Time = Annotated[str | None, typer.Option(
    "--time", metavar="30m", help="Stop asking for trials after so long: 90s, 30m, 2h.")]
SECONDS = {"s": 1, "m": 60, "h": 3600}
BUDGET = 60
"""Trials where neither a number nor a time is given."""


@verb
def search(model: Model, target: Annotated[str, typer.Option(help="See `edge targets`.")],
           data: Annotated[str, typer.Option(help="A set with calibration and selection samples.")],
           out: Annotated[Path, typer.Option(help="Folder for the answer; a search there is gone on with.")],
           limit: Annotated[list[str] | None, typer.Option(
               metavar="ram<=64kB", help="Of ram, flash, instructions, latency_ms, energy_uj or "
                                         "accuracy_drop; repeatable.")] = None,
           minimise: Annotated[list[str] | None, typer.Option(
               help="What shall be small, most important first; default instructions (or latency_ms) and "
                    "accuracy_drop.")] = None,
           budget: Annotated[int | None, typer.Option(
               min=1, help=f"Trials in all; default {BUDGET}.")] = None,
           time: Time = None, device: Device = None,
           recipe: Annotated[Path | None, typer.Option(
               help="A recipe.toml; its [search] says what varies.")] = None,
           also: Annotated[list[str] | None, typer.Option(
               help="Another model of yours, to be held against; repeatable.")] = None,
           workers: Annotated[int, typer.Option(
               min=1, help="Processes on this machine; one alone tries the same points on each run.")] = 1,
           storage: Storage = None, shape: ShapeOption = None, checkpoint: Checkpoint = None,
           ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Find the best network within limits, by what is measured on the device: a front, and one to take.

    Exit code 3 where no trial keeps all limits, with the nearest miss.
    """
    from toolchain.adapting import JOURNAL, Adapting, Wish
    from toolchain.ledger.ledger import Ledger
    from toolchain.profile import load_target
    from toolchain.recipe import Recipe, load_recipe, with_shapes
    from toolchain.report.live import watching
    from toolchain.report.search import miss_text, search_text

    seconds = seconds_of(time)
    wanted = with_shapes(load_recipe(recipe) if recipe else Recipe(), shapes_of(shape))
    wish = Wish(model=model, data=data, recipe=wanted, profile=load_target(target), device=device,
                checkpoint=str(checkpoint or ""), limits=tuple(limit or ()), minimise=tuple(minimise or ()),
                also=tuple(also or ()))
    budget = budget or (None if seconds else BUDGET)
    place = storage or str(out / JOURNAL)
    with Ledger.open(shared_ledger(ledger, place)) as opened:
        adapting = Adapting(wish, opened, speaker(quiet))
        others = adapting.others()
        study = adapting.study(place, budget)
        with (watching(adapting.needs, budget, quiet) as watch,
              helpers(workers - 1, place, adapting.name, ledger, time)):
            trials = adapting.search(study, budget, seconds, watch)
        found = adapting.answered(trials, others, out)
    show(json, found, search_text(found))
    if found.chosen is None:
        raise GateFailed(f"no trial keeps all limits; nearest miss: {miss_text(found.miss, found.needs)}. "
                         f"Relax a limit, or let it search for longer: --budget")


@verb
def worker(storage: Annotated[str, typer.Option(help="Of `edge search`: a file or a postgresql:// URL.")],
           name: Annotated[str | None, typer.Option(help="Which search; default the only one.")] = None,
           time: Time = None, ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Join a search, from this machine or another that has its model and samples at the same paths."""
    from toolchain.adapting import Adapting, wish_in
    from toolchain.ledger.ledger import Ledger
    from toolchain.report.live import watching

    wish, budget = wish_in(storage, name)
    with Ledger.open(shared_ledger(ledger, storage)) as opened:
        adapting = Adapting(wish, opened, speaker(quiet))
        if name not in (None, adapting.name):
            raise BadInput(f"search {name}: the model, samples or tools here are others than where it began")
        with watching(adapting.needs, budget, quiet) as watch:
            trials = adapting.search(adapting.study(storage, budget), budget, seconds_of(time), watch)
    done = sum(trial.outcome is not None for trial in trials)
    show(json, {"name": adapting.name, "trials": done}, f"search {adapting.name}: {done} trials done")


def shared_ledger(ledger: str | None, storage: str) -> str | None:
    """What all processes of a search have: who is at which trial is in it. A database holds both."""
    return ledger or (storage if "://" in storage else None)


def seconds_of(text: str | None) -> float | None:
    """ "30m" -> 1800. Raises BadInput."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found or not float(found[1]):
        raise BadInput(f"--time {text}: give a number and s, m or h, as in 30m")
    return float(found[1]) * SECONDS[found[2]]


@contextmanager
def helpers(count: int, storage: str, name: str, ledger: str | None, time: str | None):
    """So many more processes at the same search; ended where ours is."""
    options = [*(("--ledger", ledger) if ledger else ()), *(("--time", time) if time else ())]
    command = [sys.executable, "-m", "toolchain", "worker", "--storage", storage, "--name", name, "--quiet"]
    running = [subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
        for process in running:
            process.wait()
    finally:
        for process in running:
            process.terminate()
