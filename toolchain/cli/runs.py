"""Verbs about what was measured: runs that the ledger keeps, campaigns."""

from collections import Counter
import functools
from pathlib import Path
from typing import Annotated, Literal

import typer

from toolchain.cli.app import Json, LedgerOption, Quiet, app, as_it_is, speaker, verb
from toolchain.cli.app import show as told

DeviceFilter = Annotated[str | None, typer.Option("--device", help="Only on this device.")]
ArtifactFilter = Annotated[str | None, typer.Option(
    "--artifact", help="Only of this artefact: its name, or at least 6 digits of its sha256.")]
CampaignFilter = Annotated[str | None, typer.Option("--campaign", help="Only of this campaign.")]
Since = Annotated[str | None, typer.Option(help="Only from this date or moment on: 2026-11-22T13:45.")]
Valid = Annotated[bool | None, typer.Option("--valid/--invalid", help="Only those to trust, or not to.")]
Last = Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")]

runs = typer.Typer(no_args_is_help=True, help="What was measured, from the ledger.")
app.add_typer(runs, name="runs")


@functools.partial(verb, within=runs)
def list(device: DeviceFilter = None, artifact: ArtifactFilter = None, campaign: CampaignFilter = None,
         since: Since = None, valid: Valid = None, last: Last = None, ledger: LedgerOption = None,
         json: Json = False, quiet: Quiet = False) -> None:
    """List runs, oldest first."""
    from toolchain.ledger.ledger import Ledger
    from toolchain.ledger.runs import Filter

    with Ledger.open(ledger) as opened:
        found = opened.runs(Filter(device=device, artifact=artifact, campaign=campaign, since=since,
                                   valid=valid, last=last))
    lines = [f"{run.id:>6}  {run.started}  {run.kind:11}  {_where(run):23}  {run.artifact} "
             f"{run.artifact_digest[:12]}  {run.runtime}{'' if run.valid else '  INVALID'}" for run in found]
    told(json, {"runs": found}, as_it_is("\n".join(lines) or "no runs"))


def _where(run) -> str:
    return f"{run.device} (emulated)" if run.emulated else run.device


@functools.partial(verb, within=runs)
def show(run: Annotated[int, typer.Argument(help="Its number: see `edge runs list`.")],
         ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Show all of one run: figures, conditions, versions of tools; with --json raw samples too."""
    from rich.console import Group

    from toolchain.ledger.ledger import Ledger
    from toolchain.report.bench import bench_terminal
    from toolchain.report.tables import evaluation_text

    with Ledger.open(ledger) as opened:
        found = opened.run(run)
    measured = found.kind == "measurement"
    tools = ", ".join(f"{name} {version}" for name, version in found.tools.items())
    of = f", campaign {found.campaign}" if found.campaign else ""
    told(json, found, Group(
        as_it_is(f"run {found.id} of {found.started}{of}: {tools}"),
        bench_terminal(found.record, None) if measured else as_it_is(evaluation_text(found.record))))


@functools.partial(verb, within=runs)
def export(out: Annotated[Path | None, typer.Argument(help="The file to write; default stdout.")] = None,
           kind: Annotated[Literal["json", "csv"] | None, typer.Option(
               "--as", help="json has raw samples too; default: as the file is called, else json.")] = None,
           device: DeviceFilter = None, artifact: ArtifactFilter = None, campaign: CampaignFilter = None,
           since: Since = None, valid: Valid = None, last: Last = None, ledger: LedgerOption = None,
           json: Json = False, quiet: Quiet = False) -> None:
    """Write runs for other programs."""
    from toolchain.atomic import replacing
    from toolchain.ledger.ledger import Ledger
    from toolchain.ledger.runs import Filter

    chosen = kind or ("csv" if out and out.suffix == ".csv" and not json else "json")
    with Ledger.open(ledger) as opened:
        text = opened.export(chosen, Filter(device=device, artifact=artifact, campaign=campaign, since=since,
                                            valid=valid, last=last))
    if out is None:
        print(text, end="")
        return
    with replacing(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    told(json, {"file": str(out), "as": chosen}, str(out))


@verb
def campaign(file: Annotated[Path, typer.Argument(help="A campaign.toml: models, recipes, devices.")],
             status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
             again: Annotated[bool, typer.Option(
                 "--again", help="Begin with those that failed or were invalid, once more.")] = False,
             accept_invalid: Annotated[bool, typer.Option(
                 "--accept-invalid", envvar="EDGE_ACCEPT_INVALID",
                 help="Exit 0 where conditions broke; figures stay marked.")] = False,
             ledger: LedgerOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Measure every model by every recipe on every device; run it again to go on where it stopped."""
    from toolchain.campaign.plan import load_campaign
    from toolchain.campaign.run import exit_code, run_campaign
    from toolchain.campaign.work import build, measure
    from toolchain.ledger.ledger import Ledger

    planned = load_campaign(file)
    with Ledger.open(ledger) as opened:
        if status:
            found = opened.jobs(planned.name)
        else:
            found = run_campaign(opened, planned, build, measure, say=speaker(quiet), again=again)
    told(json, {"campaign": planned.name, "jobs": found}, as_it_is(status_text(found)))
    if not status and (code := exit_code(found, accept_invalid)):
        raise typer.Exit(code)


def status_text(found) -> str:
    """A line a job, and how many are in which state."""
    lines = [f"{job.state:9}  {job.model:16}  {job.recipe:16}  {job.device:16}  {_why(job)}".rstrip()
             for job in found]
    states = Counter(job.state for job in found)
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in states.items())])


def _why(job) -> str:
    """The first line of its error."""
    return f"{job.error}: {job.message.splitlines()[0] if job.message else ''}" if job.error else ""
