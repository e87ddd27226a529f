"""What is stored of a record comes back as it was."""

import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st
import msgspec
import pytest

from tests.ledger.measured import a_measurement, an_evaluation
from toolchain.errors import InvalidMeasurement, LedgerError
from toolchain.ledger import records
from toolchain.ledger.records import Subject, packed, record_of, run_row, sample_rows, seal, unpacked
from toolchain.measurement import Measurement

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=200))
def test_raw_samples_come_back_exactly(values):
    assert list(map(float.hex, unpacked(packed(values), len(values)))) == list(map(float.hex, values))


def test_raw_samples_are_little_endian_float64():
    assert struct.unpack("<3d", zlib.decompress(packed([1.5, -2.0, 1e300]))) == (1.5, -2.0, 1e300)


@pytest.mark.parametrize("data, count", [
    (b"", 2), (b"not zlib", 2), (packed([1.0]), 2), (packed([1.0] * 3), 2), (packed([1.0, 2.0])[:-9], 2),
    (packed([1.0]), -1), (packed([1.0]), 2**63)])
def test_damaged_raw_samples_are_said_so(data, count):
    with pytest.raises(LedgerError, match="damaged"):
        unpacked(data, count)


def test_every_list_of_reals_in_a_measurement_is_stored_as_raw_samples():
    lists = {field.name for field in msgspec.structs.fields(Measurement) if field.type == list[float]}
    assert set(records.SAMPLES) == lists >= {"latency_samples_us", "cpu_samples_us"}


def test_the_record_is_whole_without_its_samples_in_the_json():
    measured = a_measurement()
    row, raw = run_row(measured, Subject(), 5.0), sample_rows(measured)
    assert "19.875" not in row["record"]
    assert record_of({**row, "sha256": seal(row, raw)}, raw) == measured
    for lost in (raw[:1], [raw[0], {**raw[1], "data": packed([1.0])}]):
        with pytest.raises(LedgerError, match="not the one that was written"):
            record_of({**row, "sha256": seal(row, raw)}, lost)


@pytest.mark.parametrize("column", records.SEALED)
def test_a_row_that_is_not_what_was_written_is_said_so(column):
    row = run_row(a_measurement(), Subject(), 5.0)
    with pytest.raises(LedgerError, match="not the one that was written"):
        record_of({**row, "sha256": seal(row, []), column: f"{row[column]} "}, [])


def test_an_evaluation_is_of_its_subject():
    row = run_row(an_evaluation(), Subject("kws", "cd" * 32, "host"), 5.0)
    assert (row["artifact"], row["digest"], row["target"], row["started"]) == ("kws", "cd" * 32, "host", 5.0)
    assert row["valid"] and not row["emulated"]


def test_what_is_of_an_emulated_device_is_marked():
    for record in (a_measurement(emulated=True), an_evaluation(emulated=True)):
        assert run_row(record, Subject(), 5.0)["emulated"]


def test_problems_make_a_run_invalid():
    row = run_row(a_measurement(problems=("throttled", "governor changed")), Subject(), 5.0)
    assert not row["valid"] and row["problems"] == "throttled\ngovernor changed"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(InvalidMeasurement, match="latency_samples_us of the measurement on pi is not finite"):
        sample_rows(a_measurement(latency_samples_us=[1.0, bad]))
    with pytest.raises(InvalidMeasurement, match="the evaluation on pi holds a number that is not finite"):
        run_row(an_evaluation(value=bad), Subject(), 5.0)


def test_a_record_of_a_newer_kind_is_named():
    row = {**run_row(a_measurement(), Subject(), 5.0), "kind": "hologram"}
    with pytest.raises(LedgerError, match="newer edge"):
        record_of({**row, "sha256": seal(row, [])}, [])
