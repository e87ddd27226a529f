"""add, sub and mul for MVE, where operands are rows of neighbours."""

from toolchain.lower.c.affine import BITS, affine_form, whole_share
from toolchain.lower.c.call import Call
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.portable.orders import overlapping
from toolchain.lower.c.rows import rows_of

NEAR = 2
"""How far beside its value a weight is sought."""


def weighted_sum(call: Call) -> Call | None:
    """tk_add_s8, tk_sub_s8."""
    rows = rows_of(call.params)
    form = rows and affine_form(call.params, call.kernel == "tk_sub_s8", whole_share, BITS, NEAR)
    return _made(call, "tk_weighted_sum_s8_mve", {**vars(form), **rows}) if form else None


def mul(call: Call) -> Call | None:
    """tk_mul_s8, but for shifts to the left."""
    p, rows = call.params, rows_of(call.params)
    if rows is None or p["shift"] > 0:
        return None
    return _made(call, "tk_mul_s8_mve", {
        "a_offset": -p["a_zero_point"], "b_offset": -p["b_zero_point"], "multiplier": p["multiplier"],
        "shift": p["shift"], "fix": int(p["shift"] < 0), "zero_point": p["zero_point"],
        **output_codes(p), **rows})


def _made(call: Call, kernel: str, params: dict[str, int]) -> Call:
    rows = params["rows"]
    return Call(kernel, call.operands, params, overlaps=overlapping(call).overlaps,
                work={"vectors": rows * -(-params["size"] // 4), "rows": rows, "calls": 1})
