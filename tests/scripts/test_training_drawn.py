"""What the training benchmark says of networks that draw."""

from itertools import combinations

import mnist_networks
import msgspec
import numpy as np
import pytest
import training_drawn
from training_drawn import FLOAT, LITERT, TASKS, compared, drawn, grid, recipe_of

from toolchain.data import from_iterable
from toolchain.metric import METRIC
from toolchain.recipe import Recipe


def test_how_much_worse_is_told_in_percent_of_the_original_and_paired():
    random = np.random.default_rng(0)
    images, shift = random.random((50, 1, 4, 4)), 0.1 * random.standard_normal((50, 3))
    codes, made = np.zeros((50, 3)), np.full((50, 1, 4, 4), 0.5)
    scores, worse = compared(Recipe(metric="elbo"), images, {
        FLOAT: [made, codes, codes], LITERT: [made, codes + shift, codes]})
    bound = -16 * np.log(2)
    assert scores[FLOAT] == pytest.approx((bound, 0), abs=1e-9)
    lost = 100 * np.square(shift).sum(1) / 2 / -bound
    assert worse[LITERT] == pytest.approx((lost.mean(), lost.std(ddof=1) / np.sqrt(50)))


@pytest.mark.parametrize("network", TASKS)
def test_a_network_learns_from_itself_what_half_of_it_may_forget(network):
    recipe = recipe_of(network, 3)
    assert (recipe.prune.macs, recipe.seed, recipe.quantize.scheme) == (0.5, 3, "static_wi8_ai8")
    assert bool(recipe.features) == (METRIC[recipe.metric].expected == "set")


def test_no_image_is_in_two_parts(kit):
    parts = [{image.tobytes() for image in mnist_networks.split(name)[0]}
             for name in (*mnist_networks.PARTS, "test")]
    assert [len(part) for part in parts] == [*mnist_networks.PARTS.values(), 4000]
    assert not any(first & second for first, second in combinations(parts, 2))


@pytest.mark.slow
@pytest.mark.emulated
def test_a_network_is_trained_halved_and_answers_everywhere(kit, tmp_path, monkeypatch):
    name, few = "recurrent_vae", {"train": 640, "calibration": 64, "selection": 64}
    for module in (mnist_networks, training_drawn):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(mnist_networks, "PARTS", few)
    monkeypatch.setitem(mnist_networks.CASES, name, mnist_networks.CASES[name]._replace(epochs=2))
    train = msgspec.structs.replace(TASKS[name].train, epochs=2)
    monkeypatch.setitem(TASKS, name, TASKS[name]._replace(train=train))
    samples = from_iterable(mnist_networks.images_and_noise).pick(np.arange(sum(few.values()) + 100))
    monkeypatch.setattr(training_drawn, "samples_of", lambda network: samples)
    found = drawn(name, 1, "some key")
    assert (found.n, found.differing) == (100, 0) and 2 * found.macs[1] <= found.macs[0]
    assert found.instructions[1] < 0.7 * found.instructions[0]
    assert all(abs(worse) < 10 for worse, _ in found.worse.values())
    assert list(tmp_path.glob(f"{name}-1-*.pt"))
    grid([found], tmp_path / "grid.png", 2)
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
