"""What a search costs beside its trials: of processes that share one, and of one with very many trials.

Points are those of a network whose six stages are cut, with an observer to choose; an outcome is a function
of the point, so that nothing but the search's own work is left.
"""

from collections.abc import Iterator, Sequence
import multiprocessing
from pathlib import Path
from statistics import median
import time

import numpy as np
import optuna
from peers_report import table
import sqlalchemy

from tests.ledger.processes import ended, forked
from toolchain.ledger.ledger import Ledger
from toolchain.recipe import Recipe, TrainConfig
from toolchain.search.needs import needs_of
from toolchain.search.space import Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome
from toolchain.search_section import SearchConfig, Variable
from toolchain.searching import Search

SERVING = ("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() "
           "AND backend_type = 'client backend'")
SLEEP_S, TRIALS, WORKERS = 0.5, 30, (1, 4)
"""Of a trial; trials of each worker; workers."""
SIZES, MORE = (60, 200, 1000, 10_000), 20
"""Trials that a search has already; trials that are timed."""
NEEDS = needs_of(("ram<=70",), (), "instructions")
STAGES = [f"prune.shares.stage{number}" for number in range(6)]
VARIABLES = ({name: Variable(low=0.0, high=0.9) for name in STAGES}
             | {"calibrate.observer": Variable(choices=("mse", "minmax", "percentile"))})
SPACE = Space(Recipe(train=TrainConfig(epochs=2), search=SearchConfig(sampler="evolution")), VARIABLES)
Cost = tuple[float, float, float, float]
"""Milliseconds of a trial: by the clock; of CPU time; ready, while others had the processors; the same of the
database's server."""


def outcome(recipe: Recipe) -> Outcome:
    """The more goes, the cheaper and the worse; training mends a part."""
    shares = np.array(list(recipe.prune.shares.values()) if recipe.prune else [0.0])
    epochs = recipe.train.epochs + sum(step.train.epochs for step in recipe.earlier)
    return Outcome(figures={"instructions": float(1e6 * (1 - shares.mean())), "ram": 50.0,
                            "accuracy_drop": float(16 * (shares**2).mean() / epochs)},
                   epochs=epochs, recipe_digest=recipe.digest)


def search_in(storage: str, ledger: Ledger, budget: int, sleep_s: float = 0.0, watch=None) -> Search:
    def tried(recipe: Recipe) -> Outcome:
        time.sleep(sleep_s)
        return outcome(recipe)

    study = Study(storage, "s", SPACE.base.search, VARIABLES, NEEDS, seed=0)
    return Search(study, SPACE, NEEDS, tried, lambda: iter(()), ledger, budget, watch=watch)


def shared(url: str, workers: int, trials: int = TRIALS, sleep_s: float = SLEEP_S) -> Cost:
    """Of a trial, by workers that are there before the first one begins: what they spend on it but sleep.

    url: of the ledger; trials are in the same database, or in a file beside it
    """
    processes = multiprocessing.get_context("fork")
    gate, ends = processes.Barrier(workers + 1), processes.Array("d", workers)
    cpu_s, waited_s = processes.Array("d", workers), processes.Array("d", workers)
    budget = workers * trials

    def work(number: int) -> None:
        def told(_) -> None:
            ends[number] = time.monotonic()

        with Ledger.open(url) as ledger:
            search = search_in(url if "://" in url else f"{url}.journal", ledger, budget, sleep_s, told)
            gate.wait()
            began_s, before_s = time.process_time(), queued_s()
            search.run()
            cpu_s[number], waited_s[number] = time.process_time() - began_s, queued_s() - before_s
            gate.wait()
            gate.wait()

    children = [forked(lambda number=number: work(number)) for number in range(workers)]
    gate.wait()
    began_s, before_s = time.monotonic(), server_queued_s(url)
    gate.wait()
    server_s = server_queued_s(url) - before_s
    gate.wait()
    assert [ended(child) for child in children] == [0] * workers
    wall_s = max(ends) - began_s
    return ((wall_s * workers / budget - sleep_s) * 1e3, sum(cpu_s) / budget * 1e3,
            sum(waited_s) / budget * 1e3, server_s / budget * 1e3)


def queued_s(process: int | str = "self") -> float:
    """How long its first thread was ready and others had the processors, as Linux tells it."""
    return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[1]) * 1e-9


def server_queued_s(url: str) -> float:
    """The same of what serves the database's connections."""
    if "://" not in url:
        return 0.0
    engine = sqlalchemy.create_engine(url.replace("://", "+psycopg://", 1))
    with engine.connect() as connection:
        found = connection.exec_driver_sql(SERVING).scalars().all()
    engine.dispose()
    return sum(map(queued_s, found))


def long(folder: Path, size: int) -> dict[str, float]:
    """CPU time of a search with so many trials: seconds to open it, milliseconds of a further trial, and of
    one of Optuna's alone, which asks its random sampler and tells it two figures and an attribute."""
    path = str(folder / f"{size}.journal")
    filled(path, size)
    with Ledger.open(str(folder / f"{size}.db")) as ledger:
        began_s = time.process_time()
        search = search_in(path, ledger, size + MORE)
        search.study.trials()
        open_s = time.process_time() - began_s
        began_s = time.process_time()
        assert len(search.run()) == size + MORE
        ours_s = time.process_time() - began_s
    return {"open_s": open_s, "ours_ms": ours_s / MORE * 1e3, "optuna_ms": optuna_ms(path)}


def filled(path: str, size: int) -> None:
    """A journal of trials that are done, on curves as a search's are, written at once."""
    search_in(path, None, size)
    lines = Lines(optuna.storages.journal.JournalFileBackend(path))
    study = optuna.load_study(storage=optuna.storages.JournalStorage(lines), study_name="s")
    study.add_trials(done(size))
    lines.keep()


def done(size: int) -> Iterator[optuna.trial.FrozenTrial]:
    random, distributions = np.random.default_rng(0), optuna.distributions
    kinds = {name: distributions.FloatDistribution(0.0, 0.9) for name in STAGES}
    kinds |= {"calibrate.observer": distributions.CategoricalDistribution(("mse", "minmax", "percentile"))}
    for _ in range(size):
        shares = np.clip(random.uniform(0, 0.9) + random.normal(0, 0.05, len(STAGES)), 0, 0.9).tolist()
        point = dict(zip(STAGES, shares)) | {"calibrate.observer": "mse"}
        found = outcome(SPACE.recipe(point))
        yield optuna.trial.create_trial(
            values=[found.figures[name] for name in NEEDS.objectives], params=point, distributions=kinds,
            user_attrs={"rung": 0, "of": None, "outcome": {"figures": found.figures, "epochs": found.epochs}})


class Lines:
    """A journal's lines, held in memory until they are kept."""

    def __init__(self, kept_in):
        self._kept_in, self._lines = kept_in, list(kept_in.read_logs(0))
        self._there = len(self._lines)

    def read_logs(self, log_number_from: int) -> list[dict]:
        return self._lines[log_number_from:]

    def append_logs(self, logs: Sequence[dict]) -> None:
        self._lines += logs

    def keep(self) -> None:
        self._kept_in.append_logs(self._lines[self._there:])


def optuna_ms(path: str) -> float:
    """Of CPU time."""
    journal = optuna.storages.journal.JournalFileBackend(path)
    study = optuna.load_study(storage=optuna.storages.JournalStorage(journal), study_name="s",
                              sampler=optuna.samplers.RandomSampler(seed=0))
    began_s = time.process_time()
    for _ in range(MORE):
        study.get_trials(deepcopy=False)
        trial = study.ask()
        for name in STAGES:
            trial.suggest_float(name, 0.0, 0.9)
        trial.set_user_attr("outcome", {})
        study.tell(trial, [1.0, 1.0])
    return (time.process_time() - began_s) / MORE * 1e3


def shared_table(found: dict[str, dict[str, list[Cost]]]) -> str:
    """found: database -> workers -> rounds"""
    head = [f"milliseconds of a trial that sleeps {SLEEP_S} s, beside that: least, median (CPU; ready, "
            f"but others had the processors; the same of the server)",
            *(f"{count} worker{'s' * (count > 1)}" for count in WORKERS)]
    return table(head, [[name, *(_told(rounds[str(count)]) for count in WORKERS)]
                        for name, rounds in found.items()])


def _told(rounds: Sequence[Cost]) -> str:
    walls, cpu, *waited = zip(*rounds)
    least = walls.index(min(walls))
    told = "; ".join(f"{each[least]:.1f}" for each in waited)
    return f"{min(walls):.1f}, {median(walls):.1f} ({min(cpu):.1f}; {told})"


def long_table(found: dict[str, dict[str, float]]) -> str:
    """found: trials -> what `long` tells"""
    head = ["a search of so many trials", *(f"{int(size):,}" for size in found)]
    rows = [[what, *(f"{each[key]:.{digits}f}" for each in found.values())] for what, key, digits in (
        ("CPU milliseconds of a further trial", "ours_ms", 1),
        ("Optuna's ask and tell alone, at random", "optuna_ms", 1),
        ("CPU seconds to open it, once", "open_s", 2))]
    return table(head, rows)
