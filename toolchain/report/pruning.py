"""What could be pruned and what not, as tables for a terminal; of plain data: `prune.explanation`."""

from collections.abc import Sequence

from toolchain.names import printable, shortened, with_short_names

GROUP_COLUMNS = ("group", "channels", "go", "scores: least, median, most", "made by", "read by")
KEPT_COLUMNS = ("not pruned", "kind", "channels", "because")
THIN_COLUMNS = ("op", "becomes", "rank", "keeps of its variance", "{unit}", "stays because")
BRANCH_COLUMNS = ("residual branch", "ops", "goes", "cannot go because")


def explanation_table(found):
    """A Rich group: the groups with what goes of them, and what stays with the reason.

    found: has model, groups (name, channels, gone, scores (least, median, most) or None, makers, readers),
    kept (name, kind, channels, reason), branches (name, ops, gone, reason) and thin (name, form, rank, full,
    kept, cost (before, after), reason) with the unit of its costs
    """
    from rich.console import Group

    groups, kept = _table(GROUP_COLUMNS, map(_group_cells, found.groups)), map(_kept_cells, found.kept)
    branches = [_table(BRANCH_COLUMNS, map(_branch_cells, found.branches))] if found.branches else []
    thin = [_table([column.format(unit=found.unit) for column in THIN_COLUMNS], map(_thin_cells, found.thin))]
    asked = found.groups or found.kept or not found.thin
    of_prune = [groups if found.groups else f"{found.model}: no channel can go"] if asked else []
    return Group(*branches, *of_prune, *([_table(KEPT_COLUMNS, kept)] if found.kept else []),
                 *(thin if found.thin else []))


def _table(columns: Sequence[str], rows):
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    for cells in rows:
        table.add_row(*map(Text, map(printable, cells)))
    return table


def _group_cells(line) -> tuple[str, ...]:
    of = line.scores
    scores = "-" if of is None else f"{of.least:.3g}, {of.median:.3g}, {of.most:.3g}"
    return (shortened(line.name), str(line.channels), str(line.gone), scores, _names(line.makers),
            _names(line.readers))


def _names(names: Sequence[str]) -> str:
    """The first two of them, and how many more."""
    more = [f"{len(names) - 2} more"] if len(names) > 2 else []
    return ", ".join([*map(shortened, names[:2]), *more]) or "-"


def _branch_cells(line) -> tuple[str, ...]:
    reason = with_short_names(line.reason) if line.reason else "-"
    return shortened(line.name), str(line.ops), "yes" if line.gone else "no", reason


def _kept_cells(line) -> tuple[str, ...]:
    return shortened(line.name), line.kind, str(line.channels), with_short_names(line.reason)


def _thin_cells(line) -> tuple[str, ...]:
    before, after = (f"{cost:,.0f}" for cost in line.cost)
    if not line.form:
        return shortened(line.name), "-", "-", "-", before, with_short_names(line.reason)
    return (shortened(line.name), line.form, f"{line.rank} of {line.full}", f"{line.kept:.1%}",
            f"{before} -> {after}", "-")
