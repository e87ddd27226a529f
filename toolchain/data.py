"""Samples: what a model is calibrated, fine-tuned, selected and evaluated with.

From a set's folder (format: calibration_data/README.md) or an .npz. Arrays keep the dtype they are stored in
and become float32 batch by batch, tokens and masks what the graph reads. Others wrote what is read: no
pickles are taken, hashes and shapes are checked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
import hashlib
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph
from toolchain.ir.ops import PLAIN
from toolchain.npz import read_npz
from toolchain.tomlfile import decode_toml

SETS = Path(__file__).resolve().parent.parent / "calibration_data"
MANIFEST = "manifest.toml"
Split = Literal["train", "calibration", "selection", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is still to be done to stored samples: model input = (x - mean) / scale.

    mean, scale: one number, or one per channel
    """

    mean: float | tuple[float, ...] = 0.0
    scale: PositiveFloat | tuple[PositiveFloat, ...] = 1.0


class SplitTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """names[split[i]] is the split of sample i; each value of the array named `by` is in one split only."""

    names: tuple[Split, ...]
    by: str


class SetManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """manifest.toml of a sample set; calibration_data/README.md says what each key means."""

    name: str
    source: str
    licence: str
    notice: str = ""
    task: Literal["classification", "unlabelled"]
    layout: Literal["channels_last"]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...] = ()
    preparation: str
    file: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    preprocessing: Preprocessing = Preprocessing()
    split: SplitTable
    groups: dict[str, str] = {}


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples for each input, with or without labels.

    x:             input name ("x" until `fit_to`) -> (N, ...), in the dtype they are stored in
    y:             (N,) class indices or (N, ...) targets, None without
    splits:        (N,) split names, None where the source has none
    rows:          (N,) position of each sample in its file, for messages
    layout:        "channels_last", or None where the source does not say
    channels:      their names as the set has them, () where it has not
    axes:          input name -> how a stored batch is transposed into the graph's layout; set by `fit_to`
    numbers:       input name -> dtype, of inputs that are no reals (tokens, masks); set by `fit_to`
    """

    name: str
    x: Mapping[str, np.ndarray]
    y: np.ndarray | None
    splits: np.ndarray | None
    rows: np.ndarray
    preprocessing: Preprocessing = Preprocessing()
    layout: Literal["channels_last"] | None = None
    classes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, name: Split) -> "Samples":
        """The samples of one split. Samples without splits serve as any.

        Raises BadSamples where there are splits but not this one: none borrows from another.
        """
        if self.splits is None:
            return self
        if not (chosen := np.flatnonzero(self.splits == name)).size:
            there = ", ".join(np.unique(self.splits))
            raise BadSamples(f"{self.name}: no samples for '{name}', only for {there}; "
                             f"use a set that has them, or an .npz of such samples without 'split'")
        return self._pick(chosen)

    def take(self, count: int) -> "Samples":
        """At most `count` samples, evenly spaced, because files are often sorted by class."""
        if count >= len(self):
            return self
        return self._pick(np.arange(count) * len(self) // count)

    def _pick(self, index: np.ndarray) -> "Samples":
        x = {key: array[index] for key, array in self.x.items()}
        y, splits = (None if array is None else array[index] for array in (self.y, self.splits))
        return replace(self, x=x, y=y, splits=splits, rows=self.rows[index])

    def feeds(self, index: slice | np.ndarray) -> dict[str, np.ndarray]:
        """{input name: (n, ...) float32} at `index`, preprocessed; numbers in their own dtype.

        Raises BadSamples on NaN, Inf, and on what is no number of that dtype.
        """
        return {key: self._converted(key, index) for key in self.x}

    def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Feeds of `size` samples at a time, in order; the last may hold fewer."""
        for start in range(0, len(self), size):
            yield self.feeds(slice(start, start + size))

    def _converted(self, key: str, index: slice | np.ndarray) -> np.ndarray:
        if key in self.numbers:
            return self._numbers(key, index)
        with np.errstate(over="ignore"):
            x = self.x[key][index].astype(np.float32)
        if self.preprocessing != Preprocessing():
            x -= np.asarray(self.preprocessing.mean, np.float32)
            x /= np.asarray(self.preprocessing.scale, np.float32)
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if bad.any():
            row = self.rows[index][bad][0]
            raise BadSamples(f"{self.name}: sample {row} of '{key}' holds NaN or Inf; repair it or drop it")
        return np.ascontiguousarray(x.transpose(self.axes[key])) if key in self.axes else x

    def _numbers(self, key: str, index: slice | np.ndarray) -> np.ndarray:
        """Tokens, masks: never preprocessed, in the dtype that the graph reads."""
        x = self.x[key][index]
        numbers = x.astype(self.numbers[key])
        if not np.array_equal(numbers, x):
            value = x[numbers != x][0]
            raise BadSamples(f"{self.name}: '{key}' holds {value}, but takes {self.numbers[key]}")
        return numbers.transpose(self.axes[key]) if key in self.axes else numbers

    def fit_to(self, graph: Graph) -> "Samples":
        """The same samples keyed by the graph's input names and fed in its layout.

        They may be stored in the graph's own layout or in its source's (`graph.permutations`), images also
        channels last. Where both have the same shape and the set does not state its layout, it is the
        source's. Raises BadSamples where a key is missing or a shape is neither.
        """
        x = self._inputs_of(graph)
        axes = {key: self._axes_for(graph, key, array.shape[1:]) for key, array in x.items()}
        dtypes = {key: graph.tensors[key].dtype for key in x}
        return replace(self, x=x, axes={key: perm for key, perm in axes.items() if perm},
                       numbers={key: dtype for key, dtype in dtypes.items() if dtype in PLAIN - {"float32"}})

    def _inputs_of(self, graph: Graph) -> dict[str, np.ndarray]:
        if set(graph.inputs) <= set(self.x):
            return {key: self.x[key] for key in graph.inputs}
        if "x" in self.x and len(graph.inputs) == 1:
            return {graph.inputs[0]: self.x["x"]}
        raise BadSamples(f"{self.name}: has arrays {', '.join(self.x)} but {graph.name} takes "
                         f"{', '.join(graph.inputs)}; name one array after each input")

    def _axes_for(self, graph: Graph, key: str, got: tuple[int, ...]) -> tuple[int, ...] | None:
        """None where samples of shape `got` are in the graph's layout, else the transposition of a batch."""
        shape = graph.tensors[key].shape
        perm = graph.permutations.get(key, tuple(range(len(shape))))
        inner, source = shape[1:], tuple(shape[axis] for axis in perm)[1:]
        if got == inner and (self.layout == "channels_last" or got != source):
            return None
        if got == source:
            return tuple(int(axis) for axis in np.argsort(perm)) if key in graph.permutations else None
        if len(got) == 3 and (got[2], *got[:2]) == inner:  # images, for a graph that takes channels first
            return (0, 3, 1, 2)
        expected = f"{inner}" if inner == source else f"{inner}, or {source} as its source lays it out"
        raise BadSamples(f"{self.name}: '{key}' holds samples of shape {got}; {graph.name} takes {expected}")


def load_samples(source: str | Path) -> Samples:
    """Samples of a set (its name, or a path to its folder) or of an .npz, all splits.

    An .npz holds one array per input, (N, ...), keyed by the input's name or "x"; optionally "y" and "split"
    (names from SPLITS). Beside "x", arrays that are no input are left alone. Raises BadSamples, or BadConfig
    where the manifest is at fault.
    """
    path = _find(source)
    samples = _load_set(path) if path.is_dir() else _load_npz(path)
    if not len(samples):
        raise BadSamples(f"{path}: holds no samples")
    return samples


def _find(source: str | Path) -> Path:
    named = SETS / source
    path = named if (named / MANIFEST).is_file() else Path(source)
    if path.is_file() or (path / MANIFEST).is_file():
        return path
    if path.is_dir():
        raise BadSamples(f"{path}: no {MANIFEST}; calibration_data/README.md says what a set's folder holds")
    sets = sorted(p.parent.name for p in SETS.glob(f"*/{MANIFEST}"))
    raise BadSamples(f"{source}: neither a file nor a sample set; sets here: {', '.join(sets) or 'none'} "
                     f"(`make data` makes those that are not committed)")


def _load_npz(path: Path) -> Samples:
    arrays = _with_samples(path)
    y, splits = arrays.pop("y", None), arrays.pop("split", None)
    if "x" in arrays:
        count = len(arrays["x"])
        arrays = {key: a for key, a in arrays.items() if a.dtype.kind in "fiub" and len(a) == count}
    samples = Samples(path.name, arrays, y, splits, np.arange(_count(path, arrays)))
    _check_lengths(path, samples)
    if splits is not None and (wrong := sorted(set(map(str, splits.ravel())) - set(SPLITS))):
        raise BadSamples(f"{path}: 'split' holds {wrong[0]!r}; names are {', '.join(SPLITS)}")
    return samples


def _load_set(folder: Path) -> Samples:
    manifest = decode_toml(folder / MANIFEST, SetManifest)
    path = folder / manifest.file
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BadSamples(f"{folder / MANIFEST}: file '{manifest.file}' is not in the folder")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != manifest.sha256:
        raise BadSamples(f"{path}: sha256 is {digest[:12]}... but {MANIFEST} says {manifest.sha256[:12]}...; "
                         f"make it again")
    arrays = _with_samples(path)
    promised = {"x", "split", manifest.split.by, *(["y"] if manifest.task == "classification" else [])}
    if missing := promised - set(arrays):
        raise BadSamples(f"{path}: no array {', '.join(sorted(missing))}, which {MANIFEST} promises")
    x = arrays["x"]
    samples = Samples(manifest.name, {"x": x}, arrays.get("y"), arrays["split"], np.arange(len(x)),
                      manifest.preprocessing, manifest.layout, manifest.classes, manifest.channels)
    _check_lengths(path, samples)
    _check_set(path, samples, manifest, arrays[manifest.split.by])
    return replace(samples, splits=np.array(manifest.split.names)[samples.splits])


def _check_set(path: Path, samples: Samples, manifest: SetManifest, by: np.ndarray) -> None:
    """What the manifest states of channels, classes and splits holds in the arrays."""
    channels = samples.x["x"].shape[-1]
    if channels != len(manifest.channels):
        raise BadSamples(f"{path}: 'x' has {channels} channels but {MANIFEST} names {len(manifest.channels)}")
    for key in ("mean", "scale"):
        value = getattr(manifest.preprocessing, key)
        if isinstance(value, tuple) and len(value) != channels:
            raise BadSamples(f"{path.parent / MANIFEST}: preprocessing.{key} has {len(value)} numbers "
                             f"for {channels} channels")
    if manifest.task == "classification":
        _check_index(path, "y", samples.y, len(manifest.classes), "classes")
    _check_index(path, "split", samples.splits, len(manifest.split.names), "split.names")
    for value in np.unique(by):
        if len(np.unique(samples.splits[by == value])) > 1:
            raise BadSamples(f"{path}: {manifest.split.by} {value} is in more than one split: samples leak")


def _check_index(path: Path, key: str, index: np.ndarray, size: int, what: str) -> None:
    if index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < 0 or index.max() >= size:
        raise BadSamples(f"{path}: '{key}' must hold whole numbers in 0..{size - 1}, as {what} says")


def _count(path: Path, arrays: Mapping[str, np.ndarray]) -> int:
    if not arrays:
        raise BadSamples(f"{path}: no array of samples; it holds one per input, named after it or 'x'")
    return len(next(iter(arrays.values())))


def _check_lengths(path: Path, samples: Samples) -> None:
    """Every array is numeric and has one entry per sample."""
    arrays = {**samples.x, "y": samples.y, "split": samples.splits}
    for key, array in arrays.items():
        if array is not None and len(array) != len(samples):
            raise BadSamples(f"{path}: '{key}' has {len(array)} entries for {len(samples)} samples")
        if array is not None and key != "split" and array.dtype.kind not in "fiub":
            raise BadSamples(f"{path}: '{key}' holds {array.dtype}; it must hold numbers")


def _with_samples(path: Path) -> dict[str, np.ndarray]:
    """Every array with a sample axis. Raises BadSamples."""
    return {key: array for key, array in read_npz(path).items() if array.ndim}
