"""What a search found, as text and as a page."""

from html.parser import HTMLParser
import io
import re

import msgspec
from rich.console import Console

from toolchain.report.live import progress_text, watching
from toolchain.report.search import (
    HEIGHT,
    MARGIN,
    WIDTH,
    Entry,
    Found,
    Loss,
    front_table,
    miss_text,
    search_page,
    search_text,
)
from toolchain.search.answer import bindings, front_of, nearest_miss, recommended
from toolchain.search.needs import needs_of
from toolchain.search.trial import Outcome, Trial

NEEDS = needs_of(("ram<=64kB",), (), "instructions")
ROWS = ((5_000_000, 0.25, 60_000), (4_000_000, 1.5, 50_000), (3_000_000, 0.5, 66_000))


def outcome(row) -> Outcome:
    figures = dict(zip(("instructions", "accuracy_drop", "ram"), map(float, row)))
    return Outcome(figures=figures, n=400, standard_error=0.3, unit="points", epochs=2, measured="m4, c")


TRIALS = tuple(Trial(number=number, point={"x": number}, outcome=outcome(row))
               for number, row in enumerate(ROWS))


def found(trials=TRIALS, needs=NEEDS, also="tiny.onnx", **given) -> Found:
    others = (Entry(name="plain", kind="plain", outcome=outcome((9_000_000, 0, 70_000))),
              Entry(name=also, kind="also", outcome=outcome((2_000_000, 4, 20_000)),
                    test=Loss(3.5, 0.2, 900)))
    front = tuple(Entry(name=f"trial {trial.number}", kind="front", outcome=trial.outcome,
                        recipe=f"front/{trial.number}.toml") for trial in front_of(trials, needs))
    chosen = recommended(trials, needs)
    return Found(model="net.onnx", target="m4", device="", needs=needs, trials=trials, spared=1, refused=2,
                 front=front, others=others, chosen=chosen, miss=nearest_miss(trials, needs), folder="out",
                 bindings=tuple(bindings(trials, needs)), **given)


def shown(renderable) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def row_of(text: str, name: str) -> list[str]:
    return re.split(r"\s{2,}", next(line for line in text.splitlines() if line.startswith(name)).strip())


def test_the_text_tells_the_front_the_choice_and_what_limits_it():
    text = shown(search_text(found()))
    assert "net.onnx on m4: 3 trials, 1 of them not trained (they break a limit), 2 not built" in text
    assert row_of(text, "plain")[:4] == ["plain", "9,000,000", "70,000", "0.00 ± 0.30 points (n=400)"]
    assert "3.50 ± 0.20 points (n=900)" in row_of(text, "tiny.onnx")
    assert "trial 2" not in text and "* " in text
    assert "recommended: trial " in text and "out: recipe.toml, recommended/, front/, search.html" in text
    assert "ram <= 64,000 binds: with 10 % more, instructions would be 3,000,000 instead of 4,000,000" in text


def test_without_one_that_keeps_all_limits_the_nearest_miss_is_told():
    needs = needs_of(("ram<=45kB", "instructions<=1M"), (), "instructions")
    text = shown(search_text(found(needs=needs)))
    assert "nearest miss: trial 2: ram 66,000 (limit 45,000), instructions 3,000,000 (limit" in text
    assert "recommended" not in text and b"nearest miss: trial 2" in search_page(found(needs=needs))


def test_a_miss_that_was_not_built_says_why():
    refused = Trial(number=4, point={}, outcome=Outcome(refused="BadSamples: none"))
    assert miss_text(refused, NEEDS) == "trial 4: BadSamples: none"
    assert miss_text(None, NEEDS) == "nothing was tried"


def test_a_network_without_a_figure_has_a_dash_or_the_reason():
    too_large = Outcome(refused="DoesNotFit: too large", figures={"ram": 5e6})
    text = shown(front_table([Entry(name="plain", kind="plain", outcome=too_large)], NEEDS))
    assert row_of(text, "plain")[:4] == ["plain", "-", "5,000,000", "DoesNotFit: too large"]


class Circles(HTMLParser):
    """Of a page: class -> positions; and whether a script was let in."""

    def __init__(self, page: bytes):
        super().__init__()
        self.found, self.scripts = {}, 0
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.scripts += tag in ("script", "img")
        if tag == "circle":
            self.found.setdefault(given["class"], []).append((float(given["cx"]), float(given["cy"])))


def test_cheaper_is_further_left_and_better_is_lower_within_the_frame():
    dots = Circles(search_page(found())).found
    assert set(dots) == {"trial", "front", "plain", "also"} and len(dots["trial"]) == 2 * 3
    assert all(MARGIN <= x <= WIDTH - 20 and 20 <= y <= HEIGHT - MARGIN
               for places in dots.values() for x, y in places)
    by_instructions = dots["trial"][:3]
    assert by_instructions[2][0] < by_instructions[1][0] < by_instructions[0][0]
    assert by_instructions[0][1] > by_instructions[2][1] > by_instructions[1][1]
    assert dots["also"][0][0] < by_instructions[2][0] < dots["plain"][0][0]


def test_a_plot_of_one_point_and_of_none_is_drawn():
    needs = needs_of((), (), "instructions")
    assert Circles(search_page(found(TRIALS[:1], needs))).found["trial"]
    bare = msgspec.structs.replace(found((), needs), others=(), chosen=None)
    assert Circles(search_page(bare)).found == {}


def test_names_cannot_write_into_the_page():
    name = "<script>alert(1)</script><img src=x>"
    page = search_page(found(also=name))
    assert Circles(page).scripts == 0 and b"&lt;script&gt;" in page


def test_names_cannot_style_the_terminal():
    assert "[red]x[/red].onnx" in shown(search_text(found(also="[red]x[/red].onnx")))


# While it goes on -------------------------------------------------------------------------------------------

def test_progress_tells_the_best_and_the_time_that_is_left():
    cheapest = needs_of(("accuracy_drop<=2", "ram<=64kB"), (), "instructions")
    assert progress_text(TRIALS, cheapest, None, 30.0) == (
        "3 trials; best so far: trial 1: instructions 4,000,000, accuracy_drop 1.5")
    assert progress_text(TRIALS, NEEDS, 9, 30.0).startswith("3 of 9 trials, about 60 s left; ")
    assert "about 2 min left" in progress_text(TRIALS, NEEDS, 9, 60.0)
    assert "about 60 s left" in progress_text(TRIALS, NEEDS, 9, 10.0, before=2)
    assert "left" not in progress_text(TRIALS, NEEDS, 3, 30.0)
    assert "left" not in progress_text(TRIALS, NEEDS, None, 30.0)
    assert progress_text(TRIALS[2:], NEEDS, None, 1.0) == "1 trials; none keeps all limits yet"


def test_a_line_for_each_trial_where_there_is_no_terminal_and_none_when_quiet(capsys):
    with watching(NEEDS, 9, quiet=False) as watch:
        watch(TRIALS[:1])
        watch(TRIALS[:2])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("edge: ") for line in lines)
    with watching(NEEDS, 9, quiet=True) as watch:
        assert watch is None
    assert capsys.readouterr().err == ""
