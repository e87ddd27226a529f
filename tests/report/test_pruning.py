"""The table of what could be pruned and what not."""

import io

from rich.console import Console

from toolchain.prune.explanation import BranchLine, Explanation, GroupLine, KeptLine, Scores
from toolchain.prune.low_rank import ThinLine
from toolchain.report.pruning import explanation_table


def shown(found) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(explanation_table(found))
    return console.file.getvalue()


def test_the_table_shows_groups_and_reasons():
    group = GroupLine("stem", 8, ("stem",), ("a", "b", "c", "d"), ("stem", "weight"), 3, Scores(0, 3.5, 7))
    kept = KeptLine("head", "conv2d", 10, "softmax (softmax) needs all channels of head: they compete")
    text = shown(Explanation("net", (group,), (kept,)))
    row = next(line for line in text.splitlines() if line.split()[:1] == ["stem"])
    assert row.split() == ["stem", "8", "3", "0,", "3.5,", "7", "stem", "a,", "b,", "2", "more"]
    row = next(line for line in text.splitlines() if line.split()[:1] == ["head"])
    assert row.split()[1:3] == ["conv2d", "10"] and row.rstrip().endswith(kept.reason)


def test_a_group_that_nobody_scored_or_reads_has_a_dash():
    text = shown(Explanation("net", (GroupLine("stem", 8, ("stem",), (), ("stem",)),), ()))
    assert [line.split() for line in text.splitlines() if "stem" in line] == [
        ["stem", "8", "0", "-", "stem", "-"]]


def test_nothing_to_prune_is_said():
    assert shown(Explanation("net", (), ())) == "net: no channel can go\n"


def test_branches_are_shown_where_they_may_go():
    lines = BranchLine("add", 4, True), BranchLine("add.1", 0, False, "conv of the branch also feeds y (add)")
    text = shown(Explanation("net", (), (), lines))
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["add"], ["add.1"])]
    assert rows == [["add", "4", "yes", "-"], ["add.1", "0", "no", *lines[1].reason.split()]]


def test_ops_that_become_two_are_shown_with_what_they_gain():
    lines = ThinLine("a", (1000, 400), "spatial", 3, 12, 0.875), ThinLine("b", (70, 70), reason="no rank")
    text = shown(Explanation("net", (), (), thin=lines, unit="us"))
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["a"], ["b"])]
    assert rows == [["a", "spatial", "3", "of", "12", "87.5%", "1,000", "->", "400", "-"],
                    ["b", "-", "-", "-", "70", "no", "rank"]]
    assert "us" in text.split() and "no channel can go" not in text


def test_names_cannot_speak_to_the_terminal():
    kept = KeptLine("a\x1b[31m", "conv2d", 1, "[red]b[/red]")
    text = shown(Explanation("net", (), (kept,)))
    assert "\x1b" not in text and "[red]b[/red]" in text
