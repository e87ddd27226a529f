"""add and sub for cores without DSP instructions, where operands are rows of neighbours."""

from toolchain.lower.c.affine import BITS, affine_form, whole_share
from toolchain.lower.c.call import Call
from toolchain.lower.c.portable.orders import overlapping
from toolchain.lower.c.rows import rows_of

NEAR = 3
"""Weights of 21 bits are coarse: some beside the exact one are tried."""


def weighted_sum(call: Call) -> Call | None:
    """tk_add_s8, tk_sub_s8."""
    rows = rows_of(call.params)
    form = rows and affine_form(call.params, call.kernel == "tk_sub_s8", whole_share, BITS, NEAR)
    if not form:
        return None
    return Call("tk_weighted_sum_s8_scalar", call.operands, {**rows, **vars(form)},
                struct="tk_weighted_sum_s8_params", overlaps=overlapping(call).overlaps,
                work={"elements": rows["rows"] * rows["size"], "rows": rows["rows"], "calls": 1})
