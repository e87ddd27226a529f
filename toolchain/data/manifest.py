"""manifest.toml: what samples are, and what is still to be done to them.

A set that was prepared (SetManifest) names the .npz that holds it; a folder of files as people have them, or
a .toml beside such a file or folder (FilesManifest), says how files become samples.
"""

from pathlib import Path
import tomllib
from typing import Annotated, Literal, get_args

import msgspec
import numpy as np

from toolchain.data.mfcc import Audio
from toolchain.errors import BadConfig, BadSamples
from toolchain.tomlfile import decode_toml

MANIFEST = "manifest.toml"
Split = Literal["train", "calibration", "selection", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
Size = Positive | tuple[Positive, ...]
"""Of an image: one number, or (height, width); a tuple of two in such a union crashes msgspec 0.22."""
Kind = Literal["images", "audio", "table", "text"]


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is still to be done to stored samples: model input = (x - mean) / scale.

    mean, scale: one number, or one per channel
    """

    mean: float | tuple[float, ...] = 0.0
    scale: PositiveFloat | tuple[PositiveFloat, ...] = 1.0


class FilePreprocessing(Preprocessing, frozen=True, forbid_unknown_fields=True):
    """What is to be done to a file to make a sample, in this order; then mean and scale, of 0..255.

    colour:       of images; "bgr" is what OpenCV gives, "gray" has one channel
    crop_padding: first the middle square of the image, whose side is crop / (crop + crop_padding) of the
                  shorter side, resized to `crop`: the centre crop of EfficientNet's published evaluation
    resize:       of the shorter side, the other in proportion, as torchvision does; or (height, width)
    crop:         side, or (height, width), of the middle that is taken
    method:       how images are resized: Pillow's, which averages where it makes them smaller
    layout:       of an image in memory: "channels_last" (height, width, channels), or "channels_first"
    audio:        what clips become
    """

    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    crop_padding: Positive | None = None
    resize: Size | None = None
    crop: Size | None = None
    method: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    layout: Literal["channels_last", "channels_first"] = "channels_last"
    audio: Audio = Audio()

    def __post_init__(self) -> None:
        for key in ("resize", "crop"):
            size = getattr(self, key)
            if isinstance(size, tuple) and len(size) != 2:
                raise ValueError(f"{key} has {len(size)} numbers; give one, or height and width")
        if self.crop_padding and (self.resize or not isinstance(self.crop, int)):
            raise ValueError("crop_padding goes with one number for crop, and without resize")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How rows of a CSV become windows.

    columns: the channels, in this order; () = all but those named below
    label:   column of the classes
    group:   column of what must not be in two splits, nor in one window: subject, recording, machine
    split:   column of "train", "calibration", "selection", "test"
    ignore:  columns that are left out, such as time
    window:  rows of a sample; 1 = a row is a sample, without an axis of time
    step:    rows from one window to the next; None = `window`
    """

    columns: tuple[str, ...] = ()
    label: str = ""
    group: str = ""
    split: str = ""
    ignore: tuple[str, ...] = ()
    window: Positive = 1
    step: Positive | None = None


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How lines become token ids.

    vocabulary: file beside the manifest, a token on each line; its id is its line, from 0
    tokens:     "whitespace": words between spaces; "character"; "wordpiece": words and punctuation, each cut
                greedily into the longest known pieces, those inside a word written "##piece"
    lowercase:  also without accents, as BERT's uncased vocabularies want it
    length:     ids of a sample; None = what the network takes
    begin, end: tokens around each line, "" for none
    unknown, pad: what stands for words that are not there, and behind the end
    input:      name of the input that takes the ids, "x" for a network with a single one
    mask:       name of the input that is 1 for tokens and 0 for padding, "" for none
    """

    vocabulary: str
    tokens: Literal["whitespace", "character", "wordpiece"] = "whitespace"
    lowercase: bool = False
    length: Positive | None = None
    begin: str = ""
    end: str = ""
    unknown: str = "[UNK]"
    pad: str = "[PAD]"
    input: str = "x"
    mask: str = ""


class FilesManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """manifest.toml of files as people have them; docs/own-data.md says what each key means.

    classes: names of the classes in order of their numbers; () = those found, sorted
    """

    kind: Kind
    name: str = ""
    source: str = ""
    licence: str = ""
    classes: tuple[str, ...] = ()
    preprocessing: FilePreprocessing = FilePreprocessing()
    table: Table = Table()
    text: Text | None = None


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


def read_manifest(path: Path) -> SetManifest | FilesManifest:
    """Which of the two it is, its key `kind` says. Raises BadConfig."""
    return decode_toml(path, FilesManifest if "kind" in _keys(path) else SetManifest)


def _keys(path: Path) -> set[str]:
    try:
        return set(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return set()  # decode_toml says what is wrong


def class_numbers(names: list[str], classes: tuple[str, ...],
                  about: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N,) place of each name in `classes`, or among those found, sorted; and the names of the classes.

    Raises BadConfig for a name that is none of them.
    """
    known = classes or tuple(sorted(set(names)))
    if unknown := sorted(set(names) - set(known)):
        raise BadConfig(f"{about}: '{unknown[0]}' is none of its classes ({', '.join(known)}); add it")
    index = {name: i for i, name in enumerate(known)}
    return np.array([index[name] for name in names], np.int64), known


def require_split_names(about: str, splits: np.ndarray | None) -> None:
    """Raises BadSamples where they are not (N,) of SPLITS."""
    if splits is None:
        return
    if splits.ndim != 1:
        raise BadSamples(f"{about}: 'split' has {splits.ndim} axes; give one name for each sample")
    if wrong := sorted(set(map(str, splits)) - set(SPLITS)):
        raise BadSamples(f"{about}: 'split' holds {wrong[0]!r}; names are {', '.join(SPLITS)}")


def require_per_channel(steps: Preprocessing, channels: int, about: Path) -> None:
    """Raises BadConfig where mean or scale are lists of another length."""
    for key in ("mean", "scale"):
        value = getattr(steps, key)
        if isinstance(value, tuple) and len(value) != channels:
            raise BadConfig(f"{about}: preprocessing.{key} has {len(value)} numbers for {channels} channels")
