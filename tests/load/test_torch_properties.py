"""Whole ranges of parameters of what slides, pools and resizes; and the transposes that are left."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.load.torch_nets import Network, kinds, load_checked, seeded
from toolchain.errors import Unsupported
from toolchain.ir.layout import channels_last, transposes
from toolchain.ir.passes import canonical
from toolchain.load.torch import load_torch

FEW = settings(max_examples=25, deadline=None, derandomize=True)
SMALL = st.integers(1, 3)


@FEW
@given(st.data())
def test_any_transposed_convolution(data):
    """In one or two axes; output_padding is below stride or dilation, as torch wants it."""
    axes = data.draw(st.sampled_from((1, 2)))
    draw = {name: tuple(data.draw(span) for _ in range(axes)) for name, span in {
        "size": st.integers(1, 4), "kernel": st.integers(1, 4), "stride": SMALL, "dilation": SMALL,
        "padding": st.integers(0, 2)}.items()}
    output_padding = tuple(data.draw(st.integers(0, max(s, d) - 1))
                           for s, d in zip(draw["stride"], draw["dilation"]))
    groups, ins, outs = data.draw(st.sampled_from((1, 2, 3, 6))), data.draw(SMALL), data.draw(SMALL)
    results = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, d, p, o in zip(
        draw["size"], draw["kernel"], draw["stride"], draw["dilation"], draw["padding"], output_padding)]
    assume(min(results) > 0)
    layer = (nn.ConvTranspose1d, nn.ConvTranspose2d)[axes - 1](
        groups * ins, groups * outs, draw["kernel"], draw["stride"], draw["padding"], output_padding,
        groups, bias=data.draw(st.booleans()), dilation=draw["dilation"])
    load_checked(seeded(layer), 1, groups * ins, *draw["size"])


@FEW
@given(kernel=st.tuples(SMALL, SMALL), stride=st.tuples(SMALL, SMALL), ceil=st.booleans(),
       count=st.booleans(), divisor=st.sampled_from((None, 1, 5)),
       size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
       padding=st.tuples(st.integers(0, 1), st.integers(0, 1)))
def test_any_average_pool(kernel, stride, ceil, count, divisor, size, padding):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel))
    load_checked(nn.AvgPool2d(kernel, stride, padding, ceil, count, divisor), 1, 2, *size)


@FEW
@given(kernel=st.tuples(SMALL, SMALL), stride=st.tuples(SMALL, SMALL), ceil=st.booleans(),
       dilation=st.tuples(SMALL, SMALL), size=st.tuples(st.integers(7, 9), st.integers(7, 9)),
       padding=st.tuples(st.integers(0, 1), st.integers(0, 1)))
def test_any_max_pool(kernel, stride, ceil, dilation, size, padding):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel))
    load_checked(nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), 1, 2, *size)


@FEW
@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 9), st.integers(1, 9)),
       st.sampled_from((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)))
def test_any_adaptive_pool(size, result, layer):
    load_checked(layer(result), 1, 2, *size)


MODES = (("nearest", None), ("nearest-exact", None), ("bilinear", False), ("bilinear", True))


@FEW
@given(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.tuples(st.integers(1, 13), st.integers(1, 13)),
       st.sampled_from(MODES))
def test_any_resize(size, result, mode):
    load_checked(nn.Upsample(result, mode=mode[0], align_corners=mode[1]), 1, 2, *size)


@FEW
@given(st.integers(2, 9), st.sampled_from((0.5, 1.5, 2, 2.5, 3, 4 / 3)), st.sampled_from(MODES))
def test_a_factor_is_exact_or_refused(size, factor, mode):
    """What goes through has torch's coordinates; what is refused says how to get there."""
    assume(int(size * factor) > 0)
    net = nn.Upsample(scale_factor=factor, mode=mode[0], align_corners=mode[1])
    if mode[1] or size * factor == int(size * factor):
        load_checked(net, 1, 2, size, size)
    else:
        with pytest.raises(Unsupported, match="give size= or recompute_scale_factor=True"):
            load_torch(net, (torch.zeros(1, 2, size, size),), "net")


@FEW
@given(st.lists(st.integers(-2, 3), min_size=4, max_size=4),
       st.sampled_from(("constant", "reflect", "replicate", "circular")))
def test_any_pad(pads, mode):
    pads = pads if mode == "constant" else [abs(pad) for pad in pads]
    load_checked(Network(lambda m, x: F.pad(x, pads, mode)), 1, 2, 5, 6)


@FEW
@given(st.data())
def test_any_slice(data):
    bound = st.one_of(st.none(), st.integers(-9, 9))
    spans = [slice(data.draw(bound), data.draw(bound), data.draw(SMALL)) for _ in range(3)]
    assume(all(len(range(*span.indices(n))) for span, n in zip(spans, (4, 5, 6))))
    load_checked(Network(lambda m, x: x[(slice(None), *spans)] * 2), 1, 4, 5, 6)


# Transposes -------------------------------------------------------------------------------------------------

class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def shuffled(m, x):
    """ShuffleNetV2's unit, written with views."""
    a, b = x.chunk(2, 1)
    y = torch.cat([a, m.conv(b)], 1)
    n, c, h, w = y.shape
    return m.conv(y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)[:, :4])


def squeezed(m, x):
    return x * m.gate(F.adaptive_avg_pool2d(x, 1)).expand_as(x)


def attended(m, x):
    n, c, h, w = x.shape
    y = x.flatten(2).transpose(1, 2)
    return F.scaled_dot_product_attention(y, y, y).transpose(1, 2).reshape(n, c, h, w)


def next_block(m, x):
    y = m.depthwise(x).permute(0, 2, 3, 1)
    return x + m.narrow(F.gelu(m.wide(m.norm(y)))).permute(0, 3, 1, 2)


BLOCKS = {
    "residual": (Residual(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 8, 1)),
                 0),
    "up_and_down": (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 4, 1),
                                  nn.UpsamplingBilinear2d(scale_factor=2), nn.ReflectionPad2d(1),
                                  nn.ConvTranspose2d(4, 3, 3, 2)), 0),
    "group_norm": (nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(2, 8), nn.Mish(), nn.InstanceNorm2d(8)), 0),
    "squeeze_and_excite": (Network(squeezed, gate=nn.Sequential(
        nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Hardsigmoid())), 0),
    "pixel_shuffle": (nn.Sequential(nn.Conv2d(8, 12, 3), nn.PixelShuffle(2), nn.PReLU(3), nn.Conv2d(3, 2, 1)),
                      0),
    "pooled": (nn.Sequential(nn.AdaptiveMaxPool2d(3), nn.LPPool2d(2, 2), nn.Flatten(), nn.Linear(8, 3)), 0),
    "next": (Network(next_block, depthwise=nn.Conv2d(8, 8, 7, padding=3, groups=8), norm=nn.LayerNorm(8),
                     wide=nn.Linear(8, 32), narrow=nn.Linear(32, 8)), 0),
    "split": (Network(lambda m, x: torch.cat([m.conv(part) for part in x.split(4, 1)], 1),
                      conv=nn.Conv2d(4, 4, 3)), 0),
    "padded_edges": (nn.Sequential(nn.ReplicationPad2d(1), nn.Conv2d(8, 8, 3), nn.CircularPad2d(1)), 0),
    "softmax_over_channels": (nn.Sequential(nn.Conv2d(8, 8, 3), nn.Softmax(1), nn.Conv2d(8, 2, 1)), 0),
    "local_response": (nn.Sequential(nn.Conv2d(8, 8, 3), nn.LocalResponseNorm(3), nn.Conv2d(8, 2, 1)), 0),
    "shuffle": (Network(shuffled, conv=nn.Conv2d(4, 4, 3, padding=1)), 1),
    "attention": (Network(attended), 0),
    "sequence": (nn.Sequential(nn.Conv2d(8, 8, 1), nn.Flatten(2), nn.Conv1d(8, 8, 3, dilation=2), nn.GLU(1),
                               nn.MaxPool1d(2), nn.ConvTranspose1d(4, 4, 3, 2), nn.AdaptiveAvgPool1d(5)), 0),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_transposes_left_in_typical_blocks(name):
    """The second number is how many move data in the end: those that the network itself asks for."""
    module, left = BLOCKS[name]
    graph = load_checked(seeded(module), 1, 8, 8, 6)
    assert transposes(canonical(graph)) == left, kinds(canonical(graph))


def test_a_deep_decoder_keeps_the_values():
    """Interpolation, slices and concatenation behind each other, on odd sizes."""
    def forward(m, x):
        y = F.interpolate(m.down(x), scale_factor=2, mode="bilinear", align_corners=True)
        return torch.cat([y[:, :, : x.shape[2], : x.shape[3]], x], 1).amax(1, keepdim=True)

    graph = load_checked(Network(forward, down=nn.Conv2d(3, 4, 3, 2, 1)), 1, 3, 7, 9)
    assert np.prod(channels_last(graph).tensors[graph.outputs[0]].shape) == 63
