"""The shapes in which other tools take calibration data, from Python and by file.py:name."""

import textwrap

import numpy as np
from onnxruntime.quantization import CalibrationDataReader
import pytest
import torch

from toolchain.data import from_iterable, load_samples
from toolchain.data.iterables import MOST
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.build import Builder

X = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


class Reader(CalibrationDataReader):
    """As onnxruntime's examples write it."""

    def __init__(self):
        self.items = iter([{"image": x[None]} for x in X])

    def get_next(self):
        return next(self.items, None)


class Dataset:
    """nncf.Dataset's two methods (nncf/data/dataset.py), the transform function applied in the second."""

    def get_data(self, indices=None):
        return zip(X, Y)

    def get_inference_data(self, indices=None):
        return (x[None] for x, _ in self.get_data())


def representative_dataset():
    """As TensorFlow's guide to post-training quantization writes it."""
    for x in X:
        yield [x[None]]


def labelled():
    return torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))


def loader(batch_size):
    return torch.utils.data.DataLoader(labelled(), batch_size)


SHAPES = {
    "array": X, "list of arrays, a sample each": lambda: iter(X), "arrays by name": {"x": X, "y": Y},
    "representative_dataset": representative_dataset,
    "representative_dataset of dicts": lambda: ({"image": x[None]} for x in X),
    "representative_dataset with signatures": lambda: (("serving_default", {"image": x[None]}) for x in X),
    "CalibrationDataReader": Reader(), "its class": Reader, "nncf.Dataset": Dataset(),
    "get_calibration_data": lambda: {"serving_default": [{"image": x[None]} for x in X]},
    "DataLoader": loader(4), "torch tensors": lambda: map(torch.from_numpy, X),
    "samples with labels": lambda: zip(X, Y), "batches with labels": lambda: [(X[:4], Y[:4]), (X[4:], Y[4:])],
    "torch's Dataset": labelled(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_samples(shape):
    samples = from_iterable(SHAPES[shape], "mine")
    builder = Builder("net")
    builder.input("image", (1, 4, 3))
    fitted = samples.fit_to(builder.graph("image"))
    assert len(samples) == 6 and np.array_equal(fitted.feeds(slice(None))["image"], X)
    assert np.array_equal(fitted.take(3).feeds(slice(1, 3))["image"], X[[2, 4]])
    if samples.y is not None:
        assert np.array_equal(samples.y, Y)
    labels = ("with labels", "DataLoader", "arrays by name", "torch's Dataset")
    assert (samples.y is not None) == any(word in shape for word in labels)


def test_several_inputs_by_place():
    """A list in the order of the model's inputs, as TFLite has it."""
    builder = Builder("net")
    builder.input("a", (1, 4, 3))
    builder.input("b", (1, 2))
    samples = from_iterable([[x[None], np.full((1, 2), 7.0)] for x in X]).fit_to(builder.graph("a", "b"))
    feeds = samples.feeds(slice(0, 6))
    assert np.array_equal(feeds["a"], X) and (feeds["b"] == 7).all()


def test_what_has_no_end_is_cut_and_says_so():
    def endless():
        while True:
            yield np.zeros(3, np.float32)

    samples = from_iterable(endless, most=50)
    assert len(samples) == 50 and samples.notes == ("only its first 50 samples were read",)
    assert not from_iterable([np.zeros(3)] * 50, most=50).notes
    assert from_iterable([np.zeros((40, 3))] * 2, batched=True, most=50).notes and MOST == 10_000


@pytest.mark.parametrize("items, message", [
    ([], "samples: gave no samples"),
    ([np.zeros(3), np.zeros(4)], r"item 1: 'x' is float64 of \(4,\), unlike those before it"),
    ([{"a": np.zeros((1, 3))}, {"b": np.zeros((1, 3))}], "item 1: has inputs b, unlike those before it"),
    ([{"a": np.zeros((1, 3)), "b": np.zeros((2, 3))}], "item 0: its arrays hold 1, 2 samples; the"),
    (["text"], "item 0: holds str of <U4; it must hold numbers"),
    ([(np.zeros(3), 1), np.zeros(3)], "item 1: has no label, unlike those before it"),
    ({"a": [], "b": []}, "has signatures a, b; give one, or call the one that is deployed serving_default"),
    (7, "samples: is int; it must be an iterable of samples"),
    ([np.zeros((0, 6))], r"item 0: 'x' holds samples of shape \(0, 6\), without a value"),
    ({"x": np.zeros((3, 0))}, r"samples: 'x' holds samples of shape \(0,\), without a value"),
    ({"x": X, "y": Y[:3]}, "must hold as many samples each, at least one, but hold 'x' 6, 'y' 3"),
    ({"x": X, "split": np.array(["dev"] * 6)}, "samples: 'split' holds 'dev'; names are train, calib"),
    ([[[1, 2], [3]]], "item 0: holds list, no array: .*; give single samples as arrays"),
])
def test_what_is_no_sample_is_named(items, message):
    with pytest.raises(BadSamples, match=message):
        from_iterable(items)


def test_arrays_by_name_may_be_split():
    splits = np.repeat(["calibration", "test"], 3)
    samples = from_iterable({"x": X, "y": Y, "split": splits})
    assert list(samples.split("test").rows) == [3, 4, 5] and np.array_equal(samples.splits, splits)


@pytest.mark.parametrize("items", [[[1, 2, 3], [4, 5, 6]], [(1, 2, 3), (4, 5, 6)],
                                   [([1, 2, 3], 0), ([4, 5, 6], 1)]])
def test_a_list_of_numbers_is_a_sample(items):
    assert np.array_equal(from_iterable(items).x["x"], [[1, 2, 3], [4, 5, 6]])


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return path


def test_a_file_s_own_function_and_modules_beside_it(tmp_path):
    write(tmp_path / "numbers_of_mine.py", "import numpy\nX = numpy.ones((5, 2), 'float32')")
    write(tmp_path / "script.py", """
        def representative_dataset():
            from numbers_of_mine import X
            for x in X:
                yield [x[None]]
        def get_calibration_data():
            from numbers_of_mine import X
            return {"serving_default": [{"in": X[:1]}, {"in": X[1:]}]}
        loader = representative_dataset()
    """)
    for spec in (":representative_dataset", ":loader", ""):
        samples = load_samples(f"{tmp_path}/script.py{spec}")
        assert len(samples) == 5 and next(iter(samples.x.values())).shape == (5, 2)


@pytest.mark.parametrize("spec, message", [
    (":missing", "script.py: has no 'missing'; name what gives samples"),
    (":fails", "script.py:fails: ZeroDivisionError: division by zero"),
    ("", "script.py: has no 'get_calibration_data'"),
])
def test_a_file_at_fault_is_named(tmp_path, spec, message):
    write(tmp_path / "script.py", """
        def fails():
            yield [1 / 0]
    """)
    with pytest.raises(BadInput, match=message):
        load_samples(f"{tmp_path}/script.py{spec}")


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(BadInput, match="nowhere.py: no such file"):
        load_samples("nowhere.py:data")
