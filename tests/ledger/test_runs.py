"""Runs are recorded once and asked for by what they are of."""

import csv
import io
import json

import pytest
from sqlalchemy import event, select

from tests.ledger.measured import a_measurement, an_evaluation
from toolchain.errors import BadInput, InvalidMeasurement
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.records import Subject, tool_versions
from toolchain.ledger.runs import Filter
from toolchain.ledger.schema import conditions, runs


def test_what_is_recorded_comes_back_whole(ledger):
    measured, judged = a_measurement(), an_evaluation()
    first, second = ledger.record(measured, judged)
    assert ledger.run(first).record == measured and ledger.run(second).record == judged
    assert ledger.run(first).tools == tool_versions()
    assert (ledger.run(second).artifact, ledger.run(second).target) == ("kws", "raspberry_pi_4")


def test_an_evaluation_alone_is_of_the_subject_given(ledger):
    number, = ledger.record(an_evaluation(), subject=Subject("ic", "12" * 32, "host"))
    assert ledger.run(number).artifact_digest == "12" * 32


def test_all_of_a_call_or_nothing_is_recorded(ledger):
    with pytest.raises(InvalidMeasurement):
        ledger.record(a_measurement(), an_evaluation(value=float("nan")))
    assert ledger.runs() == []


def test_filters(ledger):
    ledger.record(a_measurement(started_at="2026-11-20T10:00:00+00:00"))
    ledger.record(a_measurement(device="host", artifact="ic", artifact_digest="cd" * 32,
                                problems=("throttled",), started_at="2026-11-21T10:00:00+00:00"))
    ledger.record(an_evaluation(), subject=Subject("kws", "ab" * 32))
    found = {name: [run.id for run in ledger.runs(Filter(**wanted))] for name, wanted in {
        "all": {}, "device": {"device": "host"}, "valid": {"valid": True}, "invalid": {"valid": False},
        "name": {"artifact": "ic"}, "digest": {"artifact": "ababab"}, "short": {"artifact": "abab"},
        "wild": {"artifact": "%%%%%%"}, "since": {"since": "2026-11-21T09:00:00+00:00"},
        "kind": {"kind": "evaluation"}, "last": {"last": 2}, "target": {"target": "raspberry_pi_4"}}.items()}
    assert found == {"all": [1, 2, 3], "device": [2], "valid": [1, 3], "invalid": [2], "name": [2],
                     "digest": [1, 3], "short": [], "wild": [], "since": [2, 3], "kind": [3], "last": [2, 3],
                     "target": [1, 2]}


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", ""])
def test_a_date_that_is_none_is_named(ledger, since):
    with pytest.raises(BadInput, match="is no date; write it as 2026-11-22"):
        ledger.runs(Filter(since=since))


def test_a_run_that_is_not_there_is_named(ledger):
    with pytest.raises(BadInput, match="no run 7 in the ledger"):
        ledger.run(7)


def test_conditions_can_be_asked_for_by_name(ledger):
    ledger.record(a_measurement())
    with ledger.store.read() as connection:
        asked = select(conditions.c.value).where(conditions.c.name == "governor")
        assert connection.execute(asked).scalars().all() == ['"performance"']


def test_tools_are_stored_once(ledger):
    ledger.record(a_measurement())
    ledger.record(a_measurement())
    with ledger.store.read() as connection:
        assert len(set(connection.execute(select(runs.c.tools)).scalars())) == 1


def test_another_ledger_object_sees_the_same_runs(ledger, url):
    ledger.record(a_measurement())
    with Ledger.open(url) as other:
        assert other.runs() == ledger.runs() != []


def test_json_holds_everything(ledger):
    measured = a_measurement()
    ledger.record(measured)
    exported = json.loads(ledger.export())
    assert (exported["schema"], exported["schema_version"]) == ("edge.runs", 1)
    run, = exported["runs"]
    assert run["record"]["latency_samples_us"] == measured.latency_samples_us
    assert run["tools"] == tool_versions() and run["record"]["conditions"] == measured.conditions


def test_csv_has_a_line_a_run_and_no_formulas(ledger):
    ledger.record(a_measurement(artifact="=HYPERLINK(1)", problems=("-hot", "slow")), an_evaluation())
    first, second = csv.DictReader(io.StringIO(ledger.export("csv")))
    assert (first["artifact"], first["problems"]) == ("'=HYPERLINK(1)", "'-hot; slow")
    assert (first["valid"], first["median_us"], first["value"]) == ("False", "20.0", "")
    assert (second["metric"], second["value"], second["n"], second["median_us"]) == ("top1", "0.9", "500", "")


def test_another_way_to_export_is_refused(ledger):
    with pytest.raises(BadInput, match="not exported as 'xml'; choose json or csv"):
        ledger.export("xml")


def test_nothing_recorded_is_ever_changed_or_deleted(ledger):
    """By no statement that the whole of a life sends: recording, leases, jobs, reading, exporting."""
    said = []
    event.listen(ledger.store._engine, "before_cursor_execute", lambda *seen: said.append(seen[2].upper()))
    with ledger.lease(["device:changes-nothing"]) as lease:
        ledger.record(a_measurement(), lease=lease)
    ledger.export("csv")
    kept = ("RUNS", "SAMPLES", "CONDITIONS", "TOOLS")
    assert any(line.startswith("INSERT INTO RUNS") for line in said)
    assert not [line for line in said if line.startswith(tuple(
        f"{word} {table}" for table in kept for word in ("UPDATE", "DELETE FROM", "DROP TABLE")))]
