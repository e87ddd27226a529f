"""From sums of 16-bit codes to codes on DSP cores: where 32 bits hold the sums."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.call import Array, Value

CODES = 2**15
"""Of an int16 without its sign, at most."""
ROUNDED = 16
"""Bits that the multiplication drops."""


def output16(output: Mapping[str, Value], weight: np.ndarray) -> dict[str, Value] | None:
    """tk_output_s16_dsp_params of tk_output_s16_params; None where a sum with its bias may not fit 32 bits,
    or a multiplier is 1/4 or more.

    weight: int8 (channels, products)
    """
    bias, multiplier, shift = (output[name].data for name in ("bias", "multiplier", "shift"))
    reach = np.abs(weight.astype(np.int64)).sum(axis=1) * CODES + np.abs(bias)
    shift = np.where(multiplier == 0, ROUNDED + 1, shift) - ROUNDED
    if (reach >= 2**31).any() or (shift < 1).any():
        return None
    return {"bias": Array("bias", bias.astype(np.int32)), "multiplier": output["multiplier"],
            "shift": Array("shift", shift.astype(np.int8)), "low": output["low"], "high": output["high"]}
