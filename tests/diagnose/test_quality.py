"""Answers compared sample by sample, and by hand."""

import math

import numpy as np
import pytest

from toolchain.diagnose.quality import quality_of


def one_hot(answers, classes=3):
    return 5 * np.eye(classes, dtype=np.float32)[np.array(answers)]


LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
FLOAT = one_hot([0, 0, 1, 1, 1, 2, 2, 2])
INT8 = one_hot([0, 1, 0, 1, 2, 0, 0, 2])


def test_drop_flips_and_mcnemar():
    found = quality_of(FLOAT, INT8, LABELS)
    assert (found.float_top1.value, found.quantized_top1.value) == (7 / 8, 4 / 8)
    assert found.drop == pytest.approx(37.5)
    differences = np.array([0, 1, -1, 0, 1, 1, 1, 0])
    assert found.drop_error == pytest.approx(100 * differences.std(ddof=1) / math.sqrt(8))
    assert found.flipped == 5 / 8
    assert found.flipped_error == pytest.approx(math.sqrt(5 / 8 * 3 / 8 / 7))
    assert (found.only_float, found.only_quantized) == (4, 1)
    assert found.p == pytest.approx(2 * (math.comb(5, 0) + math.comb(5, 1)) / 2**5)


def test_the_class_that_loses_most_comes_first():
    found = quality_of(FLOAT, INT8, LABELS, ("cat", "dog", "bird"))
    assert [(c.label, c.n) for c in found.classes] == [("bird", 3), ("dog", 2), ("cat", 3)]
    assert found.classes[0].float_top1 - found.classes[0].quantized_top1 == pytest.approx(2 / 3)


def test_without_labels_only_flips_are_told():
    found = quality_of(FLOAT, INT8)
    assert found.flipped == 5 / 8 and found.drop is None and found.float_ece is None and found.classes == ()
