"""`make bench-TARGET DEVICE=...` as a person types it, and what it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
import os
from pathlib import Path
import subprocess

import msgspec
import numpy as np

from toolchain.measurement import Evaluation, Measurement

ROOT = Path(__file__).resolve().parents[1]
EDGE = ROOT / ".venv/bin/edge"
MAKES_OWN = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MODEL", "RECIPE", "DATA", "DEVICE", "LIMIT"}
"""Variables of a make that runs these tests."""
NOT_THERE = ("latency_us", "latency_samples_us", "cpu_samples_us", "cold_us", "cycles", "energy", "sustained",
             "ops")
"""Of a measurement: what an emulated device does not have."""
CLIPS = 500
"""Of the keyword spotter's, to judge accuracy by."""
SECONDS = 1500


@dataclass(frozen=True)
class Benched:
    """folder:       the artefact's
    printed:      on the terminal
    measurements: "runtime.runner" -> the record beside the artefact, evaluations likewise
    ledger:       what `edge runs export` writes of the same
    """

    folder: Path
    printed: str
    measurements: dict[str, Measurement]
    evaluations: dict[str, Evaluation]
    ledger: list[dict]


def keyword_clips(kit: Path, path: Path) -> Path:
    """MLPerf Tiny's clips for keyword spotting as docs/own-data.md has arrays: codes (698, 49, 10, 1)."""
    with np.load(kit / "mlperf_kws01/kws01.npz") as pack:
        np.savez(path, x=pack["x"][..., None], y=pack["y"].astype(np.int64))
    return path


def make_bench(target: str, device: str, ledger: Path, environment: Mapping[str, str] = {},
               **variables: object) -> Benched:
    """Build and bench. Environments of the tests are set up: `setup` is not made again.

    variables: MODEL, DATA, LIMIT. environment: set for it; its figures go into this ledger alone.
    """
    words = [f"{key}={value}" for key, value in {"DEVICE": device, **variables}.items()]
    env = {key: value for key, value in os.environ.items() if key not in MAKES_OWN}
    env |= {"COLUMNS": "200", "EDGE_LEDGER": str(ledger), **environment}
    printed = _printed(["make", "--no-print-directory", "-o", "setup", f"bench-{target}", *words], env)
    folder = ROOT / "build" / Path(str(variables["MODEL"])).stem / target
    found = json.loads(_printed([EDGE, "runs", "export", "--ledger", ledger], env))
    return Benched(folder, printed, _records(folder, Measurement), _records(folder, Evaluation),
                   found["runs"])


def edge(*words: object, ledger: Path) -> str:
    """What a verb prints."""
    return _printed([EDGE, *words], {**os.environ, "EDGE_LEDGER": str(ledger)})


def _printed(words: list, env: Mapping[str, str]) -> str:
    done = subprocess.run(list(map(str, words)), cwd=ROOT, env=env, capture_output=True, text=True,
                          timeout=SECONDS)
    assert done.returncode == 0, f"{words}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _records(folder: Path, kind: type) -> dict:
    """Of names like measurement.tflite.pi-virt.litert.native.json."""
    return {".".join(path.name.split(".")[3:-1]): msgspec.json.decode(path.read_bytes(), type=kind)
            for path in folder.glob(f"{kind.__name__.lower()}.*.json")}


def assert_only_emulated(found: Benched) -> None:
    """No time and no energy in records, ledger or what was printed, and all of it labelled."""
    kept = [run["record"] for run in found.ledger if run["kind"] == "measurement"]
    beside = [msgspec.to_builtins(one) for one in found.measurements.values()]
    assert len(kept) == len(beside) > 0 and all(run["emulated"] for run in found.ledger)
    assert all(one.emulated for one in found.evaluations.values())
    for record in (*kept, *beside):
        assert record["emulated"] and not [name for name in NOT_THERE if record.get(name)]
        assert {record["conditions"][name] for name in ("time", "energy")} == {"emulated: none"}
    assert "(emulated)" in found.printed and "no milliseconds and no energy" in found.printed
    assert " ms" not in found.printed.replace("no milliseconds", "") and "uJ" not in found.printed
