"""add, sub and mul for DSP cores, where operands are rows of neighbours."""

import numpy as np

from toolchain.lower.c.affine import CODES, affine_form
from toolchain.lower.c.call import Call
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.portable.orders import overlapping
from toolchain.lower.c.rows import rows_of

SHARE_BITS = 29
"""Below the point of tk_weighted_sum_s8_dsp.h's weights, which 256 * code / 2**16 leaves 21 of."""


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
    right, zero_point = -params["shift"], params["zero_point"]
    offset = (2 * zero_point + 1) << max(right - 1, 0)
    most = 2**17 * params["multiplier"] // 2**31 + abs(offset) + 1
    if rows is None or not 1 <= right <= 31 or most >= 2**31:
        return None
    return _made(call, "tk_mul_s8_dsp", rows, {
        "a_zero_point": params["a_zero_point"], "b_zero_point": params["b_zero_point"],
        "scale": (params["multiplier"], offset, right),
        **output_codes(params)})


def _made(call: Call, kernel: str, rows: dict[str, int], scale: dict, struct: str = "") -> Call:
    count = rows["rows"] * rows["size"]
    clamped = count if (scale["low"], scale["high"]) != (-128, 127) else 0
    return Call(kernel, call.operands, {**rows, **scale}, struct=struct,
                overlaps=overlapping(call).overlaps,
                work={"elements": count, "clamped": clamped, "rows": rows["rows"], "calls": 1})
