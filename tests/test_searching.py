"""A search seen through, by as many processes as like, with a function of the point for networks."""

from collections import Counter
import os
from pathlib import Path
import signal
import threading
import time

import msgspec
import numpy as np
import pytest
import sqlalchemy as sql

from tests.ledger.conftest import no_locks_left, postgresql_url, url  # noqa: F401
from tests.ledger.postgresql import round_trips
from tests.ledger.processes import a_process, ended, for_ever, forked
from toolchain import pool
from toolchain.errors import BadConfig, DeviceLost
from toolchain.ledger.leases import Lease, give_back
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.schema import leases
from toolchain.recipe import Recipe, TrainConfig
from toolchain.search.answer import front_of, objectives, recommended
from toolchain.search.front import hypervolume
from toolchain.search.needs import needs_of
from toolchain.search.space import Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome
from toolchain.search_section import SearchConfig, Variable
from toolchain.searching import Search

NEEDS = needs_of(("ram<=70",), (), "instructions")
VARIABLES = {"prune.ratio": Variable(low=0.0, high=0.9),
             "calibrate.observer": Variable(choices=("mse", "minmax", "percentile")),
             "quantize.rounding": Variable(choices=("nearest", "gptq"))}


def space(sampler="tpe", rungs=1, **given) -> Space:
    train = TrainConfig(epochs=4) if rungs > 1 else None
    return Space(Recipe(train=train, search=SearchConfig(sampler=sampler, rungs=rungs)), VARIABLES, **given)


def outcome(recipe: Recipe) -> Outcome:
    """The more goes, the cheaper and the worse; training mends a part."""
    ratio = recipe.prune.ratio if recipe.prune else 0.0
    epochs = recipe.train.epochs if recipe.train else 0
    drop = 20 * ratio**2 / (1 + epochs) + {"mse": 0, "minmax": 2, "percentile": 1}[recipe.calibrate.observer]
    figures = {"instructions": 100 * (1 - ratio) + (recipe.quantize.rounding == "gptq"),
               "ram": 100 - 50 * ratio, "accuracy_drop": drop}
    return Outcome(figures=figures, epochs=epochs, recipe_digest=recipe.digest)


def heirs() -> Space:
    """Whose points go on from the weights of others."""
    base = Recipe(train=TrainConfig(epochs=2), search=SearchConfig(sampler="evolution"))
    return Space(base, {"prune.shares.a": Variable(low=0.0, high=0.9),
                        "train.alpha": Variable(low=0.0, high=0.9)})


def share_of(recipe: Recipe) -> float:
    return recipe.prune.shares["a"] if recipe.prune else 0.0


def outcome_of_heirs(recipe: Recipe) -> Outcome:
    """The more goes the worse, the longer it was trained the better."""
    share, epochs = share_of(recipe), sum(step.train.epochs for step in (*recipe.earlier, recipe))
    figures = {"instructions": 100 * (1 - share), "ram": 50.0,
               "accuracy_drop": 20 * share**2 / epochs + recipe.train.alpha}
    return Outcome(figures=figures, epochs=epochs, recipe_digest=recipe.digest)


def first(here: Space):
    if "prune.shares.a" in here.variables:
        return lambda: iter([here.start() | {"prune.shares.a": share} for share in (0.3, 0.6)])
    return lambda: iter([here.start() | {"prune.ratio": ratio} for ratio in (0.0, 0.5, 0.8)])


def search(folder: Path, ledger: Ledger, budget=20, try_recipe=outcome, here=None, storage=None,
           **given) -> Search:
    here = here or space()
    study = Study(str(storage or folder / "journal"), "s", here.base.search, here.variables, NEEDS, seed=0)
    return Search(study, here, NEEDS, try_recipe, given.pop("first", first(here)), ledger, budget, **given)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def points(trials) -> list:
    return [(trial.number, trial.point, trial.rung, trial.of, trial.outcome) for trial in trials]


# One process ------------------------------------------------------------------------------------------------

def test_the_budget_is_kept_and_the_first_points_are_first(tmp_path, ledger):
    seen = []
    trials = search(tmp_path, ledger, watch=lambda all_: seen.append(len(all_))).run()
    assert len(trials) == 20 and all(trial.state == "done" and trial.outcome for trial in trials)
    assert [trial.point["prune.ratio"] for trial in trials[:3]] == [0.0, 0.5, 0.8] and len(seen) == 20


def test_a_search_that_is_over_does_nothing_again_and_a_larger_budget_goes_on(tmp_path, ledger):
    before = search(tmp_path, ledger, budget=8).run()
    assert points(search(tmp_path, ledger, budget=8, try_recipe=None).run()) == points(before)
    after = search(tmp_path, ledger, budget=12).run()
    assert points(after[:8]) == points(before) and len(after) == 12


def test_a_budget_below_the_first_points_leaves_the_rest_of_them_waiting(tmp_path, ledger):
    states = [trial.state for trial in search(tmp_path, ledger, budget=1).run()]
    assert states == ["done", "waits", "waits"]
    trials = search(tmp_path, ledger, budget=5).run()
    assert [trial.state for trial in trials] == ["done"] * 5 and trials[2].point["prune.ratio"] == 0.8
    unbroken = search(tmp_path / "other", ledger, budget=5).run()
    assert points(trials) == points(unbroken)


def test_what_contradicts_itself_is_refused_and_the_search_goes_on(tmp_path, ledger):
    def hard(recipe):
        if recipe.calibrate.observer == "mse":
            raise BadConfig("not this one")
        return outcome(recipe)

    trials = search(tmp_path, ledger, try_recipe=hard).run()
    refused = [trial.outcome.refused for trial in trials if trial.point["calibrate.observer"] == "mse"]
    assert len(trials) == 20 and set(refused) == {"not this one"} and len(refused) < 20


def test_a_point_outside_of_what_a_recipe_may_have_is_refused(tmp_path, ledger):
    here = Space(Recipe(search=SearchConfig()), {"prune.ratio": Variable(low=0.5, high=2.0)})
    trials = search(tmp_path, ledger, here=here, first=lambda: iter([{"prune.ratio": 1.5}])).run()
    assert "Expected `float` < 1" in trials[0].outcome.refused and len(trials) == 20


def test_where_all_are_refused_it_ends(tmp_path, ledger):
    def none(recipe):
        raise BadConfig("nothing will do")

    trials = search(tmp_path, ledger, try_recipe=none).run()
    assert [trial.outcome.refused for trial in trials] == ["nothing will do"] * 20


def test_the_best_are_tuned_for_longer(tmp_path, ledger):
    here = space(rungs=3)
    trials = search(tmp_path, ledger, budget=30, here=here).run()
    assert {trial.rung: trial.outcome.epochs for trial in trials} == {0: 1, 1: 2, 2: 4}
    gone = [trial.of for trial in trials if trial.of is not None]
    assert len(gone) == len(set(gone)) >= 8
    for trial in trials:
        if trial.of is not None:
            assert trials[trial.of].point == trial.point and trials[trial.of].rung == trial.rung - 1
    rungs = Counter(trial.rung for trial in trials)
    assert rungs[0] > rungs[1] > rungs[2] > 0


def test_time_ends_it_where_there_is_no_budget(tmp_path, ledger):
    begin = time.monotonic()
    trials = search(tmp_path, ledger, budget=None, seconds=0.5).run()
    assert 0.4 < time.monotonic() - begin < 5 and trials and all(t.state == "done" for t in trials)
    assert len(search(tmp_path, ledger, budget=None, seconds=0.0).run()) == len(trials)


# Broken off -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("error", [KeyboardInterrupt, DeviceLost])
@pytest.mark.parametrize("sampler", ["evolution", "tpe", "nsga2"])
def test_what_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path, ledger, sampler, error):
    """In a trial, again and again."""
    unbroken = search(tmp_path / "a", ledger, here=space(sampler, rungs=2)).run()
    calls = []

    def breaking(recipe):
        calls.append(recipe)
        if len(calls) % 4 == 0:
            raise error
        return outcome(recipe)

    for _ in range(40):
        try:
            trials = search(tmp_path / "b", ledger, try_recipe=breaking, here=space(sampler, rungs=2)).run()
            break
        except error:
            pass
    assert points(trials) == points(unbroken) and len(calls) == 20 + (len(calls) // 4)


def test_heirs_go_on_from_others_have_no_more_channels_and_get_better(tmp_path, ledger):
    trials = search(tmp_path, ledger, budget=40, here=heirs(), try_recipe=outcome_of_heirs).run()
    born = [trial for trial in trials if trial.of is not None]
    assert len(born) == 40 - 6
    for trial in born:
        parent = trials[trial.of]
        assert trial.number > parent.number and trial.outcome.epochs == parent.outcome.epochs + 2
        assert trial.point["prune.shares.a"] >= parent.point["prune.shares.a"]
    assert max(trial.outcome.epochs for trial in trials) >= 8


def test_heirs_are_born_of_any_seed(tmp_path, ledger):
    here = Space(msgspec.structs.replace(heirs().base, seed=-1), heirs().variables)
    trials = search(tmp_path, ledger, budget=10, here=here, try_recipe=outcome_of_heirs).run()
    assert sum(trial.of is not None for trial in trials) == 4


def test_evolution_finds_a_better_front_than_chance(tmp_path, ledger):
    def volume(name, seed) -> float:
        base = heirs().base
        here = Space(msgspec.structs.replace(base, seed=seed, search=SearchConfig(sampler=name)),
                     heirs().variables)
        folder = tmp_path / f"{name}{seed}"
        trials = search(folder, ledger, budget=30, here=here, try_recipe=outcome_of_heirs).run()
        return hypervolume([objectives(trial, NEEDS) for trial in trials], (100, 5))

    found = {name: [volume(name, seed) for seed in range(3)] for name in ("evolution", "random")}
    assert np.mean(found["evolution"]) > 1.05 * np.mean(found["random"])


def test_heirs_cut_off_anywhere_are_born_again(tmp_path, ledger):
    here, path = heirs(), tmp_path / "journal"
    unbroken = search(tmp_path, ledger, budget=14, here=here, try_recipe=outcome_of_heirs).run()
    lines = path.read_bytes().splitlines(keepends=True)
    for count in range(3, len(lines), len(lines) // 11):
        path.write_bytes(b"".join(lines[:count]) + lines[count][:9])
        again = search(tmp_path, ledger, budget=14, here=here, try_recipe=outcome_of_heirs).run()
        assert points(again) == points(unbroken)


@pytest.mark.parametrize("sampler", ["evolution", "tpe", "nsga2", "random"])
def test_what_was_cut_off_anywhere_goes_on_as_if_it_had_not_been(tmp_path, ledger, sampler):
    """At any line of the journal, as a kill may leave it."""
    here, path = space(sampler, rungs=2), tmp_path / "journal"
    unbroken = search(tmp_path, ledger, budget=16, here=here).run()
    lines = path.read_bytes().splitlines(keepends=True)
    for count in range(3, len(lines), len(lines) // 11):
        path.write_bytes(b"".join(lines[:count]) + lines[count][:9])
        assert points(search(tmp_path, ledger, budget=16, here=here).run()) == points(unbroken)


def test_first_points_that_a_kill_kept_from_being_put_forward_are(tmp_path, ledger):
    """Finding them takes as long as it takes; a process may die over it."""
    def dies():
        yield from list(first(space())())[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, ledger, first=dies).run()
    assert points(search(tmp_path, ledger).run()) == points(search(tmp_path / "b", ledger).run())


def test_a_killed_process_trial_is_done_again_once_and_at_once(tmp_path, ledger):
    """Not after its lease's end: until then a search would ask for points without knowing its outcome."""
    here = space(rungs=2)
    unbroken = search(tmp_path / "b", ledger, here=here).run()

    def work(ready):
        def hangs(recipe):
            if len(os.listdir(tmp_path / "did")) == 7:
                ready()
                for_ever()
            return noted(recipe)

        with Ledger.open(str(tmp_path / "ledger.db")) as own:
            search(tmp_path, own, try_recipe=hangs, here=here).run()

    def noted(recipe):
        (tmp_path / "did" / str(time.monotonic_ns())).touch()
        return outcome(recipe)

    (tmp_path / "did").mkdir()
    with a_process(work) as child:
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        begin = time.monotonic()
        trials = search(tmp_path, ledger, try_recipe=noted, here=here).run()
    assert points(trials) == points(unbroken) and time.monotonic() - begin < 15
    assert len(os.listdir(tmp_path / "did")) == 20
    assert [t.number for t in front_of(trials, NEEDS)] == [t.number for t in front_of(unbroken, NEEDS)]
    assert recommended(trials, NEEDS) == recommended(unbroken, NEEDS)


def test_a_trial_that_an_error_ended_is_anybodys_at_once(tmp_path, ledger):
    """Though the process that began it is there still."""
    def lost(recipe):
        raise DeviceLost("unplugged")

    with pytest.raises(DeviceLost):
        search(tmp_path, ledger, try_recipe=lost).run()
    left = search(tmp_path, ledger).study.trials()[0]
    assert left.state == "runs" and left.worker and ledger.unclaimed([left.worker]) == [left.worker]


def test_a_trial_of_a_journal_that_tells_no_worker_is_anybodys(tmp_path, ledger):
    """As they were written before workers had leases."""
    here = search(tmp_path, ledger)
    here._begin()
    here.study.ask()
    assert '"worker":' not in (tmp_path / "journal").read_text()
    assert search(tmp_path, ledger).study.trials()[0].state == "runs"
    assert points(search(tmp_path, ledger).run()) == points(search(tmp_path / "b", ledger).run())


def test_what_runs_under_a_worker_that_is_there_is_left_alone(tmp_path, ledger):
    def stop(trials):
        if len(trials) == 5:
            raise KeyboardInterrupt

    here = search(tmp_path, ledger, watch=stop)
    here._begin()
    with ledger.worker() as lease:
        here.study.ask(worker=next(iter(lease.tokens)))
        with pytest.raises(KeyboardInterrupt):
            here.run()
    assert [trial.state for trial in here.study.trials()] == ["runs"] + ["done"] * 4
    require_whole(search(tmp_path, ledger, budget=5).run(), 5)


def test_a_worker_that_lost_its_lease_doubles_nothing_and_goes_on_under_another(tmp_path, ledger):
    """It was away for too long over its fourth trial: somebody else did that one, and told other figures."""
    did = []

    def away(recipe):
        did.append(recipe)
        if len(did) == 4:
            mine, = (trial for trial in search(tmp_path, ledger).study.trials() if trial.state == "runs")
            give_back(ledger.store, owner_of(ledger, mine.worker))
            search(tmp_path, ledger, budget=6, try_recipe=other).run()
        return outcome(recipe)

    def other(recipe):
        return msgspec.structs.replace(outcome(recipe), unit="of another")

    trials = search(tmp_path, ledger, budget=9, try_recipe=away).run()
    require_whole(trials, 9)
    assert [trial.outcome.unit for trial in trials] == [""] * 3 + ["of another"] * 3 + [""] * 3
    assert len(did) == 4 + 3 and len({trial.worker for trial in trials}) == 3
    again = search(tmp_path, ledger).study.trials()
    assert points(again) == points(trials)


def owner_of(ledger, worker) -> Lease:
    with ledger.store.read() as connection:
        found = connection.execute(sql.select(leases).where(leases.c.resource == worker)).one()
    return Lease(found.owner, {worker: found.token}, 30.0)


# Many at once -----------------------------------------------------------------------------------------------

def require_whole(trials, budget) -> None:
    assert len(trials) == budget and {trial.state for trial in trials} == {"done"}
    gone = [trial.of for trial in trials if trial.of is not None]
    assert len(gone) == len(set(gone))


def test_threads_share_a_search_and_nothing_is_lost_or_done_twice(tmp_path, ledger):
    done, here = [], space(rungs=3)

    def slow(recipe):
        time.sleep(0.01)
        done.append(recipe)
        return outcome(recipe)

    searches = [search(tmp_path, ledger, budget=40, try_recipe=slow, here=here) for _ in range(4)]
    threads = [threading.Thread(target=one.run) for one in searches]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    trials = searches[0].study.trials()
    require_whole(trials, 40)
    assert len(done) == 40


def processes(tmp_path, url, storage, budget=40, killed=0):  # noqa: F811
    """Four at work, which begin together; `killed` of them are ended in the middle."""
    here = space(rungs=3)
    for name in ("did", "there"):
        (tmp_path / name).mkdir()

    def work():
        def noted(recipe):
            time.sleep(0.05)
            (tmp_path / "did" / f"{os.getpid()}-{time.monotonic_ns()}").touch()
            return outcome(recipe)

        with Ledger.open(url) as own:
            mine = search(tmp_path, own, budget=budget, try_recipe=noted, here=here, storage=storage)
            (tmp_path / "there" / str(os.getpid())).touch()
            while len(os.listdir(tmp_path / "there")) < 4:
                time.sleep(0.01)
            mine.run()

    children = [forked(work) for _ in range(4)]
    while killed and len(os.listdir(tmp_path / "did")) < 6:
        time.sleep(0.02)
    for child in children[:killed]:
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
    late = [forked(work) for _ in range(killed)]
    assert [ended(child) for child in children[killed:] + late] == [0] * 4
    with Ledger.open(url) as own:
        return search(tmp_path, own, budget=budget, here=here, storage=storage).study.trials()


def test_processes_share_a_search_and_nothing_is_lost_or_done_twice(tmp_path):
    require_whole(processes(tmp_path, str(tmp_path / "ledger.db"), None), 40)
    did = [name.partition("-")[0] for name in os.listdir(tmp_path / "did")]
    assert len(did) == 40 and len(set(did)) == 4


def test_of_processes_that_are_killed_trials_are_done_again_once(tmp_path):
    require_whole(processes(tmp_path, str(tmp_path / "ledger.db"), None, killed=2), 40)
    assert 40 <= len(os.listdir(tmp_path / "did")) <= 42


@pytest.mark.slow
def test_a_database_has_the_trials_and_the_leases(tmp_path, postgresql_url):  # noqa: F811
    """One for both, as `edge worker` has it."""
    here = postgresql_url.format(database="postgres")
    require_whole(processes(tmp_path, here, here, budget=16, killed=1), 16)
    assert 16 <= len(os.listdir(tmp_path / "did")) <= 17


@pytest.mark.slow
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("sampler, count", [("evolution", 9), ("random", 10), ("tpe", 10), ("nsga2", 12)])
def test_a_trial_takes_few_round_trips_to_a_database(tmp_path, url, sampler, count):  # noqa: F811
    """While somebody else is at another one. In between, a lease may be renewed, and a statement prepared."""
    here, tries = (heirs(), outcome_of_heirs) if sampler == "evolution" else (space(sampler), outcome)
    seen = []

    def watch(trials):
        seen.append(counted())
        if len(trials) == 31:
            raise KeyboardInterrupt

    with round_trips() as counted, Ledger.open(url) as ledger, ledger.worker() as other:
        mine = search(tmp_path, ledger, budget=40, try_recipe=tries, here=here, storage=url, watch=watch)
        mine.study.ask(worker=next(iter(other.tokens)))
        with pytest.raises(KeyboardInterrupt):
            mine.run()
    assert np.median(np.diff(seen)[-20:]) == count


@pytest.mark.slow
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_database_that_broke_its_connections_ends_no_search(tmp_path, url, monkeypatch):  # noqa: F811
    """While a network was trained."""
    monkeypatch.setattr(pool, "IDLE_S", 0.1)
    engine = sql.create_engine(url.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")

    def broken(recipe):
        with engine.connect() as connection:
            ended = connection.exec_driver_sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()").scalar_one()
        time.sleep(0.2)
        assert ended >= 2
        return outcome(recipe)

    with Ledger.open(url) as ledger:
        require_whole(search(tmp_path, ledger, budget=3, try_recipe=broken, storage=url).run(), 3)
    engine.dispose()
