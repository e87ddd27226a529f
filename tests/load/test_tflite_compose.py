"""Operators that the op table has no kind for: read as compositions, they compute what LiteRT does."""

import numpy as np
import pytest

from tests.load.tflite_models import one_operator
from toolchain.errors import BadModel, ToolchainError, Unsupported
from toolchain.ir.check import check, level_of
from toolchain.load.tflite import load_tflite
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

I32 = np.int32
X = {"x": (1, 4, 6, 3)}
XY = {"x": (1, 4, 6, 3), "z": (1, 4, 6, 3)}
STRIDED = {"begin": I32([0, 1, -5, 0]), "end": I32([1, -1, 6, 9]), "strides": I32([1, 1, 2, 1])}
POOL = {"filterHeight": 2, "filterWidth": 3, "strideH": 2, "strideW": 1, "padding": 0}

FILES = {
    "square": one_operator("SQUARE", X, {"y": (1, 4, 6, 3)}),
    "squared_difference": one_operator("SQUARED_DIFFERENCE", XY, {"y": (1, 4, 6, 3)}),
    "add_n": one_operator("ADD_N", XY, {"y": (1, 4, 6, 3)}),
    "relu_n1_to_1": one_operator("RELU_N1_TO_1", X, {"y": (1, 4, 6, 3)}),
    "relu_0_to_1": one_operator("RELU_0_TO_1", X, {"y": (1, 4, 6, 3)}),
    "fused_relu_n1_to_1": one_operator("ADD", XY, {"y": (1, 4, 6, 3)}, options="AddOptions",
                                       fields={"fusedActivationFunction": 2}),
    "l2_normalization": one_operator("L2_NORMALIZATION", X, {"y": (1, 4, 6, 3)}, options="L2NormOptions"),
    "l2_pool": one_operator("L2_POOL_2D", X, {"y": (1, 2, 6, 3)}, options="Pool2DOptions", fields=POOL),
    "l2_pool_relu6": one_operator("L2_POOL_2D", X, {"y": (1, 2, 6, 3)}, options="Pool2DOptions",
                                  fields={**POOL, "fusedActivationFunction": 3}),
    "arg_min": one_operator("ARG_MIN", {**X, "axis": I32([-1])}, {"y": (1, 4, 6)}, gives="int32",
                            options="ArgMinOptions", fields={"outputType": 2}),
    "split": one_operator("SPLIT", {"axis": np.array(3, I32), **X}, {name: (1, 4, 6, 1) for name in "abc"},
                          options="SplitOptions", fields={"numSplits": 3}),
    "split_v": one_operator("SPLIT_V", {**X, "sizes": I32([1, -1, 2]), "axis": np.array(2, I32)},
                            {"a": (1, 4, 1, 3), "b": (1, 4, 3, 3), "c": (1, 4, 2, 3)},
                            options="SplitVOptions", fields={"numSplits": 3}),
    "unpack": one_operator("UNPACK", X, {name: (1, 4, 6) for name in "abc"}, options="UnpackOptions",
                           fields={"num": 3, "axis": 3}),
    "pack": one_operator("PACK", XY, {"y": (1, 4, 2, 6, 3)}, options="PackOptions",
                         fields={"valuesCount": 2, "axis": 2}),
    "slice": one_operator("SLICE", {**X, "begin": I32([0, 1, 2, 0]), "size": I32([1, 2, -1, 3])},
                          {"y": (1, 2, 4, 3)}, options="SliceOptions"),
    "strided_slice": one_operator("STRIDED_SLICE", {**X, **STRIDED}, {"y": (1, 2, 3, 3)},
                                  options="StridedSliceOptions"),
    "strided_slice_masks": one_operator(
        "STRIDED_SLICE", {**X, **STRIDED}, {"y": (1, 4, 3)}, options="StridedSliceOptions",
        fields={"beginMask": 2, "endMask": 2, "shrinkAxisMask": 4}),
    "strided_slice_ellipsis": one_operator(
        "STRIDED_SLICE", {**X, "begin": I32([0, 1]), "end": I32([0, 3]), "strides": I32([1, 1])},
        {"y": (1, 4, 6, 2)}, options="StridedSliceOptions", fields={"ellipsisMask": 1}),
    "strided_slice_new_axis": one_operator(
        "STRIDED_SLICE", {**X, "begin": I32([0, 0, 1]), "end": I32([1, 0, 3]), "strides": I32([1, 1, 1])},
        {"y": (1, 1, 2, 6, 3)}, options="StridedSliceOptions", fields={"newAxisMask": 2}),
    "concat_of_rows": one_operator("CONCATENATION", XY, {"y": (2, 4, 6, 3)}, options="ConcatenationOptions"),
    "pack_of_samples": one_operator("PACK", XY, {"y": (2, 1, 4, 6, 3)}, options="PackOptions",
                                    fields={"valuesCount": 2}),
    "gather_of_a_batch": one_operator(
        "GATHER", {**X, "i": I32([[3, 0]])}, {"y": (1, 2, 6, 3)}, options="GatherOptions",
        fields={"axis": 1, "batchDims": 1}, version=5),
    "expand_dims": one_operator("EXPAND_DIMS", {**X, "axis": I32([-1])}, {"y": (1, 4, 6, 3, 1)}),
    "broadcast_to": one_operator("BROADCAST_TO", {"x": (1, 1, 6, 1), "shape": I32([1, 4, 6, 3])},
                                 {"y": (1, 4, 6, 3)}, version=2),
    "embedding": one_operator("EMBEDDING_LOOKUP", {"x": (1,), "table": np.eye(5, dtype=np.float32)},
                              {"y": (1, 5)}, dtype="int32", gives="float32"),
    "many_rows": one_operator("FULLY_CONNECTED", {
        **X, "w": np.arange(12, dtype=np.float32).reshape(4, 3), "b": np.ones(4, np.float32)},
        {"y": (1, 4, 6, 4)}, options="FullyConnectedOptions", fields={"keepNumDims": True}, version=5),
    "many_rows_2d": one_operator("FULLY_CONNECTED", {**X, "w": np.arange(12, dtype=np.float32).reshape(4, 3)},
                                 {"y": (24, 4)}, options="FullyConnectedOptions", version=6),
    "bias_of_four_dimensions": one_operator("FULLY_CONNECTED", {
        **X, "w": np.arange(12, dtype=np.float32).reshape(4, 3), "b": np.ones((1, 1, 1, 4), np.float32)},
        {"y": (1, 4, 6, 4)}, options="FullyConnectedOptions", fields={"keepNumDims": True}, version=5),
    "mean_over_batch": one_operator("MEAN", {**X, "axes": I32([0, 1])}, {"y": (6, 3)},
                                    options="ReducerOptions"),
    "transpose_conv_v1": one_operator("TRANSPOSE_CONV", {
        "shape": I32([1, 8, 11, 2]), "w": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3), **X},
        {"y": (1, 8, 11, 2)}, options="TransposeConvOptions", fields={"strideH": 2, "strideW": 2}),
}


def feeds_of(graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {name: rng.normal(0, 1.5, graph.tensors[name].shape).astype(graph.tensors[name].dtype)
            if graph.tensors[name].dtype == "float32" else
            rng.integers(0, 5, graph.tensors[name].shape).astype(graph.tensors[name].dtype)
            for name in graph.inputs}


@pytest.mark.oracle
@pytest.mark.parametrize("name", FILES)
def test_a_composition_computes_what_litert_does(name):
    model = FILES[name]
    graph = check(load_tflite(model, name), "FLOAT")
    feeds = feeds_of(graph)
    expected = LiteRT(model).run(feeds)
    for got in (reference.run(graph, feeds), LiteRT(write_tflite(graph)).run(feeds)):
        assert got.keys() == expected.keys()
        for output in expected:
            np.testing.assert_allclose(got[output], expected[output], rtol=1e-5, atol=1e-5)


CODES = {"x": (0.05, 3), "z": (0.05, 3), "y": (0.05, 3), "a": (0.05, 3), "b": (0.05, 3), "c": (0.05, 3)}
IN_CODES = {
    "relu_n1_to_1": one_operator("RELU_N1_TO_1", X, {"y": (1, 4, 6, 3)}, dtype="int8", quant=CODES),
    "fused_relu_n1_to_1": one_operator("ADD", XY, {"y": (1, 4, 6, 3)}, options="AddOptions", dtype="int8",
                                       quant=CODES, fields={"fusedActivationFunction": 2}, version=2),
    "split": one_operator("SPLIT", {"axis": np.array(3, I32), **X}, {name: (1, 4, 6, 1) for name in "abc"},
                          dtype="int8", quant=CODES, options="SplitOptions", fields={"numSplits": 3},
                          version=2),
    "pack": one_operator("PACK", XY, {"y": (1, 4, 2, 6, 3)}, options="PackOptions", dtype="int8", quant=CODES,
                         fields={"valuesCount": 2, "axis": 2}, version=2),
    "padv2": one_operator("PADV2", {**X, "pads": I32([[0, 0], [1, 2], [0, 1], [0, 0]]), "v": np.int8([-77])},
                          {"y": (1, 7, 7, 3)}, dtype="int8", quant={**CODES, "v": CODES["x"]}, version=2),
    "strided_slice": one_operator("STRIDED_SLICE", {**X, **STRIDED}, {"y": (1, 2, 3, 3)}, dtype="int8",
                                  quant=CODES, options="StridedSliceOptions", version=2),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", [name for name in IN_CODES if name != "relu_n1_to_1"])
def test_a_composition_of_codes_gives_the_same_codes(name):
    model = IN_CODES[name]
    graph = check(load_tflite(model, name), "QUANTIZED")
    feeds = {n: np.random.default_rng(4).integers(-128, 128, graph.tensors[n].shape).astype(np.int8)
             for n in graph.inputs}
    expected = LiteRT(model, reference_kernels=True).run(feeds)
    for got in (reference.run(graph, feeds), LiteRT(write_tflite(graph), reference_kernels=True).run(feeds)):
        assert all(np.array_equal(got[output], expected[output]) for output in expected)


@pytest.mark.parametrize("model, why", [
    (one_operator("SQUARED_DIFFERENCE", XY, {"y": (1, 4, 6, 3)}, dtype="int8", quant=CODES),
     "tensor 'x' is int8; bool, float32, int32, int64 have rows here"),
    (one_operator("STRIDED_SLICE", {**X, **STRIDED, "strides": I32([1, 1, -1, 1])}, {"y": (1, 2, 3, 3)},
                  options="StridedSliceOptions"), "strides [1, 1, -1, 1]; forward ones have a row"),
    (one_operator("IF", {"c": (1,)}, {"y": (1, 2)}, dtype="bool"), "control flow has no row"),
    (one_operator("SELECT", {"c": (1,), **XY}, {"y": (1, 4, 6, 3)}), "condition 'c' is float32, not bool"),
    (one_operator("GATHER", {**X, "i": I32([[0, 1]] * 4)}, {"y": (1, 4, 2, 3)}, options="GatherOptions",
                  fields={"batchDims": 1, "axis": 2}), "indices for each of (4,) batch dimensions"),
    (one_operator("ADD", XY, {"y": (1, 4, 6, 3)}, options="AddOptions",
                  fields={"fusedActivationFunction": 4}),
     "fused activation TANH, which LiteRT leaves out; NONE, RELU, RELU6 and RELU_N1_TO_1 have rows"),
], ids=range(6))
def test_what_has_no_row_says_why(model, why):
    with pytest.raises(Unsupported) as caught:
        load_tflite(model, "net")
    assert why in str(caught.value)


@pytest.mark.parametrize("model, why", [
    (one_operator("GATHER", {**X, "i": I32([3, 6])}, {"y": (1, 4, 2, 3)}, options="GatherOptions",
                  fields={"axis": 2}), "'i' counts from 3 to 6 in an axis of 6"),
    (one_operator("SPLIT", {"axis": np.array(2, I32), **X}, {name: (1, 4, 1, 3) for name in "abcde"}),
     "5 equal parts of (1, 4, 6, 3) along axis 2"),
    (one_operator("UNPACK", X, {"a": (1, 4, 6)}, options="UnpackOptions", fields={"axis": 9}),
     "axis 9 of 4 dimensions"),
    (one_operator("SLICE", {**X, "begin": I32([0, 1, 7, 0]), "size": I32([1, 2, 4, 3])}, {"y": (1, 2, 4, 3)}),
     "must lie within the input (1, 4, 6, 3)"),
], ids=range(4))
def test_what_contradicts_itself_says_where(model, why):
    with pytest.raises(BadModel) as caught:
        load_tflite(model, "net")
    assert why in str(caught.value) and "the file contradicts itself" in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_damaged_operators_never_crash(name):
    """Whole numbers of the file overwritten: sizes, axes, masks, offsets."""
    rng, model = np.random.default_rng(2), FILES[name]
    for _ in range(60):
        words = np.frombuffer(model, "<i4")[:len(model) // 4].copy()
        words[rng.integers(len(words), size=2)] = rng.choice([0, 1, -1, 2, 7, 2**31 - 1, -2**31], 2)
        try:
            graph = load_tflite(words.tobytes(), "net")
            check(graph, level_of(graph))
        except ToolchainError as error:
            assert error.exit_code in (2, 4) and str(error)


def test_rows_that_do_not_add_up_are_named():
    model = one_operator("CONCATENATION", XY, {"y": (1, 8, 6, 3)}, options="ConcatenationOptions")
    with pytest.raises(BadModel, match=r"makes \(2, 4, 6, 3\) but 'y' is \(1, 8, 6, 3\)"):
        load_tflite(model, "net")
