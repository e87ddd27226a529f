"""edge: one verb per stage. Each parses, calls and prints; results on stdout, progress on stderr.

Exit codes: 0 ok, 1 a bug, 2 usage or bad input, 3 gate failed or does not fit, 4 unsupported op or target,
5 device unavailable, 6 measurement invalid, 130 interrupted.
"""

import functools
from pathlib import Path
import sys
from typing import Annotated, Literal

import typer

from toolchain.errors import BadInput, ToolchainError, Unsupported

app = typer.Typer(name="edge", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Put a trained network on a small device, and measure what it does there.")
data_app = typer.Typer(no_args_is_help=True, help="Look at samples.")
app.add_typer(data_app, name="data")

Model = Annotated[str, typer.Argument(help="A .tflite, .onnx, .keras, .h5 or .pt2 file, a SavedModel's "
                                               "folder, or file.py:function for PyTorch.")]
ArtifactPath = Annotated[Path, typer.Argument(help="A folder that `edge build` made, or a model file.")]
Data = Annotated[str | None, typer.Option(
    help="A set in calibration_data/, an .npz, .npy or .csv, a folder of images or clips, or file.py:name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Device = Annotated[str | None, typer.Option(help="host, or the target's own device (default).")]
ShapeOption = Annotated[list[str] | None, typer.Option(
    "--shape", metavar="NAME=1,3,224,224",
    help="Size of an input that an .onnx model leaves open; repeatable.")]
Checkpoint = Annotated[Path | None, typer.Option(
    help="Weights of file.py:function's module: a .pt, .pth or .safetensors file.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="Which of the artefact's files.")]


def verb(function, within: typer.Typer = app):
    """Register a command that turns the user's errors into one message and an exit code."""
    @functools.wraps(function)
    def guarded(*args, **options):
        try:
            return function(*args, **options)
        except ToolchainError as error:
            print(f"edge: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            raise  # Typer ends quietly: whoever read our output has enough
        except (OSError, MemoryError) as error:
            print(f"edge: {out_of_reach(error)}", file=sys.stderr)
            raise typer.Exit(ToolchainError.exit_code) from None
        except KeyboardInterrupt:
            print("edge: interrupted", file=sys.stderr)
            raise typer.Exit(130) from None

    return within.command(name=function.__name__)(guarded)


def out_of_reach(error: OSError | MemoryError) -> str:
    """The file that the system refused, or the memory, in words."""
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}; free it or name another place"
    return f"not enough memory: {error}; is a shape in the model or in the samples too large?"


def main() -> None:
    """Entry point of the `edge` command."""
    app()


def show(as_json: bool, record, text) -> None:
    """Print one JSON object, or a Rich renderable."""
    if as_json:
        import msgspec

        print(msgspec.json.encode(record).decode())
    else:
        from toolchain.report.console import print_out

        print_out(text)


def speaker(quiet: bool):
    """Progress lines on stderr."""
    return (lambda message: None) if quiet else (lambda message: print(f"edge: {message}", file=sys.stderr))


@verb
def targets(json: Json = False, quiet: Quiet = False) -> None:
    """List the targets and their facts."""
    from toolchain.profile import load_target, target_names

    profiles = [load_target(name) for name in target_names()]
    lines = [f"{p.name:20} {'+'.join(p.formats):12} {p.flash_bytes:>14,} B flash {p.ram_bytes:>14,} B RAM  "
             f"{p.description}" for p in profiles]
    show(json, {"targets": profiles}, "\n".join(lines))


@verb
def doctor(json: Json = False, quiet: Quiet = False) -> None:
    """Say which tools and packages are there, and how to get those that are missing."""
    from toolchain.doctor import findings

    found = findings()
    lines = [f"{'ok     ' if f.ok else 'missing'}  {f.name:24} {f.detail}" for f in found]
    show(json, {"findings": found}, "\n".join(lines))
    if any(f.required and not f.ok for f in found):
        raise typer.Exit(5)


def shapes_of(options: list[str] | None) -> dict[str, tuple[int, ...]]:
    """NAME=1,3,224,224 -> {"NAME": (1, 3, 224, 224)}. Raises BadInput."""
    shapes = {}
    for option in options or ():
        name, _, sizes = option.rpartition("=")
        numbers = [size.strip() for size in sizes.split(",")]
        if not name or not all(number.isdecimal() and int(number) for number in numbers):
            raise BadInput(f"--shape {option}: must be NAME=SIZE,SIZE,..., whole numbers above 0")
        shapes[name] = tuple(map(int, numbers))
    return shapes


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
                           checkpoint=checkpoint, stats=stats)
    artifact.write(out)
    static, files = artifact.manifest.static_bytes, sorted(artifact.files)
    record = {"artifact": str(out), "files": files, "flash_bytes": static["flash"],
              "ram_bytes": static["ram"], "digest": artifact.digest}
    show(json, record, f"{out}: {', '.join(files)}\nflash {static['flash']:,} B, RAM {static['ram']:,} B, "
                       f"digest {artifact.digest[:16]}")


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
    """Deploy an artefact and measure it: latency or instructions, memory, parity with the reference."""
    from toolchain import deploy
    from toolchain.report.records import save
    from toolchain.report.tables import bench_text

    opened = deploy.open_artifact(artifact)
    measurement = deploy.bench(opened, device, format, threads=threads, seconds=seconds)
    save(artifact, deploy.chosen_format(opened, format), measurement)
    show(json, measurement, bench_text(measurement))


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


@functools.partial(verb, within=data_app)
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
