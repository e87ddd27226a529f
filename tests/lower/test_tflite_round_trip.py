"""What the .tflite doors write, they read: the same bits in the same runtime, and past the self-check."""

from ai_edge_litert.interpreter import Interpreter
import numpy as np
import pytest

from tests.op_cases import cases
from toolchain.ir.check import INTEGER
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.load import load
from toolchain.load.tflite import load_tflite
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT

CASES = [case for kind in OPS for dtype in OPS[kind].dtypes for case in cases(kind, dtype)[:4]
         if "litert" not in case.lacks]


def outputs(model: bytes, feeds) -> list[np.ndarray]:
    """With XNNPACK and without."""
    return [LiteRT(model, preserve_all=plain).run(feeds)["y"] for plain in (False, True)]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", OPS)
def test_a_file_written_again_gives_the_same_bits(kind):
    for case in (case for case in CASES if case.kind == kind):
        model = write_tflite(case.graph)
        again = write_tflite(load_tflite(model, case.graph.name))
        for before, after in zip(outputs(model, case.feeds), outputs(again, case.feeds), strict=True):
            assert np.array_equal(before, after, equal_nan=before.dtype == np.float32), case.name


@pytest.mark.oracle
@pytest.mark.parametrize("kind", OPS)
def test_a_file_passes_the_self_check(tmp_path, kind):
    for case in (case for case in CASES if case.kind == kind):
        path = tmp_path / f"{case.name}.tflite"
        path.write_bytes(write_tflite(case.graph))
        graph = load(path, {name: value[:1] for name, value in case.feeds.items()})
        assert codes_of(graph) == codes_of(case.graph), case.name


INTERPRETED = {"log_softmax", "pow", "argmax", "resize_nearest", "mirror_pad", "gather", "tile", "compare",
               "select", "cast", "logical_and", "logical_or", "logical_not"}
"""Kinds that XNNPACK in LiteRT 2.3 does not take in float; TFLite's own kernels run them."""


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [kind for kind, row in OPS.items() if "float32" in row.dtypes
                                  and kind not in (*INTERPRETED, "quantize", "dequantize")])
def test_xnnpack_takes_a_float_file_whole(kind):
    """But for what a case draws that it lacks: softmax's beta, kernels below the stride, pads of a value."""
    taken = []
    for case in (case for case in CASES if (case.kind, case.dtype) == (kind, "float32")):
        interpreter = Interpreter(model_content=write_tflite(case.graph))
        interpreter.allocate_tensors()
        taken.append(interpreter._get_ops_details()[-1]["op_name"] == "DELEGATE")
    assert sum(taken) >= len(taken) / 2


def codes_of(graph: Graph) -> set[str]:
    """dtypes of the integer codes of inputs and outputs."""
    return {graph.tensors[name].dtype for name in (*graph.inputs, *graph.outputs)} & INTEGER
