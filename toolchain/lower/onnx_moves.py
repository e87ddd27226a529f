"""How ops that only move data are written in ONNX (operator specification, opset 17): on codes where an int8
tensor's mean the same before and after."""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.quant import quantize
from toolchain.lower.onnx_weighted import Writes
from toolchain.lower.onnx_writer import OnnxWriter


def _integers(writer: OnnxWriter, name: str, values) -> str:
    return writer.constant(name, np.array(values, np.int64))


def _pad(writer: OnnxWriter, op: Op) -> None:
    """Codes are padded with the code of the value."""
    out, value = writer.graph.tensors[op.name], op.attrs["value"]
    if out.quant is not None and writer.keeps_codes(op):
        code = quantize(np.float32(value), out.quant).astype(np.int16) + writer.offset
        fill = writer.constant(f"{op.name}:value", code.astype(writer.dtype))
    elif out.quant is not None or out.dtype == "float32":
        fill = writer.scalar(value)
    else:
        fill = writer.constant(f"{op.name}:value", np.array(value, out.dtype))
    writer.move(op, "Pad", (_integers(writer, f"{op.name}:pads", np.array(op.attrs["pads"]).T.ravel()), fill))


def _mirror_pad(writer: OnnxWriter, op: Op) -> None:
    """ONNX has no symmetric mode: there the rows and columns are picked, mirrored ones too."""
    pads = op.attrs["pads"]
    if op.attrs["mode"] == "reflect" or not any(map(any, pads)):
        flat = _integers(writer, f"{op.name}:pads", np.array(pads).T.ravel())
        return writer.move(op, "Pad", (flat,), mode="reflect")
    shape = writer.graph.tensors[op.inputs[0]].shape
    picks = {axis: np.pad(np.arange(shape[axis]), both, mode="symmetric")
             for axis, both in enumerate(pads) if any(both)}
    writer.pick(op, picks)


def _slice(writer: OnnxWriter, op: Op) -> None:
    begin, end, strides = (op.attrs[name] for name in ("begin", "end", "strides"))
    shape = writer.graph.tensors[op.inputs[0]].shape
    axes = [axis for axis, n in enumerate(shape) if (begin[axis], end[axis], strides[axis]) != (0, n, 1)]
    columns = ([values[axis] for axis in axes] for values in (begin, end))
    names = [_integers(writer, f"{op.name}:{role}", values)
             for role, values in zip(("starts", "ends", "axes"), (*columns, axes))]
    steps = [strides[axis] for axis in axes]
    if any(step != 1 for step in steps):
        names.append(_integers(writer, f"{op.name}:steps", steps))
    writer.move(op, "Slice", tuple(names))


def _gather(writer: OnnxWriter, op: Op) -> None:
    """From a constant table reals are picked: codes that no QuantizeLinear made say nothing of their grid."""
    table, indices = op.inputs
    if writer.graph.tensors[table].is_constant:
        writer.compute(op, "Gather", [writer.real(table), writer.raw(indices)], axis=op.attrs["axis"])
    else:
        writer.move(op, "Gather", axis=op.attrs["axis"])


def _tile(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Tile", (_integers(writer, f"{op.name}:repeats", op.attrs["multiples"]),))


def _concat(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Concat", axis=op.attrs["axis"])


def _reshape(writer: OnnxWriter, op: Op) -> None:
    shape = writer.graph.tensors[op.name].shape
    writer.move(op, "Reshape", (_integers(writer, f"{op.name}:shape", shape),))


def _transpose(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Transpose", perm=op.attrs["perm"])


def _depth_to_space(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "DepthToSpace", blocksize=op.attrs["block"], mode="DCR")


def _space_to_depth(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "SpaceToDepth", blocksize=op.attrs["block"])


def _select(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Where")


MOVES: Mapping[str, Writes] = {
    "pad": _pad,
    "mirror_pad": _mirror_pad,
    "slice": _slice,
    "gather": _gather,
    "tile": _tile,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "depth_to_space": _depth_to_space,
    "space_to_depth": _space_to_depth,
    "select": _select,
}
