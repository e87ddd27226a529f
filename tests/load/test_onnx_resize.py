"""Resizing gives what ONNX Runtime gives, in the forms of opsets 9 to 19."""

import numpy as np
import pytest

from tests.load.onnx_models import IMAGE, SEQUENCE, assert_as_onnx_runtime, by_ops, floats, ints, single
from toolchain.errors import Unsupported
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

SIZES = [(18, 16), (5, 4), (13, 9), (9, 21), (1, 1), (27, 8)]
DOUBLED = floats(1, 1, 2, 2)
MODES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nearest(size):
    for coordinates in (*MODES, "tf_half_pixel_for_nn"):
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            model = single("Resize", IMAGE, floats(), floats(), ints(1, 6, *size), opset=11, mode="nearest",
                           coordinate_transformation_mode=coordinates, nearest_mode=rounding)
            assert_as_onnx_runtime(model)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("coordinates", MODES)
def test_linear(size, coordinates):
    graph = assert_as_onnx_runtime(single("Resize", IMAGE, None, None, ints(1, 6, *size), mode="linear",
                                          coordinate_transformation_mode=coordinates))
    assert [op.kind for op in graph.ops] == ["transpose", "resize_bilinear", "transpose"]


@pytest.mark.parametrize("model", [
    single("Upsample", IMAGE, floats(1, 1, 2, 3), opset=9),
    single("Upsample", IMAGE, floats(1, 1, 2, 2), opset=9, mode="linear"),
    single("Resize", IMAGE, floats(1, 1, 2, 2), opset=10),
    single("Resize", IMAGE, floats(1, 1, 0.5, 0.5), opset=10),
    single("Resize", IMAGE, floats(1, 1, 2, 2), opset=10, mode="linear"),
    single("Resize", IMAGE, floats(), floats(1, 1, 2, 1.5), opset=11),
    single("Resize", IMAGE, None, floats(1, 1, 1.3, 0.7)),
    single("Resize", IMAGE, None, floats(1, 2, 1, 1)),
    single("Resize", IMAGE, None, None, ints(7, 20), opset=18, axes=[2, 3]),
    single("Resize", IMAGE, None, floats(2), opset=18, axes=[3], mode="linear"),
    single("Resize", IMAGE, None, None, ints(20, 20), opset=18, axes=[2, 3],
           keep_aspect_ratio_policy="not_larger"),
    single("Resize", IMAGE, None, None, ints(18, 16), opset=19, axes=[2, 3], mode="linear",
           coordinate_transformation_mode="half_pixel_symmetric"),
    single("Resize", SEQUENCE, None, floats(1, 1, 2)),
    single("Resize", SEQUENCE, None, floats(1, 1, 3), mode="linear"),
], ids=by_ops)
def test_forms(model):
    assert_as_onnx_runtime(model)


def test_torchs_nearest_is_one_op():
    graph = load_onnx(single("Resize", IMAGE, None, floats(1, 1, 2, 2), mode="nearest", nearest_mode="floor",
                             coordinate_transformation_mode="asymmetric"), "net")
    assert [op.kind for op in graph.ops] == ["transpose", "resize_nearest", "transpose"]


@pytest.mark.parametrize("model, reason", [
    (single("Resize", IMAGE, None, DOUBLED, mode="cubic"), "mode=cubic, coordinate_transformation"),
    (single("Resize", IMAGE, floats(*[0] * 4, *[1] * 4), DOUBLED, mode="linear",
            coordinate_transformation_mode="tf_crop_and_resize"), "tf_crop_and_resize; only nearest"),
    (single("Resize", IMAGE, None, DOUBLED, mode="linear", antialias=1, opset=18), "antialias=1"),
    (single("Resize", IMAGE, None, floats(1, 1, 1.3, 1.3), mode="linear"), "do not give whole sizes"),
    (single("Resize", IMAGE, None, floats(1, 2, 1, 1), mode="linear"), r"only \[N, C, L\] and"),
], ids=by_ops)
def test_refusals(model, reason):
    with pytest.raises(Unsupported, match=reason):
        load_onnx(model, "net")


def test_a_resize_to_the_same_size_is_nothing():
    model = single("Resize", IMAGE, None, np.ones(4, np.float32))
    assert [op.kind for op in load_onnx(model, "net").ops] == ["reshape"]
