"""The layout pass of the ONNX door out: channel ops run channels first, everything else as the values lie.

The same rules as in `ir.layout`, in the other direction. A network that came channels first gets out
without a transpose; one that came channels last has one at an input or output that a channel op reads or
makes.
"""

from collections.abc import Collection
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.layout import RULES
from toolchain.ir.ops import make
from toolchain.ir.readers import TO_FIRST, TO_LAST, is_layout_free, readers_of
from toolchain.ir.sinking import Sinking, View, full_permutation, moves_data
from toolchain.ir.view_rules import last_two_swapped

CHANNEL_OPS = frozenset({"conv2d", "depthwise_conv2d", "transpose_conv2d", "average_pool2d", "max_pool2d",
                         "batch_norm", "resize_nearest", "resize_bilinear", "depth_to_space",
                         "space_to_depth"})


def channels_first(graph: Graph, keep: tuple[str, ...] = (), own: Collection[str] = ()) -> Graph:
    """The ops of an .onnx file, in order: the activations of a channel op are [N, C, ...]; weights and
    attributes stay as the op table has them. Not a legal Graph any more: only the door out reads it.

    keep: tensors handed out beside the outputs, as they lie
    own:  kinds of ops that the door out alone knows; they read and make values as the Graph has them
    Inputs and outputs are in the source's layout. `permutations` of the result: for each of inputs, outputs
    and kept tensors that differ, the axes such that the graph's value = the result's value transposed by
    them.
    """
    kept = tuple(dict.fromkeys(name for name in keep if name not in graph.outputs))
    made = tuple(name for name in kept if name not in graph.inputs)
    laid = _ChannelsFirst(replace(graph, outputs=(*graph.outputs, *made)), graph.outputs, own).run()
    return replace(laid, outputs=(*laid.outputs, *(name for name in kept if name in graph.inputs)))


def _layer_norm(pass_: Sinking, op: Op) -> bool:
    """ONNX's LayerNormalization takes the last axes, so those it gets: of the base, or of what it reads."""
    view, axes = pass_.views[op.inputs[0]], op.attrs["axes"]
    rank = len(pass_.tensors[view.base].shape)
    inner = sorted(view.axes[axis] or 0 for axis in axes)
    return inner == list(range(rank - len(axes), rank)) and RULES["layer_norm"](pass_, op)


def _batch_matmul(pass_: Sinking, op: Op) -> bool:
    """ONNX's MatMul turns no operand: they are turned here, with all else that turns them."""
    inputs = []
    for side, name in zip("ab", op.inputs, strict=True):
        view = pass_.views[name]
        if op.attrs[f"transpose_{side}"]:
            view = view.transposed(last_two_swapped(len(view.axes)))
        inputs.append(pass_.materialise(view))
    pass_.emit(op, inputs, transpose_a=False, transpose_b=False)
    return True


def _own(pass_: Sinking, op: Op) -> bool:
    inputs = tuple(pass_.materialise(pass_.views[name]) for name in op.inputs)
    pass_.ops.append(replace(op, inputs=inputs))
    pass_.keep(pass_.old.tensors[op.name])
    return True


class _ChannelsFirst(Sinking):
    """source_outputs: outputs that must lie as the source has them; others are handed out as they lie."""

    lies = TO_FIRST

    def __init__(self, graph: Graph, source_outputs: tuple[str, ...], own: Collection[str]):
        self.source_outputs = source_outputs
        super().__init__(graph, {**RULES, "layer_norm": _layer_norm, "batch_matmul": _batch_matmul,
                                 **dict.fromkeys(own, _own)})
        turned = [name for name in graph.inputs if name in graph.permutations]
        self.permutations = {name: self.views[name].axes for name in turned}

    def turns(self, tensor: Tensor) -> bool:
        """Whether a channel op reads it, perhaps behind layout-free ops."""
        readers = readers_of(self.old, tensor.name, lambda op: is_layout_free(self.old, op))
        return len(tensor.shape) in TO_FIRST and any(op.kind in CHANNEL_OPS for op in readers)

    def add_input(self, tensor: Tensor) -> None:
        perm = self.old.permutations.get(tensor.name, tuple(range(len(tensor.shape))))
        self.tensors[tensor.name] = replace(tensor, shape=tuple(tensor.shape[axis] for axis in perm))
        self.views[tensor.name] = View(tensor.name, _inverse(perm))

    def visit(self, op: Op) -> None:
        rank = len(self.shape(op.inputs[0]))
        if op.kind == "conv2d" and self.is_product(op):
            self.emit_product(op)
        elif op.kind == "transpose" and self.is_sliced(op):
            self.emit(op, [self.materialise(self.views[op.inputs[0]])])
        elif op.kind in CHANNEL_OPS and rank in TO_FIRST:
            self.emit_channels_first(op, rank)
        else:
            super().visit(op)

    def emit_channels_first(self, op: Op, rank: int) -> None:
        view = self.views[op.inputs[0]]
        x = self.materialise(view.transposed(TO_FIRST[rank]))
        shape = tuple(self.shape(op.name)[axis] for axis in TO_FIRST[rank])
        self.ops.append(replace(op, inputs=(x, *op.inputs[1:])))
        self.tensors[op.name] = replace(self.old.tensors[op.name], shape=shape)
        self.views[op.name] = View(op.name, TO_LAST[rank])

    def is_sliced(self, op: Op) -> bool:
        """Whether a transpose, not one of an image, is read by several slices: each would be turned alone."""
        readers = self.old.consumers[op.name]
        return (len(self.shape(op.name)) not in TO_FIRST and len(readers) > 1
                and all(reader.kind == "slice" for reader in readers))

    def is_product(self, op: Op) -> bool:
        """Whether a convolution multiplies what lies channels last by a matrix, place by place."""
        view, weight = self.views[op.inputs[0]], self.shape(op.inputs[1])
        base = self.tensors[view.base].shape
        each_place = weight[1:3] == op.attrs["stride"] == (1, 1) and not any(op.attrs["pads"])
        mixes = (weight[3] == self.shape(op.inputs[0])[3]
                 and all(self.tensors[name].is_constant for name in op.inputs[1:]))
        last, first = (moves_data(full_permutation(lies.axes, base), base)
                       for lies in (view, view.transposed(TO_FIRST[4])))
        return each_place and mixes and first and not last

    def emit_product(self, op: Op) -> None:
        """reshape to rows -> fully_connected -> reshape back: the 1x1 convolution without its transposes."""
        x, weight, bias = op.inputs
        shape, weight = self.shape(op.name), self.tensors[weight]
        rows = self._view_op("reshape", self.materialise(self.views[x]),
                             shape=(prod(shape[:-1]), weight.shape[-1]))
        matrix = self.bake(weight, weight.data.reshape(len(weight.data), -1), (0, 3))
        product = make("fully_connected", [rows, matrix, bias], self._unique(f"{op.name}:rows"),
                       activation=op.attrs["activation"])
        out = self.old.tensors[op.name]
        self.tensors[product.name] = replace(out, name=product.name, shape=(prod(shape[:-1]), shape[-1]))
        self.ops += [product, make("reshape", [product.name], op.name, shape=shape)]
        self.keep(out)

    def finish_output(self, name: str) -> None:
        if name not in self.source_outputs:
            return super().finish_output(name)
        perm = self.old.permutations.get(name)
        if perm is not None:
            self.permutations[name] = _inverse(perm)
            self.views[name] = self.views[name].transposed(perm)
        self.hand_out(name, self.materialise(self.views[name]))


def _inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.argsort(perm))
