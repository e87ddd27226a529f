"""A diagnosis for people: the same sections on a terminal and in Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math

from toolchain.diagnose.blame import short
from toolchain.diagnose.findings import Diagnosis, Layer, Quality, Step, Suspect
from toolchain.metric import Score

MOST_LAYERS, MOST_CLASSES = 15, 5
VERDICT = {True: "pass", False: "FAIL", None: "-"}


@dataclass(frozen=True)
class Section:
    """Lines, then a table without rows or with some, then lines of recipe.toml."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    toml: str = ""


def sections(found: Diagnosis) -> Iterator[Section]:
    """What hurts first, then where and what to try, then the evidence."""
    head = (f"{found.quantized}, judged by {found.n} samples of {found.data} ({found.split})", *found.notes)
    yield Section(f"{found.model}: INT8 beside float", (*head, *quality_lines(found.quality)))
    if not found.suspects:
        yield Section("Blame", ("no single op costs the output more than a ten-thousandth of its power",))
    for number, suspect in enumerate(found.suspects, 1):
        yield from _blame(number, suspect)
    yield Section("Parity ladder", _where(found.ladder), STEP_COLUMNS, tuple(map(_step_row, found.ladder)))
    losing = [drop for drop in found.quality.classes if drop.quantized_top1 < drop.float_top1]
    if losing:
        yield Section("Classes that lose most", (), ("class", "n", "float", "INT8", "drop"),
                      tuple(map(_class_row, losing[:MOST_CLASSES])))
    yield _layers(found.layers)


def quality_lines(quality: Quality) -> Iterator[str]:
    """Accuracy, drop and its significance, flips, calibration."""
    if quality.float_top1 is not None:
        yield (f"top1 float {_score(quality.float_top1)}, INT8 {_score(quality.quantized_top1)}: drop "
               f"{quality.drop:.2f} ± {quality.drop_error:.2f} points; right in float alone "
               f"{quality.only_float}, in INT8 alone {quality.only_quantized}; McNemar p = {quality.p:.2g}")
    yield (f"predictions flipped {100 * quality.flipped:.2f} ± {100 * quality.flipped_error:.2f} % "
           f"(n={quality.n}); SQNR of the logits {_db(quality.sqnr_db)}")
    if quality.float_ece is not None:
        yield (f"expected calibration error (15 bins): float {100 * quality.float_ece:.2f} %, INT8 "
               f"{100 * quality.quantized_ece:.2f} %")
    if quality.float_top1 is None:
        yield "no labels, so no accuracy: give a labelled set to see the drop, by class too"


def _blame(number: int, suspect: Suspect) -> Iterator[Section]:
    parts = {"weights alone": suspect.weights_db, "its codes alone": suspect.codes_db}
    detail = ", ".join(f"{name} {_db(value)}" for name, value in parts.items() if value is not None)
    lines = (f"quantizing it alone leaves {_db(suspect.output_db)} at the output ({detail}), "
             f"{100 * suspect.share:.3g} % of all noise there", *map("why: {}".format, suspect.causes))
    yield Section(f"{number}. {short(suspect.name)} ({suspect.kind})", lines)
    for remedy in suspect.remedies:
        yield Section("", (f"try: {remedy.text}",), toml=remedy.toml)


STEP_COLUMNS = ("rung", "against", "worst", "SQNR", "differ", "", "allowed")


def _where(steps: Sequence[Step]) -> tuple[str, ...]:
    failed = [f"{step.rung}: {step.note}" if step.note else step.rung
              for step in steps if step.passed is False]
    return (f"first failure: {failed[0]}",) if failed else ("every rung that ran passed",)


def _step_row(step: Step) -> tuple[str, ...]:
    worst = "-" if step.worst is None else f"{step.worst:.2g} {step.unit}"
    differ = "-" if step.differing is None else f"{100 * step.differing:.3g} %"
    note = step.allowed if step.passed is not None and step.allowed else step.note
    return step.rung, step.against or "-", worst, _db(step.sqnr_db), differ, VERDICT[step.passed], note


def _class_row(drop) -> tuple[str, ...]:
    points = 100 * (drop.float_top1 - drop.quantized_top1)
    return (drop.label, str(drop.n), f"{100 * drop.float_top1:.1f} %", f"{100 * drop.quantized_top1:.1f} %",
            f"{points:.1f} ± {100 * drop.standard_error:.1f}")


LAYER_COLUMNS = ("layer", "kind", "output", "alone", "in place", "cosine", "weights", "codes used", "clipped",
                 "dead", "spread")


def _layers(layers: Sequence[Layer]) -> Section:
    """Those that cost the output most."""
    ranked = sorted(layers, key=lambda layer: math.inf if layer.output_db is None else layer.output_db)
    lines = ("SQNR in dB: of the network's output when only this op is quantized; of the op alone on rounded "
             "inputs; as it is in the network; of its weights",)
    more = len(layers) - MOST_LAYERS
    which = f"costliest {MOST_LAYERS} of {len(layers)}" if more > 0 else "costliest first"
    return Section(f"Layers, the {which}", lines, LAYER_COLUMNS, tuple(map(_layer_row, ranked[:MOST_LAYERS])))


def _layer_row(layer: Layer) -> tuple[str, ...]:
    figures = (layer.output_db, layer.local_db, layer.sqnr_db)
    return (short(layer.name), layer.kind, *("-" if value is None else f"{value:.1f}" for value in figures),
            f"{layer.cosine:.4f}", "-" if layer.weight_db is None else f"{layer.weight_db:.1f}",
            f"{100 * layer.codes_used:.0f} %", f"{100 * layer.saturated:.2g} %",
            f"{layer.dead} of {layer.channels}", f"{layer.spread:.3g}")


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} dB"


def _score(score: Score) -> str:
    error = "" if score.standard_error is None else f" ± {100 * score.standard_error:.1f}"
    return f"{100 * score.value:.2f}{error} %"


def terminal(found: Diagnosis):
    """A Rich group; the caller prints it."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts = []
    for section in sections(found):
        if section.title:
            parts += [Text(""), Text(section.title, style="bold")]
        parts += [Padding(Text(line), (0, 0, 0, 2), expand=False) for line in section.lines]
        parts += [_table(section)] if section.rows else []
        parts += [Padding(Text(section.toml), (0, 0, 0, 7), expand=False)] if section.toml else []
    return Group(*parts[1:])


def _table(section: Section):
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(*section.columns, box=SIMPLE)
    for row in section.rows:
        table.add_row(*row)
    return table


def markdown(found: Diagnosis) -> str:
    """The same as GitHub Markdown."""
    parts = []
    for section in sections(found):
        parts += [f"## {section.title}"] if section.title else []
        parts += ["\n".join(f"- {line}" for line in section.lines)] if section.lines else []
        if section.rows:
            table = [section.columns, ("---",) * len(section.columns), *section.rows]
            parts.append("\n".join("| " + " | ".join(row) + " |" for row in table))
        parts += [f"```toml\n{section.toml}\n```"] if section.toml else []
    return "\n\n".join(parts) + "\n"
