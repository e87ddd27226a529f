"""manifest.toml of a sample set: what its samples are, and what is still to be done to them."""

from typing import Annotated, Literal, get_args

import msgspec

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
