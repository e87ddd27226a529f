"""Samples to calibrate, fine-tune, select and evaluate with, from what people have."""

from toolchain.data.iterables import from_iterable
from toolchain.data.manifest import SPLITS, Preprocessing, SetManifest, Split, SplitTable
from toolchain.data.rows import Array, Rows, mapped, value_range
from toolchain.data.samples import Samples
from toolchain.data.sets import SETS, load_samples

__all__ = ["SETS", "SPLITS", "Array", "Preprocessing", "Rows", "Samples", "SetManifest", "Split",
           "SplitTable", "from_iterable", "load_samples", "mapped", "value_range"]
