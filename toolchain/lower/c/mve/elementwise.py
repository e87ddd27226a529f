"""add, sub and mul for MVE."""

from collections.abc import Mapping
from math import prod

from toolchain.lower.c.call import Call, Overlap, Value

HALF = (2**30, 0)
"""Multiplier and shift of add's or sub's operand of the larger scale."""


def add(call: Call) -> Call | None:
    return _sum(call, 1)


def sub(call: Call) -> Call | None:
    return _sum(call, -1)


def _sum(call: Call, sign: int) -> Call | None:
    """sign: of operand b. The operand of the larger scale becomes the kernel's first."""
    p = call.params
    exchanged = (p["a_multiplier"], p["a_shift"]) != HALF
    first, second = ("b", "a") if exchanged else ("a", "b")
    if (p[f"{first}_multiplier"], p[f"{first}_shift"]) != HALF or max(p["shift"], p[f"{second}_shift"]) > 0:
        return None
    gain, sign = (sign * 2**19, 1) if exchanged else (2**19, sign)
    params = {
        "b_offset": -p[f"{second}_zero_point"] * 2**20, "b_multiplier": p[f"{second}_multiplier"],
        "b_shift": p[f"{second}_shift"], "sign": sign, "offset": -p[f"{first}_zero_point"] * gain,
        "multiplier": p["multiplier"], "shift": p["shift"], "zero_point": p["zero_point"],
        "fix": int(p["shift"] < 0), "b_fix": int(p[f"{second}_shift"] < 0), "gain": gain, **_range(p)}
    return _call(call, "tk_sum_s8_mve", params, (1, 0) if exchanged else (0, 1))


def mul(call: Call) -> Call | None:
    p = call.params
    if p["shift"] > 0:
        return None
    params = {"a_offset": -p["a_zero_point"], "b_offset": -p["b_zero_point"], "multiplier": p["multiplier"],
              "shift": p["shift"], "fix": int(p["shift"] < 0), "zero_point": p["zero_point"], **_range(p)}
    return _call(call, "tk_mul_s8_mve", params, (0, 1))


def _range(p: Mapping[str, Value]) -> dict[str, int]:
    return {name: p["zero_point"] + p[name] for name in ("low", "high")}


def _call(call: Call, kernel: str, params: dict[str, Value], order: tuple[int, int]) -> Call | None:
    """order: the operands' numbers as the kernel takes them. None where one repeats along the last axis."""
    shape, strides = call.params["shape"], (call.params["a_stride"], call.params["b_stride"])
    if shape[3] > 1 and any(stride[3] != 1 for stride in strides):
        return None
    walk = {"shape": shape, "a_stride": strides[order[0]][:3], "b_stride": strides[order[1]][:3]}
    overlaps = tuple(Overlap(i, 0, exact=True) for i, number in enumerate(order)
                     if shape[:3] == (1, 1, 1) or _whole(shape, strides[number]))
    return Call(kernel, tuple(call.operands[number] for number in order), {**params, "walk": walk},
                overlaps=overlaps, work={"vectors": prod(shape[:3]) * -(-shape[3] // 4),
                                         "rows": prod(shape[:3]), "calls": 1})


def _whole(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether an operand does not repeat: each element is read once, in order."""
    return all(n == 1 or step == prod(shape[i + 1:]) for i, (n, step) in enumerate(zip(shape, stride)))
