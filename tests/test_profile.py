"""Profiles and recipes: facts are read, mistakes are named with file, key, value and remedy."""

import pytest

from tests.board import PROFILE
from toolchain.errors import BadConfig, Unsupported
from toolchain.lower import require_known_kinds
from toolchain.profile import TARGETS, load_profile, load_target, target_names
from toolchain.recipe import PruneConfig, Recipe, load_recipe


def written(tmp_path, text):
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "profile.toml").write_text(text)
    return folder / "profile.toml"


def test_every_committed_target_has_a_sound_profile():
    assert {"host", "android_arm64", "raspberry_pi_4", "cortex_m4_qemu"} <= set(target_names())
    for name in target_names():
        profile = load_target(name)
        assert profile.name == name and (TARGETS / name / "profile.toml").is_file()


def test_a_target_of_ones_own_is_a_folder(tmp_path):
    profile = load_target(str(written(tmp_path, PROFILE).parent))
    assert (profile.name, profile.ram_bytes, profile.emulated) == ("board", 200_000, False)


@pytest.mark.parametrize("old, new, message", [
    ("ram_bytes", "ram_byte", r"profile\.toml: unknown key 'ram_byte'; did you mean 'ram_bytes'\?"),
    ("200_000", "-1", r"profile\.toml: ram_bytes: expected int >= 1"),
    ("80_000_000", '"fast"', r"profile\.toml: clock_hz: expected int, got str"),
    ('formats = ["c"]', 'formats = ["c"]\nalso = ["c"]', r"format 'c' stands in formats and in also"),
    ('formats = ["c"]', 'formats = ["elf"]',
     r"profile\.toml: formats\[0\]: invalid enum value 'elf'; it can be tflite, onnx, c"),
    ('core = "cortex-m4"', "", r"profile\.toml: missing key core"),
    ("compiler", "# compiler", r"profile\.toml: format 'c' needs a compiler"),
    ("= 1_000_000", "=", r"profile\.toml: not valid TOML"),
    ('core =', 'name = "mine"\ncore =', r"profile\.toml: name and folder are the folder's own"),
])
def test_mistakes_in_a_profile_are_named(tmp_path, old, new, message):
    with pytest.raises(BadConfig, match=message):
        load_profile(written(tmp_path, PROFILE.replace(old, new)))


def test_a_kind_of_op_that_the_table_has_not_is_named(tmp_path):
    profile = load_profile(written(tmp_path, PROFILE + "channel_multiple = { conv_2d = 8 }"))
    with pytest.raises(BadConfig, match="target board: channel_multiple names conv_2d; the op table has abs"):
        require_known_kinds(profile)


def test_an_unknown_target_lists_the_known_ones():
    message = r"unknown target 'rpi'; known targets: .*raspberry_pi_4.*docs/own-target\.md"
    with pytest.raises(Unsupported, match=message):
        load_target("rpi")


def test_a_recipe_has_sections_with_defaults(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 3\n[prune]\nratio = 0.4\n[calibrate]\nobserver = 'percentile'\n")
    recipe = load_recipe(path)
    assert recipe.prune == PruneConfig(ratio=0.4) and recipe.train is None
    assert (recipe.calibrate.percentile, recipe.quantize.scheme, recipe.seed) == (99.99, "static_wi8_ai8", 3)


@pytest.mark.parametrize("text, message", [
    ("[prune]\nratoi = 0.4\n", r"unknown key 'prune\.ratoi'; did you mean 'prune\.ratio'\?"),
    ("[prune]\nratio = 1.0\n", r"prune\.ratio: expected float < 1"),
    ("[calibrate]\nobserver = 'kl'\n", r"calibrate\.observer: invalid enum value 'kl'; it can be "
     "minmax, "),
    ("[quantize]\nscheme = 'int8'\n", r'recipe\.toml: .* "int8": no such .* mean "static_wi8_ai8"\?'),
    ("[quantize]\nscheme = 'statik_wi8_ai16'\n", r'"statik_wi8_ai16": no such .* mean "static_wi8_ai16"\?'),
    ("[quantize]\nscheme = 'int1'\n", r'"int1": no such scheme; known are static_wi8_ai8, .*float32'),
    ("[quantize]\nscheme = 'float16'\naccuracy_drop = 1\nequalise = true\n",
     r'recipe\.toml: .*"float16" leaves activations in float, where equalise, accuracy_drop would do'),
    ("[quantize]\nscheme = 'float16'\n[qat]\nepochs = 1\n",
     r'recipe\.toml: \[qat\] trains .* codes, .*"float16" leaves them in float; leave \[qat\] out, or take'),
    ("[quantize]\nscheme = 'dynamic_wi8_afp32'\n[qat]\nepochs = 1\n", '"dynamic_wi8_afp32" leaves them in f'),
    ("[quantize]\nrounding = 'gptq'\naccuracy_drop = 1\n[qat]\nepochs = 1\n",
     r"\[quantize\] rounding, accuracy_drop would move these codes again; leave it out, or \[qat\]"),
    ("[quantize]\nbias_correction = 'empirical'\n[qat]\nepochs = 1\n", "bias_correction would move these"),
    ("[quantize.islands]\na = 'int16'\n[qat]\nepochs = 1\n", r'one width .* take ranges = "fixed"'),
    ("[cluster]\n[qat]\nepochs = 1\n", r"\[qat\] trains each weight by itself, where \[cluster\] would do"),
    ("[qat]\nepochs = 1\nranges = 'free'\n", r"qat\.ranges: invalid enum value 'free'; it can be fixed, l"),
    ("[quantize]\nscheme = 'weight_only_wi4_afp32'\nislands = {a = 'int16'}\n", "where islands would do"),
])
def test_mistakes_in_a_recipe_are_named(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=message):
        load_recipe(path)


@pytest.mark.parametrize("text", [
    "scheme = 'static_wi8_ai16'\nequalise = true\n[qat]\nepochs = 1\n",
    "scheme = 'static_wi4_ai8'\nislands = {a = 'int16'}\n[qat]\nepochs = 1\nranges = 'fixed'\n",
    "bias_correction = 'none'\n[qat]\nepochs = 1\noptimizer = 'sgd'\nmomentum = 0.5\n"])
def test_what_goes_with_quantization_aware_training_is_taken(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(f"[quantize]\n{text}")
    assert load_recipe(path).qat.epochs == 1


def test_the_recipe_digest_is_of_its_values():
    assert Recipe().digest == Recipe(seed=0).digest != Recipe(seed=1).digest
