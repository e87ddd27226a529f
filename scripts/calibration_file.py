"""The calibration samples that every tool is given: an .npz with x, either uint8 images (N, height, width, 3)
that a network takes as (x - 127) / 128, or floats in the layout of the network's source.

numpy only: it is also imported in the peers' environment.
"""

import numpy as np


def source_floats(path: str) -> np.ndarray:
    """(N, ...) float32 in the source's layout."""
    x = np.load(path)["x"]
    if x.dtype != np.uint8:
        return x
    return ((x.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, channels, ...) as (N, ..., channels)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))
