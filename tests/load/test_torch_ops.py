"""Every call of the ATen table computes what PyTorch computes."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.load.torch_nets import Network, kinds, load_checked, network, seeded

IMAGE, FEATURES, SEQUENCE = (1, 4, 6, 8), (1, 6), (1, 4, 8)


def heads(x):
    return x.view(1, 4, 2, 4).transpose(1, 2)


def positive(x):
    return x.abs() + 0.5


CONVOLUTIONS = {
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), IMAGE),
    "grouped_dilated": (nn.Conv2d(4, 8, 3, groups=2, padding=2, dilation=2, stride=2), IMAGE),
    "grouped_1d": (nn.Conv1d(4, 6, 3, groups=2, padding="same"), SEQUENCE),
    "dilated_1d": (nn.Conv1d(4, 6, 3, dilation=3, padding=3), SEQUENCE),
    "one_channel": (nn.Conv2d(1, 3, 3), (1, 1, 6, 6)),
    "padded_by_reflection": (nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect"), IMAGE),
    "padded_in_circles": (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGE),
    "transposed_2x": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "transposed_no_bias": (nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False), IMAGE),
    "transposed_uneven": (nn.ConvTranspose2d(4, 6, (3, 5), (2, 3), (0, 2), (1, 0)), IMAGE),
    "transposed_dilated": (nn.ConvTranspose2d(4, 6, 3, stride=2, dilation=2, padding=1), IMAGE),
    "transposed_two_groups": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), IMAGE),
    "transposed_depthwise": (nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8), (1, 8, 5, 4)),
    "transposed_depthwise_twice": (nn.ConvTranspose2d(6, 12, 3, groups=6), (1, 6, 5, 4)),
    "transposed_1d": (nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1), SEQUENCE),
    "transposed_1d_groups": (nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2, dilation=2), SEQUENCE),
    "transposed_pads_more_than_the_kernel": (nn.ConvTranspose2d(4, 6, 1, stride=2, output_padding=1), IMAGE),
}

MATRICES = {
    "matmul_of_two": (lambda m, x: x @ x.transpose(1, 2), SEQUENCE),
    "matmul_constant_first": (lambda m, x: torch.full((3, 4), 0.1) @ x, SEQUENCE),
    "matmul_vector": (lambda m, x: x @ torch.arange(8.0), SEQUENCE),
    "matmul_constant_batch": (lambda m, x: x @ torch.linspace(0, 1, 24).reshape(1, 8, 3), SEQUENCE),
    "bmm": (lambda m, x: torch.bmm(x, x.mT), SEQUENCE),
    "matmul_heads": (lambda m, x: heads(x) @ heads(x).mT, SEQUENCE),
    "baddbmm": (lambda m, x: torch.baddbmm(x @ x.mT, x, x.mT, beta=0.5, alpha=2), SEQUENCE),
    "addmm_scaled": (lambda m, x: torch.addmm(torch.ones(3), x, torch.full((6, 3), 0.5), alpha=2), FEATURES),
    "addmm_row": (lambda m, x: torch.addmm(torch.ones(1, 3), x, torch.full((6, 3), 0.5)), FEATURES),
    "einsum": (lambda m, x: torch.einsum("bij,bkj->bik", x, x), SEQUENCE),
    "einsum_heads": (lambda m, x: torch.einsum("bhid,bhjd->bhij", x, x), IMAGE),
    "einsum_channels": (lambda m, x: torch.einsum("bchw,bcij->bhwij", x, x), (1, 4, 2, 3)),
    "einsum_constant": (lambda m, x: torch.einsum("bij,jk->bki", x, torch.linspace(0, 1, 16).view(8, 2)),
                        SEQUENCE),
    "linear_rank_5": (nn.Linear(8, 3), (1, 2, 2, 2, 8)),
    "attention": (lambda m, x: F.scaled_dot_product_attention(x, x, 2 * x), SEQUENCE),
    "attention_scaled": (lambda m, x: F.scaled_dot_product_attention(x, x, x, scale=0.5), IMAGE),
    "attention_causal": (lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True), IMAGE),
    "attention_masked": (lambda m, x: F.scaled_dot_product_attention(
        x, x, x, attn_mask=torch.eye(4).bool()), SEQUENCE),
}

ARITHMETIC = {
    "alpha": (lambda m, x: torch.add(x, x, alpha=2) - torch.sub(x, 1, alpha=3), FEATURES),
    "rsub": (lambda m, x: torch.rsub(x, 3) + torch.rsub(x, x, alpha=2), FEATURES),
    "reversed_operands": (lambda m, x: 2 - x + 3 / positive(x), FEATURES),
    "div": (lambda m, x: x / positive(x) + x / torch.arange(1.0, 7), FEATURES),
    "broadcast": (lambda m, x: x + x.mean((2, 3), keepdim=True) * torch.arange(8.0), IMAGE),
    "minimum_maximum": (lambda m, x: torch.minimum(x, -x) + torch.maximum(x, x * 2) + torch.max(x, -x),
                        FEATURES),
    "powers": (lambda m, x: x ** 2 + x ** 3 + positive(x) ** 0.5 + positive(x) ** -0.5 + positive(x) ** -1,
               FEATURES),
    "pow": (lambda m, x: positive(x) ** 1.7 + 2 ** x + positive(x) ** x + x ** 1, FEATURES),
    "pointwise": (lambda m, x: x.abs() - (-x) + x.exp() + positive(x).log() + positive(x).sqrt(), FEATURES),
    "more_pointwise": (lambda m, x: positive(x).rsqrt() + positive(x).reciprocal() + x.square(), FEATURES),
    "composed": (lambda m, x: x.exp2() + x.expm1() + positive(x).log1p() + positive(x).log2(), FEATURES),
    "addcmul": (lambda m, x: torch.addcmul(x, x, -x, value=0.5) + torch.addcdiv(x, x, positive(x)), FEATURES),
    "lerp": (lambda m, x: torch.lerp(x, -x, 0.3), FEATURES),
    "sign": (lambda m, x: x.sign() * 2, FEATURES),
    "truncated": (lambda m, x: x.to(torch.int32).float() + (3 * x).long(), FEATURES),
    "whole_numbers": (lambda m, x: (4 * x).int() * 2 - 1, FEATURES),
    "whole_numbers_divided": (lambda m, x: (4 * x).int() / 3, FEATURES),
    "comparisons": (lambda m, x: torch.stack(
        [x > 0, x >= x * 2, x < 0.5, x <= x, x == x, x != 1.5], 1), FEATURES),
    "compared_whole": (lambda m, x: (4 * x).int() > 1.5, FEATURES),
    "logic": (lambda m, x: ((x > 0) & (x < 1) | ~(x < -1)) ^ (x > 0.5), FEATURES),
    "logical": (lambda m, x: torch.logical_and(x > 0, x < 1).logical_or(x.bool()).logical_not(), FEATURES),
    "where": (lambda m, x: torch.where(x > 0, x, -2 * x) + torch.where(x < 0, 1.0, x), FEATURES),
    "where_broadcast": (lambda m, x: torch.where(x[:, :1] > 0, x, torch.zeros(8)), IMAGE),
    "masked_fill": (lambda m, x: x.masked_fill(torch.tensor([1, 0, 0, 1, 0, 1]).bool(), -1.0), FEATURES),
    "masked_softmax": (lambda m, x: x.masked_fill(x < 0, float("-inf")).softmax(1), FEATURES),
    "bool_out": (lambda m, x: x > 0, FEATURES),
    "clamps": (lambda m, x: x.clamp(-1, 0.5) + x.clip(min=0.5) + x.clamp_max(0.3) + x.clamp(-1, 0), FEATURES),
    "clamp_tensors": (lambda m, x: x.clamp(torch.linspace(-1, 0, 6), torch.ones(6)) + x.clamp(x * 2, -x),
                      FEATURES),
    "clamp_infinite": (lambda m, x: x.clamp(0, float("inf")), FEATURES),
    "casts": (lambda m, x: (x.to(torch.int32), x.long(), x.bool(), x.type(torch.int64).float()), FEATURES),
}

ACTIVATIONS = {
    "prelu": (nn.PReLU(4), IMAGE),
    "prelu_features": (nn.PReLU(6), FEATURES),
    "prelu_sequence": (nn.PReLU(4), SEQUENCE),
    "prelu_one": (nn.PReLU(), IMAGE),
    "elu": (nn.ELU(), FEATURES),
    "elu_alpha": (nn.ELU(0.4), FEATURES),
    "selu": (nn.SELU(), FEATURES),
    "celu": (nn.CELU(), FEATURES),
    "celu_alpha": (nn.CELU(0.3), FEATURES),
    "gelu": (nn.GELU(), FEATURES),
    "gelu_tanh": (nn.GELU("tanh"), FEATURES),
    "mish": (nn.Mish(), FEATURES),
    "hard_swish": (nn.Hardswish(), FEATURES),
    "hard_sigmoid": (nn.Hardsigmoid(), FEATURES),
    "hard_tanh": (nn.Hardtanh(-0.5, 0.7), FEATURES),
    "softplus": (nn.Softplus(), FEATURES),
    "softplus_beta": (nn.Softplus(beta=3), FEATURES),
    "softplus_threshold": (nn.Softplus(beta=2, threshold=1), FEATURES),
    "softsign": (nn.Softsign(), FEATURES),
    "log_sigmoid": (nn.LogSigmoid(), FEATURES),
    "threshold": (nn.Threshold(0.1, 2.0), FEATURES),
    "threshold_clamps": (nn.Threshold(0.1, 0.1), FEATURES),
    "tanh_shrink": (nn.Tanhshrink(), FEATURES),
    "hard_shrink": (nn.Hardshrink(), FEATURES),
    "soft_shrink": (nn.Softshrink(), FEATURES),
    "softmin": (nn.Softmin(1), FEATURES),
    "rrelu": (nn.RReLU(), IMAGE),
    "dropped_out": (nn.Sequential(nn.FeatureAlphaDropout(), nn.AlphaDropout(), nn.Dropout2d(), nn.ReLU()),
                    IMAGE),
    "gelu_written_out": (lambda m, x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))), IMAGE),
    "gelu_written_out_halved_last": (lambda m, x: x * (1 + torch.erf(x * 0.70711)) / 2, IMAGE),
    "gelu_of_a_constant": (lambda m, x: x + (lambda c: 0.5 * c * (1 + torch.erf(c / math.sqrt(2))))(
        torch.linspace(-1, 1, 8)), IMAGE),
    "gelu_written_out_as_cdf": (lambda m, x: x * (0.5 * (torch.erf(x / 1.4142135) + 1)), IMAGE),
    "glu": (nn.GLU(1), IMAGE),
    "glu_last": (nn.GLU(), FEATURES),
    "log_softmax": (nn.LogSoftmax(1), FEATURES),
    "log_softmax_channels": (nn.LogSoftmax(1), IMAGE),
}

NORMS = {
    "group_norm": (nn.GroupNorm(2, 4), IMAGE),
    "group_norm_sequence": (nn.GroupNorm(2, 4, affine=False), SEQUENCE),
    "group_norm_features": (nn.GroupNorm(3, 6), FEATURES),
    "group_norm_of_all": (nn.GroupNorm(1, 4), IMAGE),
    "instance_norm": (nn.InstanceNorm2d(4), IMAGE),
    "instance_norm_affine": (nn.InstanceNorm1d(4, affine=True), SEQUENCE),
    "instance_norm_tracked": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE),
    "layer_norm": (nn.LayerNorm(8), IMAGE),
    "layer_norm_image": (nn.LayerNorm((4, 6, 8)), IMAGE),
    "layer_norm_plain": (nn.LayerNorm((6, 8), elementwise_affine=False), IMAGE),
    "layer_norm_of_channels": (lambda m, x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2),
                               IMAGE),
    "rms_norm": (nn.RMSNorm(8), IMAGE),
    "rms_norm_plain": (nn.RMSNorm(8, eps=1e-3, elementwise_affine=False), SEQUENCE),
    "normalize": (lambda m, x: F.normalize(x, dim=1), IMAGE),
    "local_response": (nn.LocalResponseNorm(3), IMAGE),
    "local_response_sequence": (nn.LocalResponseNorm(2), SEQUENCE),
    "batch_norm_after_a_slice": (nn.BatchNorm2d(4), IMAGE),
}

POOLS = {
    "max_dilated": (nn.MaxPool2d(3, 2, 1, dilation=2), (1, 4, 9, 8)),
    "max_dilated_ceil": (nn.MaxPool2d((2, 3), 2, (1, 0), (3, 2), ceil_mode=True), (1, 4, 9, 8)),
    "max_dilated_1d": (nn.MaxPool1d(3, 1, 1, dilation=2), SEQUENCE),
    "max_values_of_two": (lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0], IMAGE),
    "avg_ceil_counted": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 4, 8, 7)),
    "avg_ceil_not_counted": (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 4, 8, 7)),
    "avg_divisor": (nn.AvgPool2d(3, 2, 1, divisor_override=4), IMAGE),
    "avg_divisor_ceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=4), (1, 4, 8, 7)),
    "l2": (nn.LPPool2d(2, 2), IMAGE),
    "l2_1d": (nn.LPPool1d(2, 3, stride=2), SEQUENCE),
    "adaptive_avg_uneven": (nn.AdaptiveAvgPool2d((4, 3)), (1, 3, 6, 8)),
    "adaptive_avg_one_axis": (nn.AdaptiveAvgPool2d((1, None)), IMAGE),
    "adaptive_avg_larger": (nn.AdaptiveAvgPool2d(7), (1, 2, 3, 4)),
    "adaptive_avg_1d": (nn.AdaptiveAvgPool1d(3), SEQUENCE),
    "adaptive_max": (nn.AdaptiveMaxPool2d(2), IMAGE),
    "adaptive_max_to_one": (nn.AdaptiveMaxPool2d(1), IMAGE),
    "adaptive_max_uneven": (nn.AdaptiveMaxPool2d((4, 5)), (1, 3, 6, 8)),
    "adaptive_max_1d": (nn.AdaptiveMaxPool1d(3), SEQUENCE),
}

REDUCTIONS = {
    "sum": (lambda m, x: x.sum(1) + x.sum((1,)), IMAGE),
    "sum_kept": (lambda m, x: x.sum((2, 3), keepdim=True), IMAGE),
    "sum_of_truths": (lambda m, x: (x > 0).sum(1), IMAGE),
    "extremes": (lambda m, x: x.amax((2, 3)) + x.amin((2, 3)) + x.max(2).values.max(2)[0], IMAGE),
    "min": (lambda m, x: x.min(1, keepdim=True)[0], IMAGE),
    "aminmax": (lambda m, x: torch.aminmax(x, dim=1), IMAGE),
    "argmax": (lambda m, x: (x.argmax(1), x.argmax(-1, keepdim=True)), IMAGE),
    "argmin": (lambda m, x: (x.argmin(1), x.min(2).indices), IMAGE),
    "max_and_where": (lambda m, x: x.max(1), FEATURES),
    "var": (lambda m, x: x.var(1) + x.var(1, unbiased=False), IMAGE),
    "std": (lambda m, x: x.std((2, 3), keepdim=True) + x.std((2, 3), correction=0, keepdim=True), IMAGE),
    "var_mean": (lambda m, x: torch.var_mean(x, (1, 2)), IMAGE),
    "norms": (lambda m, x: torch.stack([x.norm(p, 1) for p in (1, 2, 3.0, float("inf"))], 1), IMAGE),
    "cosine_similarity": (lambda m, x: F.cosine_similarity(x, x.exp(), 2), IMAGE),
    "cosine_similarity_of_features": (lambda m, x: F.cosine_similarity(x, x.abs()), FEATURES),
    "logsumexp": (lambda m, x: x.logsumexp(1) + x.logsumexp((1,), keepdim=True)[:, 0], IMAGE),
    "any_all": (lambda m, x: ((x > 1).any(1), (x > -1).all(2, keepdim=True)), IMAGE),
}

RESIZES = {
    "nearest": (nn.Upsample(scale_factor=2), IMAGE),
    "nearest_size": (nn.Upsample((7, 9)), IMAGE),
    "nearest_smaller": (nn.Upsample((4, 3)), IMAGE),
    "nearest_exact": (nn.Upsample((7, 9), mode="nearest-exact"), IMAGE),
    "nearest_1d": (nn.Upsample(scale_factor=3), SEQUENCE),
    "bilinear": (nn.Upsample(scale_factor=1.5, mode="bilinear"), IMAGE),
    "bilinear_size": (nn.Upsample((5, 11), mode="bilinear"), IMAGE),
    "bilinear_corners": (nn.Upsample((7, 9), mode="bilinear", align_corners=True), IMAGE),
    "bilinear_corners_to_one": (nn.Upsample((1, 9), mode="bilinear", align_corners=True), IMAGE),
    "bilinear_corners_factor": (nn.Upsample(scale_factor=1.3, mode="bilinear", align_corners=True), IMAGE),
    "bilinear_recomputed": (lambda m, x: F.interpolate(
        x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True), IMAGE),
    "linear": (nn.Upsample(scale_factor=2, mode="linear"), SEQUENCE),
    "linear_corners": (nn.Upsample(13, mode="linear", align_corners=True), SEQUENCE),
    "pixel_shuffle": (nn.PixelShuffle(2), (1, 8, 3, 2)),
    "pixel_shuffle_to_one": (nn.PixelShuffle(3), (1, 9, 3, 2)),
    "pixel_unshuffle": (nn.PixelUnshuffle(2), IMAGE),
    "channel_shuffle": (nn.ChannelShuffle(2), IMAGE),
}

PADS = {
    "value": (nn.ConstantPad2d((1, 2, 0, 1), 3.5), IMAGE),
    "channels": (lambda m, x: F.pad(x, (0, 0, 0, 0, 1, 2)), IMAGE),
    "negative": (lambda m, x: F.pad(x, (-1, 2, 1, -2)), IMAGE),
    "only_negative": (lambda m, x: F.pad(x, (-1, -2)), IMAGE),
    "reflect": (nn.ReflectionPad2d((1, 2, 3, 0)), IMAGE),
    "reflect_1d": (nn.ReflectionPad1d(2), SEQUENCE),
    "replicate": (nn.ReplicationPad2d((1, 2, 3, 0)), IMAGE),
    "replicate_1d": (nn.ReplicationPad1d((0, 2)), SEQUENCE),
    "circular": (nn.CircularPad2d((1, 2, 3, 0)), IMAGE),
}

PARTS = {
    "slices": (lambda m, x: x[:, 1:3, ::2, -5:-1] * x[:, :-2, :5:2, 1:5], IMAGE),
    "slice_of_all": (lambda m, x: x[:, :, 0:] + 1, IMAGE),
    "select": (lambda m, x: x[:, 1] + x[:, :, 2].sum(1)[:, None] + x[:, -1], IMAGE),
    "select_of_one": (lambda m, x: x.mean(1, keepdim=True)[:, 0], IMAGE),
    "narrow": (lambda m, x: x.narrow(1, 1, 2) + x.narrow(1, -2, 2), IMAGE),
    "chunks_swapped": (lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), IMAGE),
    "split": (lambda m, x: torch.cat(x.split([1, 3], 1)[::-1] + x.split(3, 1), 1), IMAGE),
    "tensor_split": (lambda m, x: torch.cat(x.tensor_split(3, 1)[::-1] + x.tensor_split((1, 3), 1), 1),
                     IMAGE),
    "unbind": (lambda m, x: sum(x.unbind(1)), IMAGE),
    "stack": (lambda m, x: torch.stack([x, 2 * x, torch.ones(1, 4, 6, 8)], 2), IMAGE),
    "stack_last": (lambda m, x: torch.stack([x, -x], -1), FEATURES),
    "hstack": (lambda m, x: torch.hstack([x, -x]), IMAGE),
    "cat_of_mixed": (lambda m, x: torch.cat([x, (x > 0).float(), x.int()], 1), FEATURES),
    "index": (lambda m, x: x[:, [2, 0, -1]], IMAGE),
    "index_select": (lambda m, x: x.index_select(2, torch.tensor([5, 5, 1])), IMAGE),
    "index_pairs": (lambda m, x: x[:, :, [0, 1, -1], [1, 2, 3]], IMAGE),
    "index_table": (lambda m, x: torch.arange(10.0)[x.argmax(1)], FEATURES),
    "flip": (lambda m, x: x.flip(1, -1), IMAGE),
    "roll": (lambda m, x: x.roll(2, 1).roll((1, -2), (2, 3)), IMAGE),
    "roll_whole": (lambda m, x: x.roll(4, 1) + 1, IMAGE),
}

def qkv_first(m, x):
    """As vision transformers part queries, keys and values: along an axis brought before the batch."""
    q, k, v = x.reshape(1, 6, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    return ((q @ k.mT).softmax(-1) @ v).transpose(1, 2).reshape(1, 6, 8)


def in_windows(m, x):
    """Windows of 3 x 4 places in the place of the batch."""
    windows = x.view(1, 4, 2, 3, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(4, 12, 4)
    windows = (windows @ windows.mT).softmax(-1) @ windows
    return windows.view(1, 2, 2, 3, 4, 4).permute(0, 5, 1, 3, 2, 4).reshape(1, 4, 6, 8)


TOKENS = (1, 5, 8)
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def few_keys(m, x):
    """Four heads of queries, two of keys and values."""
    q, k, v = (x.view(1, 5, 4, 2).transpose(1, 2)[:, :heads] for heads in (4, 2, 2))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def padded(m, x):
    """Hides what is not above a half, by a mask that the network computes, and by one that it adds."""
    seen = (x[:, :, :1] > 0.5).transpose(1, 2)
    hidden = x[:, :, 0].relu()[:, None] * -3
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(x, x, x, attn_mask=seen) + attend(x, x, x, attn_mask=hidden)


FIRST_AXES = {
    "queries_keys_values": (qkv_first, (1, 6, 24)),
    "windows": (in_windows, IMAGE),
    "attention": (Network(lambda m, x: m.attend(x, x, x), attend=nn.MultiheadAttention(
        8, 2, batch_first=True)), TOKENS),
    "attention_not_to_what_follows": (Network(lambda m, x: m.attend(x, x, x, attn_mask=~CAUSAL),
                                              attend=nn.MultiheadAttention(8, 2, batch_first=True)), TOKENS),
    "attention_of_few_keys": (few_keys, TOKENS),
    "attention_padded": (padded, TOKENS),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), TOKENS),
    "time_first": (Network(lambda m, x: m.linear(x.permute(1, 0, 2)), linear=nn.Linear(8, 3)), TOKENS),
    "frames_as_a_batch": (Network(lambda m, x: m.linear(m.conv(x.view(2, 3, 4, 5)).flatten(1)).view(1, 2, 3),
                                  conv=nn.Conv2d(3, 4, 3), linear=nn.Linear(24, 3)), (1, 2, 3, 4, 5)),
    "images_of_rows": (Network(lambda m, x: m.conv(m.linear(x.view(2, 5)).view(2, 2, 2, 3)).mean(0)[None],
                               conv=nn.Conv2d(2, 4, 1), linear=nn.Linear(5, 12)), (1, 10)),
    "stacked_first": (lambda m, x: torch.stack([x, 2 * x, x.relu()]).sum(0), IMAGE),
    "parts_first": (lambda m, x: torch.stack([x[:, 1], x.mean(1)]).max(0)[0], IMAGE),
}

SHAPES = {
    "expand_before_mul": (lambda m, x: x.mean((2, 3), keepdim=True).expand_as(x) * x, IMAGE),
    "expand_both": (lambda m, x: x[:, None].expand(1, 6, 6) * (2 * x)[:, None].expand(1, 6, 6), FEATURES),
    "expand_for_cat": (lambda m, x: torch.cat([x, x.mean(1, keepdim=True).expand(1, 3, 6, 8)], 1), IMAGE),
    "expand_out": (lambda m, x: x[:, None].expand(1, 4, 6), FEATURES),
    "expand_wider": (lambda m, x: torch.broadcast_to(x.unsqueeze(2), (1, 6, 4)), FEATURES),
    "repeat": (lambda m, x: x.repeat(1, 2, 1, 3) * 2, IMAGE),
    "repeat_wider": (lambda m, x: x.repeat(1, 3, 2), FEATURES),
    "tile": (lambda m, x: torch.tile(x, (2,)), FEATURES),
    "repeat_interleave": (lambda m, x: x.repeat_interleave(2, 1).repeat_interleave(3, 2), IMAGE),
    "movedim": (lambda m, x: x.movedim(1, 3) * 2 + x.movedim((1, 2), (3, 1)), IMAGE),
    "swapaxes": (lambda m, x: x.swapaxes(1, 2), IMAGE),
    "unflatten": (lambda m, x: x.unflatten(1, (2, 2)).flatten(2, 3), IMAGE),
    "view_as": (lambda m, x: x.view_as(x) + x.reshape(1, -1).view(1, 4, 6, 8), IMAGE),
    "constants": (lambda m, x: x + torch.arange(6.0) * torch.tril(torch.ones(6, 6))[3] + torch.zeros(6) // 2,
                  FEATURES),
    "of_its_shape": (lambda m, x: x + torch.ones_like(x) * torch.full_like(x, 3) - x.new_ones(6),
                     FEATURES),
    "mask_made_in_place": (lambda m, x: x + _filled(torch.zeros(6)), FEATURES),
    "meshgrid": (lambda m, x: x + torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")[0],
                 IMAGE),
}


def _filled(mask):
    mask[2:4] = 5
    return mask


CALLS = {f"{theme}_{name}": case for theme, cases in (
    ("conv", CONVOLUTIONS), ("matrix", MATRICES), ("math", ARITHMETIC), ("act", ACTIVATIONS), ("norm", NORMS),
    ("pool", POOLS), ("reduce", REDUCTIONS), ("resize", RESIZES), ("pad", PADS), ("part", PARTS),
    ("first", FIRST_AXES), ("shape", SHAPES)) for name, case in cases.items()}


@pytest.mark.parametrize("name", [name for name in CALLS if "gelu_written_out" in name])
def test_gelu_is_one_op_however_it_is_written(name):
    made, shape = CALLS[name]
    assert kinds(load_checked(network(made), *shape)) == ["gelu"]


@pytest.mark.parametrize("name", CALLS)
def test_call_computes_the_same(name):
    made, shape = CALLS[name]
    load_checked(seeded(network(made)), *shape)
