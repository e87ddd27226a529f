"""What a search found: as text, as a table, as a page with a plot."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2
import msgspec

from toolchain.search.answer import Binding, Recommended
from toolchain.search.needs import Needs, shown
from toolchain.search.trial import Outcome, Trial

WIDTH, HEIGHT, MARGIN = 640, 360, 60
"""Of a plot, in pixels."""


class Loss(msgspec.Struct, frozen=True):
    """What the metric loses to float on n samples that nothing was chosen by, with its standard error."""

    drop: float
    standard_error: float
    n: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A network in the answer.

    name:   "trial 12", "plain", or the model's that was given with --also
    kind:   "plain": the model as it came, quantized;  "also": another model of the user's, quantized
    recipe: file that builds it; "" for others than trials
    test:   None where the samples have no test split
    """

    name: str
    kind: str
    outcome: Outcome
    recipe: str = ""
    test: Loss | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a search.

    trials:   all of them;  spared: how many were not trained, for they break a limit;  refused: not built
    front:    what keeps all limits and nothing else is better than, the cheapest first
    others:   plain, and what was given with --also
    chosen:   None where no trial keeps all limits; then `miss` is the nearest to that
    folder:   where recipes, the recommended artefact and the page are
    """

    model: str
    target: str
    device: str
    needs: Needs
    trials: tuple[Trial, ...]
    spared: int
    refused: int
    front: tuple[Entry, ...]
    others: tuple[Entry, ...]
    chosen: Recommended | None
    bindings: tuple[Binding, ...]
    miss: Trial | None
    folder: str
    schema: str = "edge.search"
    schema_version: int = 1


def search_text(found: Found):
    """Rich renderables: what was tried, the front as a table, the recommended point, what limits it."""
    from rich.console import Group
    from rich.text import Text

    return Group(*(part if not isinstance(part, str) else Text(part) for part in _parts(found)))


def _parts(found: Found) -> Iterator[object]:
    done = sum(trial.outcome is not None for trial in found.trials)
    yield (f"{found.model} on {found.target}: {done} trials, {found.spared} of them not trained (they break "
           f"a limit), {found.refused} not built")
    yield front_table([*found.others, *found.front], found.needs, found.chosen)
    if found.chosen is None:
        yield f"no trial keeps all limits; nearest miss: {miss_text(found.miss, found.needs)}"
        return
    yield f"recommended: trial {found.chosen.number}: {found.chosen.reason}"
    yield from map(str, found.bindings)
    yield f"{found.folder}: recipe.toml, recommended/, front/, search.html"


def front_table(entries: Sequence[Entry], needs: Needs, chosen: Recommended | None = None):
    """A Rich table; of drops with their standard errors, on selection samples and on test samples."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("", *needs.costs, "drop, selection", "drop, test", "epochs", "measured on"):
        table.add_column(heading, justify="left" if heading in ("", "measured on") else "right")
    for entry in entries:
        outcome, star = entry.outcome, chosen and entry.name == f"trial {chosen.number}"
        table.add_row(*map(Text, (
            f"{entry.name}{' *' if star else ''}", *(_figure(outcome, name) for name in needs.costs),
            _drop(outcome), _loss(entry.test, outcome.unit), str(outcome.epochs), outcome.measured)))
    return table


def _figure(outcome: Outcome, name: str) -> str:
    value = outcome.figures.get(name)
    return "-" if value is None else shown(value)


def _drop(outcome: Outcome) -> str:
    if "accuracy_drop" not in outcome.figures:
        return outcome.refused or "-"
    return (f"{outcome.figures['accuracy_drop']:.2f} ± {outcome.standard_error:.2f} {outcome.unit} "
            f"(n={outcome.n})")


def _loss(test: Loss | None, unit: str) -> str:
    return "-" if test is None else f"{test.drop:.2f} ± {test.standard_error:.2f} {unit} (n={test.n})"


def miss_text(miss: Trial | None, needs: Needs) -> str:
    """What the nearest trial has of each limit, or why it could not be built."""
    if miss is None:
        return "nothing was tried"
    figures = miss.outcome.figures
    held = ", ".join(f"{limit.quantity} {shown(figures[limit.quantity])} (limit {shown(limit.most)})"
                     for limit in needs.limits if limit.quantity in figures)
    return f"trial {miss.number}: {held or miss.outcome.refused}"


def search_page(found: Found) -> bytes:
    """An HTML page: a plot of accuracy against each cost, and the tables."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
                                     autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    plots = [_plot(found, name) for name in found.needs.costs]
    page = environment.get_template("search.html.j2").render(
        found=found, plots=plots, drop=_drop, loss=_loss, figure=_figure, miss=miss_text,
        width=WIDTH, height=HEIGHT, margin=MARGIN)
    return page.encode()


class Dot(msgspec.Struct, frozen=True):
    """A network in a plot, in pixels from its upper left corner. kind: class of its style"""

    x: float
    y: float
    kind: str
    title: str


def _plot(found: Found, cost: str) -> dict:
    """Accuracy drop against one cost."""
    named = [(f"trial {trial.number}", "trial", trial.outcome) for trial in found.trials if trial.outcome]
    named += [(entry.name, entry.kind, entry.outcome) for entry in (*found.front, *found.others)]
    wanted = [(name, kind, outcome.figures[cost], outcome.figures["accuracy_drop"])
              for name, kind, outcome in named if {cost, "accuracy_drop"} <= outcome.figures.keys()]
    costs, drops = ([row[column] for row in wanted] or [0.0] for column in (2, 3))
    ends = _widened(costs), _widened(drops)
    dots = [Dot(_at(x, ends[0], MARGIN, WIDTH - 20), _at(y, ends[1], HEIGHT - MARGIN, 20), kind,
                f"{name}: {cost} {shown(x)}, drop {y:.2f}") for name, kind, x, y in wanted]
    return {"cost": cost, "dots": dots, "ends": ends}


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _at(value: float, ends: tuple[float, float], first: float, last: float) -> float:
    return round(first + (value - ends[0]) / (ends[1] - ends[0]) * (last - first), 1)
