"""`edge search`: what it answers, writes and refuses, on an emulated board and without one."""

import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.breaking_net import gratings, trained_net
from tests.test_cli import edge
from toolchain import trying
from toolchain.adapting import Adapting, Wish, wish_in
from toolchain.artifact import read_artifact
from toolchain.cli.searching import shared_ledger
from toolchain.errors import BadInput, BadSamples, Unsupported
from toolchain.ir.passes import canonical
from toolchain.ledger.ledger import Ledger
from toolchain.lower.onnx import write_onnx
from toolchain.profile import load_target
from toolchain.recipe import Recipe, TrainConfig, load_recipe
from toolchain.search.space import Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome, Trial
from toolchain.search_section import SearchConfig, Variable

M4 = load_target("cortex_m4_qemu")
RECIPE = """[train]
epochs = 1
learning_rate = 2e-3

[search]
rungs = 1

[search.vary]
all = {low = 0.0, high = 0.7, of = ["prune.shares.stem*", "prune.shares.block.expand*", "prune.shares.head*"]}
"calibrate.observer" = ["minmax", "mse"]
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder, samples = tmp_path_factory.mktemp("files"), gratings()
    (folder / "net.onnx").write_bytes(write_onnx(canonical(trained_net())))
    (folder / "other.onnx").write_bytes(write_onnx(canonical(trained_net("hard_swish"))))
    np.savez(folder / "gratings.npz", x=samples.x["x"], y=samples.y, split=samples.splits)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "ledger.db"))


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def search(files, out, *options, target="cortex_m4_qemu", data="gratings.npz"):
    return edge("search", files / "net.onnx", "--target", target, "--data", files / data, "--out", out,
                "--recipe", files / "recipe.toml", *options)


def wish(files, **given) -> Wish:
    given = {"recipe": load_recipe(files / "recipe.toml"), "profile": M4, **given}
    return Wish(model=str(files / "net.onnx"), data=str(files / "gratings.npz"), **given)


def adapting(files, ledger, **given) -> Adapting:
    return Adapting(wish(files, **given), ledger, lambda text: None)


# On an emulated board ---------------------------------------------------------------------------------------

@pytest.mark.emulated
def test_a_search_finds_writes_and_goes_on_with_what_it_found(files, tmp_path, monkeypatch):
    out, limits = tmp_path / "out", ("--limit", "ram<=64kB", "--limit", "flash<=40kB")
    code, said, told = search(files, out, *limits, "--budget", 4, "--also", files / "other.onnx", "--json")
    assert code == 0, told
    found = json.loads(said)
    assert len(found["trials"]) == 4 and all(one["state"] == "done" for one in found["trials"])
    assert [other["kind"] for other in found["others"]] == ["plain", "also"]
    assert found["others"][1]["name"] == str(files / "other.onnx") and found["others"][1]["test"]["n"] == 400
    assert len({str(one["outcome"]["figures"]) for one in found["trials"]}) == 4 and not found["refused"]
    assert found["front"] and all(entry["test"]["n"] == 400 for entry in found["front"])
    chosen = next(one for one in found["trials"] if one["number"] == found["chosen"]["number"])
    assert re.search("edge: 4 of 4 trials; best so far: trial", told)
    require_rebuilt(files, tmp_path, out, chosen["outcome"])
    assert {path.name for path in (out / "front").iterdir()} == {
        Path(entry["recipe"]).name for entry in found["front"]}
    monkeypatch.setattr(trying, "build", None)
    code, again, _ = search(files, out, *limits, "--budget", 4, "--also", files / "other.onnx", "--json")
    assert code == 0 and json.loads(again) == found


def require_rebuilt(files, tmp_path, out, outcome) -> None:
    """From scratch: the same bytes, the same figures, the limits kept."""
    shutil.move(tmp_path / "cache" / "trials", tmp_path / "kept")
    again = tmp_path / "again"
    code, _, told = edge("build", files / "net.onnx", "--target", "cortex_m4_qemu", "--recipe",
                         out / "recipe.toml", "--data", files / "gratings.npz", "--out", again)
    assert code == 0, told
    assert read_artifact(again).digest == outcome["artifact_digest"]
    assert read_artifact(out / "recommended").digest == outcome["artifact_digest"]
    code, said, told = edge("bench", again, "--json")
    measured = json.loads(said)
    measured = measured[0] if isinstance(measured, list) else measured
    assert code == 0 and f'"instructions": {outcome["figures"]["instructions"]:.0f}' in json.dumps(measured)
    static = read_artifact(again).manifest.static_bytes
    assert static["ram"] == outcome["figures"]["ram"] <= 64_000
    assert static["flash"] == outcome["figures"]["flash"] <= 40_000
    shutil.move(tmp_path / "kept", tmp_path / "cache" / "trials")


@pytest.mark.emulated
def test_a_limit_that_cannot_be_met_spares_training_and_names_the_nearest_miss(files, tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.train.fit.fit", None)
    out = tmp_path / "out"
    (out / "recommended").mkdir(parents=True)
    (out / "recipe.toml").write_text("seed = 9\n")
    code, said, told = search(files, out, "--limit", "flash<=1kB", "--budget", 3)
    assert code == 3 and "3 trials, 3 of them not trained (they break a limit), 0 not built" in said
    miss = re.search(r"no trial keeps all limits; nearest miss: trial (\d): flash ([\d,]+) \(limit 1,000\)",
                     told)
    assert miss and "Relax a limit, or let it search for longer: --budget" in told
    record = json.loads((out / "search.json").read_text())
    flash = [trial["outcome"]["figures"]["flash"] for trial in record["trials"]]
    assert flash[int(miss[1])] == min(flash) == int(miss[2].replace(",", ""))
    assert {path.name for path in out.iterdir()} == {"search.journal", "search.html", "search.json"}


@pytest.mark.emulated
@pytest.mark.slow
def test_two_processes_share_one(files, tmp_path):
    code, said, told = search(files, tmp_path / "out", "--budget", 5, "--workers", 2, "--json", "--quiet")
    trials = json.loads(said)["trials"]
    assert code == 0 and len(trials) == 5 and {trial["state"] for trial in trials} == {"done"}, told
    code, said, _ = edge("worker", "--storage", tmp_path / "out" / "search.journal", "--quiet")
    assert code == 0 and re.fullmatch(r"search \w{16}: 5 trials done\n", said)


@pytest.mark.emulated
def test_a_network_that_is_too_large_for_its_target_is_what_a_search_is_for(files, ledger, monkeypatch):
    small = msgspec.structs.replace(M4, ram_bytes=2_000)
    here = adapting(files, ledger, profile=small, limits=("ram<=2kB",))
    [plain] = here.others()
    assert plain.outcome.refused.startswith("DoesNotFit: ") and plain.test is None


@pytest.mark.emulated
@pytest.mark.slow
def test_one_that_is_interrupted_lets_go_and_goes_on(files, tmp_path):
    """As by Ctrl-C, which all processes of a terminal get."""
    command = [sys.executable, "-m", "toolchain", "search", files / "net.onnx", "--target", "cortex_m4_qemu",
               "--data", files / "gratings.npz", "--out", tmp_path / "out", "--recipe", files / "recipe.toml",
               "--budget", "6", "--workers", "2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for line in running.stderr:
        if re.match(r"edge: \d of 6 trials", line):
            break
    os.killpg(running.pid, signal.SIGINT)
    told = running.communicate(timeout=60)[1]
    assert running.returncode == 130 and "Traceback" not in told, told
    code, said, told = search(files, tmp_path / "out", "--budget", 6, "--json", "--quiet")
    trials = json.loads(said)["trials"]
    assert code == 0 and len(trials) == 6 and {trial["state"] for trial in trials} == {"done"}, told


# Without ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, target, told", [
    (("--limit", "latency_ms<=5"), "cortex_m4_qemu",
     "latency_ms: cortex_m4_qemu is emulated; it counts instructions and has no time and no energy. Ask for "
     "`instructions` instead, or name a board with --device"),
    (("--minimise", "energy_uj"), "cortex_m4_qemu", "energy_uj: cortex_m4_qemu is emulated"),
    (("--limit", "instructions<=5M"), "host", "instructions: host keeps time and counts none; ask for "),
    (("--limit", "ram=64"), "cortex_m4_qemu", "--limit ram=64: give QUANTITY<=NUMBER"),
    (("--time", "5"), "cortex_m4_qemu", "--time 5: give a number and s, m or h, as in 30m"),
    (("--time", "0s"), "cortex_m4_qemu", "--time 0s: give a number and s, m or h, as in 30m")])
def test_what_cannot_be_is_refused_and_nothing_built(files, tmp_path, monkeypatch, options, target, told):
    monkeypatch.setattr(trying, "prepare", None)
    code, said, error = search(files, tmp_path / "out", *options, target=target)
    assert code == 2 and told in error and error.count("\n") == 1 and not said
    assert not (tmp_path / "out").exists()


def test_samples_without_a_selection_split_are_refused(files, tmp_path, ledger):
    samples = gratings()
    np.savez(tmp_path / "bare.npz", x=samples.x["x"][:50], y=samples.y[:50])
    with pytest.raises(BadSamples, match="bare.* a search selects by samples that neither train nor calib"):
        Adapting(msgspec.structs.replace(wish(files), data=str(tmp_path / "bare.npz")), ledger, print)


def test_a_quantized_model_is_refused(tmp_path, files, ledger):
    from tests.device.artifacts import residual

    (tmp_path / "int8.tflite").write_bytes(residual().model("tflite"))
    with pytest.raises(Unsupported, match="already quantized: there is nothing left to search"):
        Adapting(msgspec.structs.replace(wish(files), model=str(tmp_path / "int8.tflite")), ledger, print)


def test_it_trains_where_there_are_samples_to_and_nothing_else_is_said(files, ledger):
    assert adapting(files, ledger, recipe=Recipe()).base.train.epochs > 1
    assert adapting(files, ledger).base.train.epochs == 1


def test_what_is_varied_is_found_out_from_the_model(files, ledger):
    found = adapting(files, ledger, recipe=Recipe()).space.variables
    assert {name for name in found if name.startswith("prune.shares.")} == {
        "prune.shares.stem.bn", "prune.shares.block.expand.bn.relu_linear", "prune.shares.head.bn"}
    assert {"prune.importance", "calibrate.observer", "quantize.rounding", "train.alpha"} < found.keys()


def test_a_budget_of_the_recipe_and_nothing_to_vary_is_refused(files, tmp_path, ledger):
    (tmp_path / "recipe.toml").write_text("[prune]\nmacs = 0.5\n")
    with pytest.raises(BadInput, match="has a budget and its .search. varies nothing"):
        _ = adapting(files, ledger, recipe=load_recipe(tmp_path / "recipe.toml")).space


def test_searches_of_different_things_have_different_names(files, tmp_path, ledger):
    """And the same search has the same from anywhere."""
    recipe, loader = load_recipe(files / "recipe.toml"), tmp_path / "mine.py"
    loader.write_text("a = 1")
    with_loader = msgspec.structs.replace(recipe, train=msgspec.structs.replace(recipe.train,
                                                                               loader=f"{loader}:f"))
    others = [{}, {"limits": ("ram<=1kB",)}, {"minimise": ("ram",)}, {"recipe": with_loader},
              {"recipe": msgspec.structs.replace(recipe, seed=1)},
              {"recipe": msgspec.structs.replace(recipe, search=SearchConfig(sampler="random"))}]
    names = [adapting(files, ledger, **given).name for given in others]
    loader.write_text("a = 2")
    names.append(adapting(files, ledger, recipe=with_loader).name)
    assert len(set(names)) == len(names)
    shutil.copy(files / "net.onnx", tmp_path / "net.onnx")
    moved = msgspec.structs.replace(wish(files), model=str(tmp_path / "net.onnx"))
    assert adapting(files, ledger, also=("x",)).name == names[0]
    assert Adapting(moved, ledger, print).name == names[0]


def test_recipes_are_written_so_that_they_find_their_files(files, tmp_path, ledger, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "features.onnx").write_bytes(b"")
    recipe = Recipe(metric="frechet", features="mine/features.onnx",
                    search=SearchConfig(vary={"prune.ratio": Variable(low=0.1, high=0.9)}))
    monkeypatch.setattr(Adapting, "_loaded", lambda *_: trained_net())
    here = adapting(files, ledger, recipe=recipe, checkpoint="mine/weights.pt")
    (tmp_path / "out" / "front").mkdir(parents=True)
    path = tmp_path / "out" / "front" / "3.toml"
    ratio = 0.1 + 0.2
    made = here.space.recipe({"prune.ratio": ratio})
    trial = Trial(number=3, point={"prune.ratio": ratio}, outcome=Outcome(), rung=len(here.space.epochs) - 1)
    path.write_bytes(here._recipe(trial, (), path.parent))
    found = load_recipe(path)
    assert Path(found.checkpoint).resolve() == tmp_path / "mine" / "weights.pt"
    assert Path(found.features).resolve() == tmp_path / "mine" / "features.onnx"
    assert found.prune.ratio == ratio and found.digest == made.digest


def test_workers_are_told_what_is_searched(files, tmp_path, ledger):
    here = adapting(files, ledger)
    with pytest.raises(BadInput, match="--storage has no searches; one begins with `edge search --storage`"):
        wish_in(str(tmp_path / "journal"), None)
    here.study(str(tmp_path / "journal"), 7)
    assert wish_in(str(tmp_path / "journal"), None) == (here.wish, 7) == wish_in(str(tmp_path / "journal"),
                                                                                 here.name)
    with pytest.raises(BadInput, match=f"--storage has {here.name}; give one with --name"):
        wish_in(str(tmp_path / "journal"), "other")
    Study(str(tmp_path / "journal"), "bare", SearchConfig(), {}, here.needs, 0)
    assert wish_in(str(tmp_path / "journal"), None)[1] == 7


@pytest.mark.parametrize("ledger, storage, shared", [
    (None, "out/search.journal", None), ("mine.db", "out/search.journal", "mine.db"),
    (None, "postgresql://me@host/db", "postgresql://me@host/db"),
    ("mine.db", "postgresql://me@host/db", "mine.db")])
def test_all_processes_of_a_search_know_each_other_by_one_ledger(ledger, storage, shared):
    """`edge search` and `edge worker` alike: leases in two ledgers exclude nobody."""
    assert shared_ledger(ledger, storage) == shared


def test_first_points_cut_a_little_and_a_lot_of_all_stages_and_by_importance(files, ledger):
    from toolchain.starting import Starting

    here = adapting(files, ledger)
    points = list(Starting(here.graph, here.samples, M4).points(here.space))
    assert [point["all"] for point in points] == [0.5, 0.3, 0.7, 0.4, 0.6]
    bare = Space(here.base, {"calibrate.observer": Variable(choices=("mse", "minmax"))})
    assert list(Starting(here.graph, here.samples, M4).points(bare)) == [bare.start()]
    choices = Space(here.base, {"all": Variable(choices=(0.0, 0.25, 0.6), of=("prune.shares.*",))})
    assert [point["all"] for point in Starting(here.graph, here.samples, M4).points(choices)] == [0.6, 0.25]
    named = adapting(files, ledger, recipe=Recipe())
    points = list(Starting(named.graph, named.samples, M4).points(named.space))
    gone = [sum(point[name] for name in point if name.startswith("prune.shares.")) for point in points]
    even = [len({point[name] for name in point if name.startswith("prune.shares.")}) == 1 for point in points]
    assert even == [True] * 8 + [False] * 2 and min(gone) < 1 < 2 < max(gone)
    assert [point["scale.resolution"] for point in points] == [1.0] * 6 + [0.85, 0.7] + [1.0] * 2
    trained = Space(Recipe(train=TrainConfig(epochs=1, learning_rate=0.01)), {
        **named.space.variables, "train.learning_rate": Variable(low=0.001, high=0.015)})
    found = Starting(named.graph, named.samples, M4).points(trained)
    assert [point["train.learning_rate"] for point in found] == [0.01, 0.015] * 5
    assert all(named.space.recipe(point) for point in points)
