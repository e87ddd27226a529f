"""Sections that shrink and train: keys that would do nothing together are refused in a line."""

import pytest

from toolchain.errors import BadConfig
from toolchain.recipe import QuantSpec, Recipe, load_recipe
from toolchain.shape_sections import LowRankConfig
from toolchain.tomlfile import encode_toml
from toolchain.training_sections import ClusterConfig, PruneConfig, QatConfig, SparsifyConfig, TrainConfig


@pytest.mark.parametrize("section, given, told", [
    (PruneConfig, {"macs": 0.5, "schedule": "gates", "importance": "l1", "blocks": True},
     r'schedule = "gates" chooses by itself what goes, where importance, blocks would do nothing; leave'),
    (PruneConfig, {"macs": 0.5, "schedule": "gates", "scope": "layer"}, "where scope would do nothing"),
    (PruneConfig, {"macs": 0.5, "schedule": "batch_norm_l1", "importance": "taylor"}, "where importance"),
    (PruneConfig, {"macs": 0.5, "schedule": "batch_norm_l1", "blocks": True}, "where blocks would do n"),
    (LowRankConfig, {"form": "spatial"}, r"\[low_rank\] has no budget; give exactly one of macs, parameters"),
    (LowRankConfig, {"macs": 0.5, "latency_us": 9.0}, "has macs and latency_us; give exactly one of"),
    (SparsifyConfig, {"threshold": 0.1, "scope": "tensor"}, "threshold is the same for all tensors, whe"),
    (SparsifyConfig, {"pattern": "2:4", "scope": "tensor"}, 'pattern = "2:4" is the same for all tensors'),
    (TrainConfig, {"epochs": 1, "momentum": 0.5}, 'momentum is of optimizer = "sgd"; leave it out'),
    (TrainConfig, {"epochs": 1, "loss": "a.py:f", "label_smoothing": 0.1}, "label_smoothing would do"),
    (TrainConfig, {"epochs": 1, "alpha": 1.0, "loss": "a.py:f"}, "all to the teacher, where loss w"),
    (TrainConfig, {"epochs": 1, "alpha": 1.0, "label_smoothing": 0.1}, "where label_smoothing would"),
    (TrainConfig, {"epochs": 1, "transfer": "attention"}, "transfer would do nothing without features; name"),
    (TrainConfig, {"epochs": 1, "beta": 2.0}, "beta would do nothing without features; name"),
    (TrainConfig, {"epochs": 1, "alpha": 0.0, "teacher": "a.onnx"}, "where teacher = a.onnx would do"),
    (TrainConfig, {"epochs": 1, "features": {"a": "b", "c": ""}}, "features names no tensor"),

    (QatConfig, {"epochs": 1, "momentum": 0.5}, r'^\[qat\] momentum is of optimizer = "sgd"; leave it out'),
    (QatConfig, {"epochs": 1, "alpha": 1.0, "label_smoothing": 0.1}, r"^\[qat\] alpha = 1 leaves all to"),
    (QatConfig, {"epochs": 1, "teacher": "a.onnx", "features": ("a",)}, "teacher, features is of .train.")])
def test_what_would_do_nothing_is_refused(section, given, told):
    with pytest.raises(BadConfig, match=told) as refused:
        section(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given, told", [
    ({"quantize": QuantSpec(rounding="gptq", equalise=True)},
     r"\[quantize\] equalise, rounding may give weights that share a value codes of their own"),
    ({"quantize": QuantSpec(accuracy_drop=1.0)}, r"\[quantize\] accuracy_drop may give weights"),
    ({"sparsify": SparsifyConfig(sparsity=0.5, schedule="gradual")}, 'schedule = "gradual" finds zeros w')])
def test_what_would_part_shared_values_is_refused(given, told):
    with pytest.raises(BadConfig, match=told) as refused:
        Recipe(cluster=ClusterConfig(), **given)
    assert "\n" not in str(refused.value) and Recipe(**given) and Recipe(cluster=ClusterConfig())


@pytest.mark.parametrize("section, given", [
    (PruneConfig, {"macs": 0.5, "steps": 3}),
    (PruneConfig, {"macs": 0.5, "schedule": "gates", "steps": 3, "keep": ("a",)}),
    (PruneConfig, {"macs": 0.5, "schedule": "batch_norm_l1", "importance": "batch_norm", "scope": "layer"}),
    (SparsifyConfig, {"sparsity": 0.5, "pattern": "1x4", "scope": "tensor"}),
    (TrainConfig, {"epochs": 1, "optimizer": "sgd", "momentum": 0.5}),
    (TrainConfig, {"epochs": 1, "alpha": 1.0, "temperature": 2.0}),
    (TrainConfig, {"epochs": 1, "alpha": 0.0, "loss": "a.py:f"}),
    (TrainConfig, {"epochs": 1, "alpha": 0.0, "teacher": "a.onnx", "features": ("a",), "beta": 2.0})])
def test_what_goes_together_is_taken(section, given):
    assert section(**given)


@pytest.mark.parametrize("given", [{"temperature": 2.0}, {"label_smoothing": 0.1}])
def test_of_numbers_what_is_about_classes_would_do_nothing(given):
    train = TrainConfig(epochs=1, **given)
    assert Recipe(train=train)
    told = rf'metric = "mse" compares numbers, where \[train\] {next(iter(given))} would do nothing; leave it'
    with pytest.raises(BadConfig, match=told):
        Recipe(metric="mse", train=train)


def test_features_are_pairs_or_names_that_both_have(tmp_path):
    def read(text):
        (tmp_path / "recipe.toml").write_text(f"[train]\nepochs = 1\nfeatures = {text}\n")
        return load_recipe(tmp_path / "recipe.toml").train
    assert read('{"block.relu" = "b.0", c = "c"}').feature_pairs == (("block.relu", "b.0"), ("c", "c"))
    assert read('["a.1", "b"]').feature_pairs == (("a.1", "a.1"), ("b", "b"))
    assert TrainConfig(epochs=1).feature_pairs == ()
    for config in (read('["a.1"]'), read('{"a.1" = "b"}')):
        text = encode_toml(Recipe(train=config))
        (tmp_path / "again.toml").write_text(text)
        assert load_recipe(tmp_path / "again.toml").train == config
