"""In which ways a network is quantized where training for it is measured."""

from training_figures import DEFAULT, LEARNED, NEAREST
from training_qat import COARSE, FINE, ways

from toolchain.recipe import QatConfig


def test_each_way_is_a_recipe_of_its_own():
    recipes = ways(COARSE, QatConfig(epochs=2), seed=1)
    assert len({recipe.digest for recipe in recipes.values()}) == len(recipes)
    assert {recipe.quantize.scheme for recipe in recipes.values()} == {COARSE}
    assert {way for way, recipe in recipes.items() if recipe.qat} == {LEARNED, "`[qat]`, ranges fixed"}


def test_eight_bits_are_not_trained():
    assert list(ways(FINE, QatConfig(epochs=2), seed=1)) == [NEAREST, DEFAULT]
