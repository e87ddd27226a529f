"""Every network of the zoo beside the vendors' files of it: litert-torch's with litert-quantizer's INT8, and
what onnxruntime's quantize_static makes of our float .onnx; all from the same calibration samples.

Files are kept in build/benchmark/zoo/, so that a rerun resumes. Writes zoo.json and zoo.md there. Exits with
3 where a file of ours takes over 5 % more time than theirs, or its SQNR is over 1 dB lower.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
import signal
import subprocess

from benchmark_peers import (
    OURS,
    OUT,
    ROOT,
    THEIRS,
    TOOLS,
    Network,
    Tool,
    child,
    conversion,
    digest_of,
    say,
    speed,
)
import numpy as np
from peers_report import conditions
import typer
from zoo_report import report, worse

from tests.zoo.catalogue import CALIBRATION, ENTRIES, HELD_OUT, ZOO, Entry
from tests.zoo.judge import sqnr_db
from tests.zoo.sources import source_runtime
from toolchain.errors import ToolchainError
from toolchain.runtime.onnxruntime import OnnxRuntime

FOLDER = OUT / "zoo"
OUR_TOOL, THEIR_TOOL = Tool("ours, default", OURS, "convert_ours.py", "mse"), TOOLS[3]
"""litert-quantizer in its default mode: its profiler takes the -inf around a padded max pool for a range."""
DEFINING = "seeding mobile residual images small generative attention recurrent pretrained".split()
NETWORKS = [ROOT / "tests/models.py", *(ROOT / f"tests/zoo/{name}.py" for name in DEFINING)]
"""What shapes the networks."""
FAILURES = (subprocess.CalledProcessError, ToolchainError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Files:
    """A network's folders, ours and litert-torch's, and onnxruntime's INT8 file. None: not made.

    failed: tool -> why
    """

    ours: Path | None
    theirs: Path | None
    onnx: Path | None
    failed: dict[str, str]


def tried(who: str, failed: dict[str, str], make: Callable, *arguments):
    """What `make` gives; None where it fails, which is noted in `failed`."""
    try:
        return make(*arguments)
    except FAILURES as error:
        failed[who] = _reason(error)
        say(f"{who} failed: {failed[who]}")
        return None


def _reason(error: Exception) -> str:
    """One line: the error itself, or what ended a child."""
    text = str(error)
    if isinstance(error, subprocess.CalledProcessError):
        text = signal.Signals(-error.returncode).name if error.returncode < 0 else error.stderr
    return text.strip().splitlines()[-1].strip()[:300]


# Conversion -------------------------------------------------------------------------------------------------

def files_of(entry: Entry, figures: dict) -> Files:
    """Ours, then theirs with inputs and outputs laid out as ours; what they cost goes into `figures`."""
    folder, x, failed = FOLDER / entry.name, entry.draw(*CALIBRATION), {}
    folder.mkdir(parents=True, exist_ok=True)
    samples, network = folder / "calibration.npz", Network(entry.name, entry.open(), 0, 1)
    np.savez(samples, x=x)
    stated = entry.name, hashlib.sha256(x.tobytes()).hexdigest()
    ours = folder / digest_of([*NETWORKS, *sorted((ROOT / "toolchain").rglob("*.py"))], OUR_TOOL, *stated)
    figures["ours"] = tried("ours", failed, conversion, network, OUR_TOOL, samples, ours)
    if figures["ours"] is None:
        return Files(None, None, None, failed)
    theirs = None
    if entry.is_torch:
        laid = borders(ours)
        theirs = folder / digest_of(NETWORKS, THEIR_TOOL, *stated, laid)
        figures["theirs"] = tried("theirs", failed, conversion, network, THEIR_TOOL, samples, theirs, laid)
    return Files(ours, theirs, tried("onnxruntime", failed, onnx_peer, ours, samples), failed)


def borders(ours: Path) -> str:
    """Numbers of the inputs and outputs that our .tflite has channels last, for convert_theirs.py."""
    session = OnnxRuntime((ours / "float32.onnx").read_bytes())
    sides = [[str(i) for i, port in enumerate(ports) if port.name in session.permutations]
             for ports in (session.inputs, session.outputs)]
    return "/".join(map(",".join, sides))


def onnx_peer(ours: Path, samples: Path) -> Path:
    """onnxruntime's INT8 file of our float .onnx."""
    target = ours / "onnxruntime-int8.onnx"
    if not target.exists():
        temporary = target.with_suffix(".part.onnx")
        child(OURS, "quantize_onnx.py", ours / "float32.onnx", samples, temporary)
        temporary.replace(target)
    return target


# Fidelity ---------------------------------------------------------------------------------------------------

def fidelity(entry: Entry, files: Files) -> dict[str, float]:
    """File -> SQNR of INT8 beside the source on held-out samples, of the worst output."""
    told = OnnxRuntime((files.ours / "float32.onnx").read_bytes())
    feeds, outputs = {told.inputs[0].name: entry.draw(*HELD_OUT)}, [port.name for port in told.outputs]
    exact, _ = source_runtime(entry, feeds, outputs)
    answers = {"ours .tflite": lambda: tflite_answers(files.ours / "int8.tflite", feeds, told),
               "ours .onnx": lambda: OnnxRuntime((files.ours / "int8.onnx").read_bytes()).run(feeds)}
    if files.theirs and (files.theirs / "int8.tflite").exists():
        answers["theirs .tflite"] = lambda: tflite_answers(files.theirs / "int8.tflite", feeds, told)
    if files.onnx:
        answers["theirs .onnx"] = lambda: OnnxRuntime(files.onnx.read_bytes()).run(feeds)
    found = {name: tried(name, files.failed, answer) for name, answer in answers.items()}
    return {name: min(sqnr_db(exact[output], answer[output]) for output in outputs)
            for name, answer in found.items() if answer}


def tflite_answers(path: Path, feeds: Mapping[str, np.ndarray], told: OnnxRuntime) -> dict[str, np.ndarray]:
    """A .tflite file's outputs in reals, by our names and in the source's layout; a child may crash of it.

    told: our .onnx, which knows names and permutations. A file with other names has outputs in their order
    """
    ((name, x),), names = feeds.items(), [port.name for port in told.outputs]
    samples, target = path.parent / "held_out.npz", path.parent / "answers.npz"
    np.savez(samples, x=x.transpose(told.permutations.get(name, range(x.ndim))))
    child(OURS, "answer_tflite.py", path, samples, target)
    with np.load(target) as found:
        mine = names if set(names) == set(found.files) else sorted(found.files)
        return {name: found[one].transpose(np.argsort(told.permutations.get(name, range(found[one].ndim))))
                for name, one in zip(names, mine, strict=True)}


# Speed ------------------------------------------------------------------------------------------------------

def speeds(files: Files, *size: int) -> Iterator[tuple[str, dict]]:
    """What is compared -> its figures; size: processes, pairs."""
    pairs = {}
    if files.theirs:
        pairs |= {f"{kind} .tflite": (f"{kind}.tflite", files.theirs / f"{kind}.tflite")
                  for kind in ("float32", "int8")}
    if files.onnx:
        pairs["int8 .onnx"] = "int8.onnx", files.onnx
    for what, (mine, theirs) in pairs.items():
        if theirs.exists():
            found = tried(f"timing {what}", files.failed, speed, files.ours / mine, theirs, *size)
            yield from [(what, found)] if found else []


def judged(entry: Entry, *size: int) -> dict:
    """Everything about one network."""
    say(entry.title)
    figures = {"title": entry.title}
    files = files_of(entry, figures)
    if files.ours:
        figures["sqnr_db"] = fidelity(entry, files)
        figures["speed"] = dict(speeds(files, *size))
    return {**figures, "failed": files.failed}


def main(quick: bool = typer.Option(False, help="fewer processes and pairs"),
         only: str = typer.Option("", help="names of networks, with commas between them")) -> None:
    """Compare the zoo's files; print the tables."""
    size = (2, 20) if quick else (5, 100)
    said = conditions(THEIRS)
    chosen = [ZOO[name] for name in only.split(",")] if only else ENTRIES
    found = {entry.name: judged(entry, *size) for entry in chosen}
    text = report(said, found)
    (FOLDER / "zoo.json").write_text(json.dumps({"conditions": said, **found}, indent=2, default=str),
                                     encoding="utf-8")
    (FOLDER / "zoo.md").write_text(text, encoding="utf-8")
    print(text, end="")
    if lines := worse(found):
        say("; ".join(lines))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
