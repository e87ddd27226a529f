"""Doors in. Each ends with the self-check that keeps an own graph honest."""

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
import hashlib
from pathlib import Path
import sys

import numpy as np

from toolchain.errors import BadInput, BadModel, Unsupported, about
from toolchain.ir.batch_axis import batch_first
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, Shape
from toolchain.ir.layout import channels_last
from toolchain.ir.parting import slice_where_made
from toolchain.load.absorb import absorbed
from toolchain.load.selfcheck import Oracle, self_check
from toolchain.runtime.apart import apart

Shapes = Mapping[str, Shape]


def load(source: str | Path, example: Mapping[str, np.ndarray] | None = None,
         shapes: Shapes | None = None, checkpoint: str | Path | None = None) -> Graph:
    """Read a model and check it against its source runtime.

    source:     a .tflite, .onnx, .keras, .h5 or .hdf5 file, a SavedModel's folder, a .pt2 file of
                torch.export.save, or file.py:function where function() returns (module, example inputs)
    example:    input name -> one sample in the source's layout, for the self-check; default: seeded noise
    shapes:     input name -> its whole shape, for an .onnx file that leaves sizes open
    checkpoint: a .pt, .pth or .safetensors file with the weights of file.py:function's module
    Raises BadModel for a missing or malformed file, Unsupported listing everything that has no row,
    SelfCheckFailed where the graph computes something else than its source. What a user's module
    prints goes to stderr.
    """
    with about(source), redirect_stdout(sys.stderr):
        name, door = _door(str(source), shapes or {}, checkpoint)
        literal, oracle = door()
        level = level_of(literal)
        graph = check(arranged(check(literal, level)), level)
        worst = self_check(literal, graph, oracle, example)
        if level == "QUANTIZED" and graph.source.format == "onnx":
            graph = absorbed(graph)
    return replace(graph, name=name, source=replace(graph.source, path=str(source), worst_error=worst))


def arranged(literal: Graph) -> Graph:
    """A door's graph with channels last, the batch first and parts of channels sliced where they are made."""
    graph = batch_first(channels_last(literal))
    return slice_where_made(graph) if level_of(graph) == "FLOAT" else graph


def open_source(source: str | Path, shapes: Shapes | None = None,
                checkpoint: str | Path | None = None) -> tuple[Graph, Oracle]:
    """The model as its door gives it, with inputs and outputs as its file has them, and what runs it there.

    To be compared with what became of it. Raises as `load` does.
    """
    with about(source), redirect_stdout(sys.stderr):
        _, door = _door(str(source), shapes or {}, checkpoint)
        return door()


def _door(source: str, shapes: Shapes,
          checkpoint: str | Path | None) -> tuple[str, Callable[[], tuple[Graph, Oracle]]]:
    """The model's name and the function that opens it."""
    file = Path(source.rpartition(":")[0])
    if checkpoint and file.suffix != ".py":
        raise BadInput(f"{source}: a checkpoint is given, {checkpoint}, but only file.py:function takes its "
                       f"weights from one; leave it out")
    if Path(source).suffix == ".onnx":
        return Path(source).stem, lambda: _onnx(_read(Path(source)), source, shapes)
    if shapes:
        raise BadInput(f"{source}: a shape is given for {', '.join(shapes)}, but only .onnx models leave "
                       f"sizes open; leave it out")
    if file.suffix == ".py":
        name = file.resolve().parent.name if file.stem == "model" else file.stem
        return name, lambda: _torch(source, checkpoint)
    path, suffix = Path(source), Path(source).suffix
    if path.is_dir():
        return path.resolve().name, lambda: _saved_model(path)
    if suffix not in DOORS:
        if suffix != ".py" and not path.exists():
            raise BadModel(f"{source}: no such file")
        known = ", ".join(sorted((".onnx", *DOORS)))
        raise Unsupported(f"{source}: unknown kind of model '{suffix}'; known: {known}, "
                          f"a SavedModel's folder, and file.py:function for PyTorch")
    return path.stem, lambda: DOORS[suffix](_read(path), source)


def _read(path: Path) -> bytes:
    try:
        model = path.read_bytes()
    except FileNotFoundError:
        raise BadModel(f"{path}: no such file") from None
    except OSError as error:
        raise BadModel(f"{path}: cannot be read: {error.strerror}") from None
    if not model:
        raise BadModel(f"{path}: the file is empty")
    return model


def _stamped(graph: Graph, format_: str, model: bytes) -> Graph:
    digest = hashlib.sha256(model).hexdigest()
    return replace(graph, source=replace(graph.source, format=format_, sha256=digest))


def _tflite(model: bytes, name: str) -> tuple[Graph, Oracle]:
    from toolchain.load.metadata import with_tflite_metadata
    from toolchain.load.tflite import has_reference_kernels, load_tflite
    from toolchain.load.tflite_hybrid import with_float_weights
    from toolchain.runtime.litert import LiteRT

    graph = with_tflite_metadata(_stamped(load_tflite(model, name), "tflite", model), model)
    judge = with_float_weights(model, name)
    reference_kernels = level_of(graph) == "QUANTIZED" and has_reference_kernels(model, name)

    def answer(feeds, keep):
        session = LiteRT(judge, reference_kernels=reference_kernels, preserve_all=bool(keep))
        outputs = session.run(feeds)
        return {**(session.tensors() if keep else {}), **outputs}

    return graph, lambda feeds, keep: apart(lambda: answer(feeds, keep), "LiteRT")


def _onnx(model: bytes, name: str, shapes: Shapes) -> tuple[Graph, Oracle]:
    from toolchain.load.onnx import graph_of
    from toolchain.load.onnx_file import read_onnx
    from toolchain.runtime.onnxruntime import OnnxRuntime

    file = read_onnx(model, name, Path(name).parent, shapes)

    graph = _stamped(graph_of(file), "onnx", model)

    def answer(feeds, keep):
        session = OnnxRuntime(file.with_outputs(keep))
        dtypes = {port.name: port.dtype for port in session.inputs}
        moved = {name: _as(value, dtypes.get(name, "")) for name, value in feeds.items()}
        return {name: _as(value, graph.tensors[name].dtype) if name in graph.tensors else value
                for name, value in session.run(moved).items()}

    return graph, lambda feeds, keep: apart(lambda: answer(feeds, keep), "ONNX Runtime")


def _as(value: np.ndarray, dtype: str) -> np.ndarray:
    """uint8 codes as a Graph's int8 ones, or back; all else as it is."""
    shift = {("uint8", "int8"): -128, ("int8", "uint8"): 128}.get((value.dtype.name, dtype))
    return value if shift is None else (value.astype(np.int16) + shift).astype(dtype)


def _keras(model: bytes, name: str) -> tuple[Graph, Oracle]:
    from toolchain.load.keras import load_keras

    return load_keras(Path(name))


def _saved_model(folder: Path) -> tuple[Graph, Oracle]:
    from toolchain.load.keras import load_keras

    if not (folder / "saved_model.pb").is_file():
        raise Unsupported(f"{folder}: a folder without saved_model.pb; of folders, a SavedModel's is read")
    return load_keras(folder)


def _torch(spec: str, checkpoint: str | Path | None) -> tuple[Graph, Oracle]:
    from toolchain.load.torch import load_function

    return load_function(spec, Path(checkpoint) if checkpoint else None)


def _exported(model: bytes, name: str) -> tuple[Graph, Oracle]:
    from toolchain.load.torch import load_program
    from toolchain.load.torch_archive import read_archive

    graph, oracle = load_program(read_archive(model, name), name)
    return _stamped(graph, "torch", model), oracle


def _weights_only(model: bytes, name: str) -> tuple[Graph, Oracle]:
    from toolchain.load.torch_weights import refuse_as_model

    raise refuse_as_model(model, name)


DOORS: Mapping[str, Callable[[bytes, str], tuple[Graph, Oracle]]] = {
    ".tflite": _tflite, ".keras": _keras, ".h5": _keras, ".hdf5": _keras, ".pt2": _exported,
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".safetensors"), _weights_only)}
"""Suffix -> the door of files that stand alone; .onnx files may have others beside them, and open sizes."""
