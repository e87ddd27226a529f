"""What `edge data check` shows of samples."""

import hashlib
from pathlib import Path

import msgspec

from toolchain.data import load_samples
from toolchain.data.checks import DataSummary, InputSummary, examine
from toolchain.input_checks import examined
from toolchain.load import Shapes, load

CHANNELS = 8
"""Channels of which mean and standard deviation are printed; --json has all."""


class DataInspection(msgspec.Struct, frozen=True, kw_only=True):
    """sha256: of the file, "" where the samples are in none or in many."""

    source: str
    sha256: str
    model: str | None
    summary: DataSummary


def inspect_data(source: str, model: str | None = None, shapes: Shapes | None = None,
                 checkpoint: Path | None = None) -> DataInspection:
    """Look at all samples, and feed a few to a model. shapes, checkpoint: as `load` takes them."""
    samples = load_samples(source)
    graph = None if model is None else load(model, shapes=shapes, checkpoint=checkpoint)
    summary = examine(samples) if graph is None else examined(samples, graph)
    return DataInspection(source=source, sha256=_sha256(Path(source)), model=model, summary=summary)


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_text(found: DataInspection) -> str:
    """Counts, values and findings, for people."""
    summary = found.summary
    lines = [f"{summary.name}: {summary.n:,} samples, digest {summary.digest[:16]}"]
    if summary.splits:
        lines.append("splits   " + ", ".join(f"{name} {count:,}" for name, count in summary.splits.items()))
    lines += [f"class    {name:20} " + ", ".join(f"{split} {count:,}" for split, count in per.items())
              for name, per in summary.classes.items()]
    lines += [line for one in summary.inputs for line in _input_lines(one)]
    return "\n".join([*lines, *(map(str, summary.findings) if summary.findings else ["nothing looks wrong"])])


def _input_lines(one: InputSummary) -> list[str]:
    lines = [f"input    {one.name}: {one.dtype} {one.shape}, fed as {one.low:.4g}..{one.high:.4g}, mean "
             f"{one.mean:.4g}"]
    for word, values in (("mean", one.channel_mean), ("std", one.channel_std)):
        if 1 < len(values):
            more = ", ..." if len(values) > CHANNELS else ""
            lines.append(f"  {word:5} of each channel: "
                         + ", ".join(f"{value:.4g}" for value in values[:CHANNELS]) + more)
    return lines
