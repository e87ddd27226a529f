"""What calibrating costs, ours and others', as a multiple of plain float inference of the same images.

EfficientNet-Lite0, 224 x 224, one thread, CPU seconds, a process for each run, the tools taking turns. Then
whether statistics are the same bytes however they were made. Writes docs/calibration-cost.md and
build/benchmark/cost/cost.json. Exits with 3 where ours costs more than LIMITS, or bytes differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from pathlib import Path

from benchmark_peers import OURS, OUT, ROOT, THEIRS, child, say
from calibration_crops import write_crops
from calibration_identity import identities, identity_table
import numpy as np
from peers_report import conditions, table
import typer

FOLDER = OUT / "cost"
PAGE = ROOT / "docs" / "calibration-cost.md"
NETWORK = "docs/examples/efficientnet_lite0/model.py:pretrained"
NNCF = ROOT / ".venv-nncf" / "bin" / "python"
COUNTS = (100, 400)
ROUNDS, PEER_ROUNDS = 5, 1
"""The others are slow, and far from what ours is held to."""
HUNGRY_BYTES = 8 << 30
"""Memory that must be free for a tool that keeps every activation of 100 images."""
MINMAX, COUNTED, PEAK_BYTES, GROWTH = 1.5, 2.0, 400e6, 0.05


@dataclass(frozen=True)
class Tool:
    """setting: its mode or observer;  limit: most that it may cost, ours;  hungry: keeps every activation"""

    name: str
    function: str
    setting: str = "-"
    python: Path = OURS
    limit: float | None = None
    hungry: bool = False


PLAIN = (Tool("plain inference, LiteRT", "plain_litert"),
         Tool("plain inference, ONNX Runtime", "plain_onnxruntime"))
"""Of whom the cheaper one, by its median, is the measure."""
LIMITS = {"minmax": MINMAX, "moving_average": MINMAX, "percentile": COUNTED, "entropy": COUNTED,
          "mse": COUNTED}
OWN = tuple(Tool(f"ours, {observer}", "ours", observer, limit=limit) for observer, limit in LIMITS.items())
MODES = {"profiler": "CALIBRATION_PROFILER_BASED", "default": "CALIBRATION_PRESERVE_ALL_TENSORS"}
PEERS = (*(Tool(f"litert-quantizer, {name} mode", "litert_quantizer", mode, THEIRS)
           for name, mode in MODES.items()),
         Tool("onnxruntime, MinMax", "onnxruntime", "MinMax"),
         Tool("NNCF, no bias correction", "nncf", "none", NNCF),
         Tool("NNCF, fast bias correction", "nncf", "fast", NNCF))
HUNGRY = (Tool("onnxruntime, Entropy", "onnxruntime", "Entropy", hungry=True),
          Tool("onnxruntime, Percentile", "onnxruntime", "Percentile", hungry=True))
Runs = Mapping[str, list[Mapping[str, float]]]
"""Tool -> round -> "work" in CPU seconds, "peak_bytes"."""


def prepare() -> None:
    """The float files and the images in FOLDER, made once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "manifest.toml").exists():
        say(f"cutting {max(COUNTS)} crops")
        write_crops(FOLDER, max(COUNTS))
    for name in ("model.tflite", "model.onnx"):
        if not (FOLDER / name).exists():
            child(OURS, "convert_once.py", NETWORK, FOLDER / name)


def run(tool: Tool, count: int) -> dict[str, float]:
    record = json.loads(child(tool.python, "calibrate_once.py", tool.function, tool.setting, FOLDER, count))
    return {"work": record["cpu_s"]["work"], "peak_bytes": record["peak_bytes"]}


def measured(count: int, rounds: int) -> Runs:
    """All tools but the hungry ones, taking turns, from first to last and back."""
    found: dict[str, list[dict[str, float]]] = {}
    for turn in range(rounds):
        say(f"{count} images, round {turn + 1} of {rounds}")
        tools = (*PLAIN, *OWN, *(PEERS if turn < PEER_ROUNDS else ()))
        for tool in tools if turn % 2 == 0 else tools[::-1]:
            found.setdefault(tool.name, []).append(run(tool, count))
    return found


def hungry(count: int) -> Runs:
    """Tools whose memory grows with the images, alone and once; none where too little is free."""
    free = 1024 * int(next(line for line in Path("/proc/meminfo").read_text().splitlines()
                           if line.startswith("MemAvailable")).split()[1])
    if free < HUNGRY_BYTES:
        say(f"{', '.join(tool.name for tool in HUNGRY)}: left out, {free:,} bytes of memory are free")
        return {}
    say(f"{count} images, {', '.join(tool.name for tool in HUNGRY)}")
    return {tool.name: [run(tool, count)] for tool in HUNGRY}


def nncf_version() -> str:
    lines = (ROOT / "requirements" / "peers-nncf.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("nncf=="))


@dataclass(frozen=True)
class Cost:
    """Medians over rounds; ratio: to plain inference in the faster runtime in the same round, with its
    extremes."""

    seconds: float
    ratio: float
    lowest: float
    highest: float
    peak_bytes: float


def costs(runs: Runs) -> dict[str, Cost]:
    plain = [np.array([one["work"] for one in runs[tool.name]]) for tool in PLAIN]
    floor = min(plain, key=np.median)
    found = {}
    for name, rounds in runs.items():
        work = np.array([one["work"] for one in rounds])
        ratios = work / floor[:len(work)]
        found[name] = Cost(float(np.median(work)), float(np.median(ratios)), float(ratios.min()),
                           float(ratios.max()), float(np.median([one["peak_bytes"] for one in rounds])))
    return found


def broken(found: Mapping[int, Mapping[str, Cost]]) -> Iterator[str]:
    """What of ours costs more than promised."""
    for tool in OWN:
        rows = {count: by_tool[tool.name] for count, by_tool in found.items()}
        for count, cost in rows.items():
            if count in COUNTS and cost.ratio > tool.limit:
                yield f"{tool.name}, {count} images: {cost.ratio:.2f}x; {tool.limit}x is promised"
            if cost.peak_bytes > PEAK_BYTES:
                yield f"{tool.name}, {count} images: {cost.peak_bytes / 1e6:.0f} MB"
        peaks = [cost.peak_bytes for cost in rows.values()]
        if max(peaks) > (1 + GROWTH) * min(peaks):
            yield f"{tool.name}: memory grows from {min(peaks) / 1e6:.0f} to {max(peaks) / 1e6:.0f} MB"


def cost_table(found: Mapping[int, Mapping[str, Cost]]) -> str:
    head = ["calibration, CPU time as a multiple of plain inference"]
    head += [f"{what}, {count} images" for count in found for what in ("cost", "peak memory")]
    names = [tool.name for tool in (*PLAIN, *OWN, *PEERS, *HUNGRY)]
    rows = [[name, *(cell for by_tool in found.values() for cell in _cells(by_tool.get(name)))]
            for name in names]
    return table(head, rows)


def _cells(cost: Cost | None) -> tuple[str, str]:
    if cost is None:
        return "not run", "-"
    spread = f" ({cost.lowest:.2f} to {cost.highest:.2f})" if cost.lowest != cost.highest else ""
    return f"**{cost.ratio:.2f}**{spread}, {cost.seconds:.2f} s", f"{cost.peak_bytes / 1e6:.0f} MB"


TEXT = """# What calibration costs

`make benchmark-calibration` writes this page. `QUICK=1` takes fewer rounds and images.

Measured {conditions} {rounds} rounds of ours and {peers} of the others.

## Cost beside plain inference

{cost}

EfficientNet-Lite0, 224 x 224, one thread; {nncf}. Each run is a process of its own, and the tools take
turns; medians, with the lowest and the highest round in brackets. The cost is CPU time, user and system,
without imports and without loading the model and opening the images; memory is the most that the whole
process ever held. The measure, 1.00, is plain inference of the same round in the faster runtime: opened,
every image read, normalised and run, and its output asked for. Ours counts whole: from the float graph in
memory, writing the model for the runtime, opening it, reading and normalising every image, running it,
observing, and the ranges. Of onnxruntime it is the calibrator
alone, of litert-quantizer `calibrate` alone with all images read before, of NNCF `quantize` whole, which
has no calibration apart.

onnxruntime's Entropy and Percentile keep every activation of every image, 61 MB each: they are run once,
after the others, with {few} images, where 8 GiB of memory are free.

## The same statistics

{identity}

Statistics are exact counts and extremes, so that they merge in any order. The same activations make the
same file: any sharding over processes, any order of merging, killed (SIGKILL) and resumed. A runtime may
compute a sample together with others a little otherwise than alone: the reference never does, elsewhere the
worst relative difference of a range's edge is given, between batches of 1, 7 and 32.
"""


def main(quick: bool = typer.Option(False, help="20 and 40 images, one round, no hungry tool")) -> None:
    """Measure, print, write the page."""
    said = conditions(THEIRS)
    counts, rounds = ((20, 40), 1) if quick else (COUNTS, ROUNDS)
    prepare()
    runs = {count: measured(count, rounds) for count in counts}
    same = list(identities(FOLDER))
    if not quick:
        runs[counts[0]] |= hungry(counts[0])
    found = {count: costs(by_tool) for count, by_tool in runs.items()}
    text = TEXT.format(conditions=said, rounds=rounds, cost=cost_table(found), peers=PEER_ROUNDS,
                       few=counts[0], identity=identity_table(same), nncf=nncf_version())
    figures = json.dumps({"conditions": said, "runs": runs}, indent=2)
    (FOLDER / "cost.json").write_text(figures, encoding="utf-8")
    print(text, end="")
    if not quick:
        PAGE.write_text(text, encoding="utf-8")
    if lines := [*broken(found), *(one.what for one in same if not one.holds)]:
        say("; ".join(lines))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
