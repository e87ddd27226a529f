"""Recipes tried: what is measured, spared, refused, tried again, and found again."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tests.breaking_net import gratings, trained_net
from toolchain import trying as module
from toolchain.device.cache import cache_folder
from toolchain.errors import BadSamples, DeviceLost, DoesNotFit, GateFailed, InvalidMeasurement
from toolchain.ir.passes import canonical
from toolchain.ledger.ledger import Ledger
from toolchain.lower.onnx import write_onnx
from toolchain.profile import load_target
from toolchain.recipe import PruneConfig, Recipe, SearchConfig, TrainConfig
from toolchain.runtime import reference
from toolchain.search.needs import needs_of
from toolchain.training_sections import EarlierConfig, QatConfig
from toolchain.trying import Judge, Trying, untrained

SHORT = TrainConfig(epochs=1, learning_rate=2e-3)
FLASH = needs_of((), ("flash",), "latency_ms")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def scripted(request, monkeypatch):
    """A busy machine's figures do not stand: here the host always takes as long."""
    if "emulated" not in request.keywords:
        found = SimpleNamespace(device="host", runtime="litert", emulated=False, conditions={},
                                instructions=None, energy=None, peak_rss_bytes=None,
                                latency_us=SimpleNamespace(median=2500.0))
        monkeypatch.setattr(Trying, "_measure", lambda self, artifact: found)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def trying(ledger, needs=FLASH, target="host", recipe=Recipe(), **given) -> Trying:
    judge = Judge(trained_net(), given.pop("samples", gratings()), recipe)
    return Trying(trained_net(), judge, load_target(target), None, needs, ledger, seconds=0.02, **given)


def folders() -> list:
    place = cache_folder() / "trials"
    return [path for path in place.iterdir() if path.is_dir()] if place.exists() else []


def test_a_recipe_is_built_measured_and_judged_on_selection_samples(ledger):
    here = trying(ledger, needs_of((), ("flash", "latency_ms", "ram", "accuracy_drop"), "latency_ms"))
    found = here.outcome(Recipe())
    assert found.figures.keys() == {"flash", "latency_ms", "ram", "accuracy_drop"} and not found.refused
    artifact = here.artifact(Recipe())
    assert found.artifact_digest == artifact.digest
    assert found.figures["flash"] == len(artifact.model("tflite"))
    assert (found.n, found.unit, found.epochs) == (400, "points", 0)
    assert found.recipe_digest == Recipe().digest and found.measured.startswith("host, ")
    assert found.figures["latency_ms"] == 2.5


def test_a_figure_that_the_device_did_not_give_ends_it(ledger):
    with pytest.raises(InvalidMeasurement, match="host gave no instructions; ask for what it has"):
        trying(ledger, needs_of((), ("instructions",), "latency_ms")).outcome(Recipe())


def test_the_drop_is_what_right_answers_go_wrong(ledger):
    """Held against the network's own answers, counted here."""
    here, shares = trying(ledger), {"stem": 0.5, "block.expand": 0.5, "head": 0.7}
    recipe = Recipe(prune=PruneConfig(shares=shares))
    found, selection = here.outcome(recipe), gratings().split("selection")
    outputs = reference.run(trained_net(), selection.feeds(slice(None)))[trained_net().outputs[0]]
    right = outputs.argmax(-1) == selection.y
    lost = here.lost(here.artifact(recipe), "selection")
    assert set(np.unique(lost)) <= {-100.0, 0.0, 100.0}
    assert (lost[right] >= 0).all() and (lost[~right] <= 0).all()
    assert found.figures["accuracy_drop"] == pytest.approx(lost.mean()) and lost.mean() > 1
    assert found.standard_error == pytest.approx(lost.std(ddof=1) / np.sqrt(400), rel=0.01)


def test_nothing_is_made_twice_by_whom_ever(ledger, monkeypatch):
    first = trying(ledger).outcome(Recipe())
    monkeypatch.setattr(module, "build", None)
    assert trying(ledger).outcome(Recipe()) == first
    assert trying(ledger).outcome(Recipe(search=SearchConfig(sampler="random"))) == first


def test_what_was_emptied_from_the_cache_is_built_again(ledger):
    here = trying(ledger)
    digest = here.outcome(Recipe()).artifact_digest
    shutil.rmtree(cache_folder())
    assert here.artifact(Recipe()).digest == digest


# Spared, refused, tried again -------------------------------------------------------------------------------

def test_what_breaks_a_limit_before_training_is_not_trained(ledger, monkeypatch):
    here = trying(ledger, needs_of(("flash<=1kB",), (), "latency_ms"))
    monkeypatch.setattr("toolchain.train.fit.fit", None)
    found = here.outcome(Recipe(train=SHORT, qat=QatConfig(epochs=1)))
    assert found.figures["flash"] > 1000 and "accuracy_drop" not in found.figures and found.epochs == 0
    assert not found.refused


def test_what_keeps_it_is_trained_and_judged(ledger):
    here = trying(ledger, needs_of(("flash<=1MB",), (), "latency_ms"))
    found = here.outcome(Recipe(train=SHORT))
    assert found.epochs == 1 and "accuracy_drop" in found.figures and len(folders()) == 2


def test_without_training_there_is_nothing_to_spare(ledger):
    found = trying(ledger, needs_of(("flash<=1kB",), (), "latency_ms")).outcome(Recipe())
    assert "accuracy_drop" in found.figures and len(folders()) == 1


def test_untrained_is_the_same_in_one_step():
    recipe = Recipe(train=SHORT, qat=QatConfig(epochs=1), prune=PruneConfig(macs=0.5, schedule="gradual"))
    assert untrained(recipe) == Recipe(prune=PruneConfig(macs=0.5))
    assert untrained(Recipe(seed=4)) == Recipe(seed=4)


@pytest.mark.parametrize("error", [BadSamples("no"), GateFailed("no"), DoesNotFit("no"),
                                   DoesNotFit("no", {"ram": 5, "stack": 3})])
def test_what_cannot_be_built_is_refused_and_the_reason_kept(ledger, monkeypatch, error):
    def raises(*_, **__):
        raise error

    monkeypatch.setattr(module, "prepare", raises)
    found = trying(ledger).outcome(Recipe())
    assert found.refused == f"{type(error).__name__}: no"
    assert found.figures == ({"ram": 5.0} if getattr(error, "sizes", None) else {})
    monkeypatch.setattr(module, "prepare", None)
    assert trying(ledger).outcome(Recipe()) == found


@pytest.mark.parametrize("faults, tried", [(1, 2), (2, 3)])
def test_a_device_that_is_gone_is_tried_again(ledger, monkeypatch, faults, tried):
    left, measure, calls = [DeviceLost("pulled"), InvalidMeasurement("hot")][:faults], Trying._measure, []

    def shaky(self, artifact):
        calls.append(1)
        if left:
            raise left.pop()
        return measure(self, artifact)

    monkeypatch.setattr(Trying, "_measure", shaky)
    assert not trying(ledger).outcome(Recipe()).refused and len(calls) == tried


@pytest.mark.parametrize("error", [DeviceLost, InvalidMeasurement, KeyboardInterrupt])
def test_one_that_stays_away_ends_it_and_nothing_is_kept(ledger, monkeypatch, error):
    def gone(*_):
        raise error("gone")

    monkeypatch.setattr(Trying, "_measure", gone)
    with pytest.raises(error, match="gone"):
        trying(ledger).outcome(Recipe())
    assert folders() == []


# What an outcome is kept by ---------------------------------------------------------------------------------

def key(ledger, recipe=Recipe(), **given) -> str:
    return trying(ledger, **given)._key(recipe, True)


def test_all_that_shapes_an_outcome_is_in_its_key(ledger):
    other = gratings(seed=8)
    keys = {key(ledger), key(ledger, Recipe(seed=1)), key(ledger, samples=other),
            key(ledger, target="cortex_m4_qemu"), key(ledger, Recipe(metric="agreement")),
            key(ledger, needs=needs_of((), ("ram",), "latency_ms")), trying(ledger)._key(Recipe(), False)}
    assert len(keys) == 7


@pytest.mark.parametrize("where", ["loss", "loader"])
@pytest.mark.parametrize("section", ["train", "qat"])
def test_the_users_code_is(ledger, tmp_path, section, where):
    code = tmp_path / "mine.py"
    config = {"train": TrainConfig, "qat": QatConfig}[section](epochs=1, **{where: f"{code}:f"})
    recipe, keys = Recipe(**{section: config}), set()
    for text in ("a = 1", "a = 2"):
        code.write_text(text)
        keys.add(key(ledger, recipe))
    assert len(keys) == 2


def test_the_teacher_is(ledger, tmp_path):
    path, keys = tmp_path / "teacher.onnx", set()
    recipe = Recipe(train=TrainConfig(epochs=1, teacher=str(path)))
    for curve in ("relu", "hard_swish"):
        path.write_bytes(write_onnx(canonical(trained_net(curve))))
        keys.add(key(ledger, recipe))
    assert len(keys) == 2


def test_the_teacher_and_the_users_code_of_a_step_before_are(ledger, tmp_path):
    path, code, keys = tmp_path / "teacher.onnx", tmp_path / "mine.py", set()
    step = EarlierConfig(train=TrainConfig(epochs=1, teacher=str(path), loader=f"{code}:f"))
    for curve, text in (("relu", "a = 1"), ("hard_swish", "a = 1"), ("relu", "a = 2")):
        path.write_bytes(write_onnx(canonical(trained_net(curve))))
        code.write_text(text)
        keys.add(key(ledger, Recipe(earlier=(step,))))
    assert len(keys) == 3


def test_the_network_that_features_come_of_is_whether_it_is_trained_or_not(ledger, tmp_path):
    path, keys = tmp_path / "features.onnx", set()
    recipe = Recipe(metric="frechet", features=str(path))
    for text in ("a", "b"):
        path.write_text(text)
        keys.add(key(ledger, recipe))
    assert len(keys) == 2


# On an emulated board ---------------------------------------------------------------------------------------

@pytest.mark.emulated
def test_on_an_emulated_board_instructions_are_counted_and_answers_are_those_of_its_code(ledger):
    here = trying(ledger, needs_of((), ("instructions", "ram", "flash", "accuracy_drop"), "instructions"),
                  target="cortex_m4_qemu")
    whole, half = (here.outcome(Recipe(prune=prune)) for prune in
                   (None, PruneConfig(shares={"block.expand": 0.5, "head": 0.5})))
    for name in ("instructions", "ram", "flash"):
        assert half.figures[name] < whole.figures[name]
    assert whole.measured.startswith("cortex_m4_qemu (emulated), ") and len(ledger.runs()) == 2
    assert abs(whole.figures["accuracy_drop"]) < 2
