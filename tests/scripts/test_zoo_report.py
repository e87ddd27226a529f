"""The zoo's comparison: what the tables say, and what counts as worse than the vendors' files."""

from zoo_report import report, worse

COST = {"cpu_s": {"imports": 5.0, "convert": 1.0, "quantize": 0.5}, "peak_bytes": 400_000_000}


def speed(ratio: float) -> dict:
    return {"ours_ms": [1.0, 1.1], "theirs_ms": [2.0, 2.1], "ratio": [ratio, 9.0]}


FOUND = {
    "a": {"title": "Net A", "ours": COST, "theirs": {**COST, "cpu_s": {"imports": 9.0, "convert": 3.0}},
          "sqnr_db": {"ours .tflite": 30.0, "theirs .tflite": 31.0, "ours .onnx": 28.9, "theirs .onnx": 30.0},
          "speed": {"float32 .tflite": speed(1.05), "int8 .tflite": speed(1.06)}, "failed": {}},
    "b": {"title": "Net B", "ours": COST, "theirs": None, "sqnr_db": {"ours .tflite": 25.0}, "speed": {},
          "failed": {"theirs": "failed to legalize"}},
    "c": {"title": "Net C", "ours": None, "failed": {"ours": "no row"}},
}


def test_worse_is_more_than_the_tolerance_and_says_by_how_much():
    assert worse(FOUND) == ["a, int8 .tflite: 1.060 of their CPU time; 1.05 is allowed",
                            "a, .onnx: SQNR 28.9 dB, theirs 30.0 dB"]
    assert worse({"b": FOUND["b"], "c": FOUND["c"]}) == []


def test_every_network_is_in_a_table_or_among_what_failed():
    text = report("Conditions.", FOUND)
    assert "| Net A | 1.000 / 2.000 **1.050** | 1.000 / 2.000 **1.060** | - |" in text
    assert "| Net B | 25.0 | - | - | - |" in text
    assert "| Net A | 1.50 | 3.00 | **0.50** | 400 | 400 |" in text
    assert "- Net B, theirs: `failed to legalize`" in text and "- Net C, ours: `no row`" in text
