"""What the user wants for a model: one frozen section per stage, read from a recipe.toml."""

from collections.abc import Mapping
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toolchain.errors import BadConfig, about
from toolchain.scheme import scheme_of
from toolchain.section import Fraction, Positive, PositiveFloat, Section
from toolchain.tomlfile import decode_toml
from toolchain.training_sections import PruneConfig, SparsifyConfig, TrainConfig

Offset = Annotated[float, msgspec.Meta(ge=-255, le=255)]
PerChannel = Offset | tuple[Offset, ...]
PositivePerChannel = PositiveFloat | tuple[PositiveFloat, ...]


class CalibrateConfig(Section):
    """How activation ranges are found.

    observer:   what becomes of the values seen: "minmax" = all in range; "moving_average" = of each sample's
                extremes; "percentile" = without the outermost; "entropy" = least Kullback-Leibler divergence;
                "mse" = least squared error
    percentile: share of the values, in percent, that the percentile observer keeps in range
    smoothing:  share of the moving average that stays when the next sample comes
    samples:    how many calibration samples at most
    input_range: lowest and highest value that goes in; only asked for where ranges are told from batch norms,
                without samples, and the network takes no raw frames
    runtime:    what runs the float graph; "fastest" takes the first that can of the others, in this order
    """

    observer: Literal["minmax", "moving_average", "percentile", "entropy", "mse"] = "mse"
    percentile: Annotated[float, msgspec.Meta(gt=50, le=100)] = 99.99
    smoothing: Fraction = 0.95
    samples: Positive = 100
    input_range: tuple[float, float] | None = None
    runtime: Literal["fastest", "litert", "onnxruntime", "reference"] = "fastest"


TREATMENTS: Mapping[str, tuple] = {
    "equalise": (False,), "bias_correction": ("auto", "none"), "rounding": ("nearest",), "islands": ({},),
    "accuracy_drop": (None,)}
"""What is done to networks whose activations are quantized: key of [quantize] -> values that ask for none."""


class QuantSpec(Section):
    """What numbers become.

    scheme: a key of scheme.SCHEMES: "static_wi8_ai8" = static post-training INT8 (TFLite specification);
            "static_wi8_ai16" = the same with int16 activations; "float32" = leave it in float; "float16" =
            in float, with float16 weights (in .onnx arithmetic too); "dynamic_wi8_afp32" = in float, with
            int8 weights in .tflite, for which LiteRT quantizes activations as it runs; "..._wi4_..." = the
            same with 4-bit weights; "weight_only_wi8_afp32" (and 7 to 2) = in float, with rounded weights
    equalise:        scale channels between layers so that they share their range (Nagel et al. 2019; Xiao et
                     al. 2023 after norms)
    bias_correction: take the mean error that rounding makes out of biases: "empirical" on calibration
                     samples, "analytic" from batch norms; "auto": on samples where there are some
    rounding:        of weights: "nearest", or chosen on calibration samples layer by layer: "gptq"
                     (Frantar et al. 2023) or "adaround" (Nagel et al. 2020)
    islands:         op name, or a pattern of names -> what these ops compute in instead
    accuracy_drop:   most that the metric may lose to float, in percent points on selection samples:
                     treatments are added until it holds

    All but the scheme is for static ones: constructing raises BadConfig where another is given more.
    """

    scheme: str = "static_wi8_ai8"
    equalise: bool = False
    bias_correction: Literal["auto", "none", "analytic", "empirical"] = "auto"
    rounding: Literal["nearest", "gptq", "adaround"] = "nearest"
    islands: dict[str, Literal["float32", "int16"]] = {}
    accuracy_drop: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None

    def __post_init__(self):
        if scheme_of(self.scheme).method == "static":
            return
        if useless := [name for name in TREATMENTS if getattr(self, name) not in TREATMENTS[name]]:
            raise BadConfig(f'[quantize] scheme = "{self.scheme}" leaves activations in float, where '
                            f'{", ".join(useless)} would do nothing; leave it out, or take a static scheme '
                            f'such as "static_wi8_ai8"')

    @property
    def float_weights(self) -> str | None:
        """What a network that stays in float stores its weights in; None where the scheme quantizes it.

        Of weight-only schemes: all but the weights on the grid.
        """
        scheme = scheme_of(self.scheme)
        if scheme.method == "weight_only":
            return "float32"
        return None if scheme.method == "static" else scheme.weights


class ResizeConfig(Section):
    """size: height and width of the raw frame, in pixels;  method: how it becomes the network's size."""

    size: tuple[Positive, Positive]
    method: Literal["bilinear", "nearest"] = "bilinear"


class InputConfig(Section):
    """What goes into the artefact, and what comes out is called.

    With any key but `labels` the artefact takes raw frames, pixels in 0..255, and the network reads
    scale * (pixel - mean) / std.

    mean, std, scale: of the network's training, per channel in its own colour order; pixels are 0..255
    colour:           order of the frame's channels
    network_colour:   order that the network was trained with
    layout:           of the frames; by default each format's own: channels last, but the source's in .onnx
    resize:           the frame's size, where it is not the network's
    dtype:            of the artefact's input; by default uint8, float32 where the network stays in float
    labels:           names of the classes: a list, or a file beside the recipe with one on each line
    """

    mean: PerChannel | None = None
    std: PositivePerChannel | None = None
    scale: PositiveFloat | None = None
    colour: Literal["rgb", "bgr"] | None = None
    network_colour: Literal["rgb", "bgr"] | None = None
    layout: Literal["channels_last", "channels_first"] | None = None
    resize: ResizeConfig | None = None
    dtype: Literal["uint8", "int8", "float32"] | None = None
    labels: str | tuple[str, ...] = ()

    @property
    def takes_frames(self) -> bool:
        """Whether raw frames go in."""
        return msgspec.structs.replace(self, labels=()) != InputConfig()


class CConfig(Section):
    """How C is written for a microcontroller.

    optimise: "size" = least flash; "speed" = fewest instructions; "balanced" = instructions where their price
              in flash is fair
    patches:  bands of rows that the first layers are done in, one after the other, with less RAM; "auto": as
              many as make the network fit the target; 0: none
    """

    optimise: Literal["size", "balanced", "speed"] = "balanced"
    patches: Annotated[int, msgspec.Meta(ge=0, le=64)] | Literal["auto"] = "auto"


class Recipe(Section):
    """Everything that is decided about a model before it is built.

    shapes:     input name -> its whole shape, the batch of 1 in front, for an .onnx file that leaves sizes
                open
    checkpoint: a file beside the recipe with the weights of file.py:function's module; "" for none
    streaming:  a network with recurrent layers is built for one step, its states going in and coming out;
                it is quantized, and its accuracy controlled, on whole sequences
    """

    shapes: dict[str, tuple[Positive, ...]] = {}
    checkpoint: str = ""
    metric: Literal["top1", "mse", "agreement"] = "top1"
    seed: int = 0
    streaming: bool = False
    prune: PruneConfig | None = None
    sparsify: SparsifyConfig | None = None
    train: TrainConfig | None = None
    calibrate: CalibrateConfig = CalibrateConfig()
    quantize: QuantSpec = QuantSpec()
    input: InputConfig = InputConfig()
    c: CConfig = CConfig()

    def __post_init__(self):
        if self.streaming and self.input.takes_frames:
            raise BadConfig("streaming = true takes a sequence step by step, [input] raw frames; leave one "
                            "of them out")

    @property
    def input_dtype(self) -> str | None:
        """Of the artefact's input; None where that is the target's to say. Raises BadConfig."""
        wanted, scheme = self.input.dtype, self.quantize.scheme
        if not self.input.takes_frames:
            return None
        activations = scheme_of(scheme).activations
        own = "uint8" if activations == "int8" else activations
        if own != "uint8" and wanted in ("uint8", "int8"):
            raise BadConfig(f'[input] dtype = "{wanted}" needs INT8, but with [quantize] scheme = "{scheme}" '
                            f'the input is {own}; leave dtype out: pixels go in as {own} numbers')
        return wanted or (None if own == "int16" else own)

    @property
    def portable(self) -> "Recipe":
        """The same anywhere: of a checkpoint its name, not its folder."""
        return msgspec.structs.replace(self, checkpoint=Path(self.checkpoint).name)

    @property
    def digest(self) -> str:
        """sha256 of the decided values, defaults included."""
        return hashlib.sha256(msgspec.json.encode(self.portable, order="deterministic")).hexdigest()


def with_shapes(recipe: Recipe, shapes: Mapping[str, tuple[int, ...]]) -> Recipe:
    """The recipe with these shapes on top of its own."""
    return msgspec.structs.replace(recipe, shapes={**recipe.shapes, **shapes})


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.toml, and the labels file that it names. Raises BadConfig."""
    with about(path):
        recipe = decode_toml(path, Recipe)
    if recipe.checkpoint:
        recipe = msgspec.structs.replace(recipe, checkpoint=str(path.parent / recipe.checkpoint))
    labels = recipe.input.labels
    if isinstance(labels, str):
        named = msgspec.structs.replace(recipe.input, labels=read_labels(path.parent / labels))
        recipe = msgspec.structs.replace(recipe, input=named)
    return recipe


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a labels file, without those that end it empty. Raises BadConfig."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: no readable labels file: {error}; give UTF-8 text, a name on each line") \
            from None
    labels = tuple(line.strip() for line in text.rstrip().splitlines())
    if not labels:
        raise BadConfig(f"{path}: holds no names; give a name on each line")
    if not all(labels):
        raise BadConfig(f"{path}: line {labels.index('') + 1} is empty; give each class a name")
    return labels
