"""From what was seen of a tensor to the interval that its codes cover: the rules that take no search."""

from collections.abc import Iterable

import numpy as np

from toolchain.quantize.histogram import Filled

Range = tuple[float, float]


def percentile_range(bins: Filled, percentile: float) -> Range:
    """Without the (100 - percentile) / 2 percent of the values at either end.

    As onnxruntime.quantization's percentile calibrator without `symmetric`, whose histogram is linear. The
    ends are bin edges, less than 0.8 % outwards of the exact percentiles and never beyond the extremes.
    """
    upto = np.cumsum(bins.count)
    count = int(upto[-1])
    cut = int(count * (100 - percentile) / 200)
    first, last = np.searchsorted(upto, [cut, count - 1 - cut], "right")
    return float(bins.low[first]), float(bins.high[last])


def moving_average_range(extremes: Iterable[Range], smoothing: float) -> Range:
    """Exponential moving average of the samples' extremes, in their order; the first counts in full.

    average = smoothing * average + (1 - smoothing) * next, as litert-quantizer's
    qsv_utils.moving_average_update does sample by sample (there smoothing = 0.95).
    """
    ordered = iter(extremes)
    low, high = next(ordered)
    for next_low, next_high in ordered:
        low = smoothing * low + (1 - smoothing) * next_low
        high = smoothing * high + (1 - smoothing) * next_high
    return low, high
