"""Verbs about what a target's kernels cost."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.app import Device, Json, LedgerOption, Quiet, as_it_is, show, speaker, verb


@verb
def profile_target(target: Annotated[str, typer.Argument(help="See `edge targets`.")], device: Device = None,
                   out: Annotated[Path | None, typer.Option(
                       help="The table to write; default: the user's own of this target.")] = None,
                   quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes, for a look.")] = False,
                   ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Measure what ops cost on a target against their channels, for pruning by its own measure.

    A run that was ended goes on where it was. Minutes on an emulated board, half an hour elsewhere.
    """
    from toolchain.atomic import require_place
    from toolchain.cost_table import own_place, write_cost_table
    from toolchain.profile import load_target
    from toolchain.profiling.profile import held, profile_target
    from toolchain.profiling.text import table_text

    profile = load_target(target)
    place = out or own_place(profile)
    require_place(place)
    with held(profile, device, ledger):
        table = profile_target(profile, device, speaker(quiet), quick, quiet)
    write_cost_table(place, table)
    show(json, {"out": str(place), "table": table}, as_it_is(f"{table_text(table)}\n\n{place}: written"))
