"""Names in messages and tables."""

import pytest

from toolchain.names import shortened, with_short_names

LAYER = "net/depthwise_conv2d_3/BiasAdd"
FUSED = f"net/activation_7/Relu;net/batch_normalization_7/FusedBatchNormV3;{LAYER}/ReadVariableOp/resource1"


def test_a_name_that_is_not_long_stays():
    assert shortened(LAYER) == LAYER and shortened("a;b;c") == "a;b;c" and shortened("abc", 8) == "abc"


def test_of_ops_that_became_one_the_last_is_told():
    assert shortened(FUSED) == f"...{LAYER}"
    assert shortened(FUSED.replace("/", ".") + ".scratch") == "...net.depthwise_conv2d_3.BiasAdd.scratch"


def test_an_end_begins_with_a_part_where_one_is_near():
    assert shortened(FUSED, 30) == "...depthwise_conv2d_3/BiasAdd"
    assert shortened("abcdefghij", 8) == "...fghij"


@pytest.mark.parametrize("length", range(4, 60))
def test_it_is_never_longer_than_asked(length):
    for name in (FUSED, LAYER, "x" * 300, "a/" * 100, ";" * 300, "x;" * 100):
        found = shortened(name, length)
        assert len(found) <= length and (found == name or found.startswith("..."))


def test_messages_keep_their_words_and_paths():
    said = f"/a/{'long/' * 30}net.tflite: {FUSED}: conv2d: no kernel; (it reads '{FUSED}'), replace it"
    assert with_short_names(said) == said.replace(FUSED, f"...{LAYER}")
