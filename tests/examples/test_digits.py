"""The digits example: what it promises to whoever hands it to edge, and how its figures come about."""

from functools import partial
import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch

from docs.examples.digits import train
from toolchain import deploy
from toolchain.drawing import drawn
from toolchain.examination import set_exam
from toolchain.features import FEATURES_FILE
from toolchain.generation import elbo, frechet_distance
from toolchain.load import load
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import QuantSpec, Recipe

FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "digits" / "model.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("digits_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def features(example):
    network, _ = example.features()
    return lambda images: network(images).detach().numpy()


def artifact(tmp_path: Path, name: str, metric: str) -> Path:
    recipe = Recipe(metric=metric, features=f"{FILE}:features" if metric == "frechet" else "",
                    quantize=QuantSpec(scheme="float32"))
    made = build(prepare(load(f"{FILE}:{name}"), recipe, None), load_target("host"), None)
    return made.write(tmp_path / name)


def test_the_classifier_that_gives_features_knows_digits(example):
    images, digits = example.split("test")
    with torch.no_grad():
        assert (example.trained("classifier")(images).argmax(1) == digits).float().mean() > 0.95


def test_generated_digits_are_of_all_classes_and_as_far_from_real_ones_as_other_real_ones(example, features):
    generator, _ = example.generator()
    samples = example.noise()
    test = samples["split"] == "test"
    with torch.no_grad():
        made = generator(torch.from_numpy(samples["x"][test]))
        classes = example.trained("classifier")(made).argmax(1)
    real = features(example.split("test")[0])
    other = frechet_distance(features(example.split("train")[0][:500]), real)
    assert frechet_distance(features(made), real) < 1.5 * other
    assert torch.bincount(classes, minlength=10).min() >= 20


def test_a_generator_s_artefact_is_judged_in_the_features_that_go_with_it(example, features, tmp_path):
    folder = artifact(tmp_path, "generator", "frechet")
    opened = deploy.open_artifact(folder)
    assert FEATURES_FILE in opened.files
    exam = set_exam(opened, f"{FILE}:noise")
    for fmt in ("tflite", "onnx"):
        found = deploy.evaluate(opened, None, fmt, exam).evaluation
        network, _ = example.generator()
        made = features(network(torch.from_numpy(exam.samples.x["x"])))
        wanted = frechet_distance(made, features(example.split("test")[0]))
        assert (found.metric, found.n) == ("frechet", 500) and found.value == pytest.approx(wanted, rel=1e-3)
    png = drawn([folder, folder], f"{FILE}:noise", "test", 4)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    half = len(pixels) // 2
    assert np.array_equal(pixels[:half], pixels[half:]) and len(np.unique(pixels)) > 50


@pytest.mark.parametrize("name", ["vae", "recurrent_vae"])
def test_an_autoencoder_s_artefact_takes_image_and_noise_and_is_judged_by_all_its_outputs(example, name,
                                                                                          tmp_path):
    opened = deploy.open_artifact(artifact(tmp_path, name, "elbo"))
    exam = set_exam(opened, f"{FILE}:images_and_noise")
    images, noise = (torch.from_numpy(exam.samples.x[key]) for key in ("image", "noise"))
    images = images.permute(0, 3, 1, 2)
    with torch.no_grad():
        outputs = [x.numpy() for x in getattr(example, name)()[0](images, noise)]
    for fmt in ("tflite", "onnx"):
        found = deploy.evaluate(opened, None, fmt, exam).evaluation
        assert found.value == pytest.approx(elbo(images.numpy(), *outputs).mean(), rel=1e-4)
        assert -26 < found.value < -20 and found.n == 500


@pytest.mark.parametrize("name", ["decoder", "recurrent_decoder"])
def test_codes_are_drawn_as_digits_of_all_classes(example, features, name, tmp_path):
    network, _ = getattr(example, name)()
    opened = deploy.open_artifact(artifact(tmp_path, name, "frechet"))
    exam = set_exam(opened, f"{FILE}:codes")
    with torch.no_grad():
        made = network(torch.from_numpy(exam.samples.x["x"]))
        classes = example.trained("classifier")(made).argmax(1)
    assert torch.bincount(classes, minlength=10).min() >= 20
    wanted = frechet_distance(features(made), features(example.split("test")[0]))
    for fmt in ("tflite", "onnx"):
        assert deploy.evaluate(opened, None, fmt, exam).evaluation.value == pytest.approx(wanted, rel=1e-3)
    assert drawn([tmp_path / name], f"{FILE}:codes", "test", 4).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["gan", "vae", "recurrent_vae", "classifier"])
def test_training_is_seeded_and_leaves_the_random_state_alone(example, name, monkeypatch):
    monkeypatch.setitem(train.TRAINING, name, partial(train.TRAINING[name], epochs=1))
    before = torch.random.get_rng_state()
    first, second = train.train(name), train.train(name)
    assert torch.equal(before, torch.random.get_rng_state()) and first.keys() == second.keys()
    for key, network in first.items():
        weights = network.state_dict()
        assert weights.keys() == example.trained(key).state_dict().keys()
        assert all(torch.equal(value, second[key].state_dict()[part]) for part, value in weights.items())
