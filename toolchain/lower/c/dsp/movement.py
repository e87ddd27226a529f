"""Pools and means for DSP cores: four channels at a time."""

from dataclasses import replace
from math import prod

from toolchain.lower.c.call import Call
from toolchain.lower.c.portable.orders import overlapping

MOST_PIXELS = 256
"""Codes whose sum fits a half of a word."""


def average_pool2d(call: Call) -> Call | None:
    """tk_average_pool2d_s8, with windows whose sums fit."""
    p = call.params
    small = p["kernel_height"] * p["kernel_width"] <= MOST_PIXELS
    return _pool(call, "tk_average_pool2d_s8_dsp") if small else None


def max_pool2d(call: Call) -> Call | None:
    """tk_max_pool2d_s8."""
    return _pool(call, "tk_max_pool2d_s8_dsp")


def _pool(call: Call, kernel: str) -> Call | None:
    p = call.params
    if p["channels"] < 4:
        return None
    windows, fours = p["output_height"] * p["output_width"], -(-p["channels"] // 4)
    pixels = p["kernel_height"] * p["kernel_width"]
    work = {"words": windows * pixels * fours, "windows": windows, "fours": windows * fours,
            "rows": windows * fours * p["kernel_height"], "calls": 1}
    return replace(call, kernel=kernel, overlaps=overlapping(call).overlaps, work=work)


def mean(call: Call) -> Call | None:
    """tk_mean_s8 over other axes than the last, of four codes or more."""
    p = call.params
    if p["kept_stride"][2] != 1 or p["kept"][2] < 4:
        return None
    fours, ones = divmod(p["kept"][2], 4)
    rows, pixels = prod(p["kept"][:2]), prod(p["reduced"])
    work = {"words": rows * pixels * fours, "codes": rows * pixels * ones, "fours": rows * fours,
            "ones": rows * ones, "calls": 1}
    return replace(call, kernel="tk_mean_s8_dsp", struct="tk_mean_s8_params",
                   overlaps=overlapping(call).overlaps, work=work)
