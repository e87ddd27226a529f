"""Lines of searches in PostgreSQL: in order, without a gap, whoever writes them."""

import threading

import pytest

from tests.ledger.conftest import postgresql_url  # noqa: F401
from toolchain.search.journal import DatabaseJournal, Journal, searches_in

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgresql_url):  # noqa: F811
    return postgresql_url.format(database="postgres").replace("://", "+psycopg://")


def test_what_is_written_is_read_by_all_from_any_line_on(url):
    ours, theirs = DatabaseJournal(url, "order"), DatabaseJournal(url, "order")
    ours.append_logs([{"op": 0, "text": "ä\n\"'"}, {"op": 1}])
    theirs.append_logs([{"op": 2, "deep": {"of": [1, None]}}])
    assert list(ours.read_logs(0)) == [{"op": 0, "text": "ä\n\"'"}, {"op": 1},
                                       {"op": 2, "deep": {"of": [1, None]}}]
    assert [log["op"] for log in theirs.read_logs(2)] == [2] and list(ours.read_logs(3)) == []


def test_searches_do_not_see_each_other(url):
    for name in ("one", "two"):
        DatabaseJournal(url, name).append_logs([{"name": name}])
    assert list(DatabaseJournal(url, "two").read_logs(0)) == [{"name": "two"}]
    assert {"one", "two"} <= set(searches_in(url))


def test_of_many_writers_no_line_is_lost_and_none_comes_before_one_that_was_read(url):
    journals, seen = [DatabaseJournal(url, "many") for _ in range(4)], []

    def write(number: int) -> None:
        for line in range(40):
            journals[number].append_logs([{"by": number, "line": line}])

    def read() -> None:
        while len(seen) < 160:
            seen.extend(reader.read_logs(len(seen)))

    reader = DatabaseJournal(url, "many")
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    threads.append(threading.Thread(target=read))
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert seen == list(reader.read_logs(0)) and len(seen) == 160
    for number in range(4):
        assert [log["line"] for log in seen if log["by"] == number] == list(range(40))


def test_what_is_written_together_is_there_at_once_or_not_at_all(url):
    ours, theirs = Journal(DatabaseJournal(url, "together")), DatabaseJournal(url, "together")
    ours.append_logs([{"op": 0}])
    with ours.together():
        ours.append_logs([{"op": 2}])
        theirs.append_logs([{"op": 1}])
        ours.append_logs([{"op": 3, "text": "{\"a,'b"}, {"op": 4}])
        assert list(ours.read_logs(0)) == []
    assert [log["op"] for log in ours.read_logs(0)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyboardInterrupt), ours.together():
        ours.append_logs([{"op": 5}])
        raise KeyboardInterrupt
    assert len(list(ours.read_logs(0))) == 5
