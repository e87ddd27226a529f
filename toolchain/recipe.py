"""What the user wants for a model: one frozen section per stage, read from a recipe.toml."""

from collections.abc import Mapping
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toolchain.adaptive_sections import ExitsConfig, WidthsConfig
from toolchain.errors import BadConfig, about
from toolchain.file_sections import CConfig, TFLiteConfig
from toolchain.input_section import InputConfig
from toolchain.labels import read_labels
from toolchain.scheme import scheme_of
from toolchain.search_section import SearchConfig
from toolchain.section import Fraction, Positive, Section
from toolchain.shape_sections import LowRankConfig, ScaleConfig
from toolchain.tomlfile import decode_toml
from toolchain.training_sections import (
    OF_CLASSES,
    ClusterConfig,
    EarlierConfig,
    PruneConfig,
    QatConfig,
    SparsifyConfig,
    TrainConfig,
    asked,
)


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


UNDONE_BY_QAT: Mapping[str, tuple] = {
    "bias_correction": ("auto", "none"), "rounding": ("nearest",), "accuracy_drop": (None,)}
"""What would move codes that [qat] has trained: key of [quantize] -> values that do not."""


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
                     samples, "analytic" from batch norms; "auto": on samples where there are some; not with
                     [qat], which trains biases
    rounding:        of weights: "nearest", or chosen on calibration samples layer by layer: "gptq"
                     (Frantar et al. 2023) or "adaround" (Nagel et al. 2020)
    islands:         op name, or a pattern of names -> what these ops compute in instead
    accuracy_drop:   most that the metric may lose to float on selection samples, in percent points, or as
                     accuracy_control.Judgement has it: treatments are added until it holds

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


OF_LABELS, OF_SETS = ("top1", "agreement"), ("frechet", "kernel")
"""Metrics of classes, where all others are of numbers; metrics that compare sets, in features."""


class Recipe(Section):
    """Everything that is decided about a model before it is built.

    shapes:     input name -> its whole shape, the batch of 1 in front, for an .onnx file that leaves sizes
                open
    checkpoint: a file beside the recipe with the weights of file.py:function's module; "" for none
    metric:     a key of metric.METRIC, by which networks are chosen and artefacts evaluated
    features:   of "frechet" and "kernel": a model beside the recipe, as `edge build` takes it, whose first
                output is what sets of outputs are compared in
    earlier:    steps of pruning and training before [prune] and [train]
    streaming:  a network with recurrent layers is built for one step, its states going in and coming out;
                it is quantized, and its accuracy controlled, on whole sequences
    """

    shapes: dict[str, tuple[Positive, ...]] = {}
    checkpoint: str = ""
    metric: Literal["top1", "mse", "agreement", "psnr", "ssim", "elbo", "frechet", "kernel"] = "top1"
    features: str = ""
    seed: int = 0
    streaming: bool = False
    scale: ScaleConfig | None = None
    earlier: tuple[EarlierConfig, ...] = ()
    prune: PruneConfig | None = None
    low_rank: LowRankConfig | None = None
    sparsify: SparsifyConfig | None = None
    cluster: ClusterConfig | None = None
    train: TrainConfig | None = None
    calibrate: CalibrateConfig = CalibrateConfig()
    quantize: QuantSpec = QuantSpec()
    qat: QatConfig | None = None
    input: InputConfig = InputConfig()
    exits: ExitsConfig | None = None
    widths: WidthsConfig | None = None
    c: CConfig = CConfig()
    tflite: TFLiteConfig = TFLiteConfig()
    search: SearchConfig | None = None

    def __post_init__(self):
        self._require_one_network()
        if self.earlier and self.prune and not self.prune.shares:
            raise BadConfig("[prune] has a budget, and [[earlier]] goes by shares; give shares in both")
        if self.features and self.metric not in OF_SETS:
            raise BadConfig(f'features = "{self.features}" would do nothing with metric = "{self.metric}"; '
                            f'leave it out, or take metric = "frechet"')
        if self.metric in OF_SETS and not self.features:
            raise BadConfig(f'metric = "{self.metric}" compares sets; give features = "file.py:function"')
        for section in filter(None, (self.train, self.qat)):
            if self.metric not in OF_LABELS and (idle := asked(section, OF_CLASSES)):
                raise BadConfig(f'metric = "{self.metric}" compares numbers, where [{section.heading}] '
                                f'{idle} would do nothing; leave it out')
        if self.streaming and self.input.takes_frames:
            raise BadConfig("streaming = true takes a sequence step by step, [input] raw frames; leave one "
                            "of them out")
        if self.cluster:
            self._require_shared()
        if self.qat:
            self._require_trainable_codes()
        if self.tflite != TFLiteConfig() and scheme_of(self.quantize.scheme).method != "static":
            raise BadConfig(f'[tflite] islands = "{self.tflite.islands}" is of integer networks and would do '
                            f'nothing with [quantize] scheme = "{self.quantize.scheme}"; leave it out')

    def _require_one_network(self) -> None:
        """Raise BadConfig where [exits] or [widths] is given beside what is of one network as a whole."""
        whole = {"streaming = true": self.streaming, "[qat]": self.qat is not None,
                 "[quantize] accuracy_drop": self.quantize.accuracy_drop is not None,
                 f'metric = "{self.metric}"': self.metric != "top1"}
        if self.exits:
            self.exits.require_alone(whole)
        if self.widths:
            shaped = {"[[earlier]]" if name == "earlier" else f"[{name}]": bool(getattr(self, name))
                      for name in ("scale", "earlier", "prune", "low_rank", "sparsify", "cluster", "exits")}
            self.widths.require_alone({**whole, **shaped, "[quantize] equalise": self.quantize.equalise},
                                      self.train is not None)

    def _require_shared(self) -> None:
        """Raise BadConfig where weights could not go on sharing values."""
        if breaks := [name for name in ("equalise", "rounding", "accuracy_drop")
                      if getattr(self.quantize, name) not in TREATMENTS[name]]:
            raise BadConfig(f"[quantize] {', '.join(breaks)} may give weights that share a value codes of "
                            f"their own, where [cluster] would do nothing; leave one of both out")
        if self.sparsify and self.sparsify.schedule != "one_shot":
            raise BadConfig(f'[sparsify] schedule = "{self.sparsify.schedule}" finds zeros while it trains, '
                            f'where [cluster] has shared values out before; take schedule "one_shot"')

    def _require_trainable_codes(self) -> None:
        """Raise BadConfig where [qat] would train what is no code, or what is moved again."""
        spec = self.quantize
        if scheme_of(spec.scheme).method != "static":
            raise BadConfig(f'[qat] trains a network whose activations are codes, and [quantize] scheme = '
                            f'"{spec.scheme}" leaves them in float; leave [qat] out, or take a static scheme '
                            f'such as "static_wi8_ai8"')
        if idle := [name for name in UNDONE_BY_QAT if getattr(spec, name) not in UNDONE_BY_QAT[name]]:
            raise BadConfig(f"[qat] trains weights and biases as their codes compute, and [quantize] "
                            f"{', '.join(idle)} would move these codes again; leave it out, or [qat]")
        if spec.islands and self.qat.ranges == "learned":
            raise BadConfig('[qat] ranges = "learned" is for one width of codes, and [quantize] islands have '
                            'others; take ranges = "fixed"')
        if self.cluster:
            raise BadConfig("[qat] trains each weight by itself, where [cluster] would do nothing; leave one "
                            "of both out")

    @property
    def shrinks(self) -> bool:
        """Whether the float network is made another one before it is quantized."""
        return any((self.scale, self.earlier, self.prune, self.low_rank, self.sparsify, self.cluster,
                    self.train))

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
        """The same anywhere: of a checkpoint and of features their name, not their folder; no [search]."""
        return msgspec.structs.replace(self, checkpoint=Path(self.checkpoint).name,
                                       features=Path(self.features).name, search=None)

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
    if recipe.features:
        recipe = msgspec.structs.replace(recipe, features=str(path.parent / recipe.features))
    labels = recipe.input.labels
    if isinstance(labels, str):
        named = msgspec.structs.replace(recipe.input, labels=read_labels(path.parent / labels))
        recipe = msgspec.structs.replace(recipe, input=named)
    return recipe
