"""Images side by side, read back from the PNG."""

import io

import numpy as np
from PIL import Image
import pytest

from toolchain.errors import BadInput
from toolchain.report.grid import GAP, LEAST_SIDE, TITLE, grid_png


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_small_images_are_enlarged_and_stand_under_their_titles():
    images = np.zeros((3, 8, 8, 1))
    images[1, 0, 0] = 2.0
    png = read(grid_png([("float", images), ("INT8", images / 2)]))
    step, times = LEAST_SIDE + GAP, LEAST_SIDE // 8
    assert png.shape == (2 * (TITLE + step), 3 * step, 3)
    first, second = (png[top + TITLE:top + TITLE + LEAST_SIDE] for top in (0, TITLE + step))
    assert (first[:times, step:step + times] == 255).all() and (first[:times, :times] == 0).all()
    assert np.abs(second[:times, step:step + times].astype(int) - 128).max() <= 1
    assert (png[:TITLE] < 128).any(), "the title is written"


def test_colours_stay():
    images = np.zeros((1, 64, 48, 3))
    images[..., 1] = 1
    assert (read(grid_png([("", images)]))[TITLE:TITLE + 64, :48] == (0, 255, 0)).all()


@pytest.mark.parametrize("shape", [(4, 10), (4, 8, 8, 2)])
def test_outputs_that_are_no_images(shape):
    with pytest.raises(BadInput, match="classes: its first output is of shape"):
        grid_png([("classes", np.zeros(shape))])
