"""The messages example: two networks that tell languages, and what INT8 leaves of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.zoo.catalogue import Entry
from tests.zoo.judge import judge
from tests.zoo.promises import broken
from toolchain import deploy
from toolchain.data import load_samples
from toolchain.examination import set_exam
from toolchain.load import load
from toolchain.pipeline import build_model
from toolchain.profile import load_target
from toolchain.recipe import load_recipe
from toolchain.runtime import reference

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "examples" / "messages"
FILE = FOLDER / "model.py"
NETWORKS = ("gru", "transformer")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("messages_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def samples():
    return load_samples("messages")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_tell_languages_of_messages_that_they_never_saw(example, name):
    assert example.accuracy(example.trained(name), "test") > 0.83


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loaded_graph_answers_what_the_network_does(example, name, samples):
    graph = load(f"{FILE}:{name}")
    feeds = next(samples.split("test").take(12).fit_to(graph).batches(12))
    with torch.no_grad():
        wanted = example.trained(name)(torch.from_numpy(feeds["tokens"])).numpy()
    found, = reference.run(graph, feeds).values()
    assert np.allclose(found, wanted, atol=1e-4 * np.ptp(wanted)) and wanted.shape == (12, 12)


def test_no_message_and_no_text_is_in_two_splits(samples):
    with np.load(FOLDER.parents[2] / "calibration_data" / "messages" / "samples.npz") as stored:
        for of in (stored["message"], np.unique(stored["x"], axis=0, return_inverse=True)[1]):
            assert all(len(np.unique(samples.splits[of == one])) == 1 for one in np.unique(of))


def test_characters_are_those_of_the_vocabulary(example, samples):
    known = (FOLDER / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(known) == len(set(known)) == example.CHARACTERS == samples.x["x"][:].max() + 1
    assert known[0] == "[PAD]" and known[example.UNKNOWN] == "[UNK]"


def test_augmented_messages_begin_later_and_hide_characters(example):
    torch.manual_seed(3)
    tokens = torch.zeros(500, 64, dtype=torch.int32)
    tokens[:, :40] = torch.arange(2, 42)
    found = example.augment(tokens)
    shown = (found != 0).sum(1)
    assert shown.min() >= 20 and shown.max() == 40
    hidden = (found == example.UNKNOWN).sum() / shown.sum()
    assert abs(hidden - example.HIDDEN) < 0.02
    kept = (found > 1)[:, 1:] & (found > 1)[:, :-1]
    assert ((found[:, 1:] - found[:, :-1])[kept] == 1).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_seeded_and_leaves_the_random_state_alone(example, name, monkeypatch):
    x, y = example.split("train")
    monkeypatch.setattr(example, "split", lambda _: (x[:128], y[:128]))
    before = torch.random.get_rng_state()
    first, second = (example.train(name, epochs=1).state_dict() for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert first.keys() == example.trained(name).state_dict().keys()


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
def test_they_keep_the_zoo_s_promises(example, name, tmp_path):
    """Float files, INT8 files and C beside PyTorch: docs/zoo.md says what is promised."""
    def draw(count: int, seed: int) -> np.ndarray:
        tokens, _ = example.split("calibration" if seed == 1 else "test")
        return tokens[np.random.default_rng(seed).permutation(len(tokens))[:count]].numpy()

    result = judge(Entry(f"messages_{name}", name, f"docs/examples/messages/model.py:{name}", draw), tmp_path)
    assert broken(result) == set(), result
    assert not result.refused


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_in_int8_they_lose_less_than_a_point(example, name, tmp_path):
    made = build_model(f"{FILE}:{name}", load_target("host"), load_recipe(FOLDER / "recipe.toml"), "messages")
    opened = deploy.open_artifact(made.write(tmp_path / name))
    exam = set_exam(opened, "messages")
    for fmt in ("tflite", "onnx"):
        found = deploy.evaluate(opened, None, fmt, exam).evaluation
        assert found.n == 1109 and found.value > example.accuracy(example.trained(name), "test") - 0.01
