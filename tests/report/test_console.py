"""What is shown to people is harmless to their terminals, whoever named what is shown."""

import pytest
from rich.table import Table
from rich.text import Text

from toolchain.cli.app import as_it_is, tell
from toolchain.measurement import Latency, Measurement, Row
from toolchain.report.console import print_out
from toolchain.report.tables import make_report, markdown, speed_text, terminal

HOSTILE = "a\x1b[2J\x9b31m[/red]\r\x07b\u202e\udc80\u2028"
"""Clears a screen, colours, closes what no one opened, goes back, rings, turns text around, is no Unicode."""
OBEYED = "\x1b\x9b\r\x07\u202e\udc80\u2028"


def hostile_table() -> Table:
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE))
    return table


@pytest.mark.parametrize("text", [HOSTILE, as_it_is(HOSTILE), hostile_table(), terminal(make_report(
    [Row(model=HOSTILE, target=HOSTILE, note=HOSTILE)]))], ids=["str", "text", "table", "report"])
def test_nothing_that_is_shown_moves_a_terminal(text, capsys):
    print_out(text)
    shown = capsys.readouterr().out
    assert not set(shown) & set(OBEYED) and "[/red]" in shown


def test_nothing_that_is_told_moves_a_terminal(capsys):
    tell(f"a model\n{HOSTILE}")
    told = capsys.readouterr().err
    assert told == "edge: a model\na?[2J?31m[/red]??b???\n"


def test_a_text_stays_as_it_is(capsys):
    print_out("[brackets] and :smile:\n  " + 300 * "x")
    assert capsys.readouterr().out == "[brackets] and :smile:\n  " + 300 * "x" + "\n"


def test_a_name_stays_in_its_cell_of_markdown():
    text = markdown(make_report([Row(model="a|b\n| c | <img src=x>[l](u)", target="host")]))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 3 and lines[2].replace("\\|", "").count("|") == lines[0].count("|")
    assert r"\<img" in text and r"\[l\](u)" in text


def measured(**fields) -> Measurement:
    return Measurement(artifact="net", artifact_digest="d", target="t", device="t", runtime="r",
                       **{"emulated": False, **fields})


def test_speed_is_time_unless_emulated_and_bears_its_mark():
    both = {"instructions": 1000, "latency_us": Latency(1500.0)}
    assert speed_text(measured(**both)) == "1.5 ms"
    assert speed_text(measured(**both, problems=("hot",))) == "INVALID: 1.5 ms"
    assert speed_text(measured(**both, emulated=True)) == "1,000 instructions"
    assert speed_text(measured(**both, emulated=True, problems=("off",))) == "INVALID: 1,000 instructions"
    assert speed_text(measured(problems=("off",))) == "INVALID: -" and speed_text(measured()) == "-"
