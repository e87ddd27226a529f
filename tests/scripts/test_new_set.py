"""A user's images, clips and tables become sample sets, split by group, the same bytes each time."""

from pathlib import Path
import subprocess
import sys
import wave

import new_set
from new_set import parse_shares, splits_of
import numpy as np
from PIL import Image
import prepare_audio
import prepare_images
import prepare_sensor
import pytest
import sample_set

from toolchain.data import Samples, load_samples
from toolchain.data.audio import read_clip
from toolchain.data.mfcc import MLPERF_TINY, features
from toolchain.errors import BadInput, ToolchainError

ROOT = Path(__file__).parents[2]
STATED = ["--licence", "CC0-1.0", "--source", "made by this test"]


@pytest.fixture
def sets(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(sample_set, "ROOT", tmp_path / "sets")
    return tmp_path / "sets"


def make(script, monkeypatch, *options) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, options), *STATED])
    script.main()


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes of 20 photos, 5 from each of 8 places."""
    rng = np.random.default_rng(0)
    for i in range(40):
        file = tmp_path / "photos" / ("cat", "dog")[i % 2] / f"place{i % 8}_{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).save(file)
    return tmp_path / "photos"


def test_images_are_cropped_labelled_and_split_by_place(sets, photos, monkeypatch):
    options = (photos, "--name", "pets", "--resize", 8, "--crop", 8, "--mean", 127, "--scale", 128,
               "--group", r"(place\d)")
    make(prepare_images, monkeypatch, *options)
    made = load_samples(sets / "pets")
    assert made.x["x"].shape == (40, 8, 8, 3) and made.classes == ("cat", "dog")
    assert made.preprocessing.mean == 127 and set(made.splits) == set(sample_set.SPLITS)
    with np.load(sets / "pets/samples.npz") as arrays:
        groups = arrays["group"]
    assert len(set(groups)) == 8
    assert all(len(set(made.splits[groups == group])) == 1 for group in set(groups))
    before = (sets / "pets/samples.npz").read_bytes(), (sets / "pets/manifest.toml").read_bytes()
    make(prepare_images, monkeypatch, *options)
    assert before == ((sets / "pets/samples.npz").read_bytes(), (sets / "pets/manifest.toml").read_bytes())


def test_clips_become_mlperf_tinys_features(sets, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    (tmp_path / "clips").mkdir()
    for i in range(4):
        with wave.open(str(tmp_path / f"clips/{i}.wav"), "wb") as clip:
            clip.setnchannels(1), clip.setsampwidth(2), clip.setframerate(16000)
            clip.writeframes(rng.integers(-9000, 9000, 16000, np.int16).tobytes())
    make(prepare_audio, monkeypatch, tmp_path / "clips", "--name", "noise", "--features", "mfcc",
         "--shares", "calibration=0.5,test=0.5")
    made = load_samples(sets / "noise")
    assert made.x["x"].shape == (4, 49, 10, 1) and sorted(made.splits) == ["calibration"] * 2 + ["test"] * 2
    _, signal = read_clip(tmp_path / "clips/2.wav")
    np.testing.assert_array_equal(made.x["x"][2][..., 0], features(signal, MLPERF_TINY))


def test_readings_become_windows_split_by_person(sets, tmp_path, monkeypatch):
    lines = ["time,ax,ay,move,person"]
    lines += [f"{t},{t * 0.5},{-t},{'walk' if t % 40 < 20 else 'sit'},p{t // 40}" for t in range(160)]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    make(prepare_sensor, monkeypatch, tmp_path / "log.csv", "--name", "moves", "--window", 10,
         "--label", "move", "--group-column", "person", "--ignore", "time", "--units", "g",
         "--shares", "train=0.25,calibration=0.25,selection=0.25,test=0.25")
    made = load_samples(sets / "moves")
    assert made.x["x"].shape == (16, 10, 2) and made.classes == ("sit", "walk")
    assert sorted(np.unique(made.splits, return_counts=True)[1]) == [4, 4, 4, 4]


def plain(count: int) -> Samples:
    return Samples("s", {"x": np.zeros((count, 1))}, None, None, np.arange(count))


def test_splits_keep_their_shares():
    groups = [f"g{i // 3}" for i in range(300)]
    counts = np.bincount(splits_of(plain(300), groups, new_set.SHARES), minlength=4)
    np.testing.assert_allclose(counts, [210, 30, 30, 30], atol=3)


def test_too_few_groups_for_the_splits_are_named():
    with pytest.raises(BadInput, match="s: 2 groups for 4 splits"):
        splits_of(plain(4), ["a", "a", "b", "b"], new_set.SHARES)


@pytest.mark.parametrize("text", ["train=1.5,test=-0.5", "train=0.5", "training=1", "train=x,test=1"])
def test_shares_that_are_none_say_what_they_look_like(text):
    with pytest.raises(BadInput, match="add up to 1"):
        parse_shares(text)


def test_a_mistake_is_one_line(tmp_path):
    script = Path(prepare_images.__file__)
    done = subprocess.run([sys.executable, script, tmp_path, "--name", "none", *STATED],
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize("options, message", [
    (("--name", "../pets"), "--name ../pets: give letters, digits"),
    (("--name", "pets", "--group", "("), "--group '.' is no regular expression: missing"),
    (("--name", "pets", "--mean", 1, 2), "preprocessing.mean has 2 numbers for 3 channels"),
    (("--name", "pets", "--crop", 0), "an option is out of its range: .*crop"),
])
def test_an_option_at_fault_is_named_and_nothing_written(sets, photos, monkeypatch, options, message):
    with pytest.raises(ToolchainError, match=message):
        make(prepare_images, monkeypatch, photos, *options)
    assert not sets.exists()


def test_units_are_of_each_channel_or_of_all(sets, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("ax,ay\n1,2\n3,4\n")
    options = (tmp_path / "a.csv", "--name", "s", "--window", 1, "--shares", "test=1", "--units")
    with pytest.raises(BadInput, match="--units: 3 for the channels ax, ay; give one for each, or one for"):
        make(prepare_sensor, monkeypatch, *options, "g", "g", "g")
    make(prepare_sensor, monkeypatch, *options, "g")
    assert 'units = ["g", "g"]' in (sets / "s/manifest.toml").read_text()


def test_a_set_of_other_samples_is_not_written_over(sets, photos, monkeypatch):
    (sets / "pets").mkdir(parents=True)
    other = (ROOT / "calibration_data/photos/manifest.toml").read_text()
    (sets / "pets/manifest.toml").write_text(other)
    with pytest.raises(BadInput, match="--name pets: .* is a set of another --source"):
        make(prepare_images, monkeypatch, photos, "--name", "pets")
    assert (sets / "pets/manifest.toml").read_text() == other
