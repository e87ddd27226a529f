"""From what was seen of a tensor to the interval that its codes cover: the rules that take no search."""

from collections.abc import Sequence

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


def moving_average_range(lows: Sequence[float], highs: Sequence[float], smoothing: float) -> Range:
    """Exponential moving average of the samples' extremes, in their order; the first counts in full.

    average = smoothing * average + (1 - smoothing) * next, as litert-quantizer's
    qsv_utils.moving_average_update does sample by sample (there smoothing = 0.95). Never beyond all extremes,
    where rounding would take it.
    """
    low, high = lows[0], highs[0]
    for next_low, next_high in zip(lows[1:], highs[1:]):
        low = smoothing * low + (1 - smoothing) * next_low
        high = smoothing * high + (1 - smoothing) * next_high
    return max(low, min(lows)), min(high, max(highs))
