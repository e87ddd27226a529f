"""What all verbs share: the application, options, errors and output.

Exit codes: 0 ok, 1 a bug, 2 usage or bad input, 3 gate failed or does not fit, 4 unsupported op or target,
5 device unavailable, 6 measurement invalid, 130 interrupted.
"""

import functools
from pathlib import Path
import sys
from typing import Annotated

import typer

from toolchain.errors import BadInput, ToolchainError
from toolchain.names import printable, with_short_names

app = typer.Typer(name="edge", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Put a trained network on a small device, and measure what it does there.")

Model = Annotated[str, typer.Argument(help="A .tflite, .onnx, .keras, .h5 or .pt2 file, a SavedModel's "
                                               "folder, or file.py:function for PyTorch.")]
ArtifactPath = Annotated[Path, typer.Argument(help="A folder that `edge build` made, or a model file.")]
Data = Annotated[str | None, typer.Option(
    help="A set in calibration_data/, an .npz, .npy or .csv, a folder of images or clips, or file.py:name.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Device = Annotated[str | None, typer.Option(
    help="A board of boards.toml, pi-virt, android-virt, a serial port, host; default: the target's own.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many samples.")]
LedgerOption = Annotated[str | None, typer.Option(
    "--ledger", help="A path or postgresql:// URL; default EDGE_LEDGER or ~/.local/share/edge/ledger.db.")]
ShapeOption = Annotated[list[str] | None, typer.Option(
    "--shape", metavar="NAME=1,3,224,224",
    help="Size of an input that an .onnx model leaves open; repeatable.")]
Checkpoint = Annotated[Path | None, typer.Option(
    help="Weights of file.py:function's module: a .pt, .pth or .safetensors file.")]
Budget = Annotated[int | None, typer.Option(
    min=0, help="Run the best level within this, in the unit of the artefact's levels.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="Which of the artefact's files.")]


def verb(function, within: typer.Typer = app):
    """Register a command that turns the user's errors into one message and an exit code."""
    @functools.wraps(function)
    def guarded(*args, **options):
        try:
            return function(*args, **options)
        except ToolchainError as error:
            tell(with_short_names(str(error)))
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            raise  # Typer ends quietly: whoever read our output has enough
        except (OSError, MemoryError) as error:
            tell(out_of_reach(error))
            raise typer.Exit(ToolchainError.exit_code) from None
        except KeyboardInterrupt as stop:
            tell(": ".join(("interrupted", *map(str, stop.args))))
            raise typer.Exit(130) from None

    return within.command(name=function.__name__.replace("_", "-"))(guarded)


def tell(message: str) -> None:
    """On stderr. What devices and files put into it is harmless to a terminal."""
    print("\n".join(map(printable, f"edge: {message}".split("\n"))), file=sys.stderr)


def out_of_reach(error: OSError | MemoryError) -> str:
    """The file that the system refused, or the memory, in words."""
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}; free it or name another place"
    return f"not enough memory: {error}; is a shape in the model or in the samples too large?"


def show(as_json: bool, record, text) -> None:
    """Print one JSON object, or a Rich renderable."""
    if as_json:
        import msgspec

        print(msgspec.json.encode(record).decode())
    else:
        from toolchain.report.console import print_out

        print_out(text)


def as_it_is(text: str):
    """Names come from files and devices of others: brackets mean nothing in them."""
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ignore")


def speaker(quiet: bool):
    """Progress lines on stderr."""
    return (lambda message: None) if quiet else (lambda message: tell(with_short_names(message)))


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
