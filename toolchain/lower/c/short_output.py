"""The short way from sums to codes (tk_output_s8_scalar.h), channel by channel."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.call import Array, Value
from toolchain.lower.c.channels import Channel, channels_of, output_codes

LARGEST_SUM = 2**30
LONGEST_SHIFT = 22
STEP_SHIFT = 20
"""Of a channel with one step: sums move by less than a code, and a bias reaches every code."""


def short_output(output: Mapping[str, Value], weight: np.ndarray) -> dict[str, Value] | None:
    """tk_output_s8_scalar_params of tk_output_s8_params; None where a channel has no short way.

    weight: (channels, products)
    """
    found = [_short(channel) for channel in channels_of(weight, output)]
    if None in found:
        return None
    bias, multiplier, right = np.array(found, np.int64).T
    zero_point, wrapped = output["zero_point"], (2 * multiplier - 2**32).astype(np.int32)
    return {"bias": Array("bias", bias.astype(np.int32)), "multiplier": Array("multiplier", wrapped),
            "right": Array("right", right.astype(np.int8)), "offset": 2 * zero_point + 1,
            **output_codes(output)}


def _short(channel: Channel) -> tuple[int, int, int] | None:
    """(bias, multiplier, right) by its own numbers, or by those of a step."""
    largest = max(abs(channel.least + channel.bias), abs(channel.most + channel.bias))
    if largest < LARGEST_SUM and channel.multiplier >= 2**30 and -LONGEST_SHIFT <= channel.shift <= -1:
        return channel.bias, channel.multiplier, -channel.shift
    return None if channel.wraps() else _step(channel)


def _step(channel: Channel) -> tuple[int, int, int] | None:
    """Numbers of its own that make the higher of two codes of the same sums."""
    step = channel.step()
    if step is None or channel.most - channel.least >= 2**STEP_SHIFT:
        return None
    first, code = step
    half_way = 2 * (code - channel.zero_point) - 1
    edge = half_way * 2**STEP_SHIFT - (1 if half_way > 0 else -1)
    return edge - first, 2**30, STEP_SHIFT
