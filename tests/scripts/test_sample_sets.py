"""The scripts that make sample sets: no code of a source runs, the bytes are the same again."""

import gzip
import hashlib
import io
import os
import pickle
import tomllib

import numpy as np
import prepare_digits
from prepare_digits import read_digits, with_splits
import prepare_har_watch
from prepare_har_watch import STEP, SUBJECTS, WINDOW, ArraysOnly, cut_windows
import pytest
from sample_set import ROOT, SPLITS, npz_bytes, toml
from wheels import check_sha256


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_a_pickle_that_asks_for_more_than_arrays_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="mkdir, which is not an array"):
        ArraysOnly(io.BytesIO(pickle.dumps({"X": RunsCode()}))).load()
    assert not (tmp_path / "was-run").exists()


def test_bytes_come_in_latin1_only():
    with pytest.raises(pickle.UnpicklingError, match="'zlib_codec'"):
        ArraysOnly.ALLOWED["_codecs", "encode"]("x", "zlib_codec")


def test_a_wheel_that_is_not_the_pinned_one_ends_it():
    assert check_sha256(b"abc", hashlib.sha256(b"abc").hexdigest(), "abc") == b"abc"
    with pytest.raises(SystemExit, match="abd: sha256 is .*, expected 00; remove it"):
        check_sha256(b"abd", "00", "abd")


def test_windows_overlap_in_training_only():
    ramp = np.arange(250, dtype=np.float64)[:, None].repeat(6, axis=1)
    cut = cut_windows({"X": [ramp, ramp], "y": np.array([3, 4]), "subject": np.array([1, 8])})
    starts = {name: cut["x"][cut["split"] == SPLITS.index(name), 0, 0].tolist() for name in ("train", "test")}
    assert starts == {"train": [0, 50, 100, 150], "test": [0, 100]}
    assert STEP["test"] == STEP["calibration"] == STEP["selection"] == WINDOW
    assert cut["y"].tolist() == [3, 3, 3, 3, 4, 4]


def test_nobody_is_in_two_splits():
    people = [person for group in SUBJECTS.values() for person in group]
    assert sorted(people) == list(range(1, 11))


def test_the_same_arrays_give_the_same_bytes_which_numpy_reads():
    arrays = {"x": np.arange(6, dtype=np.float16).reshape(2, 3), "y": np.array([1, 0])}
    data = npz_bytes(arrays)
    assert data == npz_bytes(arrays)
    with np.load(io.BytesIO(data)) as read:
        assert {key: (read[key].dtype, read[key].tolist()) for key in read} == \
            {key: (array.dtype, array.tolist()) for key, array in arrays.items()}


def test_a_manifest_reads_back_as_it_was_given():
    manifest = {"name": 'a "quoted" \\ name', "notice": "two\nlines\n", "channels": ["ä", "b"],
                "split": {"names": ["train"], "by": "who"}, "preprocessing": {"mean": 127.0}}
    assert tomllib.loads(toml(manifest)) == manifest


def test_rows_of_digits_become_images():
    pixels = ",".join(str(i % 17) for i in range(64))
    digits = read_digits(gzip.compress(f"{pixels},7\n{pixels},3\n".encode()))
    assert digits["x"].shape == (2, 8, 8, 1) and digits["y"].tolist() == [7, 3]
    assert digits["x"][0, 1, 2, 0] == 10 and digits["x"].dtype == np.uint8


def test_no_digit_is_in_two_splits():
    arrays = with_splits({"y": np.zeros(1000, np.int64)})
    assert np.bincount(arrays["split"]).tolist() == [150, 100, 250, 500]
    assert np.array_equal(arrays["digit"], np.arange(1000))


@pytest.mark.slow
@pytest.mark.parametrize("script, name", [(prepare_har_watch, "har_watch"), (prepare_digits, "digits")])
def test_the_committed_set_is_what_the_script_makes(script, name, tmp_path, monkeypatch):
    monkeypatch.setattr("sample_set.ROOT", tmp_path)
    script.main()
    for file in ("manifest.toml", "samples.npz"):
        assert (tmp_path / name / file).read_bytes() == (ROOT / name / file).read_bytes()


def test_the_committed_windows_are_the_kits(kit):
    with np.load(ROOT / "har_watch" / "samples.npz") as ours:
        label_of = {x.tobytes(): (y, who) for x, y, who in zip(ours["x"], ours["y"], ours["subject"])}
    for file in sorted((kit / "har_watch").glob("*.npz")):
        with np.load(file) as theirs:
            found = [label_of.get(x.tobytes()) for x in theirs["x"]]
            assert found == list(zip(theirs["y"], theirs["subject"]))
