"""Depthwise convolutions of 16-bit codes for DSP cores: two channels and two taps at a time."""

from dataclasses import replace

import numpy as np

from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.channels import filled
from toolchain.lower.c.dsp.output16 import output16
from toolchain.lower.c.portable.orders import overlapping


def depthwise_conv2d(call: Call) -> Call | None:
    """tk_depthwise_conv2d_s16 with one output per channel, where output16 can be."""
    params, weight = call.params, call.params["weight"].data
    taps = weight.reshape(-1, weight.shape[-1])
    output = output16(params["output"], taps.T)
    if params["multiplier"] > 1 or output is None:
        return None
    window, channels = params["window"], params["channels"]
    pixels = window["output_height"] * window["output_width"]
    even = filled(taps, 2, 2)
    words = even.reshape(len(even) // 2, 2, -1, 2).transpose(2, 0, 1, 3)
    work = {"pixels": pixels, "outputs": pixels * channels, "calls": 1, "products": pixels * taps.size,
            "patches": pixels * window["kernel_height"]}
    made = {"window": window, "channels": channels, "weight": Array("weight", np.ascontiguousarray(words)),
            "output": output}
    return replace(call, kernel="tk_depthwise_conv2d_s16_dsp", params=made,
                   overlaps=overlapping(call).overlaps, work=work)
