"""Names from a file never reach C as they are."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.lower.c.names import LONGEST, Symbols, identifier, plain


@pytest.mark.parametrize("name, expected", [
    ("features.3.conv.1", "features_3_conv_1"),
    ("model/conv2d/Conv2D;model/bias", "model_conv2d_Conv2D_model_bias"),
    ("1x1", "t_1x1"), ("", "t"), ("tk_add_s8", "t_tk_add_s8"), ("TK", "t_TK"), ("größe", "gr_e"),
    ("x" * 100, "x" * LONGEST)])
def test_identifier(name, expected):
    assert identifier(name) == expected


@given(names=st.lists(st.text(max_size=60), unique=True, max_size=12))
def test_symbols_are_apart_and_valid(names):
    symbols = Symbols()
    found = [symbols.of(name) for name in names]
    assert len(set(found)) == len(names) and found == [symbols.of(name) for name in names]
    assert all(symbol.isascii() and symbol.isidentifier() for symbol in found)


@given(text=st.text(max_size=80))
def test_plain_text_cannot_leave_its_comment_or_string(text):
    kept = plain(text)
    assert kept.isascii() and not set(kept) & set('"\\?*/\n\r\t%')
