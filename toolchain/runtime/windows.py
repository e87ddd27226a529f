"""Sliding windows over channels-last arrays of any dtype: padding, views, rows for a matrix product."""

from collections.abc import Iterator, Mapping

import numpy as np

Attrs = Mapping[str, object]


def pad_spatial(x: np.ndarray, pads: tuple[int, int, int, int], value) -> np.ndarray:
    """NHWC padded by (top, bottom, left, right) with `value`; `x` itself where nothing is added."""
    top, bottom, left, right = pads
    if not any(pads):
        return x
    n, h, w, c = x.shape
    padded = np.full((n, h + top + bottom, w + left + right, c), value, x.dtype)
    padded[:, top:top + h, left:left + w] = x
    return padded


def windows(x: np.ndarray, kernel: tuple[int, int], attrs: Attrs) -> np.ndarray:
    """A view (N, oh, ow, C, kh, kw) of a padded input, by the op's stride and dilation."""
    (stride_h, stride_w), (step_h, step_w) = attrs["stride"], attrs.get("dilation", (1, 1))
    reach = (step_h * (kernel[0] - 1) + 1, step_w * (kernel[1] - 1) + 1)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return view[:, ::stride_h, ::stride_w, :, ::step_h, ::step_w]


def patches(x: np.ndarray, kernel: tuple[int, int], attrs: Attrs) -> np.ndarray:
    """The windows as rows (N, oh, ow, kh * kw * C) in the order of a [O, kh, kw, I] weight (im2col)."""
    view = windows(x, kernel, attrs)
    if kernel == (1, 1):
        return view[..., 0, 0]
    n, oh, ow, c = view.shape[:4]
    return view.transpose(0, 1, 2, 4, 5, 3).reshape(n, oh, ow, kernel[0] * kernel[1] * c)


def convolution(x: np.ndarray, weight: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Sums (N, oh, ow, O) of a padded input under a weight [O, kh, kw, I], in the dtype of both.

    The C channels form C / I groups; each group makes as many of the output channels, in order.
    """
    count, *kernel, per_group = weight.shape
    if x.shape[-1] == per_group:
        return patches(x, tuple(kernel), attrs) @ weight.reshape(count, -1).T
    groups = x.shape[-1] // per_group
    view = windows(x, tuple(kernel), attrs)
    n, oh, ow = view.shape[:3]
    rows = view.reshape(n * oh * ow, groups, -1).swapaxes(0, 1)  # columns: channel, then place in the kernel
    columns = weight.transpose(0, 3, 1, 2).reshape(groups, count // groups, -1).swapaxes(1, 2)
    return (rows @ columns).swapaxes(0, 1).reshape(n, oh, ow, count)


def overlap_add(x: np.ndarray, weight: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Transposed convolution without its bias: sums (N, oh, ow, O), in the dtype of both.

    Every pixel of x lays weight [O, kh, kw, I] over the output, `stride` apart; what overlaps is added. The
    pads are cut off; below 0, they add zeros.
    """
    n, h, w, _ = x.shape
    count, kh, kw, _ = weight.shape
    (stride_h, stride_w), (top, bottom, left, right) = attrs["stride"], attrs["pads"]
    full_h, full_w = (h - 1) * stride_h + kh, (w - 1) * stride_w + kw
    before, after = (max(-top, 0), max(-left, 0)), (max(-bottom, 0), max(-right, 0))
    y = np.zeros((n, before[0] + full_h + after[0], before[1] + full_w + after[1], count), x.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(before[0] + i, before[0] + i + (h - 1) * stride_h + 1, stride_h)
            columns = slice(before[1] + j, before[1] + j + (w - 1) * stride_w + 1, stride_w)
            y[:, rows, columns] += x @ weight[:, i, j].T
    return y[:, max(top, 0):y.shape[1] - max(bottom, 0), max(left, 0):y.shape[2] - max(right, 0)]


def taps(x: np.ndarray, kernel: tuple[int, int], attrs: Attrs) -> Iterator[tuple[int, int, np.ndarray]]:
    """(i, j, view): for each place in the kernel the (N, oh, ow, C) inputs under it."""
    view = windows(x, kernel, attrs)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield i, j, view[..., i, j]


def window_sizes(shape: tuple[int, int], attrs: Attrs) -> np.ndarray:
    """How many of a pooling window's places hold input and not padding: (oh, ow) for an input of (h, w)."""
    ones = pad_spatial(np.ones((1, *shape, 1), np.int64), attrs["pads"], 0)
    return windows(ones, attrs["kernel"], attrs).sum(axis=(3, 4, 5))[0]
