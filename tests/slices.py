"""Quantized networks that are the first channels of one another: the same codes, scales of their own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.chains import classifier
from tests.lower.c.nets import Net
from toolchain.adaptive.cascade import cascade_stages
from toolchain.chain import Chain
from toolchain.ir.graph import Graph

Channels = tuple[int, int, int]


class SlicedNet(Net):
    """codes: of weights by name, of the widest network; what is not there yet is drawn"""

    def __init__(self, name: str, seed: int, codes: dict[str, np.ndarray]):
        super().__init__(name, seed)
        self.codes = codes

    def weights(self, name: str, x: str, shape, axis: int = 0) -> tuple[str, str]:
        weight, bias = super().weights(name, x, shape, axis)
        drawn = self.tensors[weight]
        whole = self.codes.setdefault(weight, drawn.data)
        first = np.ascontiguousarray(whole[tuple(map(slice, shape))])
        self.tensors[weight] = replace(drawn, data=first)
        return weight, bias


def network(name: str, channels: Channels, seed: int, codes: dict[str, np.ndarray]) -> Graph:
    """8x8x3 -> conv 3x3, depthwise 3x3, conv 1x1, conv 5x1 at a stride of 2, pool, dense over 5."""
    net, (first, second, third) = SlicedNet(name, seed, codes), channels
    stem = net.conv(net.codes_in("x", 1, 8, 8, 3), "stem", first, activation="relu")
    operands = (stem, *net.weights("dw", stem, (1, 3, 3, first), 3))
    depthwise = net.make("depthwise_conv2d", operands, "dw", pads=(1, 1, 1, 1), activation="relu")
    mixed = net.make("conv2d", (depthwise, *net.weights("pw", depthwise, (second, 1, 1, first))), "pw")
    operands = (mixed, *net.weights("last", mixed, (third, 5, 1, second)))
    last = net.make("conv2d", operands, "last", pads=(2, 1, 0, 0), stride=(2, 2))
    return net.finish(classifier(net, _square(net, last), "logits", 0.004 + 0.001 * seed))


def _square(net: Net, x: str) -> str:
    return net.make("reshape", x, f"{x}.square", shape=net.tensors[x].shape)


def sliced(widths: Sequence[Channels], name: str = "chained") -> Chain:
    """Networks side by side, the narrowest first, all of them slices of the last."""
    codes: dict[str, np.ndarray] = {}
    made = [network(f"width_{number}", channels, number, codes)
            for number, channels in reversed([*enumerate(widths)])]
    return Chain(name, cascade_stages(made[::-1]), (), apart=True)
