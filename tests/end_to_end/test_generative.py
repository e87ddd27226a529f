"""Networks that draw, with half of their multiply-accumulates, in INT8, on an emulated Cortex-M4.

Everything by the command line. What is found is printed (`pytest -rP`).
"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolchain.cli import app

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
DIGITS = Path(__file__).resolve().parents[2] / "docs/examples/digits"
WORSE = 1.1
"""What a distance, and an ELBO below 0, may be multiplied with."""


def edge(*words: object) -> str:
    done = CliRunner().invoke(app, [*map(str, words), "--quiet"])
    assert done.exit_code == 0, f"{words}: {done.output}"
    return done.stdout


def value(folder: Path, data: str, *more: object) -> float:
    found = json.loads(edge("eval", folder, "--data", f"{DIGITS}/model.py:{data}", "--json", *more))
    print(folder.name, *more, found["metric"], found["value"], found["standard_error"])
    return found["value"]


@pytest.mark.parametrize("name, data, recipe", [
    ("generator", "noise", "recipe.toml"), ("vae", "images_and_noise", "vae.toml"),
    ("recurrent_vae", "images_and_noise", "rvae.toml"), ("recurrent_decoder", "codes", "recipe.toml")])
def test_half_the_work_in_int8_draws_as_well_everywhere(name, data, recipe, tmp_path):
    lines = (DIGITS / recipe).read_text().replace("model.py", f"{DIGITS}/model.py").splitlines()
    plain = tmp_path / "float.toml"
    plain.write_text("\n".join(lines[:lines.index("[prune]")] + ['[quantize]', 'scheme = "float32"']))
    edge("build", f"{DIGITS}/model.py:{name}", "--target", "host", "--recipe", plain,
         "--out", tmp_path / "float")
    for target in ("host", "cortex_m4_qemu"):
        edge("build", f"{DIGITS}/model.py:{name}", "--target", target, "--recipe", DIGITS / recipe, "--data",
             f"{DIGITS}/model.py:{data}", "--out", tmp_path / target)
    before, after = (json.loads((tmp_path / folder / "manifest.json").read_text())["macs"]
                     for folder in ("float", "host"))
    assert after <= before / 2
    original = value(tmp_path / "float", data)
    for fmt in ("tflite", "onnx"):
        assert abs(value(tmp_path / "host", data, "--format", fmt)) <= WORSE * abs(original)
    assert abs(value(tmp_path / "cortex_m4_qemu", data)) <= WORSE * abs(original)
    told = json.loads(edge("bench", tmp_path / "cortex_m4_qemu", "--json"))
    assert told["parity"]["mismatched"] == 0 < told["parity"]["checked"] and told["problems"] == []
    edge("draw", *(tmp_path / folder for folder in ("float", "host", "cortex_m4_qemu")), "--data",
         f"{DIGITS}/model.py:{data}", "--out", tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
