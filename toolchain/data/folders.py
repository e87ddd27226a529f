"""Samples from files as people have them: a folder of images or clips, a CSV, a text, by a small manifest.

folder/*.jpg                       unlabelled
folder/<class>/*.jpg               labelled by folder
folder/<split>/<class>/*.jpg       with splits too, where all folders are named after splits

The manifest is the folder's manifest.toml, or a .toml of the same name beside the folder or file.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolchain.data import audio, images, table, text
from toolchain.data.manifest import (
    MANIFEST,
    SPLITS,
    FilesManifest,
    Kind,
    Preprocessing,
    class_numbers,
    require_per_channel,
)
from toolchain.data.samples import Samples
from toolchain.errors import BadSamples

SUFFIXES: dict[Kind, tuple[str, ...]] = {"images": images.SUFFIXES, "audio": audio.SUFFIXES,
                                         "table": table.SUFFIXES, "text": text.SUFFIXES}
KIND: dict[str, Kind] = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}


def kind_of(path: Path) -> Kind | None:
    """What a file's suffix says that it is, or what a folder holds most of; None for anything else."""
    if path.is_file():
        return KIND.get(path.suffix.lower())
    found = Counter(KIND[file.suffix.lower()] for file in _visible(path) if file.suffix.lower() in KIND)
    return found.most_common(1)[0][0] if found else None


def load_files(path: Path, manifest: FilesManifest, about: Path) -> Samples:
    """Samples of a folder or a file.

    about: what the manifest stands in, for messages
    Raises BadSamples where there is no such file or one is at fault, BadConfig where the manifest is.
    """
    files = _files(path, manifest.kind)
    name = manifest.name or path.name
    if manifest.kind == "table":
        return replace(table.load_table(files, manifest, about), name=name)
    if manifest.kind == "text":
        return replace(text.load_text(files, manifest, about), name=name)
    return replace(_load_folder(path, files, manifest, about), name=name)


def _load_folder(path: Path, files: list[Path], manifest: FilesManifest, about: Path) -> Samples:
    """Each file is a sample; folders are splits and classes."""
    steps = manifest.preprocessing
    if manifest.kind == "images":
        x, channels, remedy = images.image_rows(files, steps), images.CHANNELS[steps.colour], images.REMEDY
    else:
        x, channels, remedy = audio.audio_rows(files, steps.audio), (), audio.REMEDY
    folders = [file.relative_to(path).parts[:-1] if path.is_dir() else () for file in files]
    splits, folders = _splits(folders)
    y, classes = _labels(folders, manifest.classes, about)
    last = manifest.kind == "images" and steps.layout == "channels_last"
    require_per_channel(steps, x.shape[-1] if last else 1, about)
    names = [file.relative_to(path).as_posix() if path.is_dir() else file.name for file in files]
    return Samples(path.name, {"x": x}, y, splits, np.arange(len(files)),
                   Preprocessing(steps.mean, steps.scale), "channels_last" if last else None, classes,
                   channels if last else (), files=names, remedy=remedy)


def _files(path: Path, kind: Kind) -> list[Path]:
    """In the order of their paths, so that it is the same on every machine. Raises BadSamples without any."""
    if path.is_file():
        return [path]
    found = sorted((file for file in _visible(path) if file.suffix.lower() in SUFFIXES[kind]),
                   key=lambda file: file.relative_to(path).parts)
    if not found:
        if not path.exists():
            raise BadSamples(f"{path}: no such file or folder")
        raise BadSamples(f"{path}: holds no {kind} ({', '.join(SUFFIXES[kind])})")
    return found


def _visible(folder: Path) -> list[Path]:
    """Files at any depth, without hidden ones."""
    return [file for file in folder.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _splits(folders: list[tuple[str, ...]]) -> tuple[np.ndarray | None, list[tuple[str, ...]]]:
    """The split of each file where all top folders are named after splits, and what is below them."""
    if not all(folder and folder[0] in SPLITS for folder in folders):
        return None, folders
    return np.array([folder[0] for folder in folders]), [folder[1:] for folder in folders]


def _labels(folders: list[tuple[str, ...]], classes: tuple[str, ...],
            about: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(N,) class of each file, and the names of the classes; None where files lie in no folder."""
    named = ["/".join(folder) for folder in folders]
    if not any(named):
        return None, classes
    if not all(named):
        raise BadSamples(f"{about}: some files lie in a folder, which is their class, and some in none; put "
                         f"all of them into folders, or none")
    return class_numbers(named, classes, about)


def manifest_beside(path: Path) -> Path | None:
    """The manifest of a folder or file: in it, or of its name beside it."""
    places = (path / MANIFEST, path.parent / f"{path.name}.toml", path.with_suffix(".toml"))
    return next((place for place in places if place.is_file()), None)
