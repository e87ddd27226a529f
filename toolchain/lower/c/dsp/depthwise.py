"""Depthwise convolutions for DSP cores: the calls of tk_depthwise_s8_dsp.h's kernels."""

from collections.abc import Sequence

import numpy as np

from toolchain.lower.c.call import Array, Call, Overlap, Value
from toolchain.lower.c.channels import channels_of, output_codes
from toolchain.lower.c.dsp.scale import Scale, scale_of
from toolchain.lower.c.dsp.window import Window, window_of

LARGEST = 2**16
"""Sizes from here on do not fit their parameters."""
STRUCT = "tk_depthwise_s8_dsp_params"


def depthwise(call: Call) -> Call | None:
    """tk_depthwise_conv2d_s8 and tk_depthwise_multiplier_conv2d_s8."""
    output, taps = call.params["output"], call.params["weight"].data[0].transpose(2, 0, 1)
    window = window_of(call.params["window"], call.params.get("multiplier", 1))
    scales = [scale_of(channel) for channel in channels_of(taps.reshape(len(taps), -1), output)]
    if None in scales or not _fits(window):
        return None
    other = window.transposed()
    if (other.in_place or other.ascending) and other.price < window.price:
        window, taps = other, taps.transpose(0, 2, 1)
    return _call(call, window, taps, scales)


def _fits(window: Window) -> bool:
    """Four channels, windows that reach the image, sizes within 16 bits, those of the window within 8."""
    small = [value for axis in (window.rows, window.columns)
             for value in (axis.kernel, axis.stride, axis.dilation, axis.pad)]
    sizes = [value for axis in (window.rows, window.columns)
             for value in (axis.size, axis.step, axis.outputs, axis.output_step)]
    pitches = window.pitch, window.transposed().pitch
    return (window.channels >= 4 and min(window.laid_columns, window.transposed().laid_columns) > 0
            and max(*sizes, window.outputs, *pitches) < LARGEST and max(*small, window.multiplier) < 2**8)


def _call(call: Call, window: Window, taps: np.ndarray, scales: Sequence[Scale]) -> Call:
    codes, zero_point = output_codes(call.params["output"]), call.params["output"]["zero_point"]
    records = (_records_3x3 if window.kind == "3x3" else _records)(taps, scales)
    factors = np.array([(scale.bias, scale.multiplier) for scale in scales], np.int32)
    params = {**_sizes(window), "fill": call.params["window"]["zero_point"],
              **codes, "weight": Array("weight", records), "scale": Array("scale", factors)}
    overlaps = (Overlap(exact=True),) if window.in_place else (
        Overlap(before=window.before),) if window.ascending else ()
    return Call(_kernel(window, zero_point, **codes), call.operands, params, struct=STRUCT,
                scratch_bytes=window.plane_bytes(window.band) + window.spread_bytes, overlaps=overlaps,
                work=window.work)


def _kernel(window: Window, zero_point: int, low: int, high: int) -> str:
    if window.kind != "3x3":
        return f"tk_depthwise_{window.kind}_s8_dsp"
    ending = "clamped" if (low, high) != (-128, 127) else "positive" if zero_point == -128 else "full"
    return f"tk_depthwise3x3_{'stride2_' if window.columns.stride == 2 else ''}{ending}_s8_dsp"


def _records_3x3(taps: np.ndarray, scales: Sequence[Scale]) -> np.ndarray:
    """Of output channels, as tk_depthwise3x3_s8_dsp.h has them; taps: [outputs, 3, 3]"""
    records = np.zeros((len(taps), 3, 4), np.int8)
    records[:, :, [0, 2, 3]] = taps
    records[:, 0, 1] = [scale.shift for scale in scales]
    records[:, 1, 1] = [scale.code for scale in scales]
    return records.reshape(len(taps), -1)


def _records(taps: np.ndarray, scales: Sequence[Scale]) -> np.ndarray:
    """As tk_depthwise_window_s8_dsp.h has them; taps: [outputs, rows, columns]"""
    endings = np.array([(scale.shift, scale.code) for scale in scales], np.int8)
    return np.concatenate([taps.reshape(len(taps), -1), endings], axis=1)


def _sizes(window: Window) -> dict[str, Value]:
    """Of tk_depthwise_s8_dsp_params."""
    rows, columns, band = window.rows, window.columns, window.band
    return {"row_step": rows.step, "column_step": columns.step, "output_row_step": rows.output_step,
            "output_column_step": columns.output_step, "rows": rows.size, "columns": window.laid_columns,
            "channels": window.channels, "multiplier": window.multiplier, "output_rows": rows.outputs,
            "output_columns": columns.outputs, "kernel_rows": rows.kernel, "kernel_columns": columns.kernel,
            "stride_rows": rows.stride, "stride_columns": columns.stride, "dilation_rows": rows.dilation,
            "dilation_columns": columns.dilation, "pad_top": rows.pad, "pad_left": columns.pad, "band": band,
            "scratch_rows": window.plane_rows(band), "pitch": window.pitch,
            "kept": window.kept_rows, "by_channel": int(window.in_place)}
