"""4-bit codes as files store them."""

import numpy as np


def in_nibbles(codes: np.ndarray) -> bytes:
    """Codes in [-8, 7] two to a byte, the first in the low four bits; an odd last one stands alone.

    Source: LiteRT tflite/kernels/internal/portable_tensor_utils.cc PackInt8IntoDenseInt4; ONNX IR
    specification, "4 bit types", has the same order.
    """
    flat = codes.astype(np.int8).view(np.uint8).ravel() & 0x0F
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return (flat[::2] | flat[1::2] << 4).tobytes()
