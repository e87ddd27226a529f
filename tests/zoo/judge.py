"""How well a network goes through: what its float and INT8 files answer beside its source.

A step that the toolchain refuses is noted with what it said, and the rest goes on as far as it can.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.c_host import compile_graphs
from tests.zoo.catalogue import CALIBRATION, HELD_OUT, Entry
from tests.zoo.sources import Arrays, source_runtime, transposes_in
from toolchain.data import Samples
from toolchain.errors import ToolchainError
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.layout import transposes
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import quantize
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import prepare
from toolchain.recipe import QuantSpec, Recipe
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

SINGLE, ON_C = 4, 2
"""Held-out samples that float files and C answer."""
C_BYTES = 1_000_000
"""Networks whose INT8 constants are fewer go through C too."""
FLOAT = Recipe(quantize=QuantSpec(scheme="float32"))
OPTIMISED = ("-O2",)


@dataclass
class ZooResult:
    """What was found; what is missing was refused, and `refused` says why.

    macs, parameters: of the canonical float graph
    float_error:      format -> largest difference from the source, as a share of an output's range
    sqnr_db:          format -> output -> SQNR of INT8 beside the source, on held-out samples
    constant_bytes:   of the INT8 graph
    c_equals:         whether C on this machine gives the reference's codes, None where it was not asked
    transposes:       file -> how many it has; the .tflite door writes some as two (lower/tflite_transpose.py)
    own_transposes:   those of the source, and of its inputs and outputs that files lay out otherwise
    refused:          step -> message
    """

    name: str
    macs: int = 0
    parameters: int = 0
    float_error: dict[str, float] = field(default_factory=dict)
    sqnr_db: dict[str, dict[str, float]] = field(default_factory=dict)
    constant_bytes: int = 0
    c_equals: bool | None = None
    transposes: dict[str, int] = field(default_factory=dict)
    own_transposes: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part that the toolchain may refuse."""
        try:
            yield
        except ToolchainError as error:
            self.refused[name] = str(error)

    def worst_sqnr_db(self, fmt: str) -> float:
        """Of the format's outputs; NaN where it was refused."""
        return min(self.sqnr_db.get(fmt, {}).values(), default=float("nan"))


def judge(entry: Entry, folder: Path) -> ZooResult:
    """The whole judgement of one network; `folder` is where C is compiled."""
    result = ZooResult(entry.name)
    with result.step("load"):
        graph = load(entry.open())
        drawn = entry.draw(*HELD_OUT)
        held_out = dict(drawn) if isinstance(drawn, Mapping) else {graph.inputs[0]: drawn}
        exact, result.own_transposes = source_runtime(entry, held_out, graph.outputs)
        with result.step("float"):
            _judge_float(result, prepare(graph, FLOAT, None).graph, held_out, exact)
        with result.step("INT8"):
            quantized = prepare(graph, Recipe(), samples_of(entry.draw(*CALIBRATION))).graph
            _judge_int8(result, quantized, held_out, exact)
            if result.constant_bytes < C_BYTES:
                with result.step("C"):
                    result.c_equals = _c_equals(quantized, held_out, folder)
    return result


def samples_of(drawn: np.ndarray | Mapping[str, np.ndarray]) -> Samples:
    """Samples without labels in the source's layout."""
    x = dict(drawn) if isinstance(drawn, Mapping) else {"x": drawn}
    return Samples("zoo", x, None, None, np.arange(len(next(iter(x.values())))))


def _judge_float(result: ZooResult, graph: Graph, feeds: Arrays, exact: Arrays) -> None:
    result.macs, result.parameters = graph_macs(graph), graph.parameters
    for fmt in FORMATS:
        with result.step(f"float {fmt}"):
            model, answer = FORMATS[fmt](graph)
            result.transposes[f"float {fmt}"] = _transposes(fmt, graph, model)
            found = answer({name: value[:SINGLE] for name, value in feeds.items()})
            result.float_error[fmt] = max(float_error(found[name], exact[name][:SINGLE]) for name in exact)


def _transposes(fmt: str, graph: Graph, model: bytes) -> int:
    """Of the graph for .tflite, which lies as the graph does; of the file for .onnx."""
    return transposes(graph) if fmt == ".tflite" else transposes_in(model)


def _judge_int8(result: ZooResult, graph: Graph, feeds: Arrays, exact: Arrays) -> None:
    result.constant_bytes = sum(t.data.nbytes for t in graph.constants)
    for fmt in FORMATS:
        with result.step(f"INT8 {fmt}"):
            model, answer = FORMATS[fmt](graph)
            result.transposes[f"INT8 {fmt}"] = _transposes(fmt, graph, model)
            found = answer(feeds)
            result.sqnr_db[fmt] = {name: sqnr_db(exact[name], found[name]) for name in exact}


def _c_equals(graph: Graph, feeds: Arrays, folder: Path) -> bool:
    model, = compile_graphs([graph], folder, OPTIMISED)
    codes = {name: _as_codes(graph.tensors[name], _inner(graph, name, feeds[name][:ON_C]))
             for name in graph.inputs}
    ours, theirs = reference.run(graph, codes), model.run(codes)
    return all(np.array_equal(ours[name], theirs[name]) for name in graph.outputs)


def _as_codes(tensor: Tensor, value: np.ndarray) -> np.ndarray:
    """Tokens are what they are."""
    return value if tensor.quant is None else quantize(value, tensor.quant)


# Files ------------------------------------------------------------------------------------------------------

Answer = Callable[[Arrays], Arrays]
"""Feeds in the source's layout -> outputs in the source's layout, both in reals."""


def tflite_file(graph: Graph) -> tuple[bytes, Answer]:
    """The .tflite file with float inputs and outputs, and what it answers in LiteRT."""
    model = write_tflite(graph, io="float32")
    session = LiteRT(model)

    def answer(feeds: Arrays) -> Arrays:
        inner = {name: _inner(graph, name, value) for name, value in feeds.items()}
        found = session.run(inner)
        return {name: _outer(graph, name, found[name]) for name in graph.outputs}

    return model, answer


def onnx_file(graph: Graph) -> tuple[bytes, Answer]:
    """The .onnx file (U8S8 where quantized), and what it answers in ONNX Runtime."""
    model = write_onnx(graph)
    return model, OnnxRuntime(model).run


FORMATS: Mapping[str, Callable[[Graph], tuple[bytes, Answer]]] = {".tflite": tflite_file, ".onnx": onnx_file}


def _inner(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    perm = graph.permutations.get(name)
    return value if perm is None else np.ascontiguousarray(value.transpose(np.argsort(perm)))


def _outer(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    perm = graph.permutations.get(name)
    return value if perm is None else value.transpose(perm)


# Figures ----------------------------------------------------------------------------------------------------

def float_error(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest difference as a share of the exact values' range (of their magnitude where all are alike)."""
    assert found.shape == exact.shape, f"{found.shape} is not {exact.shape}"
    spread = float(np.ptp(exact)) or float(np.abs(exact).max()) or 1.0
    return float(np.abs(found.astype(np.float64) - exact).max()) / spread


def sqnr_db(exact: np.ndarray, found: np.ndarray) -> float:
    """10 log10(sum of squares / sum of squared differences)."""
    assert found.shape == exact.shape, f"{found.shape} is not {exact.shape}"
    noise = np.square(exact.astype(np.float64) - found).sum()
    return float(10 * np.log10(np.square(exact.astype(np.float64)).sum() / max(noise, 1e-300)))
