"""Windows that slide over one or two spatial axes: convolution and pooling (ONNX operator specification)."""

from collections.abc import Sequence
from dataclasses import dataclass

from toolchain.load.onnx_call import Call

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """For (height, width); a sequence has height 1.

    pads:  (top, bottom, left, right) as the model says
    extra: how much further ceil_mode reaches (bottom, right)
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pads
    extra: Pair = (0, 0)

    @property
    def reach(self) -> Pads:
        top, bottom, left, right = self.pads
        return top, bottom + self.extra[0], left, right + self.extra[1]


def window(call: Call, x: str, kernel: tuple[int, ...]) -> Window:
    """The window of `kernel` over [N, C, H, W] or [N, C, L] `x`. Raises Unsupported for pads below 0,
    ValueError where lengths differ."""
    sizes = call.shape(x)[2:]
    stride, dilation = (call.attr(name, (1,) * len(sizes)) for name in ("strides", "dilations"))
    pads = _pads(call, sizes, kernel, stride, dilation)
    lengths = {"kernel": len(kernel), "strides": len(stride), "dilations": len(dilation),
               "pads": len(pads) / 2}
    if wrong := [name for name, length in lengths.items() if length != len(sizes)]:
        raise ValueError(f"{' and '.join(wrong)} do not fit {len(sizes)} spatial axes")
    call.require(min(pads, default=0) >= 0, f"pads={pads}; only pads of 0 and more have a row")
    begins, ends = pads[:len(sizes)], pads[len(sizes):]
    extra = [_ceil_extra(*axis) if call.attr("ceil_mode", 0) else 0
             for axis in zip(sizes, kernel, stride, dilation, begins, ends)]
    pairs = [value for both in zip(begins, ends) for value in both]
    return Window(_pair(kernel, 1), _pair(stride, 1), _pair(dilation, 1),
                  (*(0,) * (4 - len(pairs)), *pairs), _pair(extra, 0))


def _pair(values, height: int) -> Pair:
    values = tuple(int(value) for value in values)
    return values if len(values) == 2 else (height, *values)


def _pads(call: Call, sizes, kernel, stride, dilation) -> tuple[int, ...]:
    """All begins, then all ends."""
    mode = call.attr("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return call.attr("pads", (0,) * (2 * len(sizes)))
    if mode == "VALID":
        return (0,) * (2 * len(sizes))
    axes = zip(sizes, kernel, stride, dilation)
    totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in axes]
    less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return (*less, *more) if mode == "SAME_UPPER" else (*more, *less)


def _ceil_extra(size: int, kernel: int, stride: int, dilation: int, begin: int, end: int) -> int:
    """Padding at the end that makes room for the last, partial window; a window that would start beyond the
    input and its leading pads is left out."""
    free = size + begin + end - dilation * (kernel - 1) - 1
    steps = -(-free // stride)
    if steps * stride >= size + begin:
        steps -= 1
    return max(0, steps * stride - free)


def deconvolution(call: Call, x: str, kernel: tuple[int, ...]) -> Window:
    """How a transposed convolution slides: its `pads` are cropped from the full output, the end's less the
    output padding. Raises ValueError where lengths differ."""
    sizes = call.shape(x)[2:]
    ones, zeros = (1,) * len(sizes), (0,) * len(sizes)
    stride, dilation = (call.attr(name, ones) for name in ("strides", "dilations"))
    further = call.attr("output_padding", zeros)
    if {len(kernel), len(stride), len(dilation), len(further)} != {len(sizes)}:
        raise ValueError(f"kernel, strides, dilations or output_padding do not fit {len(sizes)} spatial axes")
    full = [(n - 1) * s + (k - 1) * d + 1 + more
            for n, k, s, d, more in zip(sizes, kernel, stride, dilation, further, strict=True)]
    begins, ends = _cropped(call, full, [n * s for n, s in zip(sizes, stride)])
    pairs = [value for begin, end, more in zip(begins, ends, further, strict=True)
             for value in (begin, end - more)]
    return Window(_pair(kernel, 1), _pair(stride, 1), _pair(dilation, 1), (*(0,) * (4 - len(pairs)), *pairs))


def _cropped(call: Call, full: list[int], same: list[int]) -> tuple[Sequence[int], Sequence[int]]:
    """What is cut off at the begin and at the end of outputs of sizes `full`; `same`: what SAME keeps."""
    mode, wanted = call.attr("auto_pad", "NOTSET"), call.attr("output_shape")
    if wanted is None and mode in ("NOTSET", "VALID"):
        pads = call.attr("pads", (0,) * (2 * len(full))) if mode == "NOTSET" else (0,) * (2 * len(full))
        return pads[:len(full)], pads[len(full):]
    totals = [n - left for n, left in zip(full, (wanted or same)[-len(full):], strict=True)]
    less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return (less, more) if mode == "SAME_UPPER" else (more, less)
