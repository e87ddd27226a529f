"""Bytes by hand."""

from math import ceil, log2
import zlib

import numpy as np

from tests.prune.test_sparse_size import holding
from tests.prune.test_sparsify import dense
from toolchain.ir.graph import constant
from toolchain.ir.quant import QuantParams
from toolchain.prune.cluster_size import cluster_size


def test_a_codebook_for_a_tensor_by_hand():
    """60 numbers of 4 values: 2 bits each, and 4 values of 32; entropy of 30, 15, 10, 5 of 60."""
    data = np.repeat(np.float32([1, 2, 3, 4]), [30, 15, 10, 5]).reshape(6, 10)
    size = cluster_size(holding(data))
    told = sum(n * log2(60 / n) for n in (30, 15, 10, 5))
    assert (size.dense, size.codebooks, size.entropy) == (240, 15 + 16, ceil((told + 128) / 8))
    assert size.zlib == len(zlib.compress(data.tobytes(), 9))


def test_a_codebook_for_each_output_channel():
    """64 rows of 2 values that no other row has: 1 bit each and 2 values of 32 for each row, less than 128
    values with 7 bits each would take."""
    few = np.where(np.random.default_rng(0).random((64, 100)) < 0.5, 1.0, 2.0)
    size = cluster_size(dense(few * np.arange(1, 128, 2)[:, None]))
    bias = 4
    assert size.codebooks == (64 * 100 + 64 * 2 * 32) // 8 + bias and size.most == 2


def test_a_tensor_of_many_values_is_stored_as_it_is():
    data = np.arange(100, dtype=np.float32).reshape(10, 10)
    size = cluster_size(holding(data))
    assert size.codebooks == size.entropy == size.dense == 400


def test_codes():
    """int8: 8 bits for a value of a codebook."""
    graph = holding().with_tensors(constant("c", np.tile(np.int8([1, -5]), 40).reshape(8, 10),
                                            QuantParams(np.float32(0.1), np.int32(0))))
    size = cluster_size(graph)
    assert (size.dense, size.codebooks) == (80, 10 + 2)
    assert size.summary.endswith("through zlib; dense kernels gain no time")
