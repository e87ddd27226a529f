"""What a set of samples is, and what looks wrong with it, in one pass that holds a batch at a time."""

from collections import Counter
from dataclasses import dataclass, field
import hashlib
from typing import Literal

import msgspec
import numpy as np

from toolchain.data.rows import CHUNK
from toolchain.data.samples import Samples

Severity = Literal["error", "warning", "note"]
IMBALANCE = 10
"""Samples of the most frequent class for each of the rarest, from which on it is said."""


class Finding(msgspec.Struct, frozen=True):
    """Something that looks wrong, or cannot be told.

    severity: "error": figures taken with it are worth nothing; "warning": look at it; "note": good to know
    about:    the input, "y" for labels, "" for the set
    """

    severity: Severity
    about: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.about}{self.about and ': '}{self.message}"


class InputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one input as they are fed: after mean and scale. Channels are the last axis."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    channel_mean: tuple[float, ...]
    channel_std: tuple[float, ...]
    constant: int
    not_finite: int


class DataSummary(msgspec.Struct, frozen=True, kw_only=True):
    """splits: name -> samples; classes: name -> split -> samples ("all" where there are no splits).

    digest: of all samples as they are stored, in order, wherever they come from
    """

    name: str
    digest: str
    n: int
    splits: dict[str, int]
    classes: dict[str, dict[str, int]]
    inputs: tuple[InputSummary, ...]
    findings: tuple[Finding, ...]


def examine(samples: Samples) -> DataSummary:
    """Look at every sample once."""
    found = [Seen(key) for key in samples.x]
    digests: list[bytes] = []
    for start in range(0, len(samples), CHUNK):
        rows = slice(start, start + CHUNK)
        hashes = [hashlib.blake2b(digest_size=16) for _ in samples.rows[rows]]
        for seen in found:
            stored = samples.x[seen.name][rows]
            for one, digest in zip(stored, hashes):
                digest.update(np.ascontiguousarray(one).tobytes())
            seen.add(samples.values(seen.name, stored), start)
        digests += [digest.digest() for digest in hashes]
    findings = [finding for seen in found for finding in seen.findings(samples)]
    findings += [*_repeated(samples, digests), *_of_labels(samples), *_of_classes(samples),
                 *_of_layout(samples)]
    findings += [Finding("warning", "", note) for note in samples.notes]
    inputs = tuple(seen.summary(str(samples.x[seen.name].dtype)) for seen in found)
    digest = hashlib.sha256(b"".join(digests)).hexdigest()
    return DataSummary(name=samples.name, digest=digest, n=len(samples), inputs=inputs,
                       splits=_counts(samples.splits), classes=_class_counts(samples),
                       findings=in_order_of_weight(findings))


def in_order_of_weight(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first."""
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity)))


@dataclass(eq=False)
class Seen:
    """What was seen of an input so far. Sums are of finite values, per channel, in float64."""

    name: str
    shape: tuple[int, ...] = ()
    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    total: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    constant: list[int] = field(default_factory=list)
    not_finite: list[int] = field(default_factory=list)

    def add(self, x: np.ndarray, start: int) -> None:
        """Samples (n, ...) from position `start` on."""
        self.shape = x.shape[1:]
        flat = x.reshape(len(x), -1)
        low, high = flat.min(axis=1), flat.max(axis=1)
        finite = np.isfinite(low) & np.isfinite(high)
        self.not_finite += list(start + np.flatnonzero(~finite))
        if flat.shape[1] > 1:
            self.constant += list(start + np.flatnonzero(low == high))
        if not finite.any():
            return
        self.low, self.high = min(self.low, low[finite].min()), max(self.high, high[finite].max())
        for sample in x[finite]:
            values = sample.reshape(-1, sample.shape[-1] if x.ndim > 2 else 1)
            self.count += len(values)
            self.total = self.total + values.sum(axis=0, dtype=np.float64)
            self.squares = self.squares + np.einsum("nc,nc->c", values, values, dtype=np.float64)

    def summary(self, dtype: str) -> InputSummary:
        count = max(self.count, 1)
        mean = np.atleast_1d(self.total / count)
        std = np.sqrt(np.maximum(np.atleast_1d(self.squares / count) - mean ** 2, 0))
        return InputSummary(
            name=self.name, dtype=dtype, shape=self.shape, low=float(self.low), high=float(self.high),
            mean=float(mean.mean()), channel_mean=tuple(map(float, mean)), channel_std=tuple(map(float, std)),
            constant=len(self.constant), not_finite=len(self.not_finite))

    def findings(self, samples: Samples) -> list[Finding]:
        found = []
        if self.not_finite:
            found.append(Finding("error", self.name, f"{len(self.not_finite)} of {len(samples)} samples hold "
                                 f"NaN or Inf, the first is {_called(samples, self.not_finite[0])}"))
        if self.constant:
            severity = "error" if len(self.constant) == len(samples) else "warning"
            found.append(Finding(severity, self.name, f"{len(self.constant)} of {len(samples)} samples hold "
                                 f"one value only, the first is {_called(samples, self.constant[0])}"))
        return found + self._silent_channels(samples)

    def _silent_channels(self, samples: Samples) -> list[Finding]:
        std = np.array(self.summary("").channel_std)
        silent = np.flatnonzero(std == 0)
        if len(std) < 2 or not 0 < len(silent) < len(std) or not self.count:
            return []
        names = samples.channels if len(samples.channels) == len(std) else tuple(map(str, range(len(std))))
        return [Finding("warning", self.name, f"channel {', '.join(names[i] for i in silent)} never changes: "
                        f"is the sensor connected?")]


def _called(samples: Samples, position: int) -> str:
    return samples.called(samples.rows[position])


def _repeated(samples: Samples, digests: list[bytes]) -> list[Finding]:
    """The same sample in two splits is a leak; twice in one only weighs more."""
    first: dict[bytes, int] = {}
    within, across = [], []
    for position, digest in enumerate(digests):
        other = first.setdefault(digest, position)
        if other != position:
            same = samples.splits is None or samples.splits[other] == samples.splits[position]
            (within if same else across).append((other, position))
    if len(digests) > 1 and len(first) == 1:
        return [Finding("error", "", f"all {len(digests)} samples are the same")]
    found = []
    if across:
        a, b = across[0]
        found.append(Finding("error", "", f"{len(across)} samples are in two splits, such as "
                             f"{_called(samples, a)} ({samples.splits[a]}) and {_called(samples, b)} "
                             f"({samples.splits[b]}): what is calibrated or trained on is judged on"))
    if within:
        a, b = within[0]
        found.append(Finding("warning", "", f"{len(within)} samples are there more than once, such as "
                             f"{_called(samples, a)} and {_called(samples, b)}"))
    return found


def _of_labels(samples: Samples) -> list[Finding]:
    if samples.y is None or samples.y.dtype.kind != "f":
        return []
    bad = np.flatnonzero(~np.isfinite(samples.y).reshape(len(samples), -1).all(axis=1))
    return [Finding("error", "y", f"{len(bad)} of {len(samples)} labels hold NaN or Inf, the first is that "
                    f"of {_called(samples, bad[0])}")] if len(bad) else []


def _of_classes(samples: Samples) -> list[Finding]:
    counts = _class_counts(samples)
    found = []
    for split in dict.fromkeys(split for per in counts.values() for split in per):
        missing = [name for name, per in counts.items() if not per[split]]
        sizes = [per[split] for per in counts.values() if per[split]]
        where = "" if samples.splits is None else f"{split} "
        if missing:
            found.append(Finding("warning", "y", f"{where}has no sample of class {', '.join(missing)}"))
        if sizes and max(sizes) >= IMBALANCE * min(sizes):
            found.append(Finding("warning", "y", f"{where}has {max(sizes)} samples of its largest class but "
                                 f"{min(sizes)} of its smallest"))
    return found


def _of_layout(samples: Samples) -> list[Finding]:
    """Images are higher and wider than they have channels."""
    found = []
    for key, x in samples.x.items():
        if x.ndim != 4:
            continue
        first, _, last = x.shape[1:]
        if samples.layout == "channels_last" and first in (1, 3) and last > 4:
            found.append(Finding("warning", key, f"samples of shape {x.shape[1:]} look like channels first, "
                                 f"but the set says channels last"))
        if 3 in (first, last) and not samples.channels:
            found.append(Finding("note", key, "whether its colours are in the order red, green, blue or the "
                                 "other way round cannot be told from pixels: make sure"))
    return found


def _counts(splits: np.ndarray | None) -> dict[str, int]:
    return {} if splits is None else {str(name): count for name, count in sorted(Counter(splits).items())}


def _class_counts(samples: Samples) -> dict[str, dict[str, int]]:
    """Of labels that are class numbers."""
    y = samples.y
    if y is None or y.ndim != 1 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= max(1000, len(y)):
        return {}
    splits = np.full(len(y), "all") if samples.splits is None else samples.splits
    count = max(len(samples.classes), int(y.max()) + 1)
    names = [samples.classes[i] if i < len(samples.classes) else str(i) for i in range(count)]
    table = Counter(zip(y.tolist(), splits.tolist()))
    return {name: {split: table[i, split] for split in sorted(set(splits.tolist()))}
            for i, name in enumerate(names)}
