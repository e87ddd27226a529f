"""The arena map: which bytes hold what, while which step runs. For a page as SVG, for a terminal as text."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
import string

from toolchain.measurement import ArenaMap, ArenaSpan
from toolchain.names import shortened

WIDTH, HEIGHT = 900, 360
"""Of the drawing, in pixels."""
ROWS, COLUMNS = 16, 72
"""Of the text, at most."""
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#88ccaa", "#dd8855")
SYMBOLS = string.ascii_uppercase + string.ascii_lowercase
NAMED = 12
"""Buffers that the text's legend names, at most."""


@dataclass(frozen=True)
class Box:
    """A span as it is drawn, in pixels from the top left."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    label: str
    title: str


def boxes(arena: ArenaMap) -> list[Box]:
    """One for each span; offset 0 is at the bottom, the first step at the left."""
    step, byte = WIDTH / max(len(arena.steps), 1), HEIGHT / max(arena.bytes, 1)
    colour = _numbers(arena.spans)
    return [Box(round(s.first * step, 1), round(HEIGHT - (s.offset + s.bytes) * byte, 1),
                round((s.last - s.first + 1) * step, 1), round(max(s.bytes * byte, 0.5), 1),
                COLOURS[colour[s.piece] % len(COLOURS)], _label(s, step, byte), _title(s, arena))
            for s in arena.spans]


def byte_ticks(arena: ArenaMap, about: int = 6) -> list[tuple[int, float]]:
    """(bytes, pixels from the top): round numbers of bytes."""
    rough = max(arena.bytes / about, 1)
    unit = 2 ** math.floor(math.log2(rough))
    return [(at, round(HEIGHT - at * HEIGHT / max(arena.bytes, 1), 1))
            for at in range(0, arena.bytes + 1, unit)]


def text_map(arena: ArenaMap) -> str:
    """A letter for each buffer, a column for each step (or some), a row for each share of the bytes."""
    columns, number = min(len(arena.steps), COLUMNS), _numbers(arena.spans)
    rows = [[" "] * columns for _ in range(ROWS)]
    for span in sorted(arena.spans, key=lambda s: -s.bytes):
        first, last = (moment * columns // len(arena.steps) for moment in (span.first, span.last))
        low = span.offset * ROWS // max(arena.bytes, 1)
        high = max(math.ceil((span.offset + span.bytes) * ROWS / max(arena.bytes, 1)), low + 1)
        for row in rows[low:high]:
            row[first:last + 1] = SYMBOLS[number[span.piece] % len(SYMBOLS)] * (last - first + 1)
    lines = [f"{(i + 1) * arena.bytes // ROWS:>9,} |{''.join(row)}|" for i, row in enumerate(rows)]
    axis = f"{'bytes':>9}  steps 0 to {len(arena.steps) - 1}, left to right"
    return "\n".join([*reversed(lines), axis, *_legend(arena, number)])


def _legend(arena: ArenaMap, number: dict[str, int]) -> list[str]:
    """The largest buffers by their letters."""
    size: dict[str, int] = {}
    for span in arena.spans:
        size[span.piece] = max(size.get(span.piece, 0), span.bytes)
    largest = sorted(size, key=lambda piece: (-size[piece], piece))
    lines = [f"  {SYMBOLS[number[piece] % len(SYMBOLS)]}  {size[piece]:>9,} B  {shortened(piece)}"
             for piece in largest[:NAMED]]
    return lines + ([f"  and {len(largest) - NAMED} smaller ones"] if len(largest) > NAMED else [])


def _numbers(spans: Sequence[ArenaSpan]) -> dict[str, int]:
    """Piece of memory -> its number, by the moment that it is first needed."""
    pieces = dict.fromkeys(span.piece for span in sorted(spans, key=lambda s: (s.first, s.offset)))
    return {piece: number for number, piece in enumerate(pieces)}


def _label(span: ArenaSpan, step: float, byte: float) -> str:
    """As much of the name as fits the box, or none."""
    letters = int((span.last - span.first + 1) * step / 7)
    return shortened(span.name, letters) if letters >= 6 and span.bytes * byte >= 12 else ""


def _title(span: ArenaSpan, arena: ArenaMap) -> str:
    return (f"{span.name}: {span.bytes:,} bytes at {span.offset:,}, from {arena.steps[span.first]} to "
            f"{arena.steps[span.last]}")
