"""The table of what quantization-aware training wins back."""

from benchmark_qat import table, ways

from toolchain.recipe import Recipe


def test_a_row_says_what_share_of_the_loss_came_back():
    found = [{"float": (80.0, 100.0), "nearest codes": (70.0, 85.0), "ours": (79.0, 98.0)},
             {"float": (82.0, 100.0), "nearest codes": (72.0, 87.0), "ours": (76.0, 97.0)}]
    assert table(found).splitlines() == [
        "| 4-bit weights | seed 0 | seed 1 | mean | won back | as in float |", "|---|--:|--:|--:|--:|--:|",
        "| float | 80.00 | 82.00 | 81.00 |  | 100.0 |",
        "| nearest codes | 70.00 | 72.00 | 71.00 | 0 % | 86.0 |",
        "| ours | 79.00 | 76.00 | 77.50 | 65 % | 97.5 |"]


def test_each_way_is_a_recipe_of_its_own():
    recipes = ways(epochs=2)
    assert len({recipe.digest for recipe in recipes.values()}) == len(recipes)
    assert all(isinstance(recipe, Recipe) and recipe.quantize.scheme == "static_wi4_ai8"
               for recipe in recipes.values())
