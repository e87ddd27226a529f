"""What the user wants for a model: one frozen section per stage, read from a recipe.toml."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toolchain.tomlfile import decode_toml

Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=1000)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a recipe."""


class PruneConfig(Section):
    """Structured pruning by one global ranking of channel groups.

    ratio:                  share of the prunable channels to remove, before rounding
    importance:             a key of prune.importance.IMPORTANCE
    channel_multiple:       keep multiples of this, overriding the target's profile
    reestimate_batch_norm:  recompute running statistics on calibration samples afterwards
    """

    ratio: Fraction
    importance: Literal["l1", "l2"] = "l2"
    channel_multiple: Positive | None = None
    reestimate_batch_norm: bool = True


class TrainConfig(Section):
    """Fine-tuning of the float graph, distilled from the unpruned model.

    epochs:        passes over the training samples
    batch_size, learning_rate
    alpha:         share of the distillation loss; 1 - alpha goes to the labels (without labels, it gets all)
    temperature:   of the soft labels (Hinton et al. 2015)
    """

    epochs: Positive
    batch_size: Positive = 64
    learning_rate: PositiveFloat = 1e-3
    alpha: Share = 0.5
    temperature: PositiveFloat = 4.0


class CalibrateConfig(Section):
    """How activation ranges are found.

    observer:   a key of quantize.observers.OBSERVER
    percentile: share of the values, in percent, that the percentile observer keeps in range
    samples:    how many calibration samples at most
    """

    observer: Literal["minmax", "percentile"] = "minmax"
    percentile: Annotated[float, msgspec.Meta(gt=50, le=100)] = 99.99
    samples: Positive = 100


class QuantSpec(Section):
    """scheme: "int8" = static post-training INT8 (TFLite specification), "float32" = leave it in float."""

    scheme: Literal["int8", "float32"] = "int8"


class Recipe(Section):
    """Everything that is decided about a model before it is built."""

    metric: Literal["top1", "mse", "agreement"] = "top1"
    seed: int = 0
    prune: PruneConfig | None = None
    train: TrainConfig | None = None
    calibrate: CalibrateConfig = CalibrateConfig()
    quantize: QuantSpec = QuantSpec()

    @property
    def digest(self) -> str:
        """sha256 of the decided values, defaults included."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.toml. Raises BadConfig."""
    return decode_toml(path, Recipe)
