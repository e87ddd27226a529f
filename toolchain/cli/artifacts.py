"""Verbs that take what was built: run it, measure it, report."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.app import (
    ArtifactPath,
    Budget,
    Device,
    FormatOption,
    Json,
    LedgerOption,
    Limit,
    Quiet,
    as_it_is,
    show,
    speaker,
    verb,
)
from toolchain.errors import InvalidMeasurement

Runtime = Annotated[str | None, typer.Option(help="litert, tflite-runtime, onnxruntime or c.")]
Runner = Annotated[str | None, typer.Option(help="native, python or benchmark_model.")]


@verb
def run(artifact: ArtifactPath, input: Annotated[Path, typer.Option(help="An .npz: first axis = samples.")],
        output: Annotated[Path, typer.Option(help="The .npz to write.")], device: Device = None,
        format: FormatOption = None, budget: Budget = None, json: Json = False,
        quiet: Quiet = False) -> None:
    """Run given inputs on the host or the device and write every output, integers as they are."""
    from toolchain.deploy import open_artifact, run_file

    written = run_file(open_artifact(artifact, budget), device, format, input, output)
    show(json, {"output": str(output), "shapes": written}, f"{output}: {written}")


@verb
def bench(artifact: ArtifactPath, device: Device = None, format: FormatOption = None,
          runtime: Runtime = None, runner: Runner = None,
          every: Annotated[bool, typer.Option("--all", help="In every way that the device has.")] = False,
          threads: Annotated[int, typer.Option(min=1)] = 1,
          seconds: Annotated[float, typer.Option(
              min=0.0, max=86400.0, help="How long to take latency samples.")] = 1.0,
          minutes: Annotated[float, typer.Option(
              min=0.0, max=1440.0, help="Instead of --seconds; from 2 on, how speed lasts.")] = 0.0,
          data: Annotated[str | None, typer.Option(help="A labelled set: accuracy there, too.")] = None,
          limit: Limit = None, budget: Budget = None, ledger: LedgerOption = None,
          accept_invalid: Annotated[bool, typer.Option(
              "--accept-invalid", envvar="EDGE_ACCEPT_INVALID",
              help="Exit 0 where conditions broke; figures stay marked.")] = False,
          json: Json = False, quiet: Quiet = False) -> None:
    """Deploy an artefact and measure it there: latency or instructions, memory, energy, parity, accuracy.

    Every figure goes into the ledger; beside the artefact, if it is held to no budget, it leaves the
    measurement and, of an emulated board, a page: bench.c.html. Files of a chain are measured one by one, and
    added up. Exit code 6 where conditions broke and figures cannot be trusted.
    """
    from toolchain import deploy
    from toolchain.examination import set_exam

    opened = deploy.open_artifact(artifact, budget)
    exam = set_exam(opened, data, limit=limit) if data else None
    wish = deploy.Wish(format, runtime, runner, every, threads, 60 * minutes or seconds, exam)
    beside = artifact if budget is None else None
    outcomes = list(_kept(beside, opened, device, wish, ledger, speaker(quiet)))
    _show_outcomes(beside, opened, outcomes, json)
    problems = [line for found in outcomes if found.measurement for line in found.measurement.problems]
    if problems and not accept_invalid:
        raise InvalidMeasurement(f"the figures do not stand: {'; '.join(dict.fromkeys(problems))}")


def _kept(folder: Path | None, artifact, device: str | None, wish, ledger: str | None, say):
    """Outcomes, each in the ledger and, if there is a folder, beside the artefact as soon as it is there."""
    from toolchain import deploy
    from toolchain.ledger.ledger import Ledger
    from toolchain.report.records import require_place_for_records, save

    if folder:
        require_place_for_records(folder)
    with Ledger.open(ledger) as kept, deploy.held(kept, deploy.own_profile(artifact), device) as lease:
        for outcome in deploy.bench(artifact, device, wish):
            say(f"{outcome.way}: {outcome.missing or 'measured'}")
            if outcome.records:
                kept.record(*outcome.records, *outcome.stages, lease=lease)
            for record in outcome.records if folder else ():
                save(folder, outcome.way.fmt, record, outcome.where)
            yield outcome


def _show_outcomes(folder: Path | None, artifact, outcomes, as_json: bool) -> None:
    """One measurement in full, several as a table."""
    from toolchain.report.bench import bench_terminal, ways_terminal
    from toolchain.report.records import arena_of, save_page

    if len(outcomes) > 1:
        show(as_json, {"outcomes": outcomes}, ways_terminal(
            [(str(one.way), one.measurement, one.evaluation, one.missing) for one in outcomes]))
        return
    measurement, quality = outcomes[0].measurement, outcomes[0].evaluation
    arena = arena_of(artifact) if measurement.runner == "firmware" and measurement.emulated else None
    if arena is not None and folder:
        save_page(folder, measurement, arena)
    whole = {"measurement": measurement, "evaluation": quality} if quality else measurement
    show(as_json, whole, bench_terminal(measurement, arena, quality))


@verb
def eval(artifact: ArtifactPath, data: Annotated[str, typer.Option(help="A labelled set or .npz.")],
         device: Device = None, format: FormatOption = None,
         metric: Annotated[str | None, typer.Option(
             help="top1, mse, psnr, ssim, elbo, frechet or kernel; default: the recipe's.")] = None,
         features: Annotated[str, typer.Option(
             help="Of frechet and kernel: the model that gives features; default: the recipe's.")] = "",
         split: Annotated[str, typer.Option(help="Which split of the set.")] = "test",
         limit: Limit = None, budget: Budget = None, ledger: LedgerOption = None, json: Json = False,
         quiet: Quiet = False) -> None:
    """Measure how good an artefact's answers are on a labelled set."""
    from toolchain import deploy
    from toolchain.examination import set_exam
    from toolchain.ledger.ledger import Ledger
    from toolchain.ledger.records import Subject
    from toolchain.report.records import require_place_for_records, save
    from toolchain.report.tables import evaluation_text

    require_place_for_records(artifact)
    opened = deploy.open_artifact(artifact, budget)
    exam = set_exam(opened, data, metric, split, limit, features)
    subject = Subject(opened.manifest.name, opened.digest, opened.manifest.target)
    with Ledger.open(ledger) as kept, deploy.held(kept, deploy.own_profile(opened), device) as lease:
        outcome = deploy.evaluate(opened, device, format, exam)
        kept.record(*outcome.records, subject=subject, lease=lease)
    found = outcome.evaluation
    if budget is None:
        save(artifact, outcome.way.fmt, found, outcome.where)
    show(json, found, evaluation_text(found))


@verb
def draw(artifacts: Annotated[list[Path], typer.Argument(help="As `edge bench` takes one; a row for each.")],
         data: Annotated[str, typer.Option(help="A set or file of their inputs.")],
         out: Annotated[Path, typer.Option(help="The .png to write.")],
         split: Annotated[str, typer.Option(help="Which split of the set.")] = "test",
         limit: Annotated[int, typer.Option(min=1, help="At most so many images in a row.")] = 16,
         json: Json = False, quiet: Quiet = False) -> None:
    """Draw what artefacts make of the same inputs, each on its own device, as rows of one image."""
    from toolchain.atomic import replacing
    from toolchain.drawing import drawn

    with replacing(out) as unfinished:
        unfinished.write_bytes(drawn(artifacts, data, split, limit))
    show(json, {"png": str(out), "rows": [str(path) for path in artifacts]},
         f"{out}: {len(artifacts)} rows of at most {limit} images")


@verb
def compare(baseline: ArtifactPath, candidate: Annotated[Path, typer.Argument(help="As BASELINE.")],
            device: Device = None, format: FormatOption = None, runtime: Runtime = None,
            runner: Runner = None, ledger: LedgerOption = None, json: Json = False,
            quiet: Quiet = False) -> None:
    """Tell which of two artefacts is faster on a device: timed in turn, in CPU time, at level 0.01.

    Exit code 6 where the device was disturbed, whatever the figures would say.
    """
    from toolchain import deploy
    from toolchain.comparing import as_text, compared
    from toolchain.ledger.ledger import Ledger

    first, second = deploy.open_artifact(baseline), deploy.open_artifact(candidate)
    with Ledger.open(ledger) as kept, deploy.held(kept, deploy.own_profile(first), device):
        found = compared(first, second, device, format, runtime, runner)
    show(json, found, as_it_is(as_text(found)))


@verb
def report(artifacts: Annotated[list[Path], typer.Argument(help="Artefacts, or folders that hold some.")],
           markdown: Annotated[Path | None, typer.Option(help="Write a Markdown table here too.")] = None,
           json: Json = False, quiet: Quiet = False) -> None:
    """Gather what `bench` and `eval` found into one table."""
    from toolchain.report.records import collect
    from toolchain.report.tables import make_report, terminal
    from toolchain.report.tables import markdown as as_markdown

    found = make_report(collect(artifacts))
    if markdown:
        markdown.write_text(as_markdown(found), encoding="utf-8")
    show(json, found, terminal(found))


@verb
def package(artifact: ArtifactPath, out: Annotated[Path, typer.Option(help="A folder, or a .zip, to write.")],
            kind: Annotated[str, typer.Option("--as", help="folder, cmake, arduino, zephyr, tflite-micro.")],
            json: Json = False, quiet: Quiet = False) -> None:
    """Hand an artefact on as a library for your own project."""
    from toolchain.deploy import open_artifact
    from toolchain.package import package as packaged
    from toolchain.package.files import write_package

    made = packaged(open_artifact(artifact), kind)
    write_package(made, out)
    show(json, {"package": str(out), "kind": kind, "files": sorted(made.files)},
         f"{out}: {made.name} for {kind}, {len(made.files)} files")
