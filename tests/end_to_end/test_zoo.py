"""The zoo goes through: float and INT8, LiteRT, ONNX Runtime and C, each beside its source (docs/zoo.md)."""

from pathlib import Path

import pytest

from tests.zoo.catalogue import ENTRIES, ZOO, Entry
from tests.zoo.judge import judge
from tests.zoo.promises import COLUMNS, EXCEPTIONS, broken
from tests.zoo.table import FAILED, rows_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
JUDGED = [pytest.param(entry, id=entry.name, marks=() if entry.fast else pytest.mark.slow)
          for entry in ENTRIES]


@pytest.mark.oracle
@pytest.mark.parametrize("entry", JUDGED)
def test_a_network_keeps_its_promises_but_those_listed(entry: Entry, tmp_path):
    result = judge(entry, tmp_path)
    listed = {key for key in EXCEPTIONS if key[0] == entry.name}
    assert broken(result) == listed, result


def test_exceptions_name_networks_and_columns_of_the_zoo():
    assert {name for name, _ in EXCEPTIONS} <= set(ZOO)
    assert {column for _, column in EXCEPTIONS} <= set(COLUMNS)


def test_the_page_says_what_is_tested():
    """Every network has a row, and its marked cells are the listed exceptions: `make zoo` writes the page."""
    rows = rows_of(PAGE.read_text(encoding="utf-8"))
    assert list(rows) == [entry.title for entry in ENTRIES]
    marked = {(entry.name, column) for entry in ENTRIES for column in COLUMNS
              if rows[entry.title][column].startswith(FAILED)}
    assert marked == set(EXCEPTIONS)
