"""Ask and tell: the points that a search tries, kept in a storage that processes and machines may share.

Optuna keeps trials and proposes points. What it proposes depends on the seed, the number of the trial and the
trials before it alone, so that a search by one process that was killed goes on as if it had not been.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


class Study:
    """One search's trials.

    storage: a journal's file, which is made, or a "postgresql://" URL
    name:    of the study within it
    Raises RuntimeMissing without Optuna, BadInput for a storage that cannot be used.
    """

    def __init__(self, storage: str, name: str, config: SearchConfig, variables: Mapping[str, Variable],
                 needs: Needs, seed: int):
        self._config, self._variables, self._needs, self._seed = config, variables, needs, seed
        self.name = name
        self._optuna = _optuna()
        with _told_of(storage, self._optuna):
            self._study = self._optuna.create_study(
                storage=_storage(self._optuna, storage), study_name=name, load_if_exists=True,
                directions=["minimize"] * len(needs.objectives), sampler=self._sampler(0))

    def ask(self) -> Trial:
        """The next point: one that was put forward, else the sampler's."""
        self._study.sampler = self._sampler(len(self._all()))
        return self._asked(self._study.ask())

    def again(self, number: int) -> Trial:
        """The point of a trial that somebody began and left."""
        self._study.sampler = self._sampler(number)
        return self._asked(self._optuna.Trial(self._study, self._all()[number]._trial_id))

    def put_forward(self, point: Mapping[str, Value], rung: int = 0, of: int | None = None) -> None:
        """A point that is asked for next."""
        self._study.enqueue_trial(dict(point), user_attrs={"rung": rung, "of": of})

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Keep what became of a trial, unless another process did so before."""
        frozen = self._all()[trial.number]
        if frozen.state.is_finished():
            return
        kept = self._optuna.Trial(self._study, frozen._trial_id)
        kept.set_user_attr("outcome", msgspec.to_builtins(outcome))
        for name, share in self._needs.violations(outcome.figures).items():
            kept.set_constraint(name, share)
        values = [outcome.figures.get(name, UNKNOWN) for name in self._needs.objectives]
        told = {"values": values} if outcome.figures else {"state": self._optuna.trial.TrialState.FAIL}
        self._study.tell(trial.number, **told, skip_if_finished=True)

    def drop(self, trial: Trial) -> None:
        """A trial that nobody shall do."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def say_of(self, facts: Mapping[str, object]) -> None:
        """What `searches` tells of it."""
        self._study.set_user_attr("facts", msgspec.to_builtins(facts))

    def trials(self) -> list[Trial]:
        """All, by number."""
        return [_read(frozen) for frozen in self._all()]

    def _all(self) -> list:
        return self._study.get_trials(deepcopy=False)

    def _asked(self, trial) -> Trial:
        for name, variable in self._variables.items():
            _suggest(trial, name, variable)
        return _read(self._all()[trial.number])

    def _sampler(self, number: int):
        """Of the trial of this number."""
        samplers = self._optuna.samplers
        text = f"{self._seed} {number}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4])
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
        found = optuna.get_all_study_summaries(_storage(optuna, storage), include_best_trial=False)
    return {one.study_name: one.user_attrs.get("facts", {}) for one in found}


def _optuna():
    try:
        import optuna
    except ImportError:
        raise RuntimeMissing("a search needs Optuna: pip install 'edge-toolchain[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _storage(optuna, storage: str):
    if re.match(r"postgresql(\+\w+)?://", storage):
        url = re.sub(r"^postgresql://", "postgresql+psycopg://", storage)
        return optuna.storages.RDBStorage(url)
    if "://" in storage:
        raise BadInput(f"--storage {storage.partition('://')[0]}://...: give a file, or a postgresql:// URL")
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(storage))


@contextmanager
def _told_of(storage: str, optuna) -> Iterator[None]:
    """What cannot be opened is the user's to mend. URLs hold passwords and are not shown."""
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ValueError, KeyError) as error:
        shown = storage if "://" not in storage else "the database"
        said = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        raise BadInput(f"--storage: {shown} holds no search that can be gone on with: {said}") from None


def _suggest(trial, name: str, variable: Variable) -> None:
    if not variable.is_range:
        trial.suggest_categorical(name, variable.choices)
    elif variable.whole:
        trial.suggest_int(name, variable.low, variable.high, log=variable.log)
    else:
        trial.suggest_float(name, variable.low, variable.high, log=variable.log)


def _read(frozen) -> Trial:
    kept = frozen.user_attrs
    state = STATE.get(frozen.state.name, "done" if "outcome" in kept else "dropped")
    return Trial(number=frozen.number, rung=kept.get("rung", 0), of=kept.get("of"), state=state,
                 point=frozen.params or frozen.system_attrs.get("fixed_params", {}),
                 outcome=msgspec.convert(kept["outcome"], Outcome) if state == "done" else None)
