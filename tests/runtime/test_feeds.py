"""Samples that do not match the inputs give one clear message."""

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count

PORTS = (Port("image", (1, 4, 4, 3), "int8"), Port("gain", (1, 2), "float32"))
IMAGE, GAIN = np.zeros((5, 4, 4, 3), np.int8), np.ones((5, 2), np.float32)


def test_counts_the_samples():
    assert sample_count(PORTS, {"gain": GAIN, "image": IMAGE}) == 5


@pytest.mark.parametrize("feeds, message", [
    ({"image": IMAGE}, "no samples for input gain; the model takes image, gain"),
    ({"image": IMAGE, "gain": GAIN, "x": GAIN},
     "samples for x, which is no input; the model takes image, gain"),
    ({"image": IMAGE[..., :1], "gain": GAIN},
     "input image: got int8 (5, 4, 4, 1), expected int8 (N, 4, 4, 3)"),
    ({"image": IMAGE[0], "gain": GAIN}, "input image: got int8 (4, 4, 3), expected int8 (N, 4, 4, 3)"),
    ({"image": IMAGE, "gain": GAIN.astype(float)}, "input gain: got float64 (5, 2), expected float32 (N, 2)"),
    ({"image": IMAGE[:0], "gain": GAIN[:0]},
     "input image: got no samples, expected int8 (N, 4, 4, 3); give at least one"),
    ({"image": IMAGE, "gain": GAIN[:4]}, "inputs have different numbers of samples: {'image': 5, 'gain': 4}"),
])
def test_says_what_it_got_and_what_it_takes(feeds, message):
    with pytest.raises(BadSamples) as error:
        sample_count(PORTS, feeds)
    assert str(error.value) == message
