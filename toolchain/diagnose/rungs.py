"""What stands on the ladder: each runtime that can run the network here, fed with the same samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from toolchain.diagnose.host_c import run_c
from toolchain.diagnose.ladder import Rung, enough_signal, near_codes, same_codes, same_floats
from toolchain.diagnose.op_by_op import first_divergence
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.load.selfcheck import Oracle
from toolchain.quantize.reals import as_codes, as_reals
from toolchain.runtime import reference
from toolchain.runtime.apart import apart

Arrays = Mapping[str, np.ndarray]
SOURCE, FLOAT, INT8 = "float source", "float graph", "INT8 graph"


@dataclass(frozen=True, eq=False)
class Networks:
    """What is compared.

    source:      what runs the model where it came from; None, with `why_not`, where the float graph has been
                 changed since
    float_graph: canonical;  quantized: made of it
    tflite:      an INT8 file to be judged instead of the one that is written here
    activations: of the INT8 .onnx file: "uint8" or "int8"
    """

    source: Oracle | None
    float_graph: Graph
    quantized: Graph
    why_not: str = ""
    tflite: bytes | None = None
    activations: str = "uint8"


def rungs(networks: Networks, feeds: Arrays, blamed: str = "") -> Iterator[Rung]:
    """From the source to generated C.

    feeds: float samples (N, ...) in the graph's layout;  blamed: where quantization itself loses, in words
    """
    graph = networks.float_graph
    exact = reference.run(graph, feeds)
    yield Rung(SOURCE, "", lambda: _source(networks, feeds), same_floats)
    yield Rung(FLOAT, SOURCE if networks.source else "", lambda: exact, same_floats)
    yield Rung("float .tflite, LiteRT", FLOAT, lambda: _tflite(_written(graph), feeds), same_floats)
    yield Rung("float .onnx, ONNX Runtime", FLOAT, lambda: _onnx(graph, feeds), same_floats)
    codes = as_codes(networks.quantized, feeds)
    yield Rung(INT8, FLOAT, lambda: reference.run(networks.quantized, codes),
               enough_signal(networks.quantized), lambda: blamed)
    yield from integer_rungs(networks, exact, codes)


def integer_rungs(networks: Networks, exact: Arrays, codes: Arrays) -> Iterator[Rung]:
    """exact: the float outputs;  codes: the feeds as the integer graph takes them"""
    graph, near = networks.quantized, near_codes(networks.quantized, exact)
    file = cache(lambda: networks.tflite or _written(graph))
    yield Rung("INT8 .tflite, reference kernels", INT8, lambda: _tflite(file(), codes, True), near,
               lambda: first_divergence(graph, file(), codes))
    yield Rung("INT8 .tflite, XNNPACK", INT8, lambda: _tflite(file(), codes), near,
               lambda: first_divergence(graph, file(), codes))
    yield Rung("INT8 .tflite, TFLite Micro", INT8, lambda: _tflm(file(), codes), same_codes,
               lambda: first_divergence(graph, file(), codes))
    yield Rung("INT8 .onnx, ONNX Runtime", INT8, lambda: _onnx(graph, codes, networks.activations), near)
    yield Rung("INT8 C, this host", INT8, lambda: run_c(graph, codes), same_codes)


def _source(networks: Networks, feeds: Arrays) -> dict[str, np.ndarray]:
    """The source's outputs in the graph's layout; it takes a sample at a time."""
    if networks.source is None:
        raise Unsupported(networks.why_not)
    graph, found = networks.float_graph, []
    for i in range(_count(feeds)):
        theirs = networks.source({name: _to_source(graph, name, feeds[name][i:i + 1]) for name in feeds}, ())
        found.append({name: _from_source(graph, name, theirs[name]) for name in graph.outputs})
    return _stacked(found)


def through_source(literal: Graph, oracle: Oracle, graph: Graph, feeds: Arrays) -> dict[str, np.ndarray]:
    """Outputs of a file in its own runtime, in `graph`'s names, layout and codes; feeds are reals in them.

    literal: the file as its door gives it. Its inputs and outputs are `graph`'s, in the same order.
    """
    found = []
    for i in range(_count(feeds)):
        given = {theirs: _to_source(graph, ours, feeds[ours][i:i + 1])
                 for theirs, ours in zip(literal.inputs, graph.inputs, strict=True)}
        reals = as_reals(literal, oracle(as_codes(literal, given), ()))
        found.append({ours: _from_source(graph, ours, reals[theirs])
                      for theirs, ours in zip(literal.outputs, graph.outputs, strict=True)})
    return as_codes(graph, _stacked(found))


def _written(graph: Graph) -> bytes:
    from toolchain.lower.tflite import write_tflite

    return write_tflite(graph, integer_only=True)


def _tflite(model: bytes, feeds: Arrays, reference_kernels: bool = False) -> dict[str, np.ndarray]:
    from toolchain.runtime.litert import LiteRT

    return apart(lambda: LiteRT(model, reference_kernels=reference_kernels).run(feeds), "LiteRT")


def _tflm(model: bytes, codes: Arrays) -> dict[str, np.ndarray]:
    from toolchain.runtime.tflm import run_tflm

    return _stacked(run_tflm(model, [{name: value[i:i + 1] for name, value in codes.items()}
                                     for i in range(_count(codes))]))


def _onnx(graph: Graph, feeds: Arrays, activations: str = "uint8") -> dict[str, np.ndarray]:
    """Its files take and give reals in the source's layout."""
    from toolchain.lower.onnx import write_onnx
    from toolchain.runtime.onnxruntime import OnnxRuntime

    model = write_onnx(graph, activations=activations)
    given = {name: _to_source(graph, name, value) for name, value in as_reals(graph, feeds).items()}
    answers = apart(lambda: OnnxRuntime(model).run(given), "ONNX Runtime")
    return as_codes(graph, {name: _from_source(graph, name, answers[name]) for name in graph.outputs})


def _to_source(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    perm = graph.permutations.get(name)
    return value if perm is None else np.ascontiguousarray(value.transpose(perm))


def _from_source(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    perm = graph.permutations.get(name)
    return value if perm is None else value.transpose(np.argsort(perm))


def _count(feeds: Arrays) -> int:
    return len(next(iter(feeds.values())))


def _stacked(samples: list[Arrays]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}
