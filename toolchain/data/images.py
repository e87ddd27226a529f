"""Images as samples: decoded one by one when they are asked for, resized and cropped as a manifest says."""

from pathlib import Path
import struct

import numpy as np

from toolchain.data.manifest import FilePreprocessing
from toolchain.data.rows import Rows, rows_of_files
from toolchain.errors import BadInput, BadSamples

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MODE = {"rgb": "RGB", "bgr": "RGB", "gray": "L"}
CHANNELS = {"rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red"), "gray": ("gray",)}
REMEDY = ("write [preprocessing] resize and crop, such as resize = 256 and crop = 224, in the folder's "
          "manifest.toml")


def image_rows(files: list[Path], steps: FilePreprocessing) -> Rows:
    """Files as (N, height, width, channels) uint8, or channels first. None is decoded yet.

    Raises BadSamples where the first cannot be read, and later where one cannot or has another size;
    BadInput without Pillow.
    """
    return rows_of_files(files, lambda path: decoded(path, steps), np.uint8, REMEDY)


def decoded(path: Path, steps: FilePreprocessing) -> np.ndarray:
    """One image, uint8. Turned as its pixels are stored: a camera's EXIF orientation is not applied."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        raise BadInput(f"{path}: images need Pillow: pip install pillow==13.0.0") from None
    broken = (OSError, UnidentifiedImageError, ValueError, SyntaxError, EOFError, struct.error, MemoryError,
              Image.DecompressionBombError)
    try:
        with Image.open(path) as image:
            plain = _of_8_bits(image).convert(MODE[steps.colour])
            pixels = np.asarray(_cropped(path, _resized(plain, steps), steps))
    except BadSamples:
        raise
    except broken as error:
        raise BadSamples(f"{path}: not a readable image: {error}; repair it or drop it") from None
    pixels = pixels[..., ::-1] if steps.colour == "bgr" else pixels
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return pixels if steps.layout == "channels_last" else pixels.transpose(2, 0, 1)


def _of_8_bits(image):
    """Grey of 16 bits by its upper byte, as colours of 16 bits are read: Pillow would cut off at 255."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _resized(image, steps: FilePreprocessing):
    from PIL import Image

    method = Image.Resampling[steps.method.upper()]
    width, height = image.size
    if steps.crop_padding:
        side = int(steps.crop / (steps.crop + steps.crop_padding) * min(width, height))
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        middle = image.crop((left, top, left + side, top + side))
        return middle.resize((steps.crop, steps.crop), method)
    if steps.resize is None:
        return image
    if isinstance(steps.resize, tuple):
        return image.resize(steps.resize[::-1], method)
    short = min(width, height)
    return image.resize(tuple(steps.resize * size // short for size in (width, height)), method)


def _cropped(path: Path, image, steps: FilePreprocessing):
    if steps.crop is None or steps.crop_padding:
        return image
    high, wide = steps.crop if isinstance(steps.crop, tuple) else (steps.crop, steps.crop)
    width, height = image.size
    if width < wide or height < high:
        raise BadSamples(f"{path}: is {height} x {width} before the crop to {high} x {wide}; write a larger "
                         f"[preprocessing] resize, or a smaller crop")
    top, left = round((height - high) / 2), round((width - wide) / 2)
    return image.crop((left, top, left + wide, top + high))
