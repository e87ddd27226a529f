"""Where outputs of the portable kernels may lie over what they read: told from the order that they work in.

They work in steps, in ascending order of what they write: a step reads bytes of the operands, then writes its
bytes of the output.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, window_starts
from toolchain.lower.c.call import Call, Overlap

WIDTH = {"s8": 1, "s16": 2}
"""How a kernel's name ends -> bytes of a code."""
ANYWHERE = Overlap(before=-2**31)
"""Of what is read whole before anything is written."""
Params = Mapping[str, object]
Order = Callable[[Params, int], list[Overlap]]
"""(a kernel's parameters, bytes of a code) -> overlap with each operand."""


def in_steps(reads: np.ndarray, bytes_a_step: int, at_once: bool = True) -> Overlap:
    """reads: lowest byte of the operand that each step reads;  bytes_a_step: of the output, that each writes

    at_once: whether a step reads all before it writes
    """
    ends = np.arange(1, len(reads) + 1) * bytes_a_step
    if not at_once:
        return ascending(reads, ends)
    return ascending(reads[1:], ends[:-1]) if len(reads) > 1 else ANYWHERE


def overlapping(call: Call) -> Call:
    """The call with its overlaps, if it is a portable kernel's that has some."""
    kind, _, suffix = call.kernel.removeprefix("tk_").rpartition("_")
    if kind not in ORDERS or suffix not in WIDTH:
        return call
    overlaps = ORDERS[kind](call.params, WIDTH[suffix])
    return replace(call, overlaps=tuple(replace(each, operand=i) for i, each in enumerate(overlaps)))


def _code_by_code(read: int | None = None, written: int | None = None) -> Order:
    """Kernels whose n-th code follows from the n-th; bytes of one, where they are not the name's."""
    def order(params: Params, width: int) -> list[Overlap]:
        return [in_steps(np.arange(params["size"]) * (read or width), written or width)]

    return order


def _walked(*operands: str) -> Order:
    """Kernels that walk over operands that may broadcast."""
    def order(params: Params, width: int) -> list[Overlap]:
        return [in_steps(_addresses(params["shape"], params[f"{name}_stride"], width), width)
                for name in operands]

    return order


def _addresses(shape: tuple[int, ...], stride: tuple[int, ...], width: int) -> np.ndarray:
    places = np.indices(shape).reshape(len(shape), -1)
    return np.asarray(stride) @ places * width


def _reduced(params: Params, width: int) -> list[Overlap]:
    return [in_steps(_addresses(params["kept"], params["kept_stride"], width), width)]


def _softmax(params: Params, width: int) -> list[Overlap]:
    """Code by code: once one is written, only codes from its own on are read, if any."""
    return [in_steps(np.arange(params["rows"] * params["depth"]) * width, width)]


def _rows(params: Params, width: int) -> list[Overlap]:
    """A row is read again for the next channels while the first are written."""
    matrix = params["matrix"]
    reads = np.arange(params["rows"]) * (matrix["depth"] * width)
    return [in_steps(reads, matrix["channels"] * width, at_once=False)]


def _pooled(params: Params, width: int) -> list[Overlap]:
    pixel = params["channels"] * width
    return [in_steps(window_starts({**params, "channels": pixel}), pixel, at_once=False)]


def _convolved(channels: Callable[[Params], int]) -> Order:
    """A pixel's window is laid out before its codes are written, but for one that is a row: read in place."""
    def order(params: Params, width: int) -> list[Overlap]:
        window = params["window"]
        in_place = window["kernel_height"] == 1 and window["dilation_width"] == 1
        return [in_steps(window_starts(window), channels(params) * width, at_once=not in_place)]

    return order


ORDERS: Mapping[str, Order] = {
    **dict.fromkeys(("lookup", "rescale", "hard_swish", "logistic", "tanh"), _code_by_code()),
    "widen": _code_by_code(read=1), "narrow": _code_by_code(written=1),
    **dict.fromkeys(("add", "sub", "mul", "div", "prelu", "minimum", "maximum"), _walked("a", "b")),
    "select": _walked("condition", "a", "b"),
    **dict.fromkeys(("mean", "reduce_max", "reduce_min"), _reduced),
    "softmax": _softmax,
    "fully_connected": _rows,
    **dict.fromkeys(("average_pool2d", "max_pool2d"), _pooled),
    "conv2d": _convolved(lambda params: params["matrix"]["channels"]),
    "depthwise_conv2d": _convolved(lambda params: params.get("channels", params["window"]["channels"])
                                   * params.get("multiplier", 1)),
    "depthwise_multiplier_conv2d": _convolved(lambda params: params["window"]["channels"]
                                              * params["multiplier"]),
    "grouped_conv2d": _convolved(lambda params: params["groups"] * params["outputs"]),
}
"""Kind of a portable kernel -> how it works."""
