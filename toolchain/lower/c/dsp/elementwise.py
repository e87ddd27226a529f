"""add, sub and mul for DSP cores, where operands are rows of neighbours."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.affine import CODES, affine_form
from toolchain.lower.c.call import Call, Value
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.portable.orders import overlapping
from toolchain.lower.c.rows import rows_of

SHARE_BITS = 29
"""Below the point of tk_weighted_sum_s8_dsp.h's weights, which 256 * code / 2**16 leaves 21 of."""
LARGEST_PRODUCT = 255**2
"""Of two codes less their zero points."""


def _share(weight: int) -> np.ndarray:
    """As SMLAWB has it."""
    return weight * CODES * 256 >> 16


def weighted_sum(call: Call) -> Call | None:
    """tk_add_s8, tk_sub_s8."""
    rows = rows_of(call.params)
    form = rows and affine_form(call.params, call.kernel == "tk_sub_s8", _share, SHARE_BITS)
    if not form:
        return None
    return _made(call, "tk_weighted_sum_s8_dsp", rows, vars(form), "tk_weighted_sum_s8_params")


def mul(call: Call) -> Call | None:
    """tk_mul_s8, where the shift is to the right and its rounding offset fits."""
    params, rows = call.params, rows_of(call.params)
    scale = scale_of_sums(params, LARGEST_PRODUCT)
    if rows is None or scale is None:
        return None
    return _made(call, "tk_mul_s8_dsp", rows, {
        "a_zero_point": params["a_zero_point"], "b_zero_point": params["b_zero_point"],
        "scale": scale, **output_codes(params)})


def scale_of_sums(params: Mapping[str, Value], largest: int) -> tuple[int, int, int] | None:
    """tk_output_s8_dsp.h's record for sums of up to `largest`, either sign; None where it takes no such sums.

    params: with a multiplier, a shift and the output's zero_point
    """
    multiplier, right = params["multiplier"], -params["shift"]
    offset = (2 * params["zero_point"] + 1) << max(right - 1, 0)
    fits = largest < 2**30 and (largest * multiplier >> 31) + abs(offset) < 2**31 - 2
    return (multiplier, offset, right) if fits and 1 <= right <= 31 else None


def _made(call: Call, kernel: str, rows: dict[str, int], scale: dict, struct: str = "") -> Call:
    count = rows["rows"] * rows["size"]
    clamped = count if (scale["low"], scale["high"]) != (-128, 127) else 0
    return Call(kernel, call.operands, {**rows, **scale}, struct=struct,
                overlaps=overlapping(call).overlaps,
                work={"elements": count, "clamped": clamped, "rows": rows["rows"], "calls": 1})
