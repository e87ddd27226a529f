"""batch_matmul for DSP cores: four columns at a time, which all rows meet."""

from toolchain.lower.c.call import Call
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.dsp.elementwise import LARGEST_PRODUCT, scale_of_sums

COLUMNS = STEP = 4
BYTES = 2
"""Columns that are multiplied at once, by so many values of a row; of a value as it is kept for that."""
KEPT = ("batch", "a_batch", "b_batch", "rows", "depth", "columns", "a_row", "b_depth", "b_column",
        "a_zero_point", "b_zero_point")
"""Parameters that both kernels have."""


def batch_matmul(call: Call) -> Call | None:
    """tk_batch_matmul_s8, where rows of the first operand are without gaps and sums fit."""
    p = call.params
    scale = scale_of_sums(p, LARGEST_PRODUCT * p["depth"])
    if p["a_depth"] != 1 or scale is None:
        return None
    steps, groups = -(-p["depth"] // STEP), -(-p["columns"] // COLUMNS)
    matrices = p["batch"][0] * p["batch"][1] * p["batch"][2]
    params = {name: p[name] for name in KEPT} | {"scale": scale, **output_codes(p)}
    return Call("tk_batch_matmul_s8_dsp", call.operands, params, BYTES * STEP * COLUMNS * steps,
                work={"steps": matrices * groups * p["rows"] * steps, "widened": matrices * groups * steps,
                      "rows": matrices * groups * p["rows"], "outputs": matrices * p["rows"] * p["columns"],
                      "calls": 1})
