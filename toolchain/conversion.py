"""`edge convert`: one model file in, another out; with a check of what was written against its source."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from toolchain.atomic import replacing
from toolchain.device.local import RUNTIME, open_session
from toolchain.errors import BadInput, BadSamples, about
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import Shapes, load, open_source
from toolchain.load.selfcheck import Oracle, noise, share_of_range
from toolchain.lower.borders import file_ports, ports
from toolchain.npz import read_npz
from toolchain.port import Port, convert
from toolchain.profile import Format
from toolchain.runtime.apart import apart
from toolchain.runtime.feeds import sample_count

RANDOM_SAMPLES = 4
Arrays = Mapping[str, np.ndarray]


class OutputCheck(msgspec.Struct, frozen=True):
    """worst_error: largest |written file - source| over the samples, as a share of the source's range."""

    output: str
    worst_error: float
    samples: int


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What was written; `checks` where they were asked for: on random inputs, and on given ones."""

    source: str
    written: str
    bytes: int
    notes: tuple[str, ...] = ()
    checks: dict[str, tuple[OutputCheck, ...]] = {}


def convert_model(source: str, out: Path, *, weights: str = "float32", shapes: Shapes | None = None,
                  check: bool = False, inputs: Path | None = None,
                  checkpoint: Path | None = None) -> Conversion:
    """Read any model and write it as what `out` ends with: .tflite or .onnx.

    weights: how a float model's are stored: "float32", "float16" or, in .tflite, "int8" (dynamic range)
    shapes:  input -> shape, where the model leaves sizes open
    check:   run the written file and its source, on RANDOM_SAMPLES of noise and on `inputs`: an .npz, arrays
             by input name in the source's layout
    checkpoint: as `load` takes it
    Raises BadInput for another suffix, and what `load` and the doors out raise. Nothing half-written stays.
    """
    fmt = format_of(out)
    graph = canonical(load(source, shapes=shapes, checkpoint=checkpoint))
    feeds: dict[str, Arrays] = {}
    if check or inputs is not None:
        literal, run_source = _opened(source, shapes, checkpoint)
        feeds |= {"random": noise(literal, RANDOM_SAMPLES)} if check else {}
        feeds |= {str(inputs): _given(inputs, literal)} if inputs is not None else {}
    model = WRITE[fmt](graph, weights)
    _write(out, model)
    checks = {name: compare(literal, run_source, graph, fmt, model, values) for name, values in feeds.items()}
    return Conversion(source=source, written=str(out), bytes=len(model), notes=graph.source.notes,
                      checks=checks)


def _opened(source: str, shapes: Shapes | None, checkpoint: Path | None) -> tuple[Graph, Oracle]:
    """The source as its door gives it, and what runs it: for a quantized .tflite the runtime that runs what
    is written, not the judge's reference kernels."""
    literal, oracle = open_source(source, shapes, checkpoint)
    if level_of(literal) == "FLOAT" or not source.endswith(".tflite"):
        return literal, oracle
    model = Path(source).read_bytes()
    return literal, lambda feeds, keep: apart(lambda: open_session("tflite", model).run(feeds),
                                              RUNTIME["tflite"])


def write_model(graph: Graph, out: Path) -> int:
    """A CANONICAL graph as what `out` ends with, its weights as they are; how many bytes it takes."""
    model = WRITE[format_of(out)](graph, "float32")
    _write(out, model)
    return len(model)


def _write(out: Path, model: bytes) -> None:
    with replacing(out) as unfinished:
        unfinished.write_bytes(model)


def format_of(out: Path) -> Format:
    """By its suffix. Raises BadInput for one that is not written."""
    fmt = out.suffix.removeprefix(".")
    if fmt not in WRITE:
        raise BadInput(f"{out}: ends with '{out.suffix}'; a model is written as .{' or .'.join(WRITE)}")
    return fmt


def _write_tflite(graph: Graph, weights: str) -> bytes:
    from toolchain.lower.tflite import write_tflite

    return write_tflite(graph, weights=weights, integer_only=True)


def _write_onnx(graph: Graph, weights: str) -> bytes:
    from toolchain.lower.onnx import write_onnx

    if weights == "int8":
        raise BadInput("dynamic range INT8 weights are a .tflite's; for .onnx take float32 or float16, or "
                       "build static INT8 with `edge build`")
    return write_onnx(graph, weights=weights)


WRITE: Mapping[str, Callable[[Graph, str], bytes]] = {"tflite": _write_tflite, "onnx": _write_onnx}


def compare(literal: Graph, run_source: Oracle, graph: Graph, fmt: Format, model: bytes,
            feeds: Arrays) -> tuple[OutputCheck, ...]:
    """The written file beside its source, output by output, one sample at a time.

    literal: the source as its door gives it;  graph: as it was written
    feeds:   input -> (N, ...) as the source takes them
    """
    session, count = open_session(fmt, model), len(next(iter(feeds.values())))
    theirs = {port.name: port for port in ports(literal, (*literal.inputs, *literal.outputs))}
    want, made = ({port.name: port for port in file_ports(graph, names, fmt)}
                  for names in (graph.inputs, graph.outputs))
    worst = dict.fromkeys(graph.outputs, 0.0)
    for i in range(count):
        sample = {name: value[i:i + 1] for name, value in feeds.items()}
        expected = run_source(sample, ())
        got = session.run({name: convert(value, theirs[name], want[name]) for name, value in sample.items()})
        for name in worst:
            reals = Port(name, theirs[name].shape, "float32")
            error = share_of_range(convert(got[name], made[name], reals),
                                   convert(expected[name], theirs[name], reals))
            worst[name] = max(worst[name], error)
    return tuple(OutputCheck(name, error, count) for name, error in worst.items())


def _given(path: Path, literal: Graph) -> Arrays:
    """Samples of an .npz as the source takes them. Raises BadSamples, BadInput."""
    arrays = read_npz(path)
    if missing := [name for name in literal.inputs if name not in arrays]:
        raise BadSamples(f"{path}: has {', '.join(arrays) or 'no arrays'} but the model takes "
                         f"{', '.join(missing)}; name the arrays after the inputs")
    with about(path):
        feeds = {name: arrays[name] for name in literal.inputs}
        sample_count([literal.tensors[name] for name in literal.inputs], feeds)
    return feeds


def conversion_text(made: Conversion) -> str:
    """Lines for a terminal."""
    lines = [f"{made.written}: {made.bytes:,} bytes", *made.notes]
    for inputs, checks in made.checks.items():
        lines += [f"{found.output}: worst error {found.worst_error:.2g} of its range on {found.samples} "
                  f"samples ({inputs})" for found in checks]
    return "\n".join(lines)
