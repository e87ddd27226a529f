"""Verbs about what is here: targets, this machine, samples."""

import functools
from typing import Annotated

import typer

from toolchain.cli.app import (
    Checkpoint,
    Json,
    LedgerOption,
    Quiet,
    ShapeOption,
    app,
    as_it_is,
    shapes_of,
    show,
    verb,
)
from toolchain.errors import BadInput


@verb
def targets(json: Json = False, quiet: Quiet = False) -> None:
    """List the targets and their facts."""
    from toolchain.profile import load_target, target_names

    profiles = [load_target(name) for name in target_names()]
    lines = [f"{p.name:20} {'+'.join(p.formats):12} {p.flash_bytes:>14,} B flash {p.ram_bytes:>14,} B RAM  "
             f"{p.description}" for p in profiles]
    show(json, {"targets": profiles}, "\n".join(lines))


@verb
def devices(places: Annotated[bool, typer.Option(
                "--places", help="Of a lab's places only those without a name, as entries for boards.toml.")]
            = False, json: Json = False, quiet: Quiet = False) -> None:
    """List the boards of this bench, emulated ones too, and what is plugged in without a name."""
    from toolchain.devices import as_text, entries
    from toolchain.devices import devices as found_here

    found = found_here()
    if places:
        found = [device for device in found if device.place and not device.name]
    show(json, {"devices": found}, as_it_is(entries(found) if places else as_text(found)))


@verb
def clean(device: Annotated[str, typer.Option(help="A board of boards.toml, or host.")],
          ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Take away everything that we put on a device: the one folder of ours."""
    from toolchain.devices import clean as taken_off
    from toolchain.ledger.ledger import Ledger

    with Ledger.open(ledger) as opened:
        folder = taken_off(opened, device)
    show(json, {"device": device, "removed": folder}, as_it_is(f"{device}: {folder} is removed"))


@verb
def doctor(json: Json = False, quiet: Quiet = False) -> None:
    """Say which tools and packages are there, and how to get those that are missing."""
    from toolchain.doctor import findings

    found = findings()
    lines = [f"{'ok     ' if f.ok else 'missing'}  {f.name:24} {f.detail}" for f in found]
    show(json, {"findings": found}, "\n".join(lines))
    if any(f.required and not f.ok for f in found):
        raise typer.Exit(5)


data = typer.Typer(no_args_is_help=True, help="Look at samples.")
app.add_typer(data, name="data")


@functools.partial(verb, within=data)
def check(source: Annotated[str, typer.Argument(metavar="SET", help="What --data takes elsewhere.")],
          model: Annotated[str | None, typer.Option(help="The network that is fed with them.")] = None,
          shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
          quiet: Quiet = False) -> None:
    """Say what samples hold and what looks wrong with them; exit code 2 where something is an error."""
    from toolchain.data_inspection import data_text, inspect_data

    found = inspect_data(source, model, shapes_of(shape), checkpoint)
    show(json, found, data_text(found))
    if any(finding.severity == "error" for finding in found.summary.findings):
        raise typer.Exit(BadInput.exit_code)
