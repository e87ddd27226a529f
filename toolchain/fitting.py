"""What would bring a network that is too large into a target: estimates, of smaller networks like it as C.

Each comes of the C of a network with fewer channels, a smaller input or narrower weights. What that does to
its accuracy, only training and evaluation tell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolchain.errors import BadGraph, ToolchainError
from toolchain.ir.check import CONVERSIONS, level_of
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.ops import output_shape
from toolchain.ir.passes import canonical
from toolchain.ir.preprocess import resize_input
from toolchain.ir.quant import dequantize
from toolchain.lower import weight_bytes
from toolchain.lower.c.arrange import BESIDES
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.profile import TargetProfile
from toolchain.prune.cost import CHANNELS, Limit
from toolchain.prune.prune import Aim, cost_of, grouping_of, narrowed
from toolchain.prune.steps import liked_steps
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rules import observed
from toolchain.recipe import PruneConfig, QuantSpec

CODE_BYTES = 10_000
"""Of flash, what firmware takes besides the weights, where it was not linked."""
RATIOS = tuple(step / 20 for step in range(1, 20))
SIDES = tuple(eighths / 8 for eighths in range(7, 0, -1))
"""Of the input's height and width."""


@dataclass(frozen=True)
class Remedy:
    """A change and what the network then takes, about. change: as in "[prune] ratio = 0.55"

    macs: multiply-accumulates of an inference; in bands, more than the network has
    """

    change: str
    flash_bytes: int
    ram_bytes: int
    macs: int

    def __str__(self) -> str:
        return (f"{self.change} ({self.ram_bytes:,} bytes of RAM, {self.flash_bytes:,} of flash, "
                f"{self.macs / 1e6:.3g} million multiply-accumulates)")


def in_codes(graph: Graph, scheme: str = "static_wi8_ai8") -> Graph:
    """In integers with made-up ranges: what runs and how large it is does not depend on them."""
    graph = canonical(graph)
    if level_of(graph) == "QUANTIZED":
        return graph
    ranges = {name: TensorStats(-1.0, 1.0, 1) for name in observed(graph)}
    return quantize(graph, ranges, QuantSpec(scheme=scheme))


def remedies(graph: Graph, profile: TargetProfile, scheme: str, sizes: Mapping[str, int]) -> list[Remedy]:
    """The least change of each kind after which the network is estimated to fit, where there is one.

    graph: canonical, float or quantized;  scheme: of its codes
    sizes: of its firmware as linked (DoesNotFit.sizes), empty where it was not
    """
    search = _Search(_in_reals(graph), profile, scheme, sizes)
    found = (search.pruned(), search.shrunk(), search.in_four_bits())
    return [remedy for remedy in found if remedy is not None]


def remedy_text(found: list[Remedy], profile: TargetProfile) -> str:
    """One sentence."""
    if not found:
        return (f"Neither a [prune] ratio up to {RATIOS[-1]} nor a smaller input nor 4-bit weights are "
                f"estimated to make it fit {profile.name}; pick a larger target")
    return f"Estimated to fit: {', or '.join(map(str, found))}; or pick a larger target"


class _Search:
    """graph: in reals"""

    def __init__(self, graph: Graph, profile: TargetProfile, scheme: str, sizes: Mapping[str, int]):
        self._graph, self._profile, self._scheme = graph, profile, scheme
        self._code = sizes.get("code_flash", CODE_BYTES)
        self._beside = sizes["ram"] - sizes["arena"] if sizes else BESIDES

    def pruned(self) -> Remedy | None:
        """By the least of RATIOS that does."""
        return _first(RATIOS, lambda ratio: self._fitting(
            f"[prune] ratio = {ratio}",
            lambda: self._narrowed(ratio)))

    def _narrowed(self, ratio: float) -> Graph:
        """Without so large a share of its channels."""
        config, multiples = PruneConfig(ratio=ratio), self._profile.channel_multiple
        aim = Aim((), lambda graph, groups: liked_steps(graph, groups, multiples))
        whole = cost_of(self._graph, grouping_of(self._graph, config).groups, CHANNELS)
        return narrowed(self._graph, config, aim)([Limit(CHANNELS, (1 - ratio) * whole)])

    def shrunk(self) -> Remedy | None:
        """By the largest of SIDES that does."""
        shape = self._graph.tensors[self._graph.inputs[0]].shape
        if len(self._graph.inputs) != 1 or len(shape) != 4:
            return None
        sizes = [tuple(max(1, round(size * side)) for size in shape[1:3]) for side in SIDES]
        return _first(sizes, lambda size: self._fitting(
            f"an input of {size[0]}x{size[1]} for {shape[1]}x{shape[2]}",
            lambda: with_sides(self._graph, size)))

    def in_four_bits(self) -> Remedy | None:
        if self._scheme != "static_wi8_ai8":
            return None
        scheme = "static_wi4_ai8"
        return self._fitting(f'[quantize] scheme = "{scheme}"', lambda: self._graph, scheme)

    def _fitting(self, change: str, make: Callable[[], Graph], scheme: str = "") -> Remedy | None:
        """The changed network, if it fits; None also where it cannot be had."""
        profile = self._profile
        try:
            codes = in_codes(make(), scheme or self._scheme)
            if self._is_hopeless(codes):
                return None
            source = write_c(codes, machine=Machine(profile.isa, ram_bytes=profile.ram_bytes))
        except ToolchainError:
            return None
        remedy = Remedy(change, source.weight_bytes + self._code, source.plan.peak_bytes + self._beside,
                        source.macs)
        fits = remedy.flash_bytes <= profile.flash_bytes and remedy.ram_bytes <= profile.ram_bytes
        return remedy if fits else None

    def _is_hopeless(self, codes: Graph) -> bool:
        """Whether its inputs or weights alone take more than there is, which is seen at once."""
        weights = weight_bytes(codes)
        inputs = sum(codes.tensors[name].size for name in codes.inputs)
        return weights > self._profile.flash_bytes or inputs > self._profile.ram_bytes


def _first(changes: Sequence[Any], tried: Callable[[Any], Remedy | None]) -> Remedy | None:
    """Of changes, mildest first, the first that does: what does is followed by what does too."""
    low, high, best = 0, len(changes), None
    while low < high:
        middle = (low + high) // 2
        found = tried(changes[middle])
        best, low, high = (found, low, middle) if found else (best, middle + 1, high)
    return best


def with_sides(graph: Graph, sides: tuple[int, int]) -> Graph:
    """The FLOAT graph for another height and width of its one input. A pool over all there is stays one.

    Raises BadGraph where its ops do not go together then.
    """
    name = graph.inputs[0]
    batch, *_, channels = graph.tensors[name].shape
    tensors = dict(graph.tensors) | {name: replace(graph.tensors[name], shape=(batch, *sides, channels))}
    ops = []
    for op in graph.ops:
        op = _over_all(op, graph.tensors[op.inputs[0]].shape, tensors[op.inputs[0]].shape)
        shape = output_shape(op, [tensors[name].shape for name in op.inputs])
        if min(shape, default=1) < 1:
            raise BadGraph(f"{op.name}: nothing is left of {tensors[op.inputs[0]].shape}")
        tensors[op.name] = replace(tensors[op.name], shape=shape)
        ops.append(op)
    return replace(graph, tensors=tensors, ops=tuple(ops))


def at_resolution(graph: Graph, share: float) -> Graph:
    """The FLOAT graph, which makes a smaller image of its input first: of so large a share of its sides.

    Raises BadGraph where its input is no image, or its ops do not go together then.
    """
    shape = graph.tensors[graph.inputs[0]].shape
    if len(graph.inputs) != 1 or len(shape) != 4:
        raise BadGraph(f"{graph.name}: [scale] resolution is for one image that goes in, not for "
                       f"{', '.join(str(graph.tensors[name].shape) for name in graph.inputs)}")
    height, width = (max(1, round(share * side)) for side in shape[1:3])
    return resize_input(with_sides(graph, (height, width)), graph.inputs[0], shape[1:3], "bilinear")


def _over_all(op: Op, before: tuple[int, ...], after: tuple[int, ...]) -> Op:
    if op.kind not in ("average_pool2d", "max_pool2d") or tuple(op.attrs["kernel"]) != before[1:3]:
        return op
    return replace(op, attrs={**op.attrs, "kernel": after[1:3], "stride": after[1:3]})


def _in_reals(graph: Graph) -> Graph:
    """The FLOAT graph with the shapes of a quantized one; of a FLOAT one, itself."""
    if level_of(graph) == "FLOAT":
        return graph
    names: dict[str, str] = {}
    ops = []
    for op in graph.ops:
        inputs = tuple(names.get(name, name) for name in op.inputs)
        if op.kind in CONVERSIONS:
            names[op.name] = inputs[0]
        else:
            ops.append(replace(op, inputs=inputs))
    tensors = {t.name: t for t in _real_tensors(graph)}
    outputs = tuple(names.get(name, name) for name in graph.outputs)
    return replace(graph, tensors=tensors, outputs=outputs).with_ops(ops)


def _real_tensors(graph: Graph) -> Iterator[Tensor]:
    for tensor in graph.tensors.values():
        if tensor.quant is None:
            yield tensor
        else:
            data = None if tensor.data is None else dequantize(tensor.data, tensor.quant).astype(np.float32)
            yield replace(tensor, dtype="float32", data=data, quant=None)
