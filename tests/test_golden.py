"""The same Graph gives the same bytes, today, tomorrow and on another machine.

A wanted change is regenerated with scripts/regenerate_golden.py and shows in the diff.
"""

from pathlib import Path

import pytest

from tests.golden.net import files

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.name for path in GOLDEN.iterdir() if path.suffix in (".tflite", ".onnx", ".c", ".h"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return files(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_the_golden_ones(made, name):
    assert made[name] == (GOLDEN / name).read_bytes()


def test_every_file_has_a_golden_one(made):
    assert all((GOLDEN / name).is_file() for name in made)
