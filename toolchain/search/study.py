"""Ask and tell: the points that a search tries, kept in a storage that processes and machines may share.

Optuna keeps trials and proposes points. What it proposes depends on the seed, the number of the trial and the
trials before it alone, so that a search by one process that was killed goes on as if it had not been.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
import fcntl
from functools import wraps
import hashlib
from pathlib import Path
import re
import warnings

import msgspec

from toolchain.errors import BadInput, RuntimeMissing
from toolchain.search.needs import Needs
from toolchain.search.trial import Outcome, Trial
from toolchain.search_section import SearchConfig, Value, Variable

STATE = {"WAITING": "waits", "RUNNING": "runs"}
UNKNOWN = 1e9
"""Told of a figure that was not measured: the constraints then say how far a point is from what is needed."""
START = 10
"""Trials before a sampler that looks at them does."""
POPULATION = 12
"""Of "nsga2"."""
DATABASE = re.compile(r"postgresql(\+\w+)?://")
JOURNAL_LINE = b'{"op_code":'
"""How each line of a journal begins."""


def _of_storage(method):
    """A method that raises BadInput where the storage is lost meanwhile."""
    @wraps(method)
    def told(self, *args, **kwargs):
        with _told_of(self._place, self._optuna, ()):
            return method(self, *args, **kwargs)
    return told


class Study:
    """One search's trials.

    storage: a journal's file, which is made, or a "postgresql://" URL
    name:    of the study within it
    Raises RuntimeMissing without Optuna or PostgreSQL's driver, BadInput for a storage that cannot be used,
    as every method does.
    """

    def __init__(self, storage: str, name: str, config: SearchConfig, variables: Mapping[str, Variable],
                 needs: Needs, seed: int):
        self._config, self._variables, self._needs, self._seed = config, variables, needs, seed
        self.name, self._place = name, storage
        self._optuna, self._open = _optuna(), {}
        self._kept: list[Trial] = []
        self._settled = 0
        with _told_of(storage, self._optuna):
            self._journal = next(_journals(self._optuna, storage, name))
            opened = self._optuna.storages.JournalStorage(self._journal)
            self._study = self._optuna.create_study(
                storage=opened, study_name=name, load_if_exists=True,
                directions=["minimize"] * len(needs.objectives), sampler=self._sampler(0))

    @property
    @_of_storage
    def begun(self) -> bool:
        """Whether all first points were put forward."""
        return "begun" in self._study.user_attrs

    @_of_storage
    def begin(self) -> None:
        """Keep that they were."""
        self._study.set_user_attr("begun", True)

    @_of_storage
    def ask(self, count: int | None = None, worker: str = "") -> Trial:
        """The next point: one that was put forward, else the sampler's. One process asks at a time.

        count: how many trials there are, where they were looked at just before;  worker: of `Trial`
        """
        self._study.sampler = self._sampler(len(self._all()) if count is None else count)
        with self._journal.alone():
            return self._asked(self._study.ask(), worker)

    @_of_storage
    def again(self, number: int, worker: str = "") -> Trial:
        """The point of a trial that somebody began and left."""
        self._study.sampler = self._sampler(number)
        return self._asked(self._begun(number), worker)

    def _begun(self, number: int):
        return self._optuna.Trial(self._study, self._all()[number]._trial_id)

    @_of_storage
    def put_forward(self, point: Mapping[str, Value], rung: int = 0, of: int | None = None) -> None:
        """A point that is asked for next."""
        self._study.enqueue_trial(dict(point), user_attrs={"rung": rung, "of": of})

    @_of_storage
    def begin_with(self, point: Mapping[str, Value], rung: int = 0, of: int | None = None,
                   worker: str = "") -> Trial:
        """This point, put forward and asked for at once: one line of the journal, not one a variable."""
        found = self._optuna.trial.create_trial(
            state=self._optuna.trial.TrialState.RUNNING, params=dict(point),
            distributions={name: self._distribution(self._variables[name]) for name in point},
            user_attrs={"rung": rung, "of": of, "worker": worker})
        with self._journal.alone():
            number = self._study._storage.create_new_trial(self._study._study_id, template_trial=found)
            return self._asked(self._optuna.Trial(self._study, number), worker)

    def _distribution(self, variable: Variable):
        distributions = self._optuna.distributions
        if not variable.is_range:
            return distributions.CategoricalDistribution(variable.choices)
        kind = distributions.IntDistribution if variable.whole else distributions.FloatDistribution
        return kind(variable.low, variable.high, log=variable.log)

    @_of_storage
    def tell(self, trial: Trial, outcome: Outcome) -> list[Trial]:
        """Keep what became of a trial, unless another process did so before; all `trials`."""
        kept = self._open.pop(trial.number, None) or self._begun(trial.number)
        if self._all()[trial.number].state.is_finished():
            return self.trials()
        values = [outcome.figures.get(name, UNKNOWN) for name in self._needs.objectives]
        told = {"values": values} if outcome.figures else {"state": self._optuna.trial.TrialState.FAIL}
        with self._journal.together():
            kept.set_user_attr("outcome", msgspec.to_builtins(outcome))
            for name, share in self._needs.violations(outcome.figures).items():
                if name not in kept.constraints:
                    kept.set_constraint(name, share)
            self._study.tell(trial.number, **told)
        return self.trials()

    @_of_storage
    def say_of(self, facts: Mapping[str, object]) -> None:
        """What `searches` tells of it."""
        self._study.set_user_attr("facts", msgspec.to_builtins(facts))

    @_of_storage
    def trials(self) -> list[Trial]:
        """All, by number. What is finished stays so: it is read once."""
        for frozen in self._all()[self._settled:]:
            if frozen.number == len(self._kept):
                self._kept.append(_read(frozen))
            elif self._kept[frozen.number].state != "done":
                self._kept[frozen.number] = _read(frozen)
        while self._settled < len(self._kept) and self._kept[self._settled].state == "done":
            self._settled += 1
        return self._kept.copy()

    def _all(self) -> list:
        while True:  # where another process told it in the moment that we did, each line of ours is refused
            with suppress(self._optuna.exceptions.UpdateFinishedTrialError):
                return self._study.get_trials(deepcopy=False)

    def _asked(self, trial, worker: str) -> Trial:
        if self._config.sampler == "nsga2":  # of what was put forward too: else it is of no generation
            self._study.sampler.get_trial_generation(self._study, self._all()[trial.number])
        with self._journal.together():
            if trial.user_attrs.get("worker", "") != worker:
                trial.set_user_attr("worker", worker)
            for name, variable in self._variables.items():
                _suggest(trial, name, variable)
        self._open[trial.number], kept = trial, trial.user_attrs
        return Trial(number=trial.number, point=trial.params, rung=kept.get("rung", 0), of=kept.get("of"),
                     state="runs", worker=worker)

    def _sampler(self, number: int):
        """Of the trial of this number. What it draws of single variables does not depend on which it has
        drawn before: a process may have died between two of them."""
        sampler = self._seeded(f"{self._seed} {number}")
        sampler.sample_independent = lambda study, trial, name, distribution: self._seeded(
            f"{self._seed} {number} {name}").sample_independent(study, trial, name, distribution)
        return sampler

    def _seeded(self, text: str):
        samplers = self._optuna.samplers
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            if self._config.sampler == "tpe":
                return samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=START)
            if self._config.sampler == "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
            return samplers.RandomSampler(seed=seed)


def searches(storage: str) -> dict[str, Mapping[str, object]]:
    """Name of each study in a storage -> what `say_of` kept of it. Raises as `Study`."""
    optuna = _optuna()
    with _told_of(storage, optuna):
        opened = map(optuna.storages.JournalStorage, _journals(optuna, storage, None))
        found = [one for each in opened
                 for one in optuna.get_all_study_summaries(each, include_best_trial=False)]
    return {one.study_name: one.user_attrs.get("facts", {}) for one in found}


def _optuna():
    try:
        import optuna
    except ImportError:
        raise RuntimeMissing("a search needs Optuna: pip install 'edge-toolchain[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _journals(optuna, storage: str, name: str | None) -> Iterator:
    """Of the search of that name; of all that there are. A file's are one."""
    from toolchain.search.journal import DatabaseJournal, Journal, searches_in

    if DATABASE.match(storage):
        url = re.sub(r"^postgresql://", "postgresql+psycopg://", storage)
        for each in searches_in(url) if name is None else [name]:
            yield Journal(DatabaseJournal(url, each))
        return
    if "://" in storage:
        raise BadInput(f"--storage {storage.partition('://')[0]}://...: give a file, or a postgresql:// URL")
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    lock = _Lock(storage)
    lock.acquire()
    try:
        _mend(Path(storage))
    finally:
        lock.release()
    yield Journal(optuna.storages.journal.JournalFileBackend(storage, lock))


class _Lock:
    """On a journal, by the kernel: it falls with the process that held it. Optuna's own would stay."""

    def __init__(self, journal: str):
        self._journal = journal

    def acquire(self) -> bool:
        self._file = open(self._journal, "ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self._file.close()


def _mend(journal: Path) -> None:
    """Without half a line at its end, that a full disk or a power cut left: what is written next would join
    it, and be lost. Raises ValueError for a file of another kind."""
    with open(journal, "rb+") as file:
        if not JOURNAL_LINE.startswith(file.read(len(JOURNAL_LINE))):
            raise ValueError("it is no journal of a search")
        whole = 0
        for line in file:
            whole = file.tell() if line.endswith(b"\n") else whole
        file.truncate(whole)


@contextmanager
def _told_of(storage: str, optuna, malformed: tuple = (ValueError, KeyError)) -> Iterator[None]:
    """What cannot be used is the user's to mend. URLs hold passwords and are not shown.

    malformed: what a storage with other contents raises
    """
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, OSError, *malformed) as error:
        shown = storage if "://" not in storage else "the database"
        said = str(_database_said(error) or ("its URL cannot be read" if "://" in storage else error))
        raise BadInput(f"--storage: {shown} holds no search that can be gone on with: "
                       f"{said.strip().splitlines()[0]}") from None
    except ImportError:
        raise RuntimeMissing("a search in PostgreSQL needs psycopg: pip install 'edge-toolchain[postgresql]'"
                             ) from None


def _database_said(error: BaseException | None) -> object:
    """In its own words, which hold no password; None where none was asked."""
    while error is not None and getattr(error, "orig", None) is None:
        error = error.__cause__
    return error and error.orig


def _suggest(trial, name: str, variable: Variable) -> None:
    if not variable.is_range:
        trial.suggest_categorical(name, variable.choices)
    elif variable.whole:
        trial.suggest_int(name, variable.low, variable.high, log=variable.log)
    else:
        trial.suggest_float(name, variable.low, variable.high, log=variable.log)


def _read(frozen) -> Trial:
    kept = frozen.user_attrs
    state = STATE.get(frozen.state.name, "done")
    return Trial(number=frozen.number, rung=kept.get("rung", 0), of=kept.get("of"), state=state,
                 worker=kept.get("worker", ""),
                 point=frozen.params or frozen.system_attrs.get("fixed_params", {}),
                 outcome=msgspec.convert(kept["outcome"], Outcome) if state == "done" else None)
