"""The zoo's pruning page: what is said of a run of Torch-Pruning, and that the page is of this zoo."""

from pathlib import Path

from pruning_zoo_report import CURES, HEAD, Row, failed, page, rows_of, verdict

from tests.zoo.catalogue import ENTRIES, ZOO
from tests.zoo.pruning import Pruned

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pruning-zoo.md"
OURS = Pruned(5, (320, 95), (1000, 542), (200, 113), 2.2e-07, 0.33, {})
RUNS = {"versions": {"torch-pruning": "1.6.1"}, "stage": "done", "shapes": [[[1, 12]], [[1, 12]]],
        "parameters": [200, 107], "off_by": 8e-8}
FAILS = {"versions": {}, "stage": "run", "error": "RuntimeError: unflatten", "shapes": [[[1, 2]], [[1, 2]]]}


def told(**changed) -> Row:
    return Row("ds_cnn", OURS, {}, {**RUNS, **changed}, None)


def test_what_counts_as_running():
    assert verdict(told()) == "runs" and not failed(told())
    for row, said in [(told(off_by=0.04), "runs, **off by 4e-02**"),
                      (told(off_by=float("nan")), "runs, **off by nan**"),
                      (told(parameters=[200, 200]), "**nothing pruned**"),
                      (told(stage="compare", shapes=[[[1, 12]], [[1, 8]]], error="RuntimeError: a, b"),
                       "**wrong shapes**: [[1, 8]], not [[1, 12]]"),
                      (told(stage="prune", error="KeyError: x"), "**fails**: `KeyError: x`")]:
        assert verdict(row) == said and failed(row)


def test_a_cure_is_told_beside_the_failure():
    row = Row("conv_vae", OURS, {}, FAILS, RUNS)
    assert verdict(row) == f"**fails**: `RuntimeError: unflatten`; {CURES['conv_vae'].words}: runs"
    cells = rows_of(page([row]))["Convolutional VAE"]
    assert cells["its parameters left"] == "53.5%" and cells["MACs left"] == "54.2%"


def test_what_cannot_be_asked_is_no_failure():
    row = Row("swift_f0", OURS, {"norm": "norm (layer_norm) needs all channels of x"}, None, None)
    assert not failed(row) and verdict(row).endswith("this is an ONNX file")
    text = page([row, told()])
    assert "another network\n\nNone." in text
    assert "swift-f0, trained (ONNX): 1 layers, such as `norm`: norm (layer_norm) needs all" in text


def test_the_page_is_of_this_zoo():
    """Every network has a row, and ours are the masked ones: `make benchmark-pruning-zoo` writes the page."""
    rows = rows_of(PAGE.read_text(encoding="utf-8"))
    assert list(rows) == [entry.title for entry in ENTRIES]
    assert all(set(row) == set(HEAD) and float(row["off by"]) <= 1e-4 for row in rows.values())
    assert {title for title, row in rows.items() if "fails" in row["Torch-Pruning"]} >= {
        ZOO[name].title for name in CURES}
