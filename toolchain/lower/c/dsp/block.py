"""Constant int8 matrices in the order of tk_block_s8_dsp.h: two channels to a word, a record for each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.quant import requantize
from toolchain.lower.c.call import Array, Value
from toolchain.lower.c.channels import filled, sum_range

WORDS = 2
"""Words of weights in a unit, the step of the unrolled loops."""


@dataclass(frozen=True, eq=False)
class Scales:
    """What tk_output_s8_dsp.h takes of each channel; all int64 (channels,).

    least, most: of the sums that can occur, with the bias
    constant:    where one code comes of all sums; weights, bias and multiplier are 0 there
    """

    bias: np.ndarray
    multiplier: np.ndarray
    offset: np.ndarray
    shift: np.ndarray
    least: np.ndarray
    most: np.ndarray
    constant: np.ndarray


def scales_of(rows: np.ndarray, output: Mapping[str, Value]) -> Scales | None:
    """Of sums over int8 codes with weights `rows` (channels, depth). output: tk_output_s8_params.

    None where some channel of several codes is beyond what tk_output_s8_dsp.h takes: a sum that leaves 31
    bits, a shift that is not to the right, or a rounding offset that leaves 32 bits.
    """
    bias, multiplier, shift = (output[role].data.astype(np.int64) for role in ("bias", "multiplier", "shift"))
    least, most = (bias + end for end in sum_range(rows))
    largest = np.maximum(-least, most)
    first, last = (np.clip(requantize(end, multiplier, shift), output["low"], output["high"])
                   for end in (least, most))
    constant = (first == last) & (largest << np.maximum(shift, 0) < 2**31)
    bias, multiplier, least, most, largest = (np.where(constant, 0, each)
                                              for each in (bias, multiplier, least, most, largest))
    right, centre = np.where(constant, 1, -shift), output["zero_point"] + np.where(constant, first, 0)
    offset = (2 * centre + 1) << np.maximum(right - 1, 0)
    if (largest >= 2**30).any() or (right < 1).any() or (
            (largest * multiplier >> 31) + abs(offset) >= 2**31 - 2).any():
        return None
    return Scales(bias, multiplier, offset, right, least, most, constant)


def packed_block(weight: np.ndarray, output: Mapping[str, Value]) -> dict[str, Value] | None:
    """tk_block_s8_dsp of weights (groups, channels, runs, values), the first group's; or None.

    output: tk_output_s8_params of all groups' channels. An odd last channel of a group has a pair of its own,
    which `pairs` does not count. None where scales_of is None, where a second channel's sums leave 24 bits,
    or its weight less the borrow of the first's leaves 8.
    """
    groups, count = weight.shape[:2]
    flat = weight.reshape(groups * count, -1)
    scales = scales_of(flat, output)
    if scales is None:
        return None
    ordered = np.where(scales.constant[:, None, None], 0, _by_words(weight.reshape(-1, *weight.shape[2:])))
    words, records = _pair_words(_pairs(ordered, groups)), _pair_records(scales, groups)
    if words is None or records is None:
        return None
    return {"weight": Array("weight", words), "output": Array("output", records),
            "units": words.shape[1] // WORDS, "pairs": count // 2}


def _by_words(weight: np.ndarray) -> np.ndarray:
    """Weights (channels, runs, values) -> (channels, words, 2) int64, in the order of tk_widen_tile_s8_dsp.h:
    of four values 0 with 2, then 1 with 3; of those left over, two together, a last one with 0."""
    channels, runs, values = weight.shape
    fours, left = values // 4 * 4, values % 4
    order = np.arange(fours).reshape(-1, 2, 2).transpose(0, 2, 1).ravel()
    order = np.concatenate([order, np.arange(fours, values), [values] * (left % 2)]).astype(np.int64)
    padded = np.concatenate([weight, np.zeros((channels, runs, 1), weight.dtype)], axis=2)
    words = padded[:, :, order].reshape(channels, -1, 2).astype(np.int64)
    return filled(words, 1, WORDS)


def _pairs(each: np.ndarray, groups: int) -> np.ndarray:
    """Something of each channel (channels, ...) -> (pairs, 2, ...), an odd channel of a group with zeros."""
    each = each.reshape(groups, -1, *each.shape[1:])
    return filled(each, 1, 2).reshape(-1, 2, *each.shape[2:])


def _pair_words(weight: np.ndarray) -> np.ndarray | None:
    """(pairs, 2, words, 2) -> int32 (pairs, words)"""
    halves = 256 * weight[:, 1] + weight[:, 0]
    if (halves < -2**15).any():
        return None
    return ((halves[..., 0] & 0xffff) | halves[..., 1] << 16).astype(np.int32)


def _pair_records(scales: Scales, groups: int) -> np.ndarray | None:
    """int32 (pairs, 8)"""
    least, most = (_pairs(end, groups)[:, 1] for end in (scales.least, scales.most))
    if (least < -2**23).any() or (most >= 2**23).any():
        return None
    bias, multiplier, offset, shift = (_pairs(each, groups) for each in (
        scales.bias, scales.multiplier, scales.offset, scales.shift))
    records = [256 * bias[:, 1] + bias[:, 0], bias[:, 0], multiplier[:, 1], offset[:, 1], shift[:, 1],
               multiplier[:, 0], offset[:, 0], shift[:, 0]]
    return np.stack(records, axis=1).astype(np.int32)
