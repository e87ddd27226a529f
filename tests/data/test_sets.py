"""Samples: splits, layouts, conversion batch by batch, and one clear message for a file at fault."""

from dataclasses import replace
import hashlib
import json
import pickle

import numpy as np
import pytest

from toolchain import data
from toolchain.data import Preprocessing, Samples, load_samples
from toolchain.errors import BadConfig, BadSamples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Tensor


def graph_with_input(*shape, permutation=None, **more):
    """A graph that only has inputs: `x` of this shape, and those in `more`."""
    builder = Builder("net")
    for name, size in {"x": shape, **more}.items():
        builder.input(name, size)
    graph = builder.graph("x")
    return graph if permutation is None else replace(graph, permutations={"x": permutation})


def npz(folder, **arrays):
    path = folder / "samples.npz"
    np.savez_compressed(path, **arrays)
    return path


def write_set(folder, changes=None, **arrays):
    """A set of 6 samples of 3 people; `changes` to its manifest, `arrays` to its file."""
    arrays = {"x": np.arange(24, dtype=np.uint8).reshape(6, 2, 2), "y": np.array([0, 1, 0, 1, 0, 1]),
              "split": np.repeat(np.arange(3), 2), "person": np.repeat([7, 8, 9], 2), **arrays}
    path = npz(folder, **arrays)
    manifest = {"name": "tiny", "source": "made up", "licence": "CC0-1.0", "task": "classification",
                "layout": "channels_last", "channels": ["u", "v"], "units": ["g", "g"],
                "classes": ["no", "yes"], "preparation": "none", "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "split": {"names": ["train", "calibration", "test"], "by": "person"}, **(changes or {})}
    tables = {key: value for key, value in manifest.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in manifest.items() if key not in tables]
    for table, entries in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    (folder / "manifest.toml").write_text("\n".join(lines))
    return folder


def test_a_set_gives_its_splits_with_labels_and_their_place_in_the_file(tmp_path):
    samples = load_samples(write_set(tmp_path))
    assert (samples.name, len(samples), samples.classes) == ("tiny", 6, ("no", "yes"))
    calibration = samples.split("calibration")
    assert calibration.rows.tolist() == [2, 3] and calibration.y.tolist() == [0, 1]
    assert calibration.x["x"].dtype == np.uint8


def test_the_committed_set_loads_by_name():
    samples = load_samples("har_watch")
    sizes = {name: len(samples.split(name)) for name in data.SPLITS}
    assert min(sizes.values()) > 200 and sum(sizes.values()) == len(samples)
    assert samples.x["x"].shape[1:] == (100, 6) and samples.layout == "channels_last"


def test_calibration_never_borrows_from_another_split(tmp_path):
    samples = load_samples(npz(tmp_path, x=np.zeros((2, 3)), split=np.array(["train", "test"])))
    with pytest.raises(BadSamples, match="no samples for 'calibration', only for test, train; use a"):
        samples.split("calibration")


def test_an_npz_without_splits_serves_as_whatever_is_asked_for(tmp_path):
    samples = load_samples(npz(tmp_path, x=np.zeros((2, 3), np.float64)))
    assert len(samples.split("calibration")) == len(samples.split("test")) == 2
    assert samples.y is None


def test_preprocessing_is_per_channel_and_in_float32(tmp_path):
    folder = write_set(tmp_path, {"preprocessing": {"mean": [1.0, 2.0], "scale": 2.0}})
    (batch,) = load_samples(folder).fit_to(graph_with_input(1, 2, 2)).batches(10)
    assert batch["x"].dtype == np.float32
    assert batch["x"][0].tolist() == [[-0.5, -0.5], [0.5, 0.5]]


def test_batches_cover_every_sample_once_in_order(tmp_path):
    x = np.arange(7, dtype=np.int16)[:, None]
    samples = load_samples(npz(tmp_path, x=x)).fit_to(graph_with_input(1, 1))
    batches = [batch["x"].ravel().tolist() for batch in samples.batches(3)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_take_spreads_over_files_sorted_by_class(tmp_path):
    samples = load_samples(npz(tmp_path, x=np.zeros((100, 1)), y=np.repeat(np.arange(10), 10)))
    assert samples.take(10).y.tolist() == list(range(10))
    assert samples.take(10).rows.tolist() == list(range(0, 100, 10))
    assert samples.take(1000) is samples


@pytest.mark.parametrize("stored, permutation, expected", [
    ((2, 3, 4), None, "as it is"),
    ((2, 3, 4), (0, 3, 1, 2), "as it is"),
    ((4, 2, 3), (0, 3, 1, 2), "transposed"),
])
def test_samples_may_come_in_the_graph_s_or_the_source_s_layout(tmp_path, stored, permutation, expected):
    x = np.arange(48, dtype=np.float32).reshape(2, *stored)
    samples = load_samples(npz(tmp_path, x=x)).fit_to(graph_with_input(1, 2, 3, 4, permutation=permutation))
    (batch,) = samples.batches(2)
    assert np.array_equal(batch["x"], x if expected == "as it is" else x.transpose(0, 2, 3, 1))


def test_an_ambiguous_shape_is_the_source_s_unless_the_set_states_its_layout(tmp_path):
    graph = graph_with_input(1, 2, 2, permutation=(0, 2, 1))
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    unstated = load_samples(npz(tmp_path, x=x))
    stated = replace(unstated, layout="channels_last")
    assert np.array_equal(unstated.fit_to(graph).feeds(slice(1))["x"], x.transpose(0, 2, 1))
    assert np.array_equal(stated.fit_to(graph).feeds(slice(1))["x"], x)


def test_fitting_twice_is_fitting_once(tmp_path):
    graph = graph_with_input(1, 2, 3, 4, permutation=(0, 3, 1, 2))
    once = load_samples(npz(tmp_path, x=np.arange(24.0).reshape(1, 4, 2, 3))).fit_to(graph)
    assert np.array_equal(once.feeds(slice(1))["x"], once.fit_to(graph).feeds(slice(1))["x"])


def test_several_inputs_go_by_their_names(tmp_path):
    graph = graph_with_input(1, 3, other=(1, 2))
    samples = load_samples(npz(tmp_path, x=np.zeros((4, 3)), other=np.ones((4, 2)), subject=np.zeros(4)))
    feeds = samples.fit_to(graph).feeds(slice(None))
    assert {key: value.shape for key, value in feeds.items()} == {"x": (4, 3), "other": (4, 2)}
    with pytest.raises(BadSamples, match="has arrays first, other but net takes x, other; name one array"):
        load_samples(npz(tmp_path, first=np.zeros((4, 3)), other=np.ones((4, 2)))).fit_to(graph)


def test_a_wrong_shape_says_what_it_got_and_what_is_taken(tmp_path):
    samples = load_samples(npz(tmp_path, x=np.zeros((2, 5, 4))))
    graph = graph_with_input(1, 4, 6, permutation=(0, 2, 1))
    with pytest.raises(BadSamples) as caught:
        samples.fit_to(graph)
    assert str(caught.value) == ("samples.npz: 'x' holds samples of shape (5, 4); net takes (4, 6), or "
                                 "(6, 4) as its source lays it out")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_in_float32_is_named_with_its_sample(tmp_path, value):
    x = np.zeros((9, 2, 2))
    x[7, 1, 0] = value
    samples = load_samples(npz(tmp_path, x=x, split=np.repeat(["train", "test"], [5, 4])))
    with pytest.raises(BadSamples, match="sample 7 of 'x' holds NaN or Inf"):
        list(samples.split("test").fit_to(graph_with_input(1, 2, 2)).batches(2))


@pytest.mark.parametrize("arrays, message", [
    ({"x": np.zeros((0, 3))}, "holds no samples"),
    ({}, "no array of samples"),
    ({"y": np.zeros(3)}, "no array of samples"),
    ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, "'y' has 2 entries for 3 samples"),
    ({"a": np.zeros((3, 2)), "b": np.zeros((2, 2))}, "'b' has 2 entries for 3 samples"),
    ({"a": np.array(["one", "two"])}, "'a' holds <U3; it must hold numbers"),
    ({"x": np.zeros((2, 1)), "split": np.array(["train", "dev"])}, "'split' holds 'dev'; names are"),
    ({"x": np.zeros((2, 1)), "split": np.array([["test"]] * 2)}, "'split' has 2 axes; give one name for"),
    ({"x": np.zeros((2, 1), complex)}, "'x' holds complex128; it must hold numbers"),
    ({"x": np.zeros((2, 0))}, r"'x' holds samples of shape \(0,\), without a value"),
])
def test_a_malformed_npz_is_one_clear_error(tmp_path, arrays, message):
    with pytest.raises(BadSamples, match=message):
        load_samples(npz(tmp_path, **arrays))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle ran",)


def test_pickles_never_run(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, x=np.array([Bomb()], dtype=object))
    with pytest.raises(BadSamples, match="evil.npz: not a readable .npz without pickles"):
        load_samples(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BadSamples, match="not a readable .npz without pickles"):
        load_samples(path)


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b[:100], lambda b: b"",
                                    lambda b: b"\x93NUMPY" + b[:9], lambda b: b[:200] + bytes(60) + b[260:]])
def test_a_damaged_file_is_one_clear_error(tmp_path, damage):
    path = npz(tmp_path, x=np.random.default_rng(0).normal(size=(50, 4)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadSamples, match="samples.npz: not a readable .npz"):
        load_samples(path)


def test_what_is_not_there_names_the_sets_that_are(tmp_path):
    with pytest.raises(BadSamples, match="har_wacht: neither a file nor a sample set; .*: .*har_watch"):
        load_samples("har_wacht")
    with pytest.raises(BadSamples, match="neither manifest.toml nor images, clips, tables or texts in it"):
        load_samples(tmp_path)


@pytest.mark.parametrize("changes, message", [
    ({"sha256": "0" * 64}, "sha256 is .* but manifest.toml says 000000000000"),
    ({"file": "../other.npz"}, "file '../other.npz' is not in the folder"),
    ({"channels": ["u"]}, "'x' has 2 channels but manifest.toml names 1"),
    ({"classes": ["no"]}, "'y' must hold whole numbers in 0..0, as classes says"),
    ({"split": {"names": ["train", "test"], "by": "person"}}, "'split' must hold whole numbers in 0..1"),
    ({"split": {"names": ["train", "calibration", "test"], "by": "side"}}, "no array side, which manifest"),
])
def test_a_manifest_that_its_file_breaks_is_one_clear_error(tmp_path, changes, message):
    with pytest.raises(BadSamples, match=message):
        load_samples(write_set(tmp_path, changes))


@pytest.mark.parametrize("changes, message", [
    ({"layuot": "channels_last"}, "manifest.toml: unknown key 'layuot'; did you mean 'layout'"),
    ({"preprocessing": {"std": 2.0}}, "unknown key 'preprocessing.std'"),
    ({"preprocessing": {"scale": 0.0}}, "preprocessing.scale"),
    ({"split": {"names": ["training"], "by": "person"}}, "split.names"),
    ({"preprocessing": {"scale": [1.0, 2.0, 3.0]}}, "preprocessing.scale has 3 numbers for 2 channels"),
])
def test_a_malformed_manifest_names_file_and_key(tmp_path, changes, message):
    with pytest.raises(BadConfig, match=message):
        load_samples(write_set(tmp_path, changes))


def test_a_person_in_two_splits_is_a_leak(tmp_path):
    with pytest.raises(BadSamples, match="person 8 is in more than one split: samples leak"):
        load_samples(write_set(tmp_path, person=np.array([7, 7, 8, 8, 8, 9], np.uint8)))


def test_samples_stay_as_they_are_stored_until_a_batch_is_asked_for(tmp_path):
    samples = load_samples(npz(tmp_path, x=np.zeros((10, 2), np.float16)))
    fitted: Samples = samples.split("calibration").fit_to(graph_with_input(1, 2))
    assert fitted.x["x"].dtype == np.float16 and np.shares_memory(fitted.x["x"], samples.x["x"])


def token_graph():
    builder = Builder("tokens")
    tokens = builder.input("tokens", (1, 3), "int32")
    return builder.graph(builder.op("cast", [tokens], "y", to="float32"))


def test_tokens_are_fed_as_the_whole_numbers_they_are():
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.int64)
    samples = Samples("set", {"tokens": stored}, None, None, np.arange(2), Preprocessing(mean=9.0))
    feeds = samples.fit_to(token_graph()).feeds(slice(0, 2))["tokens"]
    assert feeds.dtype == np.int32 and np.array_equal(feeds, stored)


def test_a_token_that_is_no_whole_number_is_refused():
    samples = Samples("set", {"tokens": np.float32([[1, 2.5, 3]])}, None, None, np.arange(1))
    with pytest.raises(BadSamples, match="set: sample 0 of 'tokens' holds 2.5, but takes int32; is it the"):
        samples.fit_to(token_graph()).feeds(slice(0, 1))


@pytest.mark.parametrize("token", [-1, 5])
def test_a_token_that_the_table_has_not_is_named_with_its_sample(token):
    builder = Builder("net")
    tokens = builder.input("tokens", (1, 3), "int32")
    table = builder.constant("table", np.zeros((5, 2), np.float32))
    graph = builder.graph(builder.op("gather", [table, tokens], "y", axis=0))
    stored = np.array([[0, 1, 4], [2, token, 3]])
    samples = Samples("set", {"tokens": stored}, None, None, np.arange(2)).fit_to(graph)
    assert np.array_equal(samples.feeds(slice(0, 1))["tokens"], stored[:1])
    with pytest.raises(BadSamples, match=f"set: sample 1 of 'tokens' holds {token}, but takes 0 to 4; is it"):
        samples.feeds(slice(0, 2))


@pytest.mark.parametrize("layout", [None, "channels_last"])
def test_targets_come_in_the_layout_of_the_first_output(layout):
    """Images as the source lays them out are turned; those that lie as the graph's do, and labels, stay."""
    graph = Graph("draws", {"y": Tensor("y", (1, 4, 5, 3))}, (), (), ("y",), {"y": (0, 3, 1, 2)})
    stored = np.random.default_rng(0).random((2, 3, 4, 5))

    def targets(y):
        return Samples("set", {}, y, None, np.arange(2), layout=layout).targets(graph)

    assert np.array_equal(targets(stored), stored.transpose(0, 2, 3, 1))
    turned = stored.transpose(0, 2, 3, 1)
    assert targets(turned) is turned and targets(None) is None
    assert targets(np.arange(2)).tolist() == [0, 1]


def test_targets_of_a_network_that_gives_images_channels_first_may_be_channels_last():
    graph = Graph("draws", {"y": Tensor("y", (1, 3, 4, 5))}, (), (), ("y",))
    stored = np.random.default_rng(0).random((2, 3, 4, 5))
    for y in (stored, stored.transpose(0, 2, 3, 1)):
        assert np.array_equal(Samples("set", {}, y, None, np.arange(2)).targets(graph), stored)
