"""The short way from sums to codes (tk_output_s8_scalar.h), where a network's numbers allow it."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.call import Array, Value

LARGEST_SUM = 2**30
LONGEST_SHIFT = 22


def short_output(output: Mapping[str, Value], weight_sums: np.ndarray) -> dict[str, Value] | None:
    """tk_output_s8_scalar_params of tk_output_s8_params; None where a sum may be too large, a shift is
    none or to the left, or a multiplier 0.

    weight_sums: of the absolute weights of each channel
    """
    bias, multiplier, shift = (output[role].data.astype(np.int64) for role in ("bias", "multiplier", "shift"))
    sums_fit = (np.abs(bias) + 128 * weight_sums.astype(np.int64) < LARGEST_SUM).all()
    if not sums_fit or (multiplier < 2**30).any() or (shift >= 0).any() or (shift < -LONGEST_SHIFT).any():
        return None
    zero_point, wrapped = output["zero_point"], (2 * multiplier - 2**32).astype(np.int32)
    return {"bias": output["bias"], "multiplier": Array("multiplier", wrapped),
            "right": Array("right", (-shift).astype(np.int8)), "offset": 2 * zero_point + 1,
            "low": zero_point + output["low"], "high": zero_point + output["high"]}


def absolute_sums(weight: np.ndarray) -> np.ndarray:
    """Per row of (channels, products)."""
    return np.abs(weight.astype(np.int32)).sum(1)
