"""We and the vendors' tools side by side: what conversion costs, how fast the files run (docs/benchmarks.md).

Conversions are kept in build/benchmark/, under the digest of all that went in, so that a rerun resumes.
Writes build/benchmark/peers.json and peers.md. Exits with 3 where a file of ours is over 5 % slower.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from peers_report import conditions, processor, report, slower
import typer

from toolchain.data import load_samples
from toolchain.port import Port, convert
from toolchain.runtime.litert import LiteRT

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
OUT = ROOT / "build" / "benchmark"
OURS, THEIRS = Path(sys.executable), ROOT / ".venv-peers" / "bin" / "python"
SHAPING = ("convert_ours.py", "convert_theirs.py", "calibration_file.py", "footprint.py")
CALIBRATION, TEST = 100, 64
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Network:
    """side: of the square input;  rounds: conversions measured, each by every tool"""

    name: str
    model: str
    side: int
    rounds: int


NETWORKS = (Network("resnet8", "tests/models.py:resnet8", 32, 1),
            Network("efficientnet_lite0", "docs/examples/efficientnet_lite0/model.py:pretrained", 224, 3))


@dataclass(frozen=True)
class Tool:
    """A way from an nn.Module to an INT8 .tflite: a script, its interpreter, and how it calibrates."""

    name: str
    python: Path
    script: str
    calibration: str


TOOLS = (Tool("ours, min-max", OURS, "convert_ours.py", "minmax"),
         Tool("theirs, profiler mode", THEIRS, "convert_theirs.py", "CALIBRATION_PROFILER_BASED"),
         Tool("ours, percentile", OURS, "convert_ours.py", "percentile"),
         Tool("theirs, default mode", THEIRS, "convert_theirs.py", "CALIBRATION_PRESERVE_ALL_TENSORS"))


def say(message: str) -> None:
    print(f"benchmark: {message}", file=sys.stderr, flush=True)


def child(python: Path, script: str, *arguments: object) -> str:
    """The last line that a script prints. Raises CalledProcessError, after showing what it said."""
    command = [str(python), str(SCRIPTS / script), *map(str, arguments)]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        done.check_returncode()
    return (done.stdout.strip().splitlines() or [""])[-1]


def images(network: Network, split: str, count: int) -> np.ndarray:
    """(count, side, side, 3) uint8, drawn from a split's crops of photographs and their mirror images.

    Shuffled, with a seed: litert-quantizer's ranges are a moving average, which sorted images would mislead.
    """
    crops = np.asarray(load_samples("photos").split(split).x["x"])
    factor = crops.shape[1] // network.side
    blocks = crops.reshape(len(crops), network.side, factor, network.side, factor, 3)
    small = blocks.mean(axis=(2, 4)).round().astype(np.uint8)
    both = np.concatenate([small, small[:, :, ::-1]])
    return both[np.random.default_rng(0).permutation(len(both))[:count]]


# Conversion -------------------------------------------------------------------------------------------------

def digest(network: Network, samples: np.ndarray) -> str:
    """Of everything that shapes files and figures: code, environments, samples, processor."""
    sources = [*sorted((ROOT / "toolchain").rglob("*.py")), ROOT / network.model.partition(":")[0]]
    return digest_of(sources, network, TOOLS, samples.tobytes())


def digest_of(sources: Iterable[Path], *stated: object) -> str:
    """Of files, the conversion scripts, environments, processor and what else is stated."""
    found = hashlib.sha256(f"{stated} {processor()}".encode())
    for path in (*sources, *map(SCRIPTS.joinpath, SHAPING)):
        found.update(path.read_bytes())
    for stamp in sorted(ROOT.glob(".venv*/ready-*")):
        found.update(stamp.name.encode())
    return found.hexdigest()[:16]


def conversions(network: Network, rounds: int, count: int) -> dict[str, list[dict]]:
    """Tool -> one record a round, its files in record["folder"]. The tools take turns."""
    x = images(network, "calibration", count)
    folder = OUT / f"{network.name}-{digest(network, x)}"
    folder.mkdir(parents=True, exist_ok=True)
    samples = folder / "calibration.npz"
    np.savez(samples, x=x)
    found: dict[str, list[dict]] = {tool.name: [] for tool in TOOLS}
    for turn in range(rounds):
        for tool in TOOLS if turn % 2 == 0 else TOOLS[::-1]:
            place = folder / f"{tool.name.replace(', ', '-').replace(' ', '-')}-{turn}"
            found[tool.name].append(conversion(network, tool, samples, place))
    return found


def conversion(network: Network, tool: Tool, samples: Path, folder: Path, *more: str) -> dict:
    """The record of a conversion, made now or before; it is written last. more: the tool's own arguments."""
    record = folder / "record.json"
    if not record.exists():
        say(f"{network.name}: {folder.name}")
        folder.mkdir(exist_ok=True)
        line = child(tool.python, tool.script, network.model, samples, tool.calibration, folder, *more)
        temporary = record.with_suffix(".part")
        temporary.write_text(line, encoding="utf-8")
        temporary.replace(record)
    return {**json.loads(record.read_text(encoding="utf-8")), "folder": folder}


def cost(records: list[dict]) -> dict[str, float]:
    """Medians over rounds: CPU seconds by stage, "work" = all but imports, and memory in bytes."""
    rows = [{**r["cpu_s"], "work": sum(s for stage, s in r["cpu_s"].items() if stage != "imports"),
             "imported_bytes": r["imported_bytes"], "peak_bytes": r["peak_bytes"]} for r in records]
    return {key: float(np.median([row[key] for row in rows])) for key in rows[0]}


def onnx_peer(network: Network, ours: Path) -> Path:
    """onnxruntime's own INT8 file, from our float .onnx and the same images."""
    target = ours.parent / "onnxruntime-int8.onnx"
    if not target.exists():
        say(f"{network.name}: onnxruntime's quantize_static")
        temporary = target.with_suffix(".part.onnx")
        child(OURS, "quantize_onnx.py", ours / "float32.onnx", ours.parent / "calibration.npz", temporary)
        temporary.replace(target)
    return target


# Fidelity ---------------------------------------------------------------------------------------------------

def logits(path: Path, reals: np.ndarray) -> np.ndarray:
    """What a .tflite file answers to channels-last float images, in reals."""
    session = LiteRT(path.read_bytes())
    (have,), (out,) = session.inputs, session.outputs
    found = session.run({have.name: convert(reals, Port("x", have.shape, "float32"), have)})[out.name]
    return convert(found, out, Port("y", out.shape, "float32"))


def fidelity(network: Network, folders: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Tool -> how its INT8 file answers beside our float file, and its float file too, on held-out crops.

    sqnr_db:    10 log10(sum of squares / sum of squared differences)
    agreement:  share of crops with the same first choice
    float_error: largest difference of the float files as a share of the range
    """
    reals = (images(network, "test", TEST).astype(np.float32) - 127) / 128
    exact, found = logits(folders[TOOLS[0].name] / "float32.tflite", reals), {}
    for name, folder in folders.items():
        single, coded = (logits(folder / f"{kind}.tflite", reals) for kind in ("float32", "int8"))
        noise = np.square(exact - coded).sum()
        found[name] = {"sqnr_db": float(10 * np.log10(np.square(exact).sum() / noise)),
                       "agreement": float(np.mean(exact.argmax(1) == coded.argmax(1))),
                       "float_error": float(np.abs(exact - single).max() / np.ptp(exact))}
    return found


# Speed ------------------------------------------------------------------------------------------------------

Speed = dict[str, list[float]]


def speed(ours: Path, theirs: Path, processes: int, pairs: int) -> Speed:
    """[CPU, wall]: medians of milliseconds per inference, and of ours / theirs in neighbouring blocks, of all
    processes; "lowest" and "highest" are that ratio in single processes."""
    say(f"timing {ours.relative_to(OUT)} and {theirs.relative_to(OUT)}")
    lines = [child(OURS, "interleaved.py", ours, theirs, pairs, turn % 2) for turn in range(processes)]
    found = np.array([json.loads(line) for line in lines])  # (process, file, pair, CPU or wall)
    medians, ratios = np.median(found, axis=(0, 2)), np.median(found[:, 0] / found[:, 1], axis=1)
    return {"ours_ms": medians[0].tolist(), "theirs_ms": medians[1].tolist(),
            "ratio": np.median(ratios, axis=0).tolist(), "lowest": ratios.min(axis=0).tolist(),
            "highest": ratios.max(axis=0).tolist()}


def speeds(network: Network, folders: dict[str, Path], *size: int) -> Iterator[tuple[str, Speed]]:
    """What is compared -> its figures; size: processes, pairs."""
    ours, theirs = (folders[tool.name] for tool in TOOLS[:2])
    for kind in ("float32", "int8"):
        name = f"{kind}.tflite"
        yield f"{kind} .tflite, LiteRT", speed(ours / name, theirs / name, *size)
    yield "U8S8 .onnx, ONNX Runtime", speed(ours / "int8.onnx", onnx_peer(network, ours), *size)


def main(quick: bool = typer.Option(False, help="fewer images, rounds, processes and pairs")) -> None:
    """Compare conversions and files; print the tables."""
    count, processes, pairs = (10, 2, 30) if quick else (CALIBRATION, 5, 200)
    said = conditions(THEIRS)
    found = {}
    for network in NETWORKS:
        rounds = 1 if quick else network.rounds
        records = conversions(network, rounds, count)
        folders = {name: rows[0]["folder"] for name, rows in records.items()}
        found[network.name] = {"images": count, "rounds": rounds, "processes": processes, "pairs": pairs,
                               "cost": {name: cost(rows) for name, rows in records.items()},
                               "fidelity": fidelity(network, folders),
                               "speed": dict(speeds(network, folders, processes, pairs))}
    text = report(said, found)
    (OUT / "peers.json").write_text(json.dumps({"conditions": said, **found}, indent=2), encoding="utf-8")
    (OUT / "peers.md").write_text(text, encoding="utf-8")
    print(text, end="")
    if worse := slower({name: figures["speed"] for name, figures in found.items()}):
        say("; ".join(worse))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
