"""Samples by name: of a set's folder (format: calibration_data/README.md), an .npz, and all else people have.

Others wrote what is read: no pickles are taken, hashes and shapes are checked.
"""

from collections.abc import Mapping
from dataclasses import replace
import hashlib
from pathlib import Path

import numpy as np

from toolchain.data.archives import open_archive, open_array
from toolchain.data.folders import kind_of, load_files, manifest_beside
from toolchain.data.iterables import from_iterable
from toolchain.data.manifest import (
    MANIFEST,
    FilesManifest,
    SetManifest,
    read_manifest,
    require_per_channel,
    require_split_names,
)
from toolchain.data.rows import Array
from toolchain.data.samples import Samples
from toolchain.errors import BadInput, BadSamples
from toolchain.python_file import blaming, named_in

SETS = Path(__file__).resolve().parents[2] / "calibration_data"


def load_samples(source: str | Path) -> Samples:
    """All splits of what `source` names:

    a set of calibration_data/, or a path to its folder
    an .npz: one array per input, (N, ...), keyed by the input's name or "x"; optionally "y" and "split"
      (names from SPLITS); beside "x", arrays that are no input are left alone. An .npy is one array "x"
    a folder of images or clips, a CSV, a text: with a manifest in it or beside it where one is needed
    file.py:name of the user's own, which runs: see `from_iterable`; a file.py alone means its
      get_calibration_data()
    Raises BadSamples, BadConfig where a manifest is at fault, BadInput where the user's own code is.
    """
    if (code := str(source).rpartition(":")[0] or str(source)).endswith(".py"):
        return _from_python(str(source) if code != str(source) else f"{source}:get_calibration_data")
    path = _find(source)
    samples = _load(path)
    if not len(samples):
        raise BadSamples(f"{path}: holds no samples")
    return samples


def _load(path: Path) -> Samples:
    kind, place = kind_of(path), manifest_beside(path)
    if path.is_file() and kind is None:
        return _load_npz(path)
    manifest = FilesManifest(kind=kind) if place is None else read_manifest(place)
    if isinstance(manifest, FilesManifest):
        return load_files(path, manifest, place or path)
    return _load_set(path, manifest)


def _from_python(spec: str) -> Samples:
    with named_in(spec) as found, blaming(spec):
        if found is None:
            file, _, name = spec.rpartition(":")
            raise BadInput(f"{file}: has no '{name}'; name what gives samples, file.py:name")
        return from_iterable(found, spec)


def _find(source: str | Path) -> Path:
    named = SETS / source
    path = named if source and (named / MANIFEST).is_file() else Path(source)
    path = path if path.name else path.absolute()  # "."
    if path.is_file() or (path.is_dir() and (manifest_beside(path) or kind_of(path))):
        return path
    if path.is_dir():
        raise BadSamples(f"{path}: neither {MANIFEST} nor images, clips, tables or texts in it; "
                         f"docs/own-data.md says what a folder may hold")
    sets = sorted(p.parent.name for p in SETS.glob(f"*/{MANIFEST}"))
    raise BadSamples(f"{source}: neither a file nor a sample set; sets here: {', '.join(sets) or 'none'} "
                     f"(`make data` makes those that are not committed)")


def _load_npz(path: Path) -> Samples:
    arrays = _with_samples(path)
    y, splits = (None if array is None else np.asarray(array)
                 for array in (arrays.pop(key, None) for key in ("y", "split")))
    if "x" in arrays:
        count = len(arrays["x"])
        arrays = {key: a for key, a in arrays.items()
                  if key == "x" or (a.dtype.kind in "fiub" and len(a) == count)}
    samples = Samples(path.name, arrays, y, splits, np.arange(_count(path, arrays)))
    _check_lengths(path, samples)
    require_split_names(str(path), splits)
    return samples


def _load_set(folder: Path, manifest: SetManifest) -> Samples:
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
    y, split, by = (None if array is None else np.asarray(array)
                    for array in map(arrays.get, ("y", "split", manifest.split.by)))
    samples = Samples(manifest.name, {"x": x}, y, split, np.arange(len(x)), manifest.preprocessing,
                      manifest.layout, manifest.classes, manifest.channels)
    _check_lengths(path, samples)
    _check_set(path, samples, manifest, by)
    return replace(samples, splits=np.array(manifest.split.names)[samples.splits])


def _check_set(path: Path, samples: Samples, manifest: SetManifest, by: np.ndarray) -> None:
    """What the manifest states of channels, classes and splits holds in the arrays."""
    channels = samples.x["x"].shape[-1]
    if channels != len(manifest.channels):
        raise BadSamples(f"{path}: 'x' has {channels} channels but {MANIFEST} names {len(manifest.channels)}")
    require_per_channel(manifest.preprocessing, channels, path.parent / MANIFEST)
    if manifest.task == "classification":
        _check_index(path, "y", samples.y, len(manifest.classes), "classes")
    _check_index(path, "split", samples.splits, len(manifest.split.names), "split.names")
    for value in np.unique(by):
        if len(np.unique(samples.splits[by == value])) > 1:
            raise BadSamples(f"{path}: {manifest.split.by} {value} is in more than one split: samples leak")


def _check_index(path: Path, key: str, index: np.ndarray, size: int, what: str) -> None:
    if index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < 0 or index.max() >= size:
        raise BadSamples(f"{path}: '{key}' must hold whole numbers in 0..{size - 1}, as {what} says")


def _count(path: Path, arrays: Mapping[str, Array]) -> int:
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
        if key in samples.x and 0 in array.shape[1:]:
            raise BadSamples(f"{path}: '{key}' holds samples of shape {array.shape[1:]}, without a value")


def _with_samples(path: Path) -> dict[str, Array]:
    """Every array with a sample axis; that of an .npy is called x. Raises BadSamples."""
    arrays = {"x": open_array(path)} if path.suffix == ".npy" else open_archive(path)
    return {key: array for key, array in arrays.items() if array.ndim}
