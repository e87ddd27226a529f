"""`edge cascade`, `edge levels`."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.app import Device, Json, LedgerOption, Quiet, show, speaker, verb

RecipeOption = Annotated[Path | None, typer.Option(help="A recipe.toml for this model alone.")]


@verb
def cascade(small: Annotated[str, typer.Argument(help="The model that always runs: as `edge build`.")],
            large: Annotated[str, typer.Argument(help="The model that runs where that is not sure.")],
            target: Annotated[str, typer.Option(help="See `edge targets`.")],
            data: Annotated[str, typer.Option(help="A labelled set with splits: as `edge build`.")],
            out: Annotated[Path, typer.Option(help="Folder for the artefact.")],
            accuracy_drop: Annotated[float | None, typer.Option(
                min=0, max=100, help="Most points lost against the large model; default 1.0.")] = None,
            cost: Annotated[float | None, typer.Option(
                min=0, max=1, help="Instead: most of the large model's instructions, as 0.6.")] = None,
            recipe_small: RecipeOption = None, recipe_large: RecipeOption = None,
            check: Annotated[int, typer.Option(
                min=0, help="Test samples that the device answers too; 0: none.")] = 64,
            device: Device = None, ledger: LedgerOption = None, json: Json = False,
            quiet: Quiet = False) -> None:
    """Put a small network in front of a large one: inputs that it is sure of cost no more than it.

    Exit code 3 where no threshold meets the goal, with the nearest miss.
    """
    from toolchain.profile import load_target
    from toolchain.recipe import Recipe, load_recipe

    profile = load_target(target)
    recipes = [load_recipe(path) if path else Recipe() for path in (recipe_small, recipe_large)]
    from toolchain.adaptive.report import report_text
    from toolchain.artifact import require_place
    from toolchain.cascade import Subject, build_cascade, checked, save_check
    from toolchain.chaining import Goal
    from toolchain.deploy import held
    from toolchain.ledger.ledger import Ledger

    require_place(out)
    goal = Goal(1.0 if accuracy_drop is None and cost is None else accuracy_drop, cost)
    say = speaker(quiet)
    subject = Subject(small, large, *recipes, profile, data)
    made = build_cascade(subject, goal, say)
    made.artifact.write(out)
    found = None
    if check:
        with Ledger.open(ledger) as kept, held(kept, profile, device):
            found = checked(made, data, device, check, say)
        save_check(out, found)
    static, digest = made.artifact.manifest.static_bytes, made.artifact.digest
    record = {"report": made.report, "device": found, "artifact": str(out), "digest": digest}
    show(json, record, f"{report_text(made.report, found)}\n{out}: flash {static['flash']:,} B, "
                       f"RAM {static['ram']:,} B, digest {digest[:16]}")


@verb
def levels(networks: Annotated[list[str], typer.Argument(
               help="Models of one task: as `edge build`; of a recipe's own: MODEL@recipe.toml.")],
           target: Annotated[str, typer.Option(help="See `edge targets`.")],
           data: Annotated[str, typer.Option(help="A labelled set with splits: as `edge build`.")],
           out: Annotated[Path, typer.Option(help="Folder for the artefact.")],
           check: Annotated[int, typer.Option(
               min=0, help="Test samples that the device answers at each level; 0: none.")] = 64,
           device: Device = None, ledger: LedgerOption = None, json: Json = False,
           quiet: Quiet = False) -> None:
    """Put networks side by side, of which a budget given at run time chooses the one that runs.

    Costs are instructions where an emulated target counts them, microseconds on --device, else MACs. Exit
    code 3 where one network beats all others.
    """
    from toolchain.profile import load_target

    profile = load_target(target)
    from toolchain.adaptive.report import levels_text
    from toolchain.artifact import require_place
    from toolchain.cascade import save_check
    from toolchain.deploy import held
    from toolchain.ledger.ledger import Ledger
    from toolchain.levelling import CHECK_FILE, Subject, build_levels, checked, network_of

    require_place(out)
    subject, say = Subject([*map(network_of, networks)], profile, data, device), speaker(quiet)
    with Ledger.open(ledger) as kept, held(kept, profile, device):
        made = build_levels(subject, say)
        made.artifact.write(out)
        found = checked(made, subject, check, say) if check else ()
    if found:
        save_check(out, found, CHECK_FILE)
    static, digest = made.artifact.manifest.static_bytes, made.artifact.digest
    record = {"report": made.report, "device": found, "artifact": str(out), "digest": digest}
    show(json, record, f"{levels_text(made.report, found)}\n{out}: flash {static['flash']:,} B, "
                       f"RAM {static['ram']:,} B, digest {digest[:16]}")
