"""Recipes on their way to a file and back."""

from hypothesis import given
from hypothesis import strategies as st
import msgspec
import pytest

from toolchain.errors import BadConfig
from toolchain.input_section import ResizeConfig
from toolchain.recipe import (
    CalibrateConfig,
    EarlierConfig,
    InputConfig,
    PruneConfig,
    QuantSpec,
    Recipe,
    TrainConfig,
    load_recipe,
)
from toolchain.tomlfile import encode_toml

RECIPES = (
    Recipe(),
    Recipe(calibrate=CalibrateConfig(observer="mse", samples=7), seed=3),
    Recipe(quantize=QuantSpec(equalise=True, islands={"a.b*": "float32", 'quote"d': "int16"},
                              accuracy_drop=0.5)),
    Recipe(earlier=(EarlierConfig(train=TrainConfig(epochs=2)),
                    EarlierConfig(train=TrainConfig(epochs=2), prune=PruneConfig(shares={"a.b": 0.5})))),
    Recipe(shapes={"x": (1, 3, 8, 8)}, prune=PruneConfig(ratio=0.25), input=InputConfig(
        mean=(1.5, 2, 3), std=2, labels=("ja", "nein"), resize=ResizeConfig(size=(8, 6)))),
)


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_a_recipe_is_read_back_as_it_was_written(tmp_path, recipe):
    path = tmp_path / "recipe.toml"
    path.write_text(encode_toml(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_a_misspelt_key_of_an_array_is_named(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("[[earlier]]\n[earlier.train]\nepochs = 1\n[[earlier]]\n[earlier.train]\nepoch = 1\n")
    with pytest.raises(BadConfig, match="unknown key 'earlier.1.train.epoch'; did you mean"):
        load_recipe(path)


def test_defaults_are_not_stated():
    assert encode_toml(Recipe()) == ""
    assert encode_toml(Recipe(calibrate=CalibrateConfig(samples=7))) == "[calibrate]\nsamples = 7\n"


@given(st.text(), st.floats(0, 100))
def test_any_name_and_number_survives(tmp_path_factory, name, drop):
    recipe = Recipe(quantize=QuantSpec(islands={name: "int16"}, accuracy_drop=drop))
    path = tmp_path_factory.mktemp("toml") / "recipe.toml"
    path.write_bytes(encode_toml(recipe).encode("utf-8"))
    assert load_recipe(path) == recipe
    assert msgspec.json.encode(load_recipe(path)) == msgspec.json.encode(recipe)
