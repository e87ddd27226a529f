"""Verbs that take what was built: run it, measure it, report."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.app import (
    ArtifactPath,
    Device,
    FormatOption,
    Json,
    Quiet,
    show,
    verb,
)


@verb
def run(artifact: ArtifactPath, input: Annotated[Path, typer.Option(help="An .npz: first axis = samples.")],
        output: Annotated[Path, typer.Option(help="The .npz to write.")], device: Device = None,
        format: FormatOption = None, json: Json = False, quiet: Quiet = False) -> None:
    """Run given inputs on the host or the device and write every output, integers as they are."""
    from toolchain.deploy import open_artifact, run_file

    written = run_file(open_artifact(artifact), device, format, input, output)
    show(json, {"output": str(output), "shapes": written}, f"{output}: {written}")


@verb
def bench(artifact: ArtifactPath, device: Device = None, format: FormatOption = None,
          threads: Annotated[int, typer.Option(min=1)] = 1,
          seconds: Annotated[float, typer.Option(min=0.0, help="How long to take latency samples.")] = 1.0,
          json: Json = False, quiet: Quiet = False) -> None:
    """Deploy an artefact and measure it: latency or instructions, memory, parity with the reference.

    Beside the artefact it leaves the measurement and, of an emulated board, a page: bench.c.html.
    """
    from toolchain import deploy
    from toolchain.report.bench import bench_terminal
    from toolchain.report.records import arena_of, save, save_page

    opened = deploy.open_artifact(artifact)
    measurement = deploy.bench(opened, device, format, threads=threads, seconds=seconds)
    save(artifact, deploy.chosen_format(opened, format), measurement)
    arena = arena_of(opened) if measurement.emulated else None
    if measurement.emulated:
        save_page(artifact, measurement, arena)
    show(json, measurement, bench_terminal(measurement, arena))


@verb
def eval(artifact: ArtifactPath, data: Annotated[str, typer.Option(help="A labelled set or .npz.")],
         device: Device = None, format: FormatOption = None,
         metric: Annotated[str | None, typer.Option(help="top1 or mse; default: the recipe's.")] = None,
         split: Annotated[str, typer.Option(help="Which split of the set.")] = "test",
         limit: Annotated[int | None, typer.Option(min=1, help="At most so many samples.")] = None,
         json: Json = False, quiet: Quiet = False) -> None:
    """Measure how good an artefact's answers are on a labelled set."""
    from toolchain import deploy
    from toolchain.report.records import save
    from toolchain.report.tables import quality_text

    opened = deploy.open_artifact(artifact)
    found = deploy.evaluate(opened, device, format, data, metric, split, limit)
    save(artifact, deploy.chosen_format(opened, format), found)
    show(json, found,
         f"{quality_text(found)}, {found.data} {found.split}, on {found.device}, {found.runtime}")


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
