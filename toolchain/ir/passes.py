"""Graph -> Graph rewrites that keep the function; CANONICAL is their order."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.activation import fuse_activation, hoist_activation, lower_prelu
from toolchain.ir.check import WEIGHTED, changes_nothing, check, level_of
from toolchain.ir.gathering import fold_gather
from toolchain.ir.graph import Graph, Op, Shape, Tensor, constant
from toolchain.ir.ops import make
from toolchain.ir.redundant import drop_neutral, drop_repeated, join_slices
from toolchain.ir.rewriting import Pass, rewired, sole_pairs, until_nothing_folds, without
from toolchain.ir.scaling import fold_factor
from toolchain.ir.slicing import turn_before_slicing


def canonical(graph: Graph, join_parts: bool = True) -> Graph:
    """Fold what can be folded, so that every tensor observed is a tensor that is stored.

    join_parts: whether parts of a tensor are turned together, which ties the numbers of their channels
    A quantized graph keeps its arithmetic: only what changes no code is dropped.
    """
    level = level_of(graph)
    if level == "FLOAT":
        found = until_nothing_folds(_folded)(_folded(graph))
        return check(drop_identity(turn_before_slicing(found)) if join_parts else found, "CANONICAL")
    return check(drop_identity(graph), level)


def _folded(graph: Graph) -> Graph:
    """Every pass once, in order; what a later one folds may let an earlier one fold more."""
    for pass_ in CANONICAL:
        graph = check(pass_(graph), "FLOAT")
    return graph


def drop_identity(graph: Graph) -> Graph:
    """Drop ops that change nothing, and of reshapes in a row all but the last."""
    graph = without(graph, lambda op: changes_nothing(graph, op))
    skipped: dict[str, str] = {}
    for a, b in sole_pairs(graph, {"reshape"}, {"reshape"}):
        skipped[b.name] = skipped.get(a.name, a.inputs[0])
    graph = rewired(graph, [replace(op, inputs=(skipped[op.name],)) if op.name in skipped else op
                            for op in graph.ops])
    return without(graph, lambda op: changes_nothing(graph, op))


def fold_mean_reshape(graph: Graph) -> Graph:
    """mean with kept axes -> reshape that drops them becomes one mean, called by the plainer name."""
    merged, names = {}, {}
    for mean, reshape in sole_pairs(graph, {"mean"}, {"reshape"}):
        shape = graph.tensors[mean.inputs[0]].shape
        dropped = tuple(n for axis, n in enumerate(shape) if axis not in mean.attrs["axes"])
        if mean.attrs["keepdims"] and reshape.attrs["shape"] == dropped:
            merged[reshape.name] = make("mean", mean.inputs, reshape.name,
                                        axes=mean.attrs["axes"], keepdims=False)
            if ":" in reshape.name and reshape.name not in graph.outputs:
                names[reshape.name] = mean.name
    return rewired(graph, [merged.get(op.name, op) for op in graph.ops]).renamed(names)


FOLDABLE: dict[str, Callable] = {
    "reshape": lambda op, x: x.reshape(op.attrs["shape"]),
    "transpose": lambda op, x: np.ascontiguousarray(x.transpose(op.attrs["perm"])),
    "pad": lambda op, x: np.pad(x, op.attrs["pads"], constant_values=op.attrs["value"]),
    "slice": lambda op, x: x[_slices(op)],
    "gather": lambda op, x, indices: np.take(x, indices, op.attrs["axis"]),
    "tile": lambda op, x: np.tile(x, op.attrs["multiples"]),
    "cast": lambda op, x: x.astype(op.attrs["to"]),
    "concat": lambda op, *xs: np.concatenate(xs, op.attrs["axis"]),
    "add": lambda op, a, b: a + b,
    "sub": lambda op, a, b: a - b,
    "mul": lambda op, a, b: a * b,
    "div": lambda op, a, b: a / b,
    "minimum": lambda op, a, b: np.minimum(a, b),
    "maximum": lambda op, a, b: np.maximum(a, b),
}


def _slices(op: Op) -> tuple[slice, ...]:
    return tuple(map(slice, op.attrs["begin"], op.attrs["end"], op.attrs["strides"]))


def fold_constants(graph: Graph) -> Graph:
    """Compute ops of the kinds in FOLDABLE, without activation, whose inputs are all constants."""
    tensors = dict(graph.tensors)
    for op in graph.ops:
        inputs = [tensors[name].data for name in op.inputs]
        if op.kind in FOLDABLE and all(x is not None for x in inputs) and not op.attrs.get("activation"):
            tensors[op.name] = constant(op.name, FOLDABLE[op.kind](op, *inputs))
    ops = [op for op in graph.ops if tensors[op.name].data is None]
    return rewired(replace(graph, tensors=tensors), ops)


@until_nothing_folds
def fold_pad(graph: Graph) -> Graph:
    """pad -> convolution: the convolution pads with zeros itself."""
    folded = {}
    for pad, conv in sole_pairs(graph, {"pad"}, {"conv2d", "depthwise_conv2d"}):
        batch, (top, bottom), (left, right), channels = pad.attrs["pads"]
        if batch == channels == (0, 0) and pad.attrs["value"] == 0:
            pads = tuple(a + b for a, b in zip(conv.attrs["pads"], (top, bottom, left, right)))
            folded[conv.name] = replace(conv, inputs=(pad.inputs[0], *conv.inputs[1:]),
                                        attrs={**conv.attrs, "pads": pads})
    return rewired(graph, [folded.get(op.name, op) for op in graph.ops])


@until_nothing_folds
def fold_crop(graph: Graph) -> Graph:
    """convolution -> slice that cuts off its borders: the convolution pads less there instead.

    So are causal convolutions, which pad on both sides and cut off what looks ahead.
    """
    folded = {}
    for conv, crop in sole_pairs(graph, {"conv2d", "depthwise_conv2d"}, {"slice"}):
        pads = _cropped_pads(conv, crop, graph.tensors[conv.name].shape)
        if pads is not None:
            folded[crop.name] = replace(conv, outputs=crop.outputs, attrs={**conv.attrs, "pads": pads})
    return rewired(graph, [folded.get(op.name, op) for op in graph.ops])


def _cropped_pads(conv: Op, crop: Op, shape: Shape) -> tuple[int, ...] | None:
    """The pads with which `conv` makes what `crop` leaves of its result, which is of `shape`; or None."""
    cut = [(begin, size - end) for begin, end, size in zip(crop.attrs["begin"], crop.attrs["end"], shape)]
    if set(crop.attrs["strides"]) != {1} or any(map(any, (cut[0], cut[3]))):
        return None
    (top, bottom), (left, right) = cut[1:3]
    high, wide = conv.attrs["stride"]
    less = (top * high, bottom * high, left * wide, right * wide)
    pads = tuple(pad - n for pad, n in zip(conv.attrs["pads"], less))
    return pads if min(pads) >= 0 else None


def batch_norm_affine(graph: Graph, bn: Op) -> tuple[np.ndarray, np.ndarray]:
    """(k, b) with batch_norm(x) = k * x + b, in float64.

    k = gamma / sqrt(variance + epsilon), b = beta - mean * k. Raises Unsupported for a parameter that is not
    a constant.
    """
    if computed := [t.name for t in graph.of(bn)[1:] if not t.is_constant]:
        raise Unsupported(f"{bn.name}: batch_norm with parameters {', '.join(computed)}, which are computed; "
                          f"only constants have a row")
    gamma, beta, mean, variance = (t.data.astype(np.float64) for t in graph.of(bn)[1:])
    k = gamma / np.sqrt(variance + bn.attrs["epsilon"])
    return k, beta - mean * k


def constants_second(graph: Graph) -> Graph:
    """constant + x and constant * x become x + constant and x * constant, which `fold_affine` looks for."""
    def is_first(op: Op) -> bool:
        return op.kind in ("add", "mul") and [t.is_constant for t in graph.of(op)] == [True, False]

    return graph.with_ops(replace(op, inputs=op.inputs[::-1]) if is_first(op) else op for op in graph.ops)


@until_nothing_folds
def fold_affine(graph: Graph) -> Graph:
    """conv -> batch_norm, or add, sub or mul of a constant for each channel, becomes one conv.

    w' = w * k and b' = b * k + shift; for batch_norm k and shift are those of Jacob et al. 2018, eq. 14.
    """
    folded, tensors = {}, []
    for conv, op in sole_pairs(graph, WEIGHTED, {"batch_norm", "add", "sub", "mul"}):
        affine = _affine(graph, conv.name, op) if _is_linear(graph, conv) else None
        if affine is not None:
            weight, bias = _scaled(graph, conv, *affine)
            tensors += [weight, bias]
            inputs = (conv.inputs[0], weight.name, bias.name)
            folded[op.name] = replace(conv, inputs=inputs, outputs=op.outputs)
    return rewired(graph.with_tensors(*tensors), [folded.get(op.name, op) for op in graph.ops])


def _is_linear(graph: Graph, conv: Op) -> bool:
    """Whether the op's weights are known and nothing clamps its result."""
    return conv.attrs["activation"] is None and all(t.is_constant for t in graph.of(conv)[1:])


def _affine(graph: Graph, y: str, op: Op) -> tuple[np.ndarray, np.ndarray] | None:
    """(k, shift) of each channel, where `op` takes y to k * y + shift."""
    if op.kind == "batch_norm":
        return batch_norm_affine(graph, op)
    value = _per_channel(graph, graph.tensors[y], op)
    if value is None or op.attrs["activation"] is not None:
        return None
    one, zero = np.ones_like(value), np.zeros_like(value)
    return {"add": (one, value), "sub": (one, -value), "mul": (value, zero)}[op.kind]


def _per_channel(graph: Graph, made: Tensor, op: Op) -> np.ndarray | None:
    """The constant that `op` applies to the tensor `made`, one value a channel; None where it is none."""
    value = graph.tensors[op.inputs[1]]
    broadcast = value.is_constant and value.size in (1, value.shape[-1] if value.shape else 1)
    if not broadcast or graph.tensors[op.name].shape != made.shape:
        return None
    return np.broadcast_to(value.data.ravel().astype(np.float64), made.shape[-1:])


def _scaled(graph: Graph, conv: Op, k: np.ndarray, shift: np.ndarray) -> tuple[Tensor, Tensor]:
    """Weight and bias of conv * k + shift; under new names where another op shares them."""
    _, weight, bias = graph.of(conv)
    along = [1] * len(weight.shape)
    along[WEIGHTED[conv.kind]] = -1
    return _renewed(graph, conv, (weight.data * k.reshape(along), bias.data * k + shift))


def _renewed(graph: Graph, conv: Op, values: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Weight and bias of `conv` with other values; under new names where another op shares them."""
    old = graph.of(conv)[1:]
    names = [f"{conv.name}:{role}" if len(graph.consumers[t.name]) > 1 else t.name
             for t, role in zip(old, ("weight", "bias"))]
    return tuple(constant(name, value.astype(np.float32)) for name, value in zip(names, values))


@until_nothing_folds
def fold_affine_ahead(graph: Graph) -> Graph:
    """add, sub or mul of a constant for each channel -> conv or fully connected becomes one op.

    w' = w * k, b' = b + sum(w * shift). Where zeros are padded, a shift stays: it would not reach them.
    """
    folded, tensors = {}, []
    for op, conv in sole_pairs(graph, {"add", "sub", "mul"}, {"conv2d", "fully_connected"}):
        affine = _affine_ahead(graph, op, conv)
        if affine is None:
            continue
        (_, weight, bias), (k, shift) = graph.of(conv), affine
        shifted = (weight.data * shift).reshape(len(bias.data), -1).sum(axis=1)
        made = _renewed(graph, conv, (weight.data * k, bias.data + shifted))
        tensors += made
        folded[conv.name] = replace(conv, inputs=(op.inputs[0], *(t.name for t in made)))
    return rewired(graph.with_tensors(*tensors), [folded.get(op.name, op) for op in graph.ops])


def _affine_ahead(graph: Graph, op: Op, conv: Op) -> tuple[np.ndarray, np.ndarray] | None:
    """(k, shift) of each channel that `conv` reads, where its weights can take them in."""
    affine = _affine(graph, op.inputs[0], op)
    x, weight, bias = graph.of(conv)
    grouped = weight.shape[-1] != x.shape[-1]
    if affine is None or grouped or not (weight.is_constant and bias.is_constant):
        return None
    return None if affine[1].any() and any(conv.attrs.get("pads", ())) else affine


def lower_batch_norm(graph: Graph) -> Graph:
    """A batch_norm with no convolution before it becomes ops that every back end can run."""
    ops, tensors = [], []
    for op in graph.ops:
        if op.kind != "batch_norm":
            ops.append(op)
            continue
        lowered = _as_depthwise if len(graph.tensors[op.name].shape) == 4 else _as_mul_add
        made, added = lowered(graph, op)
        ops += made
        tensors += added
    return rewired(graph.with_tensors(*tensors), ops)


def _as_depthwise(graph: Graph, bn: Op) -> tuple[list[Op], list[Tensor]]:
    """The batch_norm of an image as a 1x1 depthwise convolution, and the tensors that it needs."""
    k, shift = (v.astype(np.float32) for v in batch_norm_affine(graph, bn))
    weight = constant(f"{bn.name}:weight", k.reshape(1, 1, 1, -1))
    bias = constant(f"{bn.name}:bias", shift)
    return [make("depthwise_conv2d", (bn.inputs[0], weight.name, bias.name), bn.name)], [weight, bias]


def _as_mul_add(graph: Graph, bn: Op) -> tuple[list[Op], list[Tensor]]:
    """The batch_norm as a mul and an add, and the tensors that they need."""
    k, shift = (v.astype(np.float32) for v in batch_norm_affine(graph, bn))
    factor, offset = constant(f"{bn.name}:k", k), constant(f"{bn.name}:shift", shift)
    scaled = replace(graph.tensors[bn.name], name=f"{bn.name}:scaled")
    ops = [make("mul", (bn.inputs[0], factor.name), scaled.name),
           make("add", (scaled.name, offset.name), bn.name)]
    return ops, [factor, offset, scaled]


CANONICAL: tuple[Pass, ...] = (
    drop_identity,
    fold_constants,
    constants_second,
    drop_neutral,
    drop_repeated,
    join_slices,
    fold_affine,       # before fuse_activation: the activation sits behind the batch norm
    lower_batch_norm,  # what is left
    fold_affine,       # again: what stood behind a batch norm
    lower_prelu,
    hoist_activation,
    fuse_activation,
    fold_pad,
    fold_crop,         # after fold_pad: what pads is cropped again
    fold_affine_ahead,
    fold_gather,       # behind the activation that a convolution took in
    fold_mean_reshape,
    fold_factor,
    drop_identity,
)
