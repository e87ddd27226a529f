"""Weights and what makes codes of sums, packed in the one order that MVE kernels read."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.lower.c.call import Array, Value

CHUNK = 16
"""int8 values in a vector."""


def chunks(depth: int) -> int:
    """Vectors that hold `depth` values."""
    return -(-depth // CHUNK)


def matrix_stream(weight: np.ndarray, output: Mapping[str, Value], group: int) -> Array:
    """Per `group` channels: their chunks of values, zeros first; then bias, shift and multiplier.

    weight: [channels, depth] int8; output: tk_output_s8_params
    """
    channels, depth = weight.shape
    full = np.zeros((_whole(channels, group), chunks(depth) * CHUNK), np.int8)
    full[:channels, full.shape[1] - depth:] = weight
    lanes = full.reshape(-1, group, chunks(depth), CHUNK).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(lanes).reshape(len(lanes), -1).view("<i4")
    return stream(words, output, group)


def stream(words: np.ndarray, output: Mapping[str, Value], group: int, order: Sequence[int] = ()) -> Array:
    """words: [groups, ...] int32 of weights; after each group its bias, shift and multiplier.

    order: of a group's channels there
    """
    order = [*order] or [*range(group)]
    last = [_grouped(output[name].data, group)[:, order] for name in ("bias", "shift", "multiplier")]
    return Array("stream", np.concatenate([words, *last], axis=1).astype(np.int32).ravel())


def window_params(window: Mapping[str, int], strip: int) -> dict[str, int]:
    """tk_window_s8_mve."""
    return {**window, "strip": strip}


def in_a_row(window: Mapping[str, int]) -> Mapping[str, int]:
    """The window as it is, or of one column the same as of one row: the bytes lie the same way."""
    names = ("input_width", "output_width", "kernel_width")
    if window["pad_left"] or any(window[name] > 1 for name in names):
        return window
    turned = {name.replace("height", "width"): value for name, value in window.items() if "height" in name}
    column = {name.replace("width", "height"): value for name, value in window.items() if "width" in name}
    return {**window, **turned, **column, "pad_left": window["pad_top"], "pad_top": 0}


def fits(window: Mapping[str, int]) -> bool:
    """Whether a window's sizes fit tk_window_s8_mve."""
    return all(value < (2**15 if name.startswith(("input", "output", "channels")) else 2**8)
               for name, value in window.items())


def _grouped(values: np.ndarray, group: int) -> np.ndarray:
    """[groups, group] int32, filled up with zeros."""
    full = np.zeros(_whole(len(values), group), np.int32)
    full[:len(values)] = values
    return full.reshape(-1, group)


def _whole(count: int, group: int) -> int:
    return -(-count // group) * group


def codes(output: Mapping[str, Value]) -> dict[str, int]:
    """zero_point, low, high (as codes), and whether requantization must do all that it can be asked to."""
    zero_point = output["zero_point"]
    easy = output["shift"].data.max() <= 0 and output["low"] >= 0
    return {"zero_point": zero_point, "low": zero_point + output["low"], "high": zero_point + output["high"],
            "exact": int(not easy)}
