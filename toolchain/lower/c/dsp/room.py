"""What this room makes of portable calls."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call
from toolchain.lower.c.dsp import depthwise, depthwise16, elementwise, matrix, matrix16, movement, products
from toolchain.lower.c.scalar.depthwise import depthwise_conv2d as one_by_one


def depthwise_conv2d(call: Call) -> Call | None:
    """Four channels at a time; where there are fewer, or sums are too large for it, one by one."""
    return depthwise.depthwise(call) or one_by_one(call)


SPECIAL: Mapping[str, Callable[[Call], Call | list[Call] | None]] = {
    "tk_add_s8": elementwise.weighted_sum,
    "tk_average_pool2d_s8": movement.average_pool2d,
    "tk_batch_matmul_s8": products.batch_matmul,
    "tk_conv2d_s16": matrix16.conv2d,
    "tk_conv2d_s8": matrix.conv2d,
    "tk_depthwise_conv2d_s16": depthwise16.depthwise_conv2d,
    "tk_depthwise_conv2d_s8": depthwise_conv2d,
    "tk_depthwise_multiplier_conv2d_s8": depthwise.depthwise,
    "tk_fully_connected_s16": matrix16.fully_connected,
    "tk_fully_connected_s8": matrix.fully_connected,
    "tk_grouped_conv2d_s8": matrix.grouped_conv2d,
    "tk_max_pool2d_s8": movement.max_pool2d,
    "tk_mean_s8": movement.mean,
    "tk_mul_s8": elementwise.mul,
    "tk_sub_s8": elementwise.weighted_sum,
}
"""Portable kernel -> calls of this room's for the same codes, the fastest first; none for some sizes."""
