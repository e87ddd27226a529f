"""What one measurement says, in full: for a terminal, and as a page of its own beside the artefact."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2

from toolchain.measurement import ArenaMap, Evaluation, Layer, Measurement
from toolchain.names import shortened
from toolchain.report.arena import HEIGHT, WIDTH, boxes, byte_ticks, text_map
from toolchain.report.tables import (
    bench_text,
    bytes_text,
    energy_of_text,
    notes_of,
    parity_text,
    quality_text,
    speed_text,
)

ESTIMATE = ("Cycles are an estimate: the manual's cost of each Cortex-M4 instruction, memory without wait "
            "states, times exact executions.")
MOST_FUNCTIONS = 12
"""Rows of functions in a terminal; the page has all."""


def bench_terminal(m: Measurement, arena: ArenaMap | None, quality: Evaluation | None = None):
    """Rich renderables: the figures, then tables of layers, functions and flash, then the arena map.

    Names come from untrusted files: they are Text, in which brackets mean nothing.
    """
    from rich.console import Group
    from rich.text import Text

    parts = [Text(bench_text(m))]
    if quality is not None:
        parts.append(Text(f"{quality_text(quality)}, {quality.data} {quality.split}"))
    if m.layers:
        parts.append(_layer_table(m))
    if m.functions:
        parts.append(_function_table(m))
    if m.flash_parts:
        parts.append(_flash_table(m))
    if arena is not None:
        parts.append(Text(f"arena of {arena.bytes:,} bytes\n{text_map(arena)}", no_wrap=True))
    return Group(*parts)


def ways_terminal(found: Sequence[tuple[str, Measurement | None, Evaluation | None, str]]):
    """A Rich table of one artefact in several ways: (way, its figures, its quality, why there are none)."""
    from rich.console import Group
    from rich.text import Text

    table = _table("run as", "speed", "cold start", "peak memory", "parity", "quality", "energy")
    for way, m, quality, _ in found:
        table.add_row(*map(Text, (way,) if m is None else _way_cells(way, m, quality)))
    measured = [m for _, m, _, _ in found if m is not None]
    titles = {f"{m.artifact} on {m.device}{' (emulated)' if m.emulated else ''}": None for m in measured}
    broken = [f"INVALID, {way}: {'; '.join(m.problems)}" for way, m, _, _ in found if m and m.problems]
    notes = dict.fromkeys(note for m in measured for note in notes_of(m))
    left_out = [f"not run, {way}: {missing}" for way, _, _, missing in found if missing]
    return Group(Text(", ".join(titles)), table, Text("\n".join((*broken, *left_out, *notes))))


def _way_cells(way: str, m: Measurement, quality: Evaluation | None) -> tuple[str, ...]:
    cold = m.cold_us and f"{(m.cold_us.load + m.cold_us.first) / 1000:,.1f} ms"
    return (f"{way}, {m.runtime}", speed_text(m), cold or "-", bytes_text(m.peak_rss_bytes), parity_text(m),
            quality_text(quality) if quality else "-", energy_of_text(m))


def _table(*columns: str):
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _layer_table(m: Measurement):
    from rich.text import Text

    table = _table("layer", "instructions", "share")
    for layer in m.layers:
        table.add_row(Text(layer_text(layer)), f"{layer.instructions:,}", _share(layer.instructions, m))
    return table


def layer_text(layer: Layer) -> str:
    """Its title, the tensor's name short."""
    name, colon, what = layer.title.rpartition(": ")
    return f"{shortened(name, 32)}{colon}{what}"


def _function_table(m: Measurement):
    from rich.text import Text

    estimated = m.cycles_estimate is not None
    table = _table("function", "instructions", "share", *(["cycles (estimate)"] if estimated else []))
    for f in m.functions[:MOST_FUNCTIONS]:
        cycles = [f"{f.cycles_estimate:,}"] if estimated else []
        table.add_row(Text(f.name), f"{f.instructions:,}", _share(f.instructions, m), *cycles)
    if estimated:
        table.add_row("all", "", "", f"{m.cycles_estimate:,}")
        table.caption, table.caption_justify = ESTIMATE, "left"
    return table


def _flash_table(m: Measurement):
    from rich.text import Text

    table = _table("flash", "bytes")
    for part, size in m.flash_parts.items():
        table.add_row(Text(part), f"{size:,}")
    return table


def _share(instructions: int, m: Measurement) -> str:
    return f"{100 * instructions / max(m.instructions or 0, 1):.1f} %"


def bench_page(m: Measurement, arena: ArenaMap | None) -> bytes:
    """The same as HTML with the map drawn, in one file that loads nothing."""
    drawn = {"boxes": boxes(arena), "ticks": byte_ticks(arena)} if arena is not None else {}
    text = _template().render(m=m, arena=arena, summary=bench_text(m), estimate=ESTIMATE, width=WIDTH,
                              height=HEIGHT, **{"boxes": [], "ticks": [], **drawn})
    return text.encode()


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=True,
                              trim_blocks=True, lstrip_blocks=True).get_template("bench.html.j2")
