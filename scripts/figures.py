"""Figures of a long benchmark: made in processes beside each other, kept in a file under the digest of all
that shapes them, so that a rerun resumes."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
import hashlib
import multiprocessing
import os
from pathlib import Path
import time
from typing import NamedTuple

from benchmark_peers import ROOT, say
import msgspec
import numpy as np
import typer

from toolchain.atomic import replacing

PROCESSES = 2
TRAINING = ("toolchain/train/*.py", "toolchain/tuning.py", "toolchain/runtime/torch_*.py",
            "toolchain/runtime/additions.py")
PRUNING = ("toolchain/prune/*.py", "toolchain/ir/*.py", "toolchain/shrinking.py", "toolchain/budgets.py",
           "toolchain/cost_*.py", "targets/*/cost_table.json")
DEPLOYING = ("toolchain/quantize/*.py", "toolchain/ir/*.py", "toolchain/lower/**/*", "toolchain/pipeline.py",
             "toolchain/post_training.py")
"""Files that shape what is trained, pruned, deployed."""


class Figure(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """key: digest of all that shapes it;  seconds: that it took"""

    key: str
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """What it is of."""
        return ""


class Conditions(Figure, kw_only=True):
    """said: when, on what, with which versions a run measured."""

    said: str


def packed(hits: np.ndarray) -> str:
    """(n,) bool as text."""
    return np.packbits(hits).tobytes().hex()


def unpacked(text: str, n: int) -> np.ndarray:
    """(n,) bool."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:n].astype(bool)


class Kept:
    """Figures of given kinds in a file, one JSON record a line, by key. One is there whole or not at all."""

    def __init__(self, path: Path, kinds: object):
        self._path = path
        lines = path.read_bytes().splitlines() if path.exists() else []
        figures = (msgspec.json.decode(line, type=kinds) for line in lines)
        self._figures = {figure.key: figure for figure in figures}

    def __contains__(self, key: str) -> bool:
        return key in self._figures

    def __getitem__(self, key: str) -> Figure:
        return self._figures[key]

    def add(self, figure: Figure) -> None:
        self._figures[figure.key] = figure
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as unfinished:
            unfinished.write_bytes(b"".join(msgspec.json.encode(f) + b"\n" for f in self._figures.values()))


def finished(kept: Kept, keys: Iterable[str], conditions: Callable[[], str]) -> list[Figure]:
    """The figures of these keys, and the conditions of the run that made the last of them."""
    keys = [*keys]
    said = digest("conditions", *sorted(keys))
    if said not in kept:
        kept.add(Conditions(key=said, said=conditions()))
    return [kept[key] for key in (*keys, said)]


def conclude(text: str, path: Path, missed: Sequence[str]) -> None:
    """Keep and print a report. Raises typer.Exit with 3 where bounds are missed."""
    path.write_text(text, encoding="utf-8")
    print(text, end="")
    if missed:
        say("\n".join(missed))
        raise typer.Exit(3)


# Keys -------------------------------------------------------------------------------------------------------

@cache
def code(patterns: tuple[str, ...]) -> str:
    """Digest of the files' contents."""
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    return digest(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))


def digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def listed(text: str, known: Iterable[str]) -> list[str]:
    """Names with commas between them. Raises typer.BadParameter for one that is not known."""
    names = text.split(",") if text else []
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"{unknown[0]}: known are {', '.join(known)}")
    return names


# Processes --------------------------------------------------------------------------------------------------

class Job(NamedTuple):
    """What a process does: make(*given, key=key)."""

    key: str
    make: Callable[..., Figure]
    given: tuple


def processes() -> ProcessPoolExecutor:
    """Each computes on one thread, and gives way to others."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), _one_thread)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
    os.nice(10)


def work(pool: ProcessPoolExecutor, kept: Kept, jobs: Iterable[Job]) -> None:
    """Do what is not there yet."""
    missing = [job for job in jobs if job.key not in kept]
    futures = [pool.submit(done, job) for job in missing]
    for number, future in enumerate(as_completed(futures), 1):
        figure = future.result()
        kept.add(figure)
        say(f"{number} of {len(missing)}: {type(figure).__name__.lower()}: {figure.text}, "
            f"{figure.seconds:.0f} s")


def done(job: Job) -> Figure:
    """The figure, with the seconds that it took."""
    begin = time.perf_counter()
    figure = job.make(*job.given, key=job.key)
    return msgspec.structs.replace(figure, seconds=round(time.perf_counter() - begin, 1))
