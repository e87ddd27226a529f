"""What prepare_images.py, prepare_audio.py and prepare_sensor.py share: a user's files become a sample set.

The files are read as `--data` reads them (toolchain.data), split so that no group is in two splits, and
written with a manifest in the format of calibration_data/README.md. The same files and options give the same
bytes.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
import hashlib
from pathlib import Path
import re
import sys

import msgspec
import numpy as np
import sample_set
from sample_set import SPLITS, describe_splits, write_sample_set

from toolchain.data import Samples
from toolchain.data.folders import load_files
from toolchain.data.manifest import (
    MANIFEST,
    FilesManifest,
    Preprocessing,
    read_manifest,
    require_per_channel,
)
from toolchain.errors import BadInput, ToolchainError

SHARES = "train=0.7,calibration=0.1,selection=0.1,test=0.1"


def parser(description: str) -> ArgumentParser:
    """The options that all three take."""
    options = ArgumentParser(description=description)
    options.add_argument("folder", type=Path, help="files; folders in it are classes, or splits with classes")
    options.add_argument("--name", required=True, help="of the set: calibration_data/NAME")
    options.add_argument("--licence", required=True, help="of the samples: an SPDX expression, or words")
    options.add_argument("--source", required=True, help="where they come from, so that anyone can get them")
    options.add_argument("--group", default="", metavar="REGEX",
                         help="what must stay in one split: the first (...) in a file's path, such as a "
                              "speaker; without, every file for itself")
    options.add_argument("--shares", default=SHARES, help="of the samples for each split (%(default)s)")
    return options


def make_set(options: Namespace, files: FilesManifest, preparation: str, units: Sequence[str],
             preprocessing: Mapping | None = None) -> Path:
    """Read, split and write; prints what came of it. Raises BadInput and what loading raises.

    preparation, units: for the manifest; units of each channel, or one for all
    preprocessing:      what is still to be done to the stored samples
    """
    _require_name(options)
    try:
        msgspec.convert(msgspec.to_builtins(files), FilesManifest)
    except msgspec.ValidationError as error:
        raise BadInput(f"an option is out of its range: {error}") from None
    samples = load_files(options.folder, files, options.folder)
    groups = groups_of(samples, options.group)
    names = sorted(set(groups))
    x = samples.x["x"][np.arange(len(samples))]
    x = x if samples.channels else x[..., None]
    channels = samples.channels or (files.preprocessing.audio.features.replace("none", "amplitude"),)
    if len(units) not in (1, len(channels)):
        raise BadInput(f"--units: {len(units)} for the channels {', '.join(channels)}; give one for each, or "
                       f"one for all")
    steps = msgspec.convert(dict(preprocessing or {}), Preprocessing)
    require_per_channel(steps, len(channels), options.folder)
    arrays = {"x": x, "split": splits_of(samples, groups, options.shares),
              "group": np.array([names.index(group) for group in groups], np.int32)}
    if samples.y is not None:
        arrays["y"] = samples.y
    path = write_sample_set(options.name, arrays, {
        "source": options.source, "licence": options.licence,
        "task": "unlabelled" if samples.y is None else "classification", "layout": "channels_last",
        "channels": list(channels), "units": list(units) * (len(channels) // len(units)),
        "classes": list(samples.classes), "preparation": preparation,
        "preprocessing": dict(preprocessing or {}), "split": {"names": list(SPLITS), "by": "group"},
        "groups": {str(number): name for number, name in enumerate(names)}})
    print(f"{path}: {describe_splits(arrays)}")
    return path


def _require_name(options: Namespace) -> None:
    """Raises BadInput for what is no name of a set, or that of a set of other samples."""
    if not re.fullmatch(r"\w[\w.-]*", options.name):
        raise BadInput(f"--name {options.name}: give letters, digits, '_', '-' and '.' only")
    if (place := sample_set.ROOT / options.name / MANIFEST).is_file():
        if (other := read_manifest(place).source) != options.source:
            raise BadInput(f"--name {options.name}: {place} is a set of another --source, {other!r}; give "
                           f"another name, or remove that")


def groups_of(samples: Samples, pattern: str) -> list[str]:
    """The group of each sample: the source's own, or from its file's name.

    Raises BadInput where the pattern finds none.
    """
    if samples.groups or not pattern:
        return list(samples.groups or samples.files)
    try:
        found = [re.search(pattern, file) for file in samples.files]
    except re.error as error:
        raise BadInput(f"--group {pattern!r} is no regular expression: {error}") from None
    if None in found:
        raise BadInput(f"--group {pattern!r} finds nothing in {samples.files[found.index(None)]}")
    return [match[1] if match.groups() else match[0] for match in found]


def splits_of(samples: Samples, groups: Sequence[str], shares: str) -> np.ndarray:
    """(N,) uint8 index into SPLITS: the source's own, or groups dealt out by a hash of their names.

    A group goes to the split that is furthest behind its share. Raises BadInput where there are fewer groups
    than splits.
    """
    if samples.splits is not None:
        return np.array([SPLITS.index(split) for split in samples.splits], np.uint8)
    wanted = parse_shares(shares)
    sizes = {group: groups.count(group) for group in dict.fromkeys(groups)}
    if len(sizes) < np.count_nonzero(wanted):
        raise BadInput(f"{samples.name}: {len(sizes)} groups for {np.count_nonzero(wanted)} splits; no group "
                       f"may be in two of them: give other --shares, or another --group")
    filled, place = np.zeros(len(SPLITS)), {}
    for group in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        behind = np.where(wanted > 0, wanted * len(groups) - filled, -np.inf)
        place[group] = int(np.argmax(behind))
        filled[place[group]] += sizes[group]
    return np.array([place[group] for group in groups], np.uint8)


def parse_shares(text: str) -> np.ndarray:
    """"train=0.7,test=0.3" -> the share of each of SPLITS. Raises BadInput."""
    shares = dict.fromkeys(SPLITS, 0.0)
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share) if name.strip() in shares else float("nan")
        except ValueError:
            shares[name.strip()] = float("nan")
    found = np.array(list(shares.values()))
    if not (np.all(found >= 0) and abs(found.sum() - 1) < 1e-6):
        raise BadInput(f"--shares {text}: give shares that add up to 1, such as {SHARES}")
    return found


def run(main) -> None:
    """`main`, with the user's errors as one line."""
    try:
        main()
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
