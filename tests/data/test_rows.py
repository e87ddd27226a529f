"""Rows read what an array in memory would give, and nothing before they are asked."""

from pathlib import Path
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.data import load_samples
from toolchain.data.rows import Rows, Spool, chunks, mapped, pick, reshaped, value_range
from toolchain.errors import BadSamples

ARRAY = np.random.default_rng(0).integers(-1000, 1000, (23, 3, 2)).astype(np.int16)


def spooled(array: np.ndarray) -> Rows:
    spool = Spool(array.shape[1:], array.dtype)
    for sample in array:
        spool.append(sample)
    return spool.rows()


@given(st.lists(st.integers(-23, 22), max_size=40))
def test_any_positions_give_what_the_array_has_there(index):
    at = np.array(index, np.int64)
    assert np.array_equal(spooled(ARRAY)[at], ARRAY[at])


@given(st.slices(23), st.slices(10))
def test_picking_twice_is_indexing_twice(first, second):
    rows = spooled(ARRAY).picked(first)
    assert np.array_equal(rows.picked(second)[:], ARRAY[first][second])
    assert rows.shape == ARRAY[first].shape and len(rows) == len(ARRAY[first])


def test_rows_stand_in_for_an_array():
    rows = spooled(ARRAY)
    assert (rows.shape, rows.ndim, rows.dtype) == (ARRAY.shape, 3, ARRAY.dtype)
    assert np.array_equal(rows[5], ARRAY[5]) and np.array_equal(np.asarray(rows), ARRAY)
    assert np.asarray(rows, np.float32).dtype == np.float32
    assert value_range(rows) == (ARRAY.min(), ARRAY.max()) == value_range(ARRAY)
    assert np.array_equal(np.concatenate(list(chunks(rows, 7))), ARRAY)


@pytest.mark.parametrize("array", [ARRAY, spooled(ARRAY)])
def test_functions_of_batches_and_shapes_are_those_of_the_array(array):
    flipped = mapped(array, lambda batch: np.flip(batch, -1))
    assert np.array_equal(pick(flipped, slice(3, 9))[:], ARRAY[3:9, :, ::-1])
    assert np.array_equal(reshaped(flipped, (6, 1))[:], ARRAY[..., ::-1].reshape(-1, 6, 1))


def test_choosing_samples_reads_none():
    def read(at):
        raise AssertionError(f"read {at}")

    rows = Rows((4, 4), np.dtype("uint8"), read, np.arange(100))
    assert pick(reshaped(mapped(rows, np.negative), (16,)), np.arange(0, 100, 7)).shape == (15, 16)


def save(path: Path, count: int, writer) -> Path:
    rng = np.random.default_rng(count)
    writer(path, x=rng.integers(0, 40, (count, 112, 112, 3), np.uint8), y=np.zeros(count, np.int64))
    return path


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_large_arrays_of_an_archive_are_rows(tmp_path, writer):
    path = save(tmp_path / "x.npz", 120, writer)
    samples = load_samples(path)
    assert isinstance(samples.x["x"], Rows) and samples.take(7).y.shape == (7,)
    with np.load(path) as archive:
        expected = archive["x"][np.arange(7) * 120 // 7]
    assert np.array_equal(samples.take(7).feeds(slice(2, 5))["x"], expected[2:5])


def test_a_large_npy_is_rows(tmp_path):
    array = np.arange(1_200_000, dtype=np.float32).reshape(1000, 1200)
    np.save(tmp_path / "c.npy", array)
    np.save(tmp_path / "f.npy", np.asfortranarray(array))
    c, f = (load_samples(tmp_path / name) for name in ("c.npy", "f.npy"))
    assert isinstance(c.x["x"], Rows) and isinstance(f.x["x"], np.ndarray)
    assert np.array_equal(c.feeds(slice(900, 910))["x"], f.feeds(slice(900, 910))["x"])


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_a_large_archive_that_is_damaged_is_named(tmp_path, writer):
    path = save(tmp_path / "x.npz", 120, writer)
    data = bytearray(path.read_bytes())
    data[5000:6000] = bytes(1000)
    path.write_bytes(data if writer is np.savez_compressed else data[:-2000])
    with pytest.raises(BadSamples, match="x.npz: not a readable .npz"):
        load_samples(path).feeds(slice(0, 4))


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1200, 1200), np.float32))
    data = (tmp_path / "x.npy").read_bytes().replace(b"(1200, 1200)", b"(1200, 1900)")
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(BadSamples, match=r"x.npy: .*\(1200, 1900\) of float32 takes 9120000 bytes"):
        load_samples(tmp_path / "x.npy")


@pytest.mark.parametrize("header", [b"{'descr': '|u1', (((((", b"{'descr': '<q9', 'shape': (9,)}", b"\0\xff"])
def test_a_header_that_is_none_is_refused(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(BadSamples, match="x.npy: not a readable .npy without pickles"):
        load_samples(tmp_path / "x.npy")


PEAK = r"""
import pathlib, re, sys
from toolchain.data import load_samples
samples = load_samples(sys.argv[1])
total = sum(float(feeds["x"].sum()) for feeds in samples.batches(16))
print(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_samples(tmp_path, writer):
    """800 images of 112x112x3 are 30 MB in bytes, 120 MB as float32; the smaller peak is some 45 MB."""
    peaks = []
    for count in (200, 800):
        path = save(tmp_path / f"{count}.npz", count, writer)
        done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] <= 1.05 * peaks[0], f"{peaks} KiB"
