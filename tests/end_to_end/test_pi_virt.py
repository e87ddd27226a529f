"""MLPerf Tiny's keyword spotter on the emulated Raspberry Pi, by make, in every way that a Pi runs it.

What is found is printed (`pytest -rP`).
"""

import json

import numpy as np
import pytest

from tests.benched import CLIPS, Benched, assert_only_emulated, edge, keyword_clips, make_bench
from toolchain.data import load_samples
from toolchain.deploy import open_artifact
from toolchain.device.machines.emulator import ICOUNT_SHIFT
from toolchain.device.measure_programs import bench_feeds
from toolchain.device.place import open_place
from toolchain.device.programs import ProgramSession
from toolchain.device.ways import Way
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.paired import mcnemar
from toolchain.profile import load_target
from toolchain.runtime import reference

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
MODEL = "models/kws_ref_model.tflite"
PEAK_MB = {"litert.native": (6, 12), "litert.python": (40, 60), "tflite-runtime.python": (32, 50),
           "onnxruntime.native": (25, 40), "onnxruntime.python": (50, 80)}
"""VmHWM of the process: LiteRT's library and arena; 30 MB of Python and numpy beside them; ONNX Runtime's
library, four times as large."""
RUNTIME = {"litert": "LiteRT 2.3.0", "tflite-runtime": "tflite-runtime 2.14.0",
           "onnxruntime": "ONNX Runtime 1.31.1"}


@pytest.fixture(scope="module")
def clips(kit, tmp_path_factory):
    return keyword_clips(kit, tmp_path_factory.mktemp("clips") / "kws.npz")


@pytest.fixture(scope="module")
def benched(kit, clips, tmp_path_factory) -> Benched:
    return make_bench("raspberry_pi_4", "pi-virt", tmp_path_factory.mktemp("ledger") / "ledger.db",
                      MODEL=kit / MODEL, DATA=clips, LIMIT=CLIPS)


@pytest.fixture(scope="module")
def reference_hits(kit, clips) -> np.ndarray:
    """(CLIPS,) whether the reference's answer is the label."""
    graph, samples = canonical(load(kit / MODEL)), load_samples(str(clips)).take(CLIPS)
    (found,) = reference.run(graph, {graph.inputs[0]: np.asarray(samples.x["x"])}).values()
    return found.argmax(1) == samples.y


def test_every_way_is_there_and_gives_the_hosts_outputs(benched):
    print(benched.printed)
    assert benched.measurements.keys() == benched.evaluations.keys() == PEAK_MB.keys()
    for way, found in benched.measurements.items():
        assert found.runtime == RUNTIME[way.split(".")[0]]
        assert found.problems == () and found.parity.checked == 48 and found.parity.worst <= 8, way


def test_nothing_there_has_a_time_or_an_energy(benched):
    assert_only_emulated(benched)
    report = edge("report", benched.folder, ledger=benched.folder / "unused.db")
    assert report.count("pi-virt (emulated)") == len(PEAK_MB) and " ms" not in report.replace("no milli", "")


def test_the_guest_tells_the_most_memory_that_a_process_had(benched):
    for way, (least, most) in PEAK_MB.items():
        assert least < benched.measurements[way].peak_rss_bytes / 1e6 < most, way


def test_instructions_are_the_same_after_another_start(benched):
    again = json.loads(edge("bench", benched.folder, "--device", "pi-virt", "--all", "--json",
                            ledger=benched.folder / "unused.db"))
    found = {f"{one['way']['runtime']}.{one['way']['runner']}": one["measurement"]["instructions"]
             for one in again["outcomes"]}
    assert found == {way: one.instructions for way, one in benched.measurements.items()}


def test_instructions_are_what_the_guests_clock_counts(benched):
    """Every instruction takes 2 ns of its time; the clock has the kernel's too, and steps of 16 ns."""
    artifact = open_artifact(benched.folder)
    with open_place(load_target("raspberry_pi_4"), "pi-virt") as place:
        session = ProgramSession(place, artifact, Way("tflite", "litert", "native"))
        record = session.time(bench_feeds(artifact, "tflite"), 0.0, 10)
    by_clock = min(sample.wall_ns for sample in record.samples) / 2**ICOUNT_SHIFT
    print(f"{record.instructions:,} instructions, {by_clock:,.0f} by the clock")
    assert record.instructions == benched.measurements["litert.native"].instructions
    assert 1 <= by_clock / record.instructions < 1.02


def test_accuracy_is_the_references(benched, reference_hits):
    """Of totals alone, the least p that any pairing of the samples can have is that of all differences on one
    side: five samples are no difference at 0.05."""
    right = round(reference_hits.sum())
    for way, found in benched.evaluations.items():
        assert found.n == CLIPS and found.metric == "top1" and found.device == "pi-virt"
        off = abs(round(found.value * CLIPS) - right)
        print(f"{way}: {100 * found.value:.1f} %, the reference {100 * right / CLIPS:.1f} %")
        assert mcnemar(np.arange(CLIPS) < off, np.zeros(CLIPS, bool)).p > 0.05, way


def test_every_answer_comes_back(benched, clips, reference_hits, tmp_path):
    """By edge run: the same clips are right."""
    samples = load_samples(str(clips)).take(CLIPS)
    np.savez(tmp_path / "in.npz", x=np.asarray(samples.x["x"]))
    edge("run", benched.folder, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz",
         "--device", "pi-virt", ledger=tmp_path / "ledger.db")
    with np.load(tmp_path / "out.npz") as written:
        (answers,) = written.values()
    hits = answers.reshape(CLIPS, -1).argmax(1) == samples.y
    print(mcnemar(hits, reference_hits))
    assert mcnemar(hits, reference_hits).p > 0.05 and (hits != reference_hits).mean() < 0.02

