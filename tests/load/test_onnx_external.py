"""Data beside the model are read; nothing else is opened."""

import os

import numpy as np
import onnx
import pytest

from tests.load.onnx_models import ROWS, normal, single
from toolchain.errors import BadModel, Unsupported
from toolchain.load import load
from toolchain.load.onnx import load_onnx

WEIGHT = normal(10, 4)


def model_with(**entries) -> bytes:
    """A Gemm whose weight lies elsewhere."""
    proto = onnx.load_from_string(single("Gemm", ROWS, WEIGHT))
    tensor = proto.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, **{"location": "weights.bin", **entries})
    tensor.ClearField("raw_data")
    return proto.SerializeToString()


@pytest.mark.oracle
def test_weights_beside_the_model_are_read(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"head" + WEIGHT.tobytes() + b"tail")
    (tmp_path / "net.onnx").write_bytes(model_with(offset=4, length=WEIGHT.nbytes))
    graph = load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(graph.tensors["c0"].data, WEIGHT.T)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "a/../../weights.bin", "a\\b", "",
                                      ".."])
def test_paths_out_of_the_folder_are_refused(location, tmp_path):
    (tmp_path / "weights.bin").write_bytes(WEIGHT.tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(Unsupported, match="tensor 'c0': .*is not inside the model's folder"):
        load_onnx(model_with(location=location), "net", inner)


def test_links_out_of_the_folder_are_refused(tmp_path):
    (tmp_path / "weights.bin").write_bytes(WEIGHT.tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(Unsupported, match="is not inside the model's folder"):
        load_onnx(model_with(), "net", inner)


@pytest.mark.parametrize("entries, size, reason", [
    ({}, None, "there is no such file; copy it there"), ({}, 100, "holds 100 of its 160 bytes; it is trunc"),
    ({"offset": 8}, 160, "holds 152 of its 160"), ({"length": 80}, 160, "80 bytes at 0 for a tensor of 160"),
    ({"offset": -4}, 160, "160 bytes at -4"), ({"offset": 1 << 70}, 160, "weights.bin: "),
])
def test_files_that_do_not_fit_are_named(entries, size, reason, tmp_path):
    if size is not None:
        (tmp_path / "weights.bin").write_bytes(bytes(size))
    with pytest.raises(BadModel, match=f"net: tensor 'c0': .*{reason}"):
        load_onnx(model_with(**entries), "net", tmp_path)


def test_what_is_no_plain_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "weights.bin")
    with pytest.raises(BadModel, match="there is no such file"):
        load_onnx(model_with(), "net", tmp_path)
