"""A channel shuffle's transpose is written as two of wide tiles, and moves the same values."""

from ai_edge_litert import schema_py_generated as schema
import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT


def swapped(shape: tuple[int, ...], perm: tuple[int, ...], quant: QuantParams | None = None) -> Graph:
    dtype = "float32" if quant is None else "int8"
    build = Builder("swap")
    x = build.input("x", shape, dtype, quant)
    return build.graph(build.op("transpose", [x], "y", perm=perm, dtype=dtype, quant=quant))


def operators(model: bytes) -> list[int]:
    file = schema.ModelT.InitFromPackedBuf(model, 0)
    return [file.operatorCodes[op.opcodeIndex].builtinCode for op in file.subgraphs[0].operators]


@pytest.mark.oracle
@pytest.mark.parametrize("quant", [None, QuantParams(0.5, 3)])
@pytest.mark.parametrize("shape", [(1, 20, 20, 2, 58), (1, 16, 8, 16), (1, 4, 4, 3, 17)])
def test_a_narrow_swap_moves_the_same_values(shape, quant):
    perm = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    graph = swapped(shape, perm, quant)
    model = write_tflite(graph)
    assert operators(model).count(schema.BuiltinOperator.TRANSPOSE) == 2
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(graph.tensors["x"].dtype)
    for reference_kernels in (False, True):
        session = LiteRT(model, reference_kernels=reference_kernels)
        np.testing.assert_array_equal(session.run({"x": x})["y"], x.transpose(perm))


@pytest.mark.parametrize("shape, perm", [
    ((1, 20, 20, 9, 58), (0, 1, 2, 4, 3)), ((1, 20, 20, 2, 15), (0, 1, 2, 4, 3)),
    ((1, 3, 2, 58), (0, 1, 3, 2)),
    ((1, 20, 2, 58), (0, 2, 1, 3)), ((1, 20, 1, 58), (0, 1, 3, 2))])
def test_others_stay_one(shape, perm):
    assert operators(write_tflite(swapped(shape, perm))) == [schema.BuiltinOperator.TRANSPOSE]
