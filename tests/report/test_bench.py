"""One measurement in full: what a terminal shows, a page that stands alone, a map that is to scale."""

from html.parser import HTMLParser
from io import StringIO
import xml.etree.ElementTree as ElementTree

import pytest

from toolchain.measurement import ArenaMap, ArenaSpan, Evaluation, Function, Layer, Measurement, Parity
from toolchain.report.arena import HEIGHT, WIDTH, boxes, byte_ticks, text_map
from toolchain.report.bench import bench_page, bench_terminal
from toolchain.report.tables import evaluation_text

ARENA = ArenaMap(1000, ("conv", "pool", "outputs are read"), (
    ArenaSpan("x", "x", 0, 400, 0, 0), ArenaSpan("conv", "conv", 400, 600, 0, 1),
    ArenaSpan("conv.scratch", "conv.scratch", 0, 50, 0, 0), ArenaSpan("<y>&[/b]", "<y>&[/b]", 0, 100, 1, 2)))
M4 = Measurement(
    artifact="net", artifact_digest="d", target="cortex_m4_qemu", device="cortex_m4_qemu", emulated=True,
    runtime="generated C", instructions=1000, flash_bytes=300, parity=Parity(10, 0, 0.0),
    layers=(Layer("a/long/name/that/nobody/would/want/to/read/twice: conv2d [1] -> [2], 9 MACs", 700),
            Layer("<script>[/b]: pool", 290), Layer("entering, leaving", 10)),
    functions=(Function("tk_conv", 701, 900), Function("tk_pool", 300, 450)),
    flash_parts={"kernels": 100, "weights": 200}, conditions={"machine": "mps2-an386"})
M0 = Measurement(artifact="net", artifact_digest="d", target="m0", device="m0", emulated=True, runtime="C",
                 instructions=10, functions=(Function("f", 11),))


def shown(m: Measurement, arena: ArenaMap | None, width: int = 100) -> str:
    from rich.console import Console

    console = Console(file=StringIO(), width=width)
    console.print(bench_terminal(m, arena))
    return console.file.getvalue()


def test_a_terminal_shows_layers_functions_flash_and_arena():
    text = shown(M4, ARENA)
    assert "...nobody/would/want/to/read/twice: conv2d" not in text
    assert "...would/want/to/read/twice: conv2d [1] -> [2], 9 MACs" in text
    assert "70.0 %" in text and "tk_pool" in text and "1,350" in text and "cycles (estimate)" in text
    assert "memory without wait states" in " ".join(text.split()) and "kernels" in text
    assert "An emulated device counts instructions: it has no milliseconds and no energy." in text


def test_a_core_without_a_table_of_costs_has_no_cycles():
    assert "cycles" not in shown(M0, None).lower() and M0.cycles_estimate is None
    assert b"cycles" not in bench_page(M0, None).lower()


class Balanced(HTMLParser):
    """Fails where a tag closes that is not the last one opened; notes what would be loaded."""

    ALONE = {"meta", "line", "rect"}

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for key, value in attrs if key in ("src", "href")] + [tag] * (tag == "script")
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in self.ALONE or self.open.pop() == tag


@pytest.mark.parametrize("m, arena", [(M4, ARENA), (M4, None), (M0, None)])
def test_the_page_stands_alone(m, arena):
    page, parser = bench_page(m, arena).decode(), Balanced()
    parser.feed(page)
    assert not parser.open and not parser.loads  # a layer called <script> is text
    assert bench_page(m, arena).decode() == page


def test_the_map_is_a_picture_to_scale():
    page = bench_page(M4, ARENA).decode()
    svg = ElementTree.fromstring(page[page.index("<svg"):page.index("</svg>") + 6])
    drawn = [float(rect.get("height")) for rect in svg.iter("{http://www.w3.org/2000/svg}rect")]
    assert drawn == pytest.approx([HEIGHT * span.bytes / 1000 for span in ARENA.spans], abs=0.1)
    conv = boxes(ARENA)[1]
    assert (conv.x, conv.y, conv.width) == (0, 0, WIDTH / 3 * 2) and conv.label == "conv"
    assert boxes(ARENA)[3].title == "<y>&[/b]: 100 bytes at 0, from pool to outputs are read"


def test_ticks_are_round_and_within():
    assert byte_ticks(ARENA) == [(at, pytest.approx(HEIGHT - at * HEIGHT / 1000, abs=0.1))
                                 for at in range(0, 1001, 128)]


def test_the_text_map_shows_who_lies_where():
    lines = text_map(ARENA).splitlines()
    columns = [line.split("|")[1] for line in lines if "|" in line]
    assert [len(column) for column in columns] == [3] * 16
    top, bottom = columns[0], columns[-1]
    letter = {line.split()[-1]: line.split()[0] for line in lines[17:]}
    assert top == letter["conv"] * 2 + " " and bottom == letter["conv.scratch"] + letter["<y>&[/b]"] * 2


def test_accuracy_on_an_emulated_device_says_so():
    found = Evaluation(metric="top1", value=0.884, n=500, standard_error=0.0143, data="kws.npz", split="test",
                       device="pi-virt", emulated=True, runtime="LiteRT 2.3.0")
    assert evaluation_text(found) == ("top1 88.4 ± 1.4 % (n=500), kws.npz test, on pi-virt (emulated), "
                                      "LiteRT 2.3.0")


def test_an_arena_of_nothing():
    empty = ArenaMap(0, ("outputs are read",), ())
    assert text_map(empty) and boxes(empty) == [] and b"<svg" in bench_page(M4, empty)


