"""What a chain takes, of stages that were measured one by one: sums by shares."""

from hypothesis import given
from hypothesis import strategies as st
import msgspec
import numpy as np
import pytest

from toolchain.adaptive.staged import NOTE, staged_figures
from toolchain.ledger.records import Subject, run_row
from toolchain.measurement import Energy, Latency, Measurement

times = st.floats(0.1, 1e6)
shares = st.floats(0.0, 1.0)


def stage(us: float | None = 100.0, off: float = 0.01, **fields) -> Measurement:
    latency = us and Latency(us, 1.1 * us, 1.2 * us, (1 - off) * us, (1 + off) * us, 50, 5)
    return Measurement(**{"artifact": "chain/stage", "artifact_digest": "d", "target": "pi", "device": "far",
                          "emulated": False, "runtime": "LiteRT", "latency_us": latency, "flash_bytes": 1000,
                          "conditions": {"threads": 1, "governor": "performance"}, **fields})


def energy(uj: float, uncertainty: float = 0.02, **fields) -> Energy:
    return Energy(**{"gross_uj": uj, "uncertainty": uncertainty, "tier": "external meter", "meter": "ppk2",
                     "rails": ("supply",), "window_s": 10.0, "inferences": 900, "idle_mw": 12.0, **fields})


@given(st.lists(st.tuples(times, shares, st.floats(0, 0.2)), min_size=1, max_size=4))
def test_expected_is_by_shares_and_the_worst_case_by_all(stages):
    us, reached, off = map(np.array, zip(*stages))
    found = staged_figures([stage(*each) for each in zip(us, off)], [f"{n}" for n in range(len(us))],
                           reached.tolist(), 500)
    worst, expected = found["latency_us"], found["staged"].latency_us
    for latency, weights in ((worst, np.ones(len(us))), (expected, reached)):
        assert latency.median == pytest.approx(weights @ us)
        assert latency.low == pytest.approx(weights @ (us * (1 - off)))
        assert latency.high == pytest.approx(weights @ (us * (1 + off)))
        assert (latency.p90, latency.p99, latency.samples) == (None, None, 50 * len(us))
    assert expected.median <= worst.median * (1 + 1e-12)


@given(st.lists(st.tuples(times, shares, st.floats(0.001, 0.05)), min_size=1, max_size=4))
def test_energy_adds_up_with_what_its_meter_may_be_off(stages):
    """All stages by as much and to the same side, as a gain that is off does it."""
    uj, reached, share = map(np.array, zip(*stages))
    reached[0] = 1.0
    own = [energy(*each, net_uj=0.5 * each[0], net_uncertainty=2 * each[1]) for each in zip(uj, share)]
    found = staged_figures([stage(energy=each) for each in own], ["x"] * len(own), reached.tolist(), 500)
    for told, weights in ((found["energy"], np.ones(len(uj))), (found["staged"].energy, reached)):
        off = weights @ (uj * (1 + share)) / (weights @ uj) - 1
        assert (told.gross_uj, told.net_uj) == pytest.approx((weights @ uj, weights @ uj / 2))
        assert (told.uncertainty, told.net_uncertainty) == pytest.approx((off, 2 * off))
        assert (told.tier, told.meter, told.idle_mw, told.inferences) == ("external meter", "ppk2", None,
                                                                          900 * len(uj))


def test_what_one_stage_has_not_the_chain_has_not():
    own = [stage(energy=energy(5.0)), stage(None, energy=energy(7.0, net_uj=3.0), instructions=9)]
    found = staged_figures(own, ["a", "b"], [1.0, 0.5], 100)
    staged = found["staged"]
    assert found["latency_us"] is staged.latency_us is found["instructions"] is staged.instructions is None
    assert found["energy"].net_uj is staged.energy.net_uncertainty is None
    assert staged.energy.gross_uj == pytest.approx(8.5)
    assert staged_figures([stage(), own[0]], ["a", "b"], [1.0, 0.5], 100)["energy"] is None


def test_an_interval_that_a_runner_does_not_tell():
    bare = stage(latency_us=Latency(300.0))
    found = staged_figures([stage(), bare], ["a", "b"], [1.0, 0.5], 100)["latency_us"]
    assert (found.median, found.low, found.high) == (400.0, None, None)


def test_counts_of_an_emulated_device():
    found = staged_figures([stage(None, instructions=1000, emulated=True),
                            stage(None, instructions=3001, emulated=True)], ["a", "b"], [1.0, 0.25], 101)
    assert found["instructions"] == 4001 and found["staged"].instructions == pytest.approx(1750.25)
    first, second = found["staged"].stages
    assert (first.file, first.reached, first.error, second.instructions) == ("a", 1.0, 0.0, 3001)
    assert second.error == pytest.approx((0.25 * 0.75 / 100) ** 0.5)


def test_problems_say_of_which_stage_and_conditions_hold_for_all():
    slow = stage(problems=("too hot",), conditions={"threads": 1, "governor": "ondemand", "note": "hm"})
    found = staged_figures([stage(), slow], ["a.tflite", "b.tflite"], [1.0, 0.5], 100)
    assert found["problems"] == ("b.tflite: too hot",)
    assert found["conditions"] == {"threads": 1, "note": f"hm; {NOTE}"}


def test_the_ledger_takes_it():
    own = [stage(energy=energy(5.0), instructions=7), stage(energy=energy(7.0), instructions=9)]
    fields = staged_figures(own, ["a", "b"], [1.0, 0.3], 100)
    whole = msgspec.structs.replace(stage(), **fields)
    assert run_row(whole, Subject(), 0.0)["valid"]
