"""Ask and tell."""

from pathlib import Path
import re
import warnings

import numpy as np
import pytest

from toolchain.errors import BadInput
from toolchain.search.needs import needs_of
from toolchain.search.study import START, Study, searches
from toolchain.search.trial import Outcome
from toolchain.search_section import SearchConfig, Variable

SAMPLERS = ("tpe", "nsga2", "random")
NEEDS = needs_of(("ram<=60",), (), "instructions")
VARIABLES = {"x": Variable(low=0.0, high=1.0), "y": Variable(low=1e-3, high=1.0, log=True),
             "n": Variable(low=1, high=8), "way": Variable(choices=("a", "b", "c"))}


def study(path, sampler="tpe", seed=0, name="s", needs=NEEDS, variables=VARIABLES) -> Study:
    return Study(str(path), name, SearchConfig(sampler=sampler), variables, needs, seed)


def outcome(point) -> Outcome:
    """Of the point alone: more x costs less and loses more."""
    kind = {"a": 0.0, "b": 1.0, "c": 2.0}[point["way"]]
    cost = 100 * (1 - point["x"]) + 5 * point["n"] + 10 * kind
    drop = 10 * point["x"] ** 2 + abs(np.log10(point["y"]) + 2) + (2 - kind)
    ram = 100 * (1 - point["x"])
    return Outcome(figures={"instructions": cost, "accuracy_drop": float(drop), "ram": ram})


def tried(here: Study, count: int) -> list[dict]:
    points = []
    for _ in range(count):
        trial = here.ask()
        here.tell(trial, outcome(trial.point))
        points.append(trial.point)
    return points


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_points_are_within_their_ranges(tmp_path, sampler):
    for point in tried(study(tmp_path / "j", sampler), 16):
        assert 0 <= point["x"] <= 1 and 1e-3 <= point["y"] <= 1 and point["way"] in ("a", "b", "c")
        assert point["n"] in range(1, 9) and isinstance(point["n"], int)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_asks_for_the_same_points_and_another_for_others(tmp_path, sampler):
    first = tried(study(tmp_path / "a", sampler), 15)
    assert first == tried(study(tmp_path / "b", sampler), 15)
    assert first != tried(study(tmp_path / "c", sampler, seed=1), 15)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_that_is_opened_for_each_trial_asks_for_the_same_points(tmp_path, sampler):
    opened = [tried(study(tmp_path / "b", sampler), 1)[0] for _ in range(15)]
    assert opened == tried(study(tmp_path / "a", sampler), 15)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_was_left_in_the_middle_is_done_again_and_changes_nothing(tmp_path, sampler):
    """Asked for, and gone before it was told: by a process that never came back."""
    unbroken = tried(study(tmp_path / "a", sampler), 15)
    points = []
    for number in range(15):
        left = study(tmp_path / "b", sampler).ask()
        here = study(tmp_path / "b", sampler)
        assert here.trials()[number].state == "runs"
        again = here.again(number)
        assert again == left
        here.tell(again, outcome(again.point))
        points.append(again.point)
    assert points == unbroken


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_was_left_while_it_was_being_asked_for_is_asked_for_the_same(tmp_path, sampler):
    """The journal as a kill may leave it: at every line that asking writes, before and behind the start-up of
    the sampler."""
    path = tmp_path / "journal"
    for number in (3, START + 5):
        tried(study(path, sampler), number - len(study(path, sampler).trials()))
        here = study(path, sampler)
        before, asked = path.read_bytes(), here.ask()
        written = path.read_bytes()[len(before):].splitlines(keepends=True)
        assert asked.number == number and len(written) > len(VARIABLES)
        for count in range(1, len(written)):
            path.write_bytes(before + b"".join(written[:count]))
            here = study(path, sampler)
            assert here.trials()[number].state == "runs" and here.again(number) == asked
        path.write_bytes(before)


def test_what_was_put_forward_is_asked_for_first_in_order(tmp_path):
    here = study(tmp_path / "j")
    points = [{"x": 0.25, "y": 0.5, "n": 3, "way": "b"}, {"x": 0.0, "y": 1.0, "n": 8, "way": "c"}]
    here.put_forward(points[0])
    here.put_forward(points[1], rung=1, of=0)
    waits = here.trials()
    assert [(trial.state, trial.point) for trial in waits] == [("waits", point) for point in points]
    first, second = here.ask(), here.ask()
    assert (first.number, first.point, first.rung, first.of) == (0, points[0], 0, None)
    assert (second.number, second.point, second.rung, second.of) == (1, points[1], 1, 0)


def test_what_was_told_is_there_for_others(tmp_path):
    here = study(tmp_path / "j")
    trial = here.ask()
    told = Outcome(figures={"instructions": 1.0, "accuracy_drop": 0.5, "ram": 1e6}, n=40, unit="points",
                   standard_error=0.1, epochs=3, measured="m4", key="k", seconds=1.5, recipe_digest="r")
    here.tell(trial, told)
    [found] = study(tmp_path / "j").trials()
    assert found.state == "done" and found.outcome == told and found.point == trial.point


def test_what_was_told_first_counts(tmp_path):
    here = study(tmp_path / "j")
    trial = here.ask()
    here.tell(trial, outcome(trial.point))
    here.tell(trial, Outcome(refused="too late"))
    assert study(tmp_path / "j").trials()[0].outcome == outcome(trial.point)


def test_what_two_tell_in_the_same_moment_counts_once(tmp_path, monkeypatch):
    """Theirs is written when mine was seen to be open still."""
    mine, theirs = study(tmp_path / "j"), study(tmp_path / "j")
    trial = mine.ask()
    together = mine._journal.together

    def late():
        theirs.tell(theirs.again(trial.number), outcome(trial.point))
        return together()

    monkeypatch.setattr(mine._journal, "together", late)
    mine.tell(trial, Outcome(refused="too late"))
    for here in (mine, theirs, study(tmp_path / "j")):
        assert here.trials()[0].outcome == outcome(trial.point)
    assert mine.ask().number == 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_point_that_is_known_is_begun_by_one_line_as_if_put_forward(tmp_path, sampler):
    path, point = tmp_path / "j", {"x": 0.25, "y": 0.5, "n": 3, "way": "b"}
    here, other = study(path, sampler), study(tmp_path / "other", sampler)
    tried(here, START + 2), tried(other, START + 2)
    other.put_forward(point, rung=1, of=2)
    before = path.read_bytes()
    found = here.begin_with(point, rung=1, of=2)
    assert found == other.ask() and found.point == point and found.number == START + 2
    written = path.read_bytes()[len(before):].splitlines()
    assert len(written) == 1 + (sampler == "nsga2")
    again = study(path, sampler)
    assert again.trials()[found.number].state == "runs" and again.again(found.number) == found
    here.tell(found, outcome(point)), other.tell(found, outcome(point))
    assert tried(here, 3) == tried(other, 3)


def test_telling_is_begun_again_where_it_was_cut_off(tmp_path):
    """At every line that telling writes."""
    path = tmp_path / "j"
    here = study(path)
    trial = here.ask()
    before = path.read_bytes()
    here.tell(trial, outcome(trial.point))
    after = path.read_bytes()
    written = after[len(before):].splitlines(keepends=True)
    for count in range(len(written)):
        path.write_bytes(before + b"".join(written[:count]))
        here = study(path)
        assert here.trials()[0].state == "runs"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            here.tell(here.again(0), outcome(trial.point))
        assert study(path).trials()[0].outcome == outcome(trial.point)


def test_a_refusal_is_no_end(tmp_path):
    here = study(tmp_path / "j")
    for _ in range(START + 3):
        here.tell(here.ask(), Outcome(refused="no such luck"))
    assert all(trial.outcome.refused for trial in here.trials())


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_points_beyond_a_limit_are_avoided(tmp_path, sampler):
    """ram <= 60 leaves x >= 0.4; what was not judged for it says no more than by how much it misses."""
    here = study(tmp_path / "j", sampler)
    for _ in range(50):
        trial = here.ask()
        found = outcome(trial.point)
        if found.figures["ram"] > 60:
            found = Outcome(figures={name: found.figures[name] for name in ("instructions", "ram")})
        here.tell(trial, found)
    within = np.array([trial.point["x"] >= 0.4 for trial in here.trials()])
    assert within[25:].mean() > 0.8 > within[:START].mean()


def test_nsga2_breeds_from_what_was_put_forward_too(tmp_path):
    """Twelve points that have a way in common make a population: their children mostly have it too."""
    here = study(tmp_path / "j", "nsga2")
    for number in range(12):
        here.put_forward({"x": 0.4 + number / 40, "y": 0.01, "n": 1, "way": "c"})
    points = tried(here, 24)[12:]
    assert sum(point["way"] == "c" for point in points) >= 8 and sum(point["n"] == 1 for point in points) >= 8


def test_studies_of_one_storage_are_told_apart_and_say_what_they_are(tmp_path):
    first, second = study(tmp_path / "j", name="one"), study(tmp_path / "j", name="two")
    first.ask()
    first.say_of({"budget": 5})
    assert len(second.trials()) == 0
    assert searches(str(tmp_path / "j")) == {"one": {"budget": 5}, "two": {}}


def test_first_points_are_begun_once(tmp_path):
    here = study(tmp_path / "j")
    assert not here.begun
    here.begin()
    assert here.begun and study(tmp_path / "j").begun


# Storages that are none ------------------------------------------------------------------------------------

@pytest.mark.parametrize("content", [b"hello\n", b"one\ntwo\n", b"\xff\xfe\x00\x01" * 40, b'{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_is(tmp_path, content):
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="mine holds no search that can be gone on with: it is no journal"):
        study(path)
    assert path.read_bytes() == content and [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no search that can be gone on with: .*[Dd]irectory"):
        study(tmp_path)


def test_half_a_line_at_the_end_is_forgotten(tmp_path):
    path = tmp_path / "j"
    points = tried(study(path), 3)
    whole = path.read_bytes()
    for half in (b'{"op_code":8,"worker', b"{"):
        path.write_bytes(whole + half)
        here = study(path)
        assert [trial.point for trial in here.trials()] == points
        tried(here, 1)
        assert len(study(path).trials()) == 4


def test_a_line_that_is_damaged_in_the_middle_is_told(tmp_path):
    path = tmp_path / "j"
    tried(study(path), 2)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"\x00" * 20 + b"\n", *lines[4:]]))
    with pytest.raises(BadInput, match="j holds no search that can be gone on with"):
        study(path)


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "sqlite:///x.db", "redis://:secret@host"])
def test_a_database_of_another_kind_is_refused(url):
    with pytest.raises(BadInput, match="give a file, or a postgresql:// URL") as error:
        study(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["postgresql://me:sec/ret@host/db", "postgresql://me:secret@127.0.0.1:1/db",
                                 "postgresql://me:secret@127.0.0.1:no/db"])
def test_a_database_that_is_not_there_is_told_without_the_password(url):
    pytest.importorskip("psycopg")
    with pytest.raises(BadInput, match="^--storage: the database holds no search that can be gone") as error:
        study(url)
    assert not re.search("sec|ret@|no'", str(error.value).partition("with: ")[2])


def test_a_journal_that_cannot_be_written_any_more_is_told(tmp_path, monkeypatch):
    here = study(tmp_path / "j")
    monkeypatch.setattr("optuna.storages.journal.JournalFileBackend.append_logs", _full)
    with pytest.raises(BadInput, match="^--storage: .*: .*No space left on device"):
        here.ask()


def _full(*_):
    raise OSError(28, "No space left on device")


def test_finished_trials_of_other_processes_are_seen(tmp_path):
    mine, theirs = study(tmp_path / "j"), study(tmp_path / "j")
    trial = theirs.ask()
    assert mine.trials()[0].state == "runs"
    theirs.tell(trial, outcome(trial.point))
    assert mine.trials()[0].outcome == outcome(trial.point) and Path(tmp_path / "j").exists()
