"""Verbs that take a model: look at it, convert, calibrate, build, diagnose."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolchain.cli.app import (
    Checkpoint,
    Data,
    Json,
    Model,
    Quiet,
    ShapeOption,
    shapes_of,
    show,
    speaker,
    verb,
)
from toolchain.errors import Unsupported


@verb
def inspect(model: Model, target: Annotated[list[str] | None, typer.Option(
                help="Also what this target cannot run or hold; repeatable.")] = None,
            shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
            quiet: Quiet = False) -> None:
    """Show a model's ops, shapes and multiply-accumulates, and what is unsupported."""
    from toolchain.inspection import inspect_model, inspection_table

    found = inspect_model(model, target or (), shapes_of(shape), checkpoint)
    if json or not found.unsupported:
        show(json, found, inspection_table(found))
    if found.unsupported:
        raise Unsupported.listing(model, found.unsupported)


@verb
def convert(model: Model, out: Annotated[Path, typer.Argument(help="The .tflite or .onnx file to write.")],
            weights: Annotated[Literal["float32", "float16", "int8"], typer.Option(
                help="How a float model stores its weights; int8 (.tflite) is dynamic range.")] = "float32",
            check: Annotated[bool, typer.Option(
                "--check", help="Run both on random inputs and print the worst error per output.")] = False,
            input: Annotated[Path | None, typer.Option(
                help="An .npz of inputs in the source's layout, to check on as well.")] = None,
            shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
            quiet: Quiet = False) -> None:
    """Write a model in another format, as it computes: the suffixes say what it is and what it becomes."""
    from toolchain.conversion import conversion_text, convert_model

    made = convert_model(model, out, weights=weights, shapes=shapes_of(shape), check=check, inputs=input,
                         checkpoint=checkpoint)
    show(json, made, conversion_text(made))


@verb
def calibrate(model: Model, data: Annotated[str, typer.Option(help="What to run it on: as `edge build`.")],
              out: Annotated[Path, typer.Option(help="The statistics file to write.")],
              observer: Annotated[Literal["minmax", "moving_average", "percentile", "entropy", "mse"] | None,
                                  typer.Option(help="How ranges are found; default mse.")] = None,
              percentile: Annotated[float | None, typer.Option(
                  min=50, max=100, help="Percent of the values to keep; default 99.99.")] = None,
              samples: Annotated[int | None, typer.Option(
                  min=1, help="At most so many; default 100, with --until-stable all.")] = None,
              runtime: Annotated[Literal["fastest", "litert", "onnxruntime", "reference"] | None,
                                 typer.Option(help="What runs the model.")] = None,
              workers: Annotated[int, typer.Option(min=1, help="Processes that share the samples.")] = 1,
              resume: Annotated[Path | None, typer.Option(
                  help="A statistics file, perhaps partial, to go on from.")] = None,
              until_stable: Annotated[bool, typer.Option(
                  "--until-stable", help="Stop when the ranges stop moving.")] = False,
              batch: Annotated[int | None, typer.Option(min=1, help="Samples that run together.")] = None,
              shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
              quiet: Quiet = False) -> None:
    """Run a model on samples and write what its activations were, for `edge build --stats`."""
    from toolchain.calibration import calibrate_model, calibration_text, config_of

    config = config_of(until_stable, observer=observer, percentile=percentile, samples=samples,
                       runtime=runtime)
    made = calibrate_model(model, data, out, config, workers=workers, resume=resume,
                           until_stable=until_stable, batch=batch, shapes=shapes_of(shape),
                           checkpoint=checkpoint, quiet=quiet)
    show(json, made, calibration_text(made))


@verb
def build(model: Model, target: Annotated[str, typer.Option(help="See `edge targets`.")],
          out: Annotated[Path, typer.Option(help="Folder for the artefact.")], data: Data = None,
          recipe: Annotated[Path | None, typer.Option(help="A recipe.toml.")] = None,
          stats: Annotated[Path | None, typer.Option(
              help="What `edge calibrate` wrote of this model, instead of calibrating.")] = None,
          shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
          quiet: Quiet = False) -> None:
    """Turn a trained network into files for a target: prune, calibrate, quantize and lower by a recipe."""
    from toolchain.profile import load_target
    from toolchain.recipe import Recipe, load_recipe, with_shapes

    profile, wanted = load_target(target), load_recipe(recipe) if recipe else Recipe()
    from toolchain.artifact import require_place
    from toolchain.pipeline import build_model

    require_place(out)

    artifact = build_model(model, profile, with_shapes(wanted, shapes_of(shape)), data, say=speaker(quiet),
                           checkpoint=checkpoint, stats=stats,
                           unfinished=out.with_name(f".{out.name}.unfinished"))
    artifact.write(out)
    static, files = artifact.manifest.static_bytes, sorted(artifact.files)
    record = {"artifact": str(out), "files": files, "flash_bytes": static["flash"],
              "ram_bytes": static["ram"], "digest": artifact.digest}
    show(json, record, f"{out}: {_listed(files)}\nflash {static['flash']:,} B, RAM {static['ram']:,} B, "
                       f"digest {artifact.digest[:16]}")


def _listed(files: list[str]) -> str:
    """Files of an artefact; the C door's kernels as a number."""
    kernels = sum(file.startswith("tk_") for file in files)
    others = [file for file in files if not file.startswith("tk_")]
    return ", ".join([*others, f"{kernels} files of kernels (tk_*)"] if kernels else others)


@verb
def diagnose(model: Model, data: Annotated[str, typer.Option(help="A set or .npz; labelled, if it can be.")],
             recipe: Annotated[Path | None, typer.Option(help="A recipe.toml.")] = None,
             target: Annotated[str | None, typer.Option(help="What INT8 is for; see `edge targets`.")] = None,
             against: Annotated[Path | None, typer.Option(
                 help="An INT8 .tflite or .onnx made elsewhere, instead of quantizing here.")] = None,
             samples: Annotated[int, typer.Option(min=1, help="At most so many samples judge.")] = 256,
             device: Annotated[str | None, typer.Option(
                 help="Run the target's artefact there too, as the last rung.")] = None,
             markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown here too.")] = None,
             shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
             quiet: Quiet = False) -> None:
    """Say where INT8 loses accuracy, why, and what to try."""
    from toolchain.profile import load_target
    from toolchain.recipe import Recipe, load_recipe, with_shapes

    profile, wanted = load_target(target) if target else None, load_recipe(recipe) if recipe else Recipe()
    from toolchain.diagnose.tables import markdown as as_markdown
    from toolchain.diagnose.tables import terminal
    from toolchain.diagnosis import Subject
    from toolchain.diagnosis import diagnose as diagnosed

    wanted = with_shapes(wanted, shapes_of(shape))
    subject = Subject(model, data, wanted, profile, device, against, checkpoint)
    found = diagnosed(subject, samples, say=speaker(quiet))
    if markdown:
        markdown.write_text(as_markdown(found), encoding="utf-8")
    show(json, found, terminal(found))
