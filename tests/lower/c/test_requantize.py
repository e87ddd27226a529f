"""tk_requantize.h is ir.quant's arithmetic, on this machine's compiler with undefined behaviour trapped: as
cores have it that multiply to 64 bits, and as Armv6-M has it."""

import ctypes

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_c
from toolchain.ir.quant import divide_by_power_of_two, doubling_high_mul, requantize
from toolchain.lower.c.pages import kernel_files

SOURCE = """#include "tk_requantize.h"
int32_t high_mul(int32_t a, int32_t b);
int32_t divide(int32_t value, int32_t exponent);
int32_t move(int32_t value, int32_t multiplier, int32_t shift);
int8_t code(int32_t value, int32_t zero_point, int32_t low, int32_t high);
int32_t high_mul(int32_t a, int32_t b) { return tk_doubling_high_mul(a, b); }
int32_t divide(int32_t value, int32_t exponent) { return tk_divide_by_power_of_two(value, exponent); }
int32_t move(int32_t value, int32_t multiplier, int32_t shift) {
    return tk_requantize(value, multiplier, shift);
}
int8_t code(int32_t value, int32_t zero_point, int32_t low, int32_t high) {
    return tk_code_s8(value, zero_point, low, high);
}
"""

int32 = st.integers(-(2**31), 2**31 - 1)
near_edges = st.builds(lambda high, low: max(min((high << 16) + low, 2**31 - 1), -(2**31)),
                       st.sampled_from([-(2**15), -1, 0, 1, 2**14, 2**15 - 1]),
                       st.sampled_from([-1, 0, 1, 2**15 - 1, 2**15, 2**15 + 1, 2**16 - 1]))
multipliers = st.integers(2**30, 2**31 - 1) | st.just(0)
zero_points = st.integers(-128, 127)


@pytest.fixture(scope="module", params=[[], ["-DTK_NO_LONG_MULTIPLY"]], ids=["64 bits", "16 bits"])
def c(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("requantize")
    for name, data in kernel_files(["tk_requantize"]).items():
        (folder / name).write_bytes(data)
    (folder / "wrap.c").write_text(SOURCE)
    flags = ["-O1", *request.param, *SANITIZED, "-shared", "-fPIC"]
    compile_c([folder / "wrap.c"], folder / "wrap.so", flags)
    library = ctypes.CDLL(str(folder / "wrap.so"))
    library.code.restype = ctypes.c_int8
    return library


@given(value=int32 | near_edges, multiplier=multipliers, shift=st.integers(-31, 30))
def test_requantize(c, value, multiplier, shift):
    assert c.move(value, multiplier, shift) == requantize(value, multiplier, shift)


@given(value=st.integers(-(2**31) + 1, 2**31 - 2), exponent=st.integers(0, 31))
def test_divide_by_power_of_two(c, value, exponent):
    assert c.divide(value, exponent) == divide_by_power_of_two(value, exponent)


@pytest.mark.parametrize("exponent", [1, 2, 7, 31])
@pytest.mark.parametrize("sign", [-1, 1])
def test_halves_go_away_from_zero(c, exponent, sign):
    assert c.divide(sign << (exponent - 1), exponent) == sign


@given(a=int32 | near_edges, b=(int32 | near_edges).filter(lambda b: b > -(2**31)))
def test_doubling_high_mul(c, a, b):
    assert c.high_mul(a, b) == doubling_high_mul(a, b)


@given(value=int32, zero_point=zero_points, ends=st.tuples(zero_points, zero_points).map(sorted))
def test_code(c, value, zero_point, ends):
    low, high = ends
    expected = np.clip(value + zero_point, low, high)
    assert c.code(value, zero_point, low - zero_point, high - zero_point) == expected
