"""Rows as a table for a terminal and as Markdown. Every figure stands beside its device and runtime."""

from collections.abc import Iterator, Sequence
import re

import msgspec

from toolchain.measurement import Energy, Evaluation, Latency, Measurement, Row, Staged, Sustained
from toolchain.metric import METRIC
from toolchain.names import printable

COLUMNS = ("model", "target", "file", "size", "flash", "RAM", "quality", "speed", "parity", "measured on")
EMULATED = "An emulated device counts instructions: it has no milliseconds and no energy."
NOT_THERE = ("Artefacts for phones and Raspberry Pis are built here and run on this host: "
             "their latency is the host's.")
HOST = "host"
"""The device that is this computer."""


class Report(msgspec.Struct, frozen=True):
    """All rows, with what a reader must know about them."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    schema: str = "edge.report"
    schema_version: int = 1


def make_report(rows: Sequence[Row]) -> Report:
    """Rows in a stable order, with the notes that their devices call for."""
    measured = [row.measurement for row in rows if row.measurement]
    notes = [EMULATED] if any(m.emulated for m in measured) else []
    notes += [NOT_THERE] if any(m.device == HOST != m.target for m in measured) else []
    order = sorted(rows, key=lambda row: (row.model, row.scheme != "float32", row.target, row.format))
    return Report(tuple(order), tuple(notes))


def cells(row: Row) -> tuple[str, ...]:
    """One string per column; a note stands where a figure would."""
    m = row.measurement
    quality = "; ".join(map(quality_text, row.quality)) or "-"
    sizes = map(bytes_text, (row.size_bytes, row.flash_bytes, row.ram_bytes))
    return (row.model, row.target, f"{row.format} {scheme_text(row.scheme)}".strip(), *sizes, quality,
            row.note or speed_text(m), parity_text(m), _measured_on(row))


def _measured_on(row: Row) -> str:
    """No figure stands without its device and runtime: a score alone has its own."""
    if row.measurement is not None:
        return _device(row.measurement)
    told = (", ".join(filter(None, (f"{e.device}{' (emulated)' if e.emulated else ''}", e.runtime)))
            for e in row.quality)
    return "; ".join(dict.fromkeys(filter(None, told))) or "-"


def scheme_text(scheme: str) -> str:
    """A scheme's name, short for a table's cell: what is int8 alone, or with int16 activations."""
    return {"static_wi8_ai8": "int8", "static_wi8_ai16": "int16x8"}.get(scheme, scheme)


def bytes_text(count: int | None) -> str:
    """With thousands told apart."""
    return "-" if count is None else f"{count:,} B"


def quality_text(e: Evaluation) -> str:
    """A score with its standard error and n, in its unit; shares as percent."""
    unit = METRIC[e.metric].unit and f" {METRIC[e.metric].unit}"
    scale = 100 if unit == " %" else 1
    error = "" if e.standard_error is None else f" ± {scale * e.standard_error:.2g}"
    return f"{e.metric} {scale * e.value:.4g}{error}{unit} (n={e.n:,})"


def speed_text(m: Measurement | None) -> str:
    """The median time of an inference; of a device that is emulated, instructions. Of a chain of files what
    is expected, and the worst case. Figures that do not stand are marked."""
    if m is None:
        return "-"
    told = "INVALID: " if m.problems else ""
    if m.staged:
        told += f"expected {_speed(m.staged.latency_us, m.staged.instructions, m.emulated)}, worst case "
    return told + _speed(m.latency_us, m.instructions, m.emulated)


def _speed(latency_us: Latency | None, instructions: float | None, emulated: bool) -> str:
    if latency_us is not None and not emulated:
        tail = f" (p90 {latency_us.p90 / 1000:.3g})" if latency_us.p90 is not None else ""
        return f"{latency_us.median / 1000:.3g} ms{tail}"
    return "-" if instructions is None else f"{instructions:,.0f} instructions"


def energy_of_text(m: Measurement) -> str:
    """Of an inference; of a chain of files what is expected, and the worst case."""
    if m.energy is None or m.staged is None:
        return energy_text(m.energy)
    return f"expected {energy_text(m.staged.energy)}, worst case {energy_text(m.energy)}"


def energy_text(energy: Energy | None) -> str:
    """Gross, its uncertainty and tier; net where idle power is known."""
    if energy is None:
        return "-"
    net = "" if energy.net_uj is None else f", net {energy.net_uj:.4g}"
    return (f"{energy.gross_uj:.4g} uJ ± {100 * energy.uncertainty:.1f} % gross{net} ({energy.tier}, "
            f"{energy.meter}: {', '.join(energy.rails)})")


def parity_text(m: Measurement | None) -> str:
    """How the test vectors came out."""
    if m is None or m.parity is None:
        return "-"
    p = m.parity
    if p.mismatched == 0:
        return f"exact ({p.checked:,})"
    return f"{p.mismatched:,} of {p.checked:,} off, worst {p.worst:.3g}"


def evaluation_text(found: Evaluation) -> str:
    """One evaluation in full."""
    return (f"{quality_text(found)}, {found.data} {found.split}, on {found.device}"
            f"{' (emulated)' if found.emulated else ''}, {found.runtime}")


def _device(m: Measurement | None) -> str:
    if m is None:
        return "-"
    runner = f", {m.runner} runner" if m.runner not in ("", "firmware") else ""
    return f"{m.device}{' (emulated)' if m.emulated else ''}, {m.runtime}{runner}"


def markdown(report: Report) -> str:
    """A GitHub table and the notes."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(map(_in_markdown, cells(row))) + " |" for row in report.rows]
    return "\n".join([*lines, "", *report.notes, ""])


def _in_markdown(cell: str) -> str:
    """Names are others': none ends its cell, begins a tag or a link, or is more than one line."""
    return re.sub(r"[\\|<>\[\]`]", r"\\\g<0>", printable(cell))


def terminal(report: Report):
    """A Rich table; the caller prints it."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, caption="\n".join(report.notes) or None, caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in report.rows:
        table.add_row(*map(Text, cells(row)))
    return table


def bench_text(m: Measurement) -> str:
    """One measurement in a few lines."""
    memory = {"arena": m.arena_bytes, "static": m.static_bytes, "stack": m.stack_bytes,
              "flash": m.flash_bytes, "code flash": m.code_flash_bytes, "peak RSS": m.peak_rss_bytes}
    known = ", ".join(f"{name} {bytes_text(count)}" for name, count in memory.items() if count is not None)
    energy = m.energy and f"energy {energy_of_text(m)}"
    lines = (f"{m.artifact} on {_device(m)}: {speed_text(m)}{_more(m)}", known, f"parity {parity_text(m)}",
             energy, *(f"INVALID: {problem}" for problem in m.problems), *notes_of(m))
    return "\n".join(filter(None, lines))


def _more(m: Measurement) -> str:
    """How well the latency is known, and what a fresh process takes."""
    parts = []
    if m.latency_us and m.latency_us.low is not None and m.latency_us.p99 is not None:
        low, high = m.latency_us.low / 1000, m.latency_us.high / 1000
        parts.append(f"p99 {m.latency_us.p99 / 1000:.3g}; median's 95 % interval {low:.4g} to {high:.4g}; "
                     f"{m.latency_us.samples:,} samples after {m.latency_us.warm_up:,} of warm-up")
    parts += [] if m.staged is None else _staged_lines(m, m.staged)
    if m.cold_us:
        parts.append(f"cold: loaded in {m.cold_us.load / 1000:.3g} ms, first inference "
                     f"{m.cold_us.first / 1000:.3g} ms")
    if m.latency_us and m.instructions is not None:
        cycles = "" if m.cycles is None else f", {m.cycles:,} cycles"
        parts.append(f"{m.instructions:,} instructions{cycles} an inference")
    if m.sustained:
        parts.append(sustained_text(m.sustained))
    return "".join(f"\n{part}" for part in parts)


def _staged_lines(m: Measurement, staged: Staged) -> Iterator[str]:
    """How well the sums are known, and each stage: its own figures, how often it runs."""
    known = {"expected": staged.latency_us, "worst case": m.latency_us}
    ends = [f"{name} {found.low / 1000:.4g} to {found.high / 1000:.4g}" for name, found in known.items()
            if found and found.low is not None and found.high is not None]
    yield from [f"sums of medians' 95 % intervals: {', '.join(ends)}"] if ends else []
    for stage in staged.stages:
        speed = _speed(stage.latency_us, stage.instructions, m.emulated)
        energy = f", {energy_text(stage.energy)}" if stage.energy else ""
        yield (f"{stage.file}: {speed}{energy}, reached by {100 * stage.reached:.1f} ± "
               f"{100 * stage.error:.1f} % of {staged.n:,} test samples")


def sustained_text(s: Sustained) -> str:
    """How speed lasted over the run."""
    seconds = len(s.medians_us) * s.window_s
    since = "" if s.slower_after_s is None else f", slower for good after {s.slower_after_s:.0f} s"
    throttled = "" if s.throttled_after_s is None else f", throttled after {s.throttled_after_s:.0f} s"
    return (f"over {seconds:.0f} s: inferences took {100 * s.slowdown:+.1f} % in the last minute against the "
            f"first{since}{throttled}")


def notes_of(m: Measurement) -> tuple[str, ...]:
    """What a reader must know about the figures, beside why they do not stand."""
    note, energy = str(m.conditions.get("note", "")), m.energy.note if m.energy else ""
    return tuple(filter(None, (str(m.held or ""), EMULATED if m.emulated else "", note, energy)))
