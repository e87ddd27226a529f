"""MLPerf Tiny's keyword spotter on the emulated phones, 64 and 32 bits, by make and Debian's adb.

No phone ran any of it. What is found is printed (`pytest -rP`).
"""

import json

import numpy as np
import pytest

from tests.benched import CLIPS, ROOT, Benched, assert_only_emulated, edge, keyword_clips, make_bench
from tests.device.transports.android import adb_server
from toolchain.data import load_samples
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.runtime import reference

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
FAKE = ROOT / "tests/device/fake_benchmark_model.sh"
WAYS = {"litert.benchmark_model", "c.native", "litert.native", "onnxruntime.native"}
BOARDS = """
[boards.old-phone]
target    = "android_armv7"
transport = "virtual"
address   = "android-virt"
"""


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory):
    with adb_server(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def given(kit, tmp_path_factory) -> dict:
    """MODEL, DATA and LIMIT."""
    clips = keyword_clips(kit, tmp_path_factory.mktemp("clips") / "kws.npz")
    return {"MODEL": kit / "models/kws_ref_model.tflite", "DATA": clips, "LIMIT": CLIPS}


@pytest.fixture(scope="module")
def arm64(given, tmp_path_factory) -> Benched:
    return make_bench("android_arm64", "android-virt", tmp_path_factory.mktemp("ledger") / "ledger.db",
                      {"EDGE_BENCHMARK_MODEL": str(FAKE)}, **given)


@pytest.fixture(scope="module")
def armv7(given, tmp_path_factory) -> Benched:
    folder = tmp_path_factory.mktemp("armv7")
    (folder / "boards.toml").write_text(BOARDS)
    return make_bench("android_armv7", "old-phone", folder / "ledger.db",
                      {"EDGE_BOARDS": str(folder / "boards.toml")}, **given)


@pytest.fixture(scope="module")
def references(given) -> float:
    """Share of the clips that the reference knows."""
    graph, samples = canonical(load(given["MODEL"])), load_samples(str(given["DATA"])).take(CLIPS)
    (found,) = reference.run(graph, {graph.inputs[0]: np.asarray(samples.x["x"])}).values()
    return float((found.argmax(1) == samples.y).mean())


def test_every_route_that_applies_was_taken(arm64):
    print(arm64.printed)
    assert arm64.measurements.keys() == WAYS
    assert arm64.evaluations.keys() == WAYS - {"litert.benchmark_model"}


def test_nothing_has_a_time_or_an_energy_or_was_on_a_phone(arm64, armv7):
    """Not what a program of the user's says of its time, either."""
    for found in (arm64, armv7):
        assert_only_emulated(found)
        for way, one in found.measurements.items():
            assert "never" in one.conditions["note"] and "phone" in one.conditions["note"], way
            assert str(one.conditions["note"])[:40] in found.printed


def test_generated_c_is_the_reference_bit_for_bit(arm64, armv7, references):
    for found in (arm64, armv7):
        own, answered = found.measurements["c.native"], found.evaluations["c.native"]
        assert (own.parity.checked, own.parity.mismatched, own.problems) == (48, 0, ())
        assert (answered.n, answered.value) == (CLIPS, pytest.approx(references))


def test_runtimes_through_a_pushed_loader_stay_within_their_tolerance(arm64, references):
    for way in ("litert.native", "onnxruntime.native"):
        own, answered = arm64.measurements[way], arm64.evaluations[way]
        assert own.problems == () and own.parity.worst <= 8, way
        assert answered.n == CLIPS and abs(answered.value - references) <= 5 / CLIPS, way


def test_the_guest_counts_memory_and_instructions(arm64, armv7):
    """C needs the network's 65 kB and its own code; LiteRT's library is 6 MB, ONNX Runtime's 25 MB."""
    peak_mb = {way: one.peak_rss_bytes / 1e6 for way, one in arm64.measurements.items() if one.peak_rss_bytes}
    assert 0.2 < peak_mb["c.native"] < 1.5 and 6 < peak_mb["litert.native"] < 12
    assert 25 < peak_mb["onnxruntime.native"] < 40
    assert 1e6 < arm64.measurements["c.native"].instructions < 2e7
    assert 1e6 < armv7.measurements["c.native"].instructions < 4e7


def test_a_users_own_program_has_no_outputs_to_check(arm64):
    """Its made-up milliseconds are nowhere."""
    own = arm64.measurements["litert.benchmark_model"]
    assert own.parity is None and own.instructions is None and own.runner == "benchmark_model"


def test_32_bits_run_the_networks_own_c_alone(armv7):
    print(armv7.printed)
    assert armv7.measurements.keys() == {"c.native"}
    report = edge("report", armv7.folder, ledger=armv7.folder / "unused.db")
    assert "old-phone (emulated)" in report and " ms" not in report.replace("no milliseconds", "")


@pytest.mark.parametrize("runtime", ["c", "litert"])
def test_instructions_are_the_same_after_another_start(arm64, runtime):
    again = edge("bench", arm64.folder, "--device", "android-virt", "--runtime", runtime,
                 "--runner", "native", "--json", ledger=arm64.folder / "unused.db")
    assert json.loads(again)["instructions"] == arm64.measurements[f"{runtime}.native"].instructions
