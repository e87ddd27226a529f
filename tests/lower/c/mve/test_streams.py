"""What kernels read in one order: chunks of weights with zeros first, then bias, shift and multiplier."""

import numpy as np
import pytest

from toolchain.lower.c.call import Array
from toolchain.lower.c.mve.streams import chunks, codes, matrix_stream


def output(channels: int, shift: int = -3, low: int = 0, zero_point: int = -128) -> dict:
    numbers = np.arange(channels, dtype=np.int32)
    return {"bias": Array("bias", numbers + 100), "multiplier": Array("multiplier", numbers + 2**30),
            "shift": Array("shift", np.full(channels, shift, np.int8)),
            "zero_point": zero_point, "low": low, "high": 127 - zero_point}


@pytest.mark.parametrize("group", [4, 8])
@pytest.mark.parametrize(("channels", "depth"), [(1, 1), (4, 16), (9, 17), (13, 40)])
def test_every_value_is_where_the_kernels_look(channels, depth, group):
    weight = np.random.default_rng(0).integers(-128, 128, (channels, depth)).astype(np.int8)
    words = matrix_stream(weight, output(channels), group).data
    pitch = chunks(depth) * 4 * group + 3 * group
    assert len(words) == -(-channels // group) * pitch
    for o in range(channels):
        start = words[o // group * pitch:]
        lanes = start.view(np.int8)[:chunks(depth) * 16 * group].reshape(-1, group, 16)[:, o % group].ravel()
        assert not lanes[:-depth].any() and np.array_equal(lanes[-depth:], weight[o])
        last = start[pitch - 3 * group:pitch].reshape(3, group)[:, o % group]
        assert last.tolist() == [100 + o, -3, 2**30 + o]


@pytest.mark.parametrize(("shift", "low", "exact"), [(0, 0, 0), (-31, 5, 0), (1, 0, 1), (-3, -1, 1)])
def test_halves_matter_only_where_negative_values_live(shift, low, exact):
    assert codes(output(2, shift, low))["exact"] == exact


def test_codes_not_distances_from_the_zero_point():
    assert codes(output(2, low=3, zero_point=-5)) == {"zero_point": -5, "low": -2, "high": 127, "exact": 0}
