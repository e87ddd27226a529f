"""Images that networks draw, row by row beside each other, as a PNG."""

from collections.abc import Sequence
import io

import numpy as np

from toolchain.errors import BadInput

TITLE, GAP, LEAST_SIDE = 14, 2, 40
"""Pixels of a row's title, between images, and of an image's longer side at least."""


def grid_png(rows: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """(title, images (N, height, width, 1 or 3)) from top to bottom, small images enlarged without smoothing.

    Black is the least and white the largest value of the first row. Raises BadInput where outputs are no
    images, and without Pillow.
    """
    try:
        from PIL import Image, ImageDraw
    except ModuleNotFoundError:
        raise BadInput("images are drawn with Pillow: pip install pillow==13.0.0") from None

    low, high = float(rows[0][1].min()), float(rows[0][1].max())
    strips = [_strip(title, (images - low) / max(high - low, 1e-12)) for title, images in rows]
    width = max(strip.shape[1] for strip in strips)
    canvas = Image.new("RGB", (width, sum(TITLE + len(strip) for strip in strips)), "white")
    pen, top = ImageDraw.Draw(canvas), 0
    for (title, _), strip in zip(rows, strips):
        pen.text((GAP, top), title, fill="black")
        canvas.paste(Image.fromarray(strip), (0, top + TITLE))
        top += TITLE + len(strip)
    packed = io.BytesIO()
    canvas.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _strip(title: str, images: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8: images side by side, of values 0..1."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise BadInput(f"{title}: its first output is of shape {images.shape[1:]}, no image (height, width, "
                       f"1 or 3); draw networks whose first output is one")
    times = max(1, -(-LEAST_SIDE // max(images.shape[1:3])))
    pixels = np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8).repeat(times, 1).repeat(times, 2)
    framed = np.pad(pixels, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    return np.concatenate(list(np.broadcast_to(framed, (*framed.shape[:3], 3))), 1)
