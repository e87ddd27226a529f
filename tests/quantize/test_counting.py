"""Counting in C and in numpy: the same, against numpy.unique, whatever the values."""

import ctypes
import os
from pathlib import Path
import subprocess
import sys
import zipfile

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from toolchain.quantize import counting
from toolchain.quantize.counting import LaneCounter, NumpyCounter
from toolchain.quantize.histogram import BINS

needs_c = pytest.mark.skipif(counting.OBSERVE is None and os.environ.get("CI") != "true",
                             reason="counting.c is not compiled; make setup does")
COUNTERS = [pytest.param(LaneCounter, marks=needs_c), NumpyCounter]
bits = arrays(np.uint32, st.tuples(st.integers(1, 4), st.integers(1, 40)),
              elements=st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 0x80000000, 0x7F800000])))


def expected_counts(values: np.ndarray) -> np.ndarray:
    found, counts = np.unique(values.view(np.uint32) >> 16, return_counts=True)
    histogram = np.zeros(BINS, np.int64)
    histogram[found] = counts
    return histogram


@pytest.mark.parametrize("kind", COUNTERS)
@given(parts=st.lists(bits, min_size=1, max_size=4))
def test_every_value_is_counted_and_the_extremes_are_numpys(kind, parts):
    counter, histogram = kind(), np.zeros(BINS, np.int64)
    for part in parts:
        values = part.view(np.float32)
        low, high = counter.add(values).T
        histogram += expected_counts(values)
        assert low.dtype == high.dtype == np.float32
        np.testing.assert_array_equal(low, values.min(axis=1))
        np.testing.assert_array_equal(high, values.max(axis=1))
    np.testing.assert_array_equal(counter.counts(), histogram)


@pytest.mark.parametrize("kind", COUNTERS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 4095), (3, 4096), (2, 4097), (1, 300_001)])
def test_blocks_of_any_size(kind, shape):
    values = np.maximum(np.random.default_rng(5).normal(size=shape), 0).astype(np.float32)
    values[-1, -1], values[0, 0] = 9, -9
    counter = kind()
    low, high = counter.add(values).T
    np.testing.assert_array_equal(low, values.min(axis=1))
    np.testing.assert_array_equal(high, values.max(axis=1))
    np.testing.assert_array_equal(counter.counts(), expected_counts(values))


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, 4096, 9_999])
@pytest.mark.parametrize("kind", COUNTERS)
def test_a_single_nan_or_infinity_is_seen_wherever_it_is(kind, place, bad):
    values = np.ones((1, 10_000), np.float32)
    values[0, place] = bad
    low, high = kind().add(values).T
    np.testing.assert_array_equal([*low, *high], [values.min(), values.max()])


@needs_c
def test_counts_that_fill_up_are_moved_on(monkeypatch):
    monkeypatch.setattr(counting, "CAPACITY", 10)
    counter = LaneCounter()
    for _ in range(7):
        counter.add(np.ones((1, 4), np.float32))
    assert counter.counts()[0x3F80] == counter.counts().sum() == 28
    assert counter._lanes.sum() == 4
    with pytest.raises(ValueError, match="11 values at a time; at most 10 are counted"):
        counter.add(np.ones((1, 11), np.float32))


@needs_c
def test_a_count_beyond_32_bits_is_exact():
    counter = LaneCounter()
    counter.add(np.ones((1, 5), np.float32))
    counter._lanes[0x3F80] = [2**32 - 2**20, 0, 0, 0]
    counter._in_lanes = 2**32 - 2**20
    for _ in range(3):
        counter.add(np.ones((1, 2**20), np.float32))
    assert counter.counts()[0x3F80] == 2**32 + 2 * 2**20


@needs_c
def test_a_counter_takes_a_mebibyte():
    counter = LaneCounter()
    counter.add(np.random.default_rng(0).integers(0, 2**32, (1, 10**6), np.uint32).view(np.float32))
    assert counter._lanes.nbytes == 2**20 and counter._flushed is None


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, list[str]]:
    """Names in the wheels that setup.py builds: with this machine's compiler, and with one that fails."""
    root, names = Path(__file__).resolve().parents[2], {}
    for label, compiler in (("cc", None), ("none", "/bin/false")):
        folder = tmp_path_factory.mktemp(label)
        command = [sys.executable, "setup.py", "-q", "build", "--build-base", folder / "build",
                   "egg_info", "--egg-base", folder, "bdist_wheel", "--bdist-dir", folder / "bdist",
                   "--dist-dir", folder]
        environment = {"PATH": "/usr/bin:/bin", **({"CC": compiler} if compiler else {})}
        subprocess.run(command, cwd=root, check=True, capture_output=True, env=environment)
        names[label] = zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()
        names[f"{label} built"] = [str(path) for path in folder.glob("build/lib*/toolchain/quantize/*.so")]
    return names


@pytest.mark.slow
def test_a_package_built_here_counts_in_c_and_one_built_without_a_compiler_is_whole(wheels):
    assert {f"toolchain/quantize/counting.{suffix}" for suffix in ("py", "c")} < set(wheels["none"])
    assert not [name for name in wheels["none"] if name.endswith(".so")]
    library, = wheels["cc built"]
    assert ctypes.CDLL(library).edge_observe
