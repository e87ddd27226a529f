"""What one measurement or several say in words: figures with their device, marks and notes."""

from io import StringIO

import msgspec
import pytest

from toolchain.measurement import (
    ColdStart,
    Energy,
    Evaluation,
    Latency,
    Measurement,
    Parity,
    Row,
    Stage,
    Staged,
    Sustained,
)
from toolchain.report.bench import ways_terminal
from toolchain.report.tables import (
    EMULATED,
    NOT_THERE,
    bench_text,
    energy_text,
    make_report,
    notes_of,
    quality_text,
    sustained_text,
)

PI = Measurement(
    artifact="net", artifact_digest="d", target="raspberry_pi_4", device="lab-pi", emulated=False,
    runtime="LiteRT 2.3.0", runner="native",
    latency_us=Latency(1500.0, 1600.0, 1700.0, 1490.0, 1510.0, 90, 10),
    cold_us=ColdStart(5000.0, 4000.0), peak_rss_bytes=9_000_000, flash_bytes=2_400, instructions=1_234_567,
    cycles=2_000_000, parity=Parity(20, 0, 0.0), conditions={"note": "the governor is ondemand"})
ENERGY = Energy(gross_uj=1234.5, uncertainty=0.031, tier="rail monitor", meter="hwmon", rails=("ina226",),
                window_s=10.0, inferences=9000, net_uj=800.25, note="other rails than the chip's")


STAGED = Staged(
    stages=(Stage(file="stage_0.tflite", artifact_digest="a", reached=1.0, error=0.0,
                  latency_us=Latency(500.0, 520.0, low=490.0, high=510.0), energy=ENERGY),
            Stage(file="stage_1.tflite", artifact_digest="b", reached=0.3, error=0.0163, instructions=900,
                  latency_us=Latency(2000.0, low=1980.0, high=2010.0), energy=ENERGY)),
    n=800, latency_us=Latency(1100.0, low=1084.0, high=1113.0), instructions=1270.4, energy=ENERGY)


def changed(m: Measurement, **fields) -> Measurement:
    return msgspec.structs.replace(m, **fields)


def test_a_real_device_in_words():
    assert bench_text(PI).splitlines() == [
        "net on lab-pi, LiteRT 2.3.0, native runner: 1.5 ms (p90 1.6)",
        "p99 1.7; median's 95 % interval 1.49 to 1.51; 90 samples after 10 of warm-up",
        "cold: loaded in 5 ms, first inference 4 ms", "1,234,567 instructions, 2,000,000 cycles an inference",
        "flash 2,400 B, peak RSS 9,000,000 B", "parity exact (20)", "the governor is ondemand"]


def test_what_does_not_stand_is_marked_and_why_is_said():
    lines = bench_text(changed(PI, problems=("too hot", "too busy"))).splitlines()
    assert lines[0].endswith("INVALID: 1.5 ms (p90 1.6)") and lines[-3:-1] == [
        "INVALID: too hot", "INVALID: too busy"]


def test_energy_has_its_uncertainty_tier_and_what_it_leaves_out():
    text = "1234 uJ ± 3.1 % gross, net 800.2 (rail monitor, hwmon: ina226)"
    assert energy_text(ENERGY) == text and energy_text(None) == "-"
    assert "net" not in energy_text(msgspec.structs.replace(ENERGY, net_uj=None))
    found = bench_text(changed(PI, energy=ENERGY)).splitlines()
    assert f"energy {text}" in found and found[-1] == "other rails than the chip's"


def test_a_chain_of_files_in_words():
    chain = changed(PI, staged=STAGED, latency_us=Latency(2500.0, low=2470.0, high=2520.0), cold_us=None,
                    instructions=None, energy=msgspec.structs.replace(ENERGY, gross_uj=3000.0))
    lines, energy = bench_text(chain).splitlines(), energy_text(ENERGY)
    assert lines[:4] == [
        "net on lab-pi, LiteRT 2.3.0, native runner: expected 1.1 ms, worst case 2.5 ms",
        "sums of medians' 95 % intervals: expected 1.084 to 1.113, worst case 2.47 to 2.52",
        f"stage_0.tflite: 0.5 ms (p90 0.52), {energy}, reached by 100.0 ± 0.0 % of 800 test samples",
        f"stage_1.tflite: 2 ms, {energy}, reached by 30.0 ± 1.6 % of 800 test samples"]
    assert f"energy expected {energy}, worst case 3000 uJ ± 3.1 % gross" in bench_text(chain)
    without = [msgspec.structs.replace(one, latency_us=None, energy=None, instructions=500)
               for one in STAGED.stages]
    counted = changed(chain, emulated=True, latency_us=None, instructions=1000, energy=None,
                      staged=Staged(stages=tuple(without), n=800, instructions=650.4), problems=("off",))
    lines = bench_text(counted).splitlines()
    assert lines[0].endswith("INVALID: expected 650 instructions, worst case 1,000 instructions")
    assert lines[1].startswith("stage_0.tflite: 500 instructions, reached by") and "energy " not in lines[1]


@pytest.mark.parametrize("lasted, text", [
    (Sustained(10.0, (1.0,) * 12, 0.0),
     "over 120 s: inferences took +0.0 % in the last minute against the first"),
    (Sustained(10.0, (1.0,) * 60, 0.213, 95.0, 240.0),
     "over 600 s: inferences took +21.3 % in the last minute against the first, slower for good after 240 s, "
     "throttled after 95 s")])
def test_how_speed_lasted(lasted, text):
    assert sustained_text(lasted) == text and text in bench_text(changed(PI, sustained=lasted))


def test_a_score_has_its_error_and_its_number():
    score = Evaluation(metric="top1", value=0.912, n=500, standard_error=0.0127)
    assert quality_text(score) == "top1 91.2 ± 1.3 % (n=500)"
    assert quality_text(Evaluation(metric="mse", value=0.5, n=1, standard_error=None)) == "mse 0.5 (n=1)"


def notes(*measurements: Measurement) -> tuple[str, ...]:
    return make_report([Row(model="net", target=m.target, measurement=m) for m in measurements]).notes


def test_only_what_ran_on_this_host_is_said_to_have():
    assert notes(PI) == () and notes(changed(PI, device="host", target="host")) == ()
    assert notes(changed(PI, device="host")) == (NOT_THERE,)
    assert notes(changed(PI, emulated=True, device="pi-virt")) == (EMULATED,)
    assert EMULATED in notes_of(changed(PI, emulated=True))


def test_ways_in_a_table_with_what_is_wrong_and_what_was_left_out_below():
    from rich.console import Console

    python = changed(PI, runner="python", problems=("too busy",), cold_us=None)
    console = Console(file=StringIO(), width=180)
    score = Evaluation(metric="top1", value=1, n=2, standard_error=0)
    console.print(ways_terminal([
        ("tflite in litert, native runner", PI, score, ""),
        ("tflite in litert, python runner", python, None, ""),
        ("tflite in tflite-runtime, python runner", None, None, "no tflite-runtime there [/red]")]))
    text = " ".join(console.file.getvalue().split())
    assert text.startswith("net on lab-pi run as speed cold start")
    assert "9.0 ms" in text and "top1 100" in text
    assert "INVALID, tflite in litert, python runner: too busy" in text
    assert "not run, tflite in tflite-runtime, python runner: no tflite-runtime there [/red]" in text
    assert text.endswith("the governor is ondemand")
