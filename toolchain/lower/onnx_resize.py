"""Resizing in ONNX, by TensorFlow Lite's formulas.

Sources: ONNX operator specification, Resize-13; onnxruntime/core/providers/cpu/tensor/upsamplebase.h.
"""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.lower.onnx_weighted import Writes
from toolchain.lower.onnx_writer import OnnxWriter
from toolchain.runtime.resize import nearest


def _mode(op: Op) -> str:
    """Which coordinates of the input those of the output stand for."""
    if op.attrs["align_corners"]:
        return "align_corners"
    return "half_pixel" if op.attrs["half_pixel_centers"] else "asymmetric"


def _resize_bilinear(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "Resize", [writer.real(op.inputs[0]), "", "", _sizes(writer, op)], mode="linear",
                   coordinate_transformation_mode=_mode(op))


def _resize_nearest(writer: OnnxWriter, op: Op) -> None:
    """Rows and columns are picked one by one where float32 rounding makes onnxruntime pick others."""
    height, width = writer.graph.tensors[op.inputs[0]].shape[2:]
    axes = list(zip((height, width), op.attrs["size"]))
    ours = [nearest(wanted, size, op.attrs) for size, wanted in axes]
    if not all(np.array_equal(a, _nearest_in_onnx(op, *sizes)) for a, sizes in zip(ours, axes)):
        return writer.pick(op, dict(zip((2, 3), ours)))
    rounding = "floor" if _mode(op) == "asymmetric" else "round_prefer_ceil"
    writer.move(op, "Resize", ("", "", _sizes(writer, op)), mode="nearest", nearest_mode=rounding,
                coordinate_transformation_mode=_mode(op))


def _sizes(writer: OnnxWriter, op: Op) -> str:
    return writer.constant(f"{op.name}:sizes", np.array(writer.graph.tensors[op.name].shape, np.int64))


def _nearest_in_onnx(op: Op, size: int, wanted: int) -> np.ndarray:
    """For each of `wanted` rows the row of `size` that onnxruntime repeats."""
    scale, at = np.float32(wanted) / np.float32(size), np.arange(wanted, dtype=np.float32)
    if op.attrs["align_corners"]:
        at = at * np.float32(size - 1) / np.float32(wanted - 1) if wanted > 1 else np.zeros(1, np.float32)
    else:
        half = np.float32(0.5 if op.attrs["half_pixel_centers"] else 0)
        at = (at + half) / scale - half
    picked = np.floor(at) if _mode(op) == "asymmetric" else np.floor(at + np.float32(0.5))
    return np.clip(picked, 0, size - 1).astype(np.int64)


RESIZE: Mapping[str, Writes] = {"resize_bilinear": _resize_bilinear, "resize_nearest": _resize_nearest}
