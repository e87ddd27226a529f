"""Runs as JSON or CSV, for other programs. A record holds no key, address or serial number, and no lease is
exported: the names of hosts and people stay in the ledger."""

from collections.abc import Iterable, Mapping
import csv
import io

import msgspec

from toolchain.ledger.runs import WholeRun
from toolchain.measurement import Evaluation, Measurement

SCHEMA_VERSION = 1
FIGURES: Mapping[str, tuple[str, ...]] = {
    "median_us": ("latency_us", "median"), "low_us": ("latency_us", "low"), "high_us": ("latency_us", "high"),
    "p90_us": ("latency_us", "p90"), "p99_us": ("latency_us", "p99"), "samples": ("latency_us", "samples"),
    "load_us": ("cold_us", "load"), "first_us": ("cold_us", "first"), "instructions": ("instructions",),
    "cycles": ("cycles",), "peak_rss_bytes": ("peak_rss_bytes",), "arena_bytes": ("arena_bytes",),
    "static_bytes": ("static_bytes",), "stack_bytes": ("stack_bytes",), "flash_bytes": ("flash_bytes",),
    "gross_uj": ("energy", "gross_uj"), "net_uj": ("energy", "net_uj"),
    "energy_uncertainty": ("energy", "uncertainty"), "energy_tier": ("energy", "tier"),
    "mismatched": ("parity", "mismatched"), "metric": ("metric",), "value": ("value",), "n": ("n",),
    "standard_error": ("standard_error",), "data": ("data",), "split": ("split",),
    "expected_us": ("staged", "latency_us", "median"), "expected_instructions": ("staged", "instructions"),
    "expected_uj": ("staged", "energy", "gross_uj")}
"""Column of the CSV -> where a record has it. What a record has not is left empty."""
LISTED = ("id", "kind", "started", "device", "target", "artifact", "artifact_digest", "runtime", "emulated",
          "valid", "problems", "campaign", "attempt")


class Export(msgspec.Struct, frozen=True):
    """What `edge runs export` writes as JSON."""

    runs: tuple[WholeRun, ...]
    schema: str = "edge.runs"
    schema_version: int = SCHEMA_VERSION


def as_json(runs: Iterable[WholeRun]) -> str:
    """Everything, raw samples included."""
    return msgspec.json.encode(Export(tuple(runs))).decode() + "\n"


def as_csv(runs: Iterable[WholeRun]) -> str:
    """A line a run, its figures without raw samples."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow((*LISTED, *FIGURES))
    for run in runs:
        listed = ("; ".join(run.problems) if name == "problems" else getattr(run, name) for name in LISTED)
        lines.writerow(map(_cell, (*listed, *(_figure(run.record, path) for path in FIGURES.values()))))
    return out.getvalue()


def _figure(record: Measurement | Evaluation, path: tuple[str, ...]):
    for name in path:
        record = getattr(record, name, None)
    return record


def _cell(value):
    """A text that a spreadsheet would take for a formula is marked as text: devices may say anything."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


EXPORT = {"json": as_json, "csv": as_csv}
