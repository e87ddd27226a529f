"""Windows of one column are windows of one row, so that kernels need not know them."""

import pytest

from toolchain.lower.c.mve.strips import in_a_row


def window(**sizes: int) -> dict[str, int]:
    names = ("input", "output", "kernel", "stride", "dilation")
    return {**{f"{name}_{axis}": 1 for name in names for axis in ("height", "width")}, "channels": 3,
            "pad_top": 0, "pad_left": 0, "zero_point": 7, **sizes}


def test_one_column_is_one_row():
    sizes = {"input": 9, "output": 4, "kernel": 5, "stride": 2, "dilation": 3}
    column = window(**{f"{name}_height": size for name, size in sizes.items()}, pad_top=6)
    row = window(**{f"{name}_width": size for name, size in sizes.items()}, pad_left=6)
    assert in_a_row(column) == row and in_a_row(row) == row


@pytest.mark.parametrize("other", ["input_width", "output_width", "kernel_width", "pad_left"])
def test_more_than_one_column_stays(other):
    several = window(input_height=9, output_height=5, kernel_height=5, **{other: 2})
    assert in_a_row(several) == several
