"""Samples to calibrate, fine-tune, select and evaluate with, from what people have."""

from toolchain.data.manifest import SPLITS, Preprocessing, SetManifest, Split, SplitTable
from toolchain.data.samples import Samples
from toolchain.data.sets import SETS, load_samples

__all__ = ["SETS", "SPLITS", "Preprocessing", "Samples", "SetManifest", "Split", "SplitTable", "load_samples"]
