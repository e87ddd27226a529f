"""What stands between a raw frame and the network, as ops of the network: resize, layout, normalization.

Each is Graph -> Graph on a FLOAT graph's input `name`, which afterwards takes what the frame is.
Normalization and colour order go into the weights of the convolutions that read the input where that is exact
at the borders too; else a 1x1 convolution stands in front.
"""

from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor, constant, unique_name
from toolchain.ir.layout import TO_FIRST, TO_LAST
from toolchain.ir.ops import make


def normalize_input(graph: Graph, name: str, gain: np.ndarray, shift: np.ndarray,
                    order: tuple[int, ...]) -> Graph:
    """The network on x as it was on gain * x[..., order] + shift.

    gain, shift: float64, one for each channel of the network
    order:       the frame's channel that each of the network's channels is
    """
    if (gain == 1).all() and (shift == 0).all() and order == tuple(range(len(order))):
        return graph
    readers = graph.consumers[name]
    if name not in graph.outputs and all(_folds(graph, op, name, shift, order) for op in readers):
        return _folded(graph, readers, gain, shift, order)
    return _in_front(graph, name, gain, shift, order)


def _folds(graph: Graph, op: Op, name: str, shift: np.ndarray, order: tuple[int, ...]) -> bool:
    """Whether the op is a convolution of `name` that can take gain, shift and order into known weights.

    What it pads with is 0 before and after: a shift would have to be padded too.
    """
    if op.kind not in ("conv2d", "depthwise_conv2d") or op.inputs[0] != name or name in op.inputs[1:]:
        return False
    _, weight, bias = graph.of(op)
    exact = (shift == 0).all() or not any(op.attrs["pads"])
    fits = weight.shape[3] == len(order) if op.kind == "conv2d" else order == tuple(range(len(order)))
    return exact and fits and weight.is_constant and bias.is_constant


def _folded(graph: Graph, readers: tuple[Op, ...], gain: np.ndarray, shift: np.ndarray,
            order: tuple[int, ...]) -> Graph:
    """The convolutions with gain, shift and order in their weights; constants that others share stay."""
    changed: dict[str, Op] = {}
    for op in readers:
        names = []
        for tensor, value in zip(graph.of(op)[1:], _taken_in(graph, op, gain, shift, order)):
            shared = len(graph.consumers[tensor.name]) > 1
            names.append(unique_name(f"{op.name}:{tensor.name}", graph.tensors) if shared else tensor.name)
            graph = graph.with_tensors(constant(names[-1], value.astype(np.float32)))
        changed[op.name] = replace(op, inputs=(op.inputs[0], *names))
    return graph.with_ops([changed.get(op.name, op) for op in graph.ops])


def _taken_in(graph: Graph, op: Op, gain: np.ndarray, shift: np.ndarray,
              order: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Weight w * gain in the frame's order and bias b + sum(w * shift), float64."""
    _, weight, bias = graph.of(op)
    spread, taps = op.attrs.get("multiplier", 1), (1, 2, 3) if op.kind == "conv2d" else (0, 1, 2)
    data = weight.data.astype(np.float64)
    moved = data * np.repeat(gain, spread)
    if op.kind == "conv2d":
        moved = moved[..., np.argsort(order)]
    return moved, bias.data + (data * np.repeat(shift, spread)).sum(axis=taps)


def _in_front(graph: Graph, name: str, gain: np.ndarray, shift: np.ndarray, order: tuple[int, ...]) -> Graph:
    """The same before anything reads the input: one 1x1 convolution of an image, else a mul and an add."""
    x = graph.tensors[name]
    made = unique_name(f"{name}.normalized", graph.tensors)
    weight, bias = gain.astype(np.float32), constant(f"{made}:bias", shift.astype(np.float32))
    if len(x.shape) != 4:
        factor = constant(f"{made}:factor", weight)
        scaled = replace(x, name=f"{made}:scaled")
        ops = [make("mul", (name, factor.name), scaled.name), make("add", (scaled.name, bias.name), made)]
        return _before_readers(graph.with_tensors(factor, bias, scaled), name, replace(x, name=made), ops)
    if order == tuple(range(len(order))):
        kind, weight = "depthwise_conv2d", constant(f"{made}:weight", weight.reshape(1, 1, 1, -1))
    else:
        kind, matrix = "conv2d", np.zeros((len(order), 1, 1, len(order)), np.float32)
        matrix[range(len(order)), 0, 0, order] = weight
        weight = constant(f"{made}:weight", matrix)
    op = make(kind, (name, weight.name, bias.name), made)
    return _before_readers(graph.with_tensors(weight, bias), name, replace(x, name=made), [op])


def _before_readers(graph: Graph, name: str, made: Tensor, ops: list[Op]) -> Graph:
    """The graph with `ops`, which make `made` from the input `name`, in front of all that read it."""
    later = [replace(op, inputs=tuple(made.name if n == name else n for n in op.inputs)) for op in graph.ops]
    return graph.with_tensors(made).with_ops([*ops, *later])


def resize_input(graph: Graph, name: str, size: tuple[int, int], method: str) -> Graph:
    """The network on frames of `size` (height, width), resized by `method`: "bilinear" or "nearest".

    Pixels are areas (half-pixel centres), as in OpenCV, Pillow without antialiasing, and Android.
    """
    x = graph.tensors[name]
    made = replace(x, name=unique_name(f"{name}.resized", graph.tensors))
    op = make(f"resize_{method}", (name,), made.name, size=x.shape[1:3], half_pixel_centers=True)
    frame = replace(x, shape=(x.shape[0], *size, x.shape[3]))
    return _before_readers(graph.with_tensors(frame), name, made, [op])


def input_layout(graph: Graph, name: str, layout: str) -> Graph:
    """The network on frames that lie so in every format: "channels_last", "channels_first" by a transpose."""
    fixed = replace(graph, permutations={n: p for n, p in graph.permutations.items() if n != name})
    if layout == "channels_last":
        return fixed
    x = graph.tensors[name]
    rank = len(x.shape)
    made = replace(x, name=unique_name(f"{name}.channels_last", graph.tensors))
    frame = replace(x, shape=tuple(x.shape[axis] for axis in TO_FIRST[rank]))
    op = make("transpose", (name,), made.name, perm=TO_LAST[rank])
    return _before_readers(fixed.with_tensors(frame), name, made, [op])
