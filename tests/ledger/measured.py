"""Measurements as tests record them."""

from toolchain.measurement import Evaluation, Latency, Measurement


def a_measurement(**changes) -> Measurement:
    facts = {"artifact": "kws", "artifact_digest": "ab" * 32, "target": "raspberry_pi_4", "device": "pi",
             "emulated": False, "runtime": "LiteRT 2.3.0",
             "conditions": {"governor": "performance", "threads": 2},
             "latency_us": Latency(20.0, 25.5, 30.25), "latency_samples_us": [20.0, 19.875, 30.25],
             "cpu_samples_us": [18.0, 18.5, 19.0], "started_at": "2026-11-22T10:00:00+00:00"}
    return Measurement(**{**facts, **changes})


def an_evaluation(**changes) -> Evaluation:
    facts = {"metric": "top1", "value": 0.9, "n": 500, "standard_error": 0.0134, "data": "kws",
             "split": "test", "device": "pi", "runtime": "LiteRT 2.3.0"}
    return Evaluation(**{**facts, **changes})
