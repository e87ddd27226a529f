"""A weight in codes beside the float weight that it stands for, as matrices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import RANGE
from toolchain.quantize.unfold import from_matrix, group_count, to_matrix, to_rows


@dataclass(frozen=True, eq=False)
class Layer:
    """A quantized weight and the ops that multiply by it.

    weight: in codes, symmetric, with a scale for each output channel or for all
    real:   float32, the same weight before it was quantized
    bias:   float32 (O,), None where several ops read the weight
    ops:    of the quantized graph, alike but for their names
    twins:  the same ops in the float graph
    groups: G
    """

    weight: Tensor
    real: np.ndarray
    bias: np.ndarray | None
    ops: tuple[Op, ...]
    twins: tuple[Op, ...]
    groups: int

    @property
    def activation(self) -> str | None:
        """That clamps the layer's sums; None where a bias comes first that is not known."""
        return None if self.bias is None else self.ops[0].attrs["activation"]

    @property
    def size(self) -> int:
        """K."""
        return self.weight.size // self.channels

    @property
    def channels(self) -> int:
        """Of its output, in all groups."""
        return self.weight.shape[WEIGHTED[self.ops[0].kind]]

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest code: the specification's narrow range."""
        low, high = RANGE[self.weight.quant.dtype]
        return low + 1, high

    @property
    def codes(self) -> np.ndarray:
        """(G, O, K) float64: those that the weight has."""
        return self._matrix(self.weight.data).astype(np.float64)

    @property
    def steps(self) -> np.ndarray:
        """(G, O, 1) float64: real value of a code of 1, by output channel."""
        scale, _ = self.weight.quant.along(self.weight.data.ndim)
        return self._matrix(np.broadcast_to(scale, self.weight.shape))[:, :, :1].astype(np.float64)

    @property
    def target(self) -> np.ndarray:
        """(G, O, K) float64: the float weight in steps, which codes should come near."""
        return self._matrix(self.real).astype(np.float64) / self.steps

    def rows(self, op: Op, x: np.ndarray) -> np.ndarray:
        """(G, rows, K) of the real inputs of one of its ops."""
        return to_rows(op, x, self.weight.shape)

    def with_codes(self, codes: np.ndarray) -> Tensor:
        """The weight with these (G, O, K) whole numbers for codes."""
        data = from_matrix(self.ops[0], codes, self.weight.shape)
        return replace(self.weight, data=np.ascontiguousarray(data, self.weight.data.dtype))

    def _matrix(self, weight: np.ndarray) -> np.ndarray:
        return to_matrix(self.ops[0], weight, self.groups)


def layers_of(graph: Graph, quantized: Graph) -> list[Layer]:
    """What of the quantized graph can be rounded otherwise, in topological order of the first reader.

    Weights of ops that compute on codes; one that unlike ops share stays as it is.
    """
    readers: dict[str, list[Op]] = {}
    for op in quantized.ops:
        if op.kind in WEIGHTED and _is_rounded(graph, quantized, op):
            readers.setdefault(op.inputs[1], []).append(op)
    return list(_layers(graph, quantized, readers))


def _is_rounded(graph: Graph, quantized: Graph, op: Op) -> bool:
    weight, twin = quantized.tensors[op.inputs[1]], graph.producers.get(op.name)
    return (weight.is_constant and weight.quant is not None and not weight.quant.zero_point.any()
            and quantized.tensors[op.inputs[0]].quant is not None
            and twin is not None and twin.kind == op.kind)


def _layers(graph: Graph, quantized: Graph, readers: dict[str, list[Op]]) -> Iterator[Layer]:
    for name, ops in readers.items():
        twins = [graph.producers[op.name] for op in ops]
        shapes = {(op.kind, quantized.tensors[op.inputs[0]].shape[-1]) for op in ops}
        if len(shapes) > 1 or len({twin.inputs[1] for twin in twins}) > 1:
            continue
        weight, (_, real, bias) = quantized.tensors[name], graph.of(twins[0])
        groups = group_count(ops[0], quantized.tensors[ops[0].inputs[0]].shape, weight.shape)
        yield Layer(weight, real.data, bias.data if len(ops) == 1 else None, tuple(ops), tuple(twins), groups)
