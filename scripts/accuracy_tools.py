"""Every tool's INT8 file of a network, made in a child process, and what it answers to the test samples.

Files and answers are kept under build/benchmark/accuracy/, by the digest of all that went in.
"""

from dataclasses import dataclass
import hashlib
from pathlib import Path

from accuracy_cases import Case, logits_only
from benchmark_peers import OURS, OUT, ROOT, SCRIPTS, THEIRS, child, say
import numpy as np

from toolchain.atomic import replacing
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.onnxruntime import OnnxRuntime

FOLDER = OUT / "accuracy"
NNCF = ROOT / ".venv-nncf" / "bin" / "python"


@dataclass(frozen=True)
class Workplace:
    """A network's folder: its float files, float32.tflite and float32.onnx, samples in the layout of each."""

    case: Case
    folder: Path

    def float_file(self, suffix: str) -> Path:
        return self.folder / f"float32{suffix}"

    def samples(self, part: str, suffix: str) -> Path:
        """The .npz with "calibration" or "test" samples for files of that suffix."""
        return self.folder / f"{part}{suffix}.npz"


def prepare(case: Case, **parts: np.ndarray) -> Workplace:
    """Write what every tool starts from: the float network without its softmax, and samples.

    parts: channels last
    """
    at = Workplace(case, FOLDER / case.name)
    at.folder.mkdir(parents=True, exist_ok=True)
    graph = logits_only(canonical(load(case.source)))
    (name,) = graph.inputs
    models = {".tflite": write_tflite(graph), ".onnx": write_onnx(graph)}
    axes = OnnxRuntime(models[".onnx"]).permutations.get(name)
    turns = {".tflite": None, ".onnx": None if axes is None else np.argsort(axes)}
    for suffix, model in models.items():
        at.float_file(suffix).write_bytes(model)
        for part, x in parts.items():
            turned = x if turns[suffix] is None else x.transpose(turns[suffix])
            np.savez(at.samples(part, suffix), x=np.ascontiguousarray(turned))
    return at


def digest_of(*sources: Path, stated: str = "") -> str:
    """Of files' bytes and what else is stated."""
    found = hashlib.sha256(stated.encode())
    for path in sources:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


# Tools ------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Tool:
    """A way to an INT8 file.

    suffix:  of the file
    python, script: what makes it: SCRIPT FLOAT SAMPLES.npz OUT SETTING
    setting: its last argument
    sources: files that shape what it makes, besides the script and the workplace's
    """

    name: str
    suffix: str
    python: Path
    script: str
    setting: str
    sources: tuple[Path, ...]

    def file(self, at: Workplace) -> Path:
        """Its INT8 file, made now or before. Raises CalledProcessError."""
        given = at.float_file(self.suffix), at.samples("calibration", self.suffix)
        digest = digest_of(*given, SCRIPTS / self.script, *self.sources, stated=self.setting)
        slug = self.name.replace(", ", "-").replace(" ", "-").lower()
        file = at.folder / f"{slug}-{digest}{self.suffix}"
        if not file.exists():
            say(f"{at.case.name}: {self.name}")
            with replacing(file) as temporary:
                child(self.python, self.script, *given, temporary, self.setting)
        return file


def ours(name: str, recipe: str, suffix: str = ".tflite") -> Tool:
    """recipe: TOML"""
    code = tuple(sorted((ROOT / "toolchain").rglob("*.py")))
    return Tool(f"ours, {name}", suffix, OURS, "quantize_ours.py", recipe, code)


def litert_quantizer(name: str, mode: str) -> Tool:
    return Tool(f"litert-quantizer, {name}", ".tflite", THEIRS, "quantize_litert.py", mode,
                (ROOT / "requirements/peers.txt",))


def onnxruntime(method: str) -> Tool:
    return Tool(f"onnxruntime, {method}", ".onnx", OURS, "quantize_onnx.py", method,
                (ROOT / "requirements/constraints.txt",))


def nncf(name: str, preset: str) -> Tool:
    return Tool(f"NNCF, {name}", ".onnx", NNCF, "quantize_nncf.py", preset,
                (ROOT / "requirements/peers-nncf.txt",))


PEERS = (litert_quantizer("default mode", "CALIBRATION_PRESERVE_ALL_TENSORS"),
         litert_quantizer("profiler mode", "CALIBRATION_PROFILER_BASED"),
         onnxruntime("MinMax"), onnxruntime("Entropy"), onnxruntime("Percentile"),
         nncf("symmetric", "PERFORMANCE"), nncf("asymmetric", "MIXED"))


# Answers ----------------------------------------------------------------------------------------------------

def vendor_file(at: Workplace) -> Path:
    """The vendor's, cut before its softmax."""
    file = at.folder / "vendor.tflite"
    file.write_bytes(write_tflite(logits_only(canonical(load(str(at.case.vendor))))))
    return file


def logits(at: Workplace, file: Path) -> np.ndarray:
    """(N, classes) reals that a file answers to the test samples, kept beside it; a child gives them"""
    samples = at.samples("test", file.suffix)
    kept = at.folder / f"{file.stem}-{digest_of(file, samples)}.npy"
    if not kept.exists():
        with replacing(kept) as temporary:
            child(OURS, "answer_logits.py", file, samples, temporary)
    return np.load(kept)
